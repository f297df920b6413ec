#include "server/base/clock.h"

#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t clock_now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_deadline_ns(int64_t span_ns)
{
	int64_t deadline_ns;

	if (span_ns < 0)
		span_ns = 0;
	if (__builtin_add_overflow(clock_now_ns(), span_ns, &deadline_ns))
		return DEADLINE_NEVER;
	return deadline_ns;
}

int64_t clock_wall_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}
