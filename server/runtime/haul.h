/*
 * haul.h - what a poll brings in one go stays with the processor that polled, until that takes long.
 *
 * Fifty clients that each wait for an answer are a haul of up to fifty goroutines of some 5 us. To call a
 * second processor for half of them takes 25 us or more, moves what they touch to another CPU, and takes
 * that CPU from the clients. Worse, the second comes to wait in the kernel while the first is still at
 * work, and then wakes for each message by itself. With hauls such clients have 0.88 of what a mere
 * relay gives them over TCP, without 0.63 to 0.83.
 *
 * So nobody is called for p's ring, or takes from it, from when a poll filled it (it was empty) with
 * newborns (functions of netpoll_on: readers) until
 *
 *	- that was HAUL_NS ago, and what waits will take as long again, at the pace of late; or
 *	- 10 ms have gone, of which sysmon takes care; or
 *	- one of them says that it takes long: go_takes_long; or
 *	- its processor has nothing to do, or more than its ring holds.
 *
 * What the goroutines of a haul make ready meanwhile belongs to it. The first is looked at when a newborn
 * begins, as the pace is; so goroutines that go on (a TLS handshake) are no haul, alone or beside newborns:
 * a few of them may have milliseconds to do. But one may be among them that waited to write: a client that
 * fills its ring and empties it brings such a pair with every third poll, and called the second processor
 * 10,000 times in 4 million values.
 *
 * Nor does anybody wait in the kernel while a processor is at a haul of which at most one waits in its ring:
 * it will come and look by itself (poller_is_near). With both, two threads pass on values of 1 KiB as fast
 * as one, where they had 0.8 of that. Where nobody waits however many there are in the ring they are
 * faster still, but fifty clients that wait for answers lose 3 to 8 %.
 *
 * `haul_ns` is written by who holds p, and by sysmon, which ends it; others read it. Relaxed, but for the
 * end and the look of poller_is_near (see sched.c): nothing is published by it, and who reads an old value
 * helps too early, or leaves p alone until sysmon looks.
 */
#ifndef CHAND_RUNTIME_HAUL_H
#define CHAND_RUNTIME_HAUL_H

#include "server/base/clock.h"
#include "server/runtime/sched.h"

#define HAUL_NS (200 * NS_PER_US)

/* Is p's ring to be left alone? */
static inline bool haul_stays(const struct processor *p)
{
	return atomic_load_explicit(&p->haul_ns, memory_order_relaxed) != 0;
}

/* A poll that ended at now_ns is about to fill p's ring, which is empty, with a haul. */
static inline void haul_begin(struct processor *p, int64_t now_ns)
{
	atomic_store_explicit(&p->haul_ns, now_ns, memory_order_relaxed);
}

/* Whoever comes may help. */
static inline void haul_end(struct processor *p)
{
	if (haul_stays(p))
		atomic_store(&p->haul_ns, 0);
}

/* Has p been at it for so long, now? */
static inline bool haul_lasts(const struct processor *p, int64_t now_ns, int64_t span_ns)
{
	int64_t since_ns = atomic_load_explicit(&p->haul_ns, memory_order_relaxed);

	return since_ns != 0 && now_ns - since_ns >= span_ns;
}

#endif
