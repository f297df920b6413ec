/*
 * duration.h - lengths of time as people write them: 500ms, 2s, 1.5s, 1m, 1h, 250us, 40ns.
 */
#ifndef CHANCTL_DURATION_H
#define CHANCTL_DURATION_H

#include <stdint.h>

/* Reads a decimal number and a unit, nothing between or around. 0 needs no unit.
 * Returns 0, or -EINVAL for anything else, for a negative time and for more than 292 years. */
int duration_parse(const char *text, int64_t *ret_ns);

/* Writes a time as a person wants to see it, with one unit, to two digits or the whole number: "3
 * s", "1.5 ms", "2 h". Returns text, which has room for DURATION_TEXT_BYTES. */
char *duration_format(char *text, int64_t duration_ns);

#define DURATION_TEXT_BYTES 32

#endif
