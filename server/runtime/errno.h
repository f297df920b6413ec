/*
 * errno.h - errno for code that may park.
 *
 * errno belongs to the thread, and libc declares the function that finds it constant: compilers keep
 * its address for a whole function, also across a park after which another thread goes on. Here it
 * is asked for anew each time. runtime.h and netpoll.h include this.
 */
#ifndef CHAND_RUNTIME_ERRNO_H
#define CHAND_RUNTIME_ERRNO_H

#include <errno.h>

#undef errno
#define errno (*go_errno())

/* Where the calling thread's errno is, until the next park. */
int *go_errno(void);

#endif
