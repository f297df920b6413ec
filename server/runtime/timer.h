/*
 * timer.h - call a function at a point in time.
 *
 * For deadlines: a goroutine that waits starts a timer whose function ends the wait. The storage is
 * the caller's, often its stack. All timers stand in one heap under one lock, and their functions run
 * under that lock, so that timer_stop is a promise: once it has returned, the function neither runs
 * nor will. The heap is intrusive: starting a timer cannot fail.
 */
#ifndef CHAND_RUNTIME_TIMER_H
#define CHAND_RUNTIME_TIMER_H

#include "server/base/clock.h"

#include <stdbool.h>
#include <stdint.h>

struct timer {
	int64_t deadline_ns;
	/* Runs on a scheduling thread, under LOCK_RANK_TIMERS: it may claim what its goroutine waits
	 * for (by an atomic, not by a lock of outer rank) and call go_ready; it must not park, nor
	 * touch timers. */
	void (*fn)(void *arg);
	void *arg;
	/* Private: links of a pairing heap. */
	struct timer *child, *next, *prev;
	bool started;
};

/* Sets the fields; the timer is not started. */
void timer_init(struct timer *t, void (*fn)(void *arg), void *arg);

/*
 * Starts it. A deadline that is past fires at the next scheduling point, not inside this call;
 * DEADLINE_NEVER never fires, and still wants timer_stop. Not on a started timer.
 */
void timer_start(struct timer *t, int64_t deadline_ns);

/* Stops it: true if it was started and had not fired. Fine on one that is not started. */
bool timer_stop(struct timer *t);

/* Stops and starts. */
void timer_reset(struct timer *t, int64_t deadline_ns);

#endif
