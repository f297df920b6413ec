/* fence.h - a memory fence that the rare side lays for the frequent one. */
#ifndef CHAND_BASE_FENCE_H
#define CHAND_BASE_FENCE_H

#include <stdbool.h>

/*
 * Makes every thread of the process execute a full fence, by membarrier(): some microseconds. So of two
 * sides that each store and then look, the frequent one needs no instruction between the two, only
 * atomic_signal_fence against its compiler. False where the kernel has no such call, or grants it no more: a filter may be
 * set later.
 */
bool fence_all_threads(void);

/*
 * To be called before there are threads: the kernel wants to know once that the process will do this. Else
 * the first call tells it, and takes 5 to 20 ms, since the kernel then waits until every CPU has been seen
 * outside of it.
 */
void fence_prepare(void);

#endif
