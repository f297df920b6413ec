/*
 * clock.h - the one clock of the library: monotonic nanoseconds.
 */
#ifndef CLIENT_CLOCK_H
#define CLIENT_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_MS 1000000LL
#define NS_PER_S 1000000000LL
#define DEADLINE_NONE INT64_MAX

static inline int64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* The same for a seventh of the time, and late by as much as the kernel's tick, which is far below
 * CLOCK_ROUGH_NS: it tells that something is not due yet. */
#define CLOCK_ROUGH_NS (50 * NS_PER_MS)

static inline int64_t clock_rough_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* timeout_ns below 0 means none. */
static inline int64_t clock_deadline_ns(int64_t timeout_ns)
{
	int64_t now_ns;

	if (timeout_ns < 0)
		return DEADLINE_NONE;
	now_ns = clock_now_ns();
	return timeout_ns > DEADLINE_NONE - now_ns ? DEADLINE_NONE : now_ns + timeout_ns;
}

/* What poll takes: the milliseconds to deadline_ns, rounded up, at most max_ms. */
static inline int clock_poll_ms(int64_t deadline_ns, int max_ms)
{
	int64_t left_ns;

	if (deadline_ns == DEADLINE_NONE)
		return max_ms;
	left_ns = deadline_ns - clock_now_ns();
	if (left_ns <= 0)
		return 0;
	return left_ns >= max_ms * NS_PER_MS ? max_ms
					     : (int)((left_ns + NS_PER_MS - 1) / NS_PER_MS);
}

#endif
