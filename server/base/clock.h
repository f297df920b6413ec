/*
 * clock.h - the one clock of the daemon: monotonic nanoseconds.
 *
 * Points in time and spans are int64_t nanoseconds everywhere; a point's name ends in `_ns` or is
 * `deadline_ns`. DEADLINE_NEVER stands for "no deadline", and any point not after now for "at once".
 */
#ifndef CHAND_BASE_CLOCK_H
#define CHAND_BASE_CLOCK_H

#include <stdint.h>

#define DEADLINE_NEVER INT64_MAX

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* Now. Never goes back, stands still while the machine is suspended. About 20 ns. */
int64_t clock_now_ns(void);

/* The point `span_ns` from now, DEADLINE_NEVER where that does not fit; negative spans count as 0. */
int64_t clock_deadline_ns(int64_t span_ns);

/* Nanoseconds since 1970, for people's eyes alone. */
int64_t clock_wall_ns(void);

#endif
