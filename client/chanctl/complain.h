/*
 * complain.h - what chanctl says on stderr: "chanctl: ..." and a line's end.
 */
#ifndef CHANCTL_COMPLAIN_H
#define CHANCTL_COMPLAIN_H

#include <stdarg.h>

void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
void complain_v(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

#endif
