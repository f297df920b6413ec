/* timer_sched.h - what the scheduler asks of the timers. */
#ifndef CHAND_RUNTIME_TIMER_SCHED_H
#define CHAND_RUNTIME_TIMER_SCHED_H

#include <stdint.h>

/* The first deadline, DEADLINE_NEVER when no timer is started. From any thread, no lock. */
int64_t timers_next_ns(void);

/* Fires all that are due. Reads the clock only if a timer is started. */
void timers_run(void);

/* How many timers with a real deadline are started, or 0: can time alone wake anyone? */
static inline int timers_pending(void)
{
	return timers_next_ns() != INT64_MAX;
}

/* Forgets all timers: between runs. */
void timers_reset(void);

#endif
