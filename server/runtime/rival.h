/*
 * rival.h - two processors whose goroutines fight for one channel are one too many.
 *
 * A value through a buffer takes 13 ns while the channel stays in one CPU's cache, and 60 to 100 where two
 * CPUs take it from each other with every operation: four producers and four consumers were three times
 * as slow on two processors as on one. So where a processor's goroutines have found a channel's lock taken
 * RIVAL_BOUTS times, and have waited for it for a tenth of the time since the first, the last of them moves
 * to the processor that it met there, if that one comes before its own (else both would move). What stands
 * there is then kept together: nobody is called for it or takes from it, until
 *
 *	- it grows to RIVAL_QUEUE_LONG, or
 *	- its processor has nothing to do, or
 *	- sysmon looks, every 10 ms: then it may turn out again, in a few microseconds.
 *
 * With 70 ns of work between two operations both wait for a sixth of their time, and a value takes 170 ns;
 * on one processor it takes 140. With 110 ns it is a 20th, and two are faster (160 and 230 ns). How often
 * they meet says less: that depends on how far apart the two CPUs lie, which may change by the minute.
 *
 * A processor's queue is for its owner to put into, so who moves goes to the `inbox` of the other, which
 * its owner looks at in each step. The order between that and the owner going idle is the one
 * of sched.c: moving puts into the inbox and then looks whether the processor is idle, whose owner says
 * so and then looks into the inbox.
 */
#ifndef CHAND_RUNTIME_RIVAL_H
#define CHAND_RUNTIME_RIVAL_H

#include "server/base/clock.h"
#include "server/runtime/sched.h"

enum { RIVAL_BOUTS = 32, RIVAL_WAIT_PART = 10, RIVAL_QUEUE_LONG = 32 };

/* No wait counts as more: who waits longer has gone to sleep, since the lock's holder has lost its CPU. */
#define RIVAL_WAIT_MAX_NS (2 * NS_PER_US)

/* May others take from p's ring? */
static inline bool rival_may_help(struct processor *p)
{
	uint32_t length = runq_length(&p->runq);

	return length >= RIVAL_QUEUE_LONG ||
		(length > 0 && !atomic_load_explicit(&p->together, memory_order_relaxed));
}

/* p's goroutines need not stay together any more. */
static inline void rival_forget(struct processor *p)
{
	if (atomic_load_explicit(&p->together, memory_order_relaxed))
		atomic_store_explicit(&p->together, false, memory_order_relaxed);
}

/* Has somebody moved to p, and is not in its ring yet? */
static inline bool rival_has_moved(struct processor *p)
{
	return __builtin_expect(
		atomic_load_explicit(&p->inbox, memory_order_relaxed) != NULL, 0);
}

/* Counts that a goroutine of p, which its machine holds, waited for a lock; is it a fight? */
bool rival_count_bout(struct processor *p, int64_t since_ns, int64_t until_ns);

/* All who moved to p, in their order, to the end of `out`. Any machine may ask. */
void rival_take_moved(struct processor *p, struct go_queue *out);

/* By a goroutine without a lock: goes on at `to`, behind what stands there. */
void rival_move(struct processor *to);

/* By after_switch: puts g, which was left by rival_move, where it wants to go. */
void rival_deliver(struct processor *to, struct goroutine *g);

#endif
