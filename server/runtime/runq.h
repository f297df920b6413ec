/*
 * runq.h - a processor's queue of runnable goroutines: a ring with one owner and many thieves, and a
 * slot for the one that runs next.
 *
 * The owner is whoever holds the processor; only it puts. Everyone may steal. Nothing here locks or
 * wakes anybody.
 */
#ifndef CHAND_RUNTIME_RUNQ_H
#define CHAND_RUNTIME_RUNQ_H

#include "server/runtime/goroutine.h"

enum { RUNQ_CAPACITY = 256 };

struct runq {
	/* Consumers (owner and thieves) advance head by compare-and-swap; the owner alone stores tail.
	 * Both only grow, and wrap: tail - head is the length, slot i lies at i % RUNQ_CAPACITY. */
	_Alignas(64) _Atomic uint32_t head;
	_Atomic uint32_t tail;
	/* Readied by what ran last: runs before the ring, so that a wake-up is a handoff. */
	_Atomic(struct goroutine *) next;
	_Atomic(struct goroutine *) ring[RUNQ_CAPACITY];
};

/* Owner: puts at the tail; false when the ring is full. What the owner looks at next is looked at after
 * the put, in the one order of all (see sched.c). */
bool runq_put(struct runq *q, struct goroutine *g);

/* The same, cheaper, for a goroutine that nobody else needs to come for: no such order. */
bool runq_put_back(struct runq *q, struct goroutine *g);

/* Owner: puts into the next slot; returns whom that displaced, who belongs at the tail, or NULL. */
struct goroutine *runq_put_next(struct runq *q, struct goroutine *g);

/* Owner: the next slot's, else the head's; NULL when both are empty. */
struct goroutine *runq_get(struct runq *q);

/* Owner: the head's, else the next slot's: goroutines that start or wake each other in the next slot
 * for ever must not starve the ring. */
struct goroutine *runq_get_fair(struct runq *q);

/* Owner: moves half of a full ring to `out`, in order; returns how many (0 when thieves were faster). */
uint32_t runq_shed(struct runq *q, struct go_queue *out);

/*
 * Moves the older half of the victim's ring to the thief's, whose ring must be empty, and returns one
 * of them to run; NULL when there is nothing. With `next_too` an only goroutine is taken from the
 * victim's next slot: for one that its processor does not come to.
 */
struct goroutine *runq_steal(struct runq *thief, struct runq *victim, bool next_too);

/* How many wait in the ring, and whether the next slot is occupied: a moment's truth. */
uint32_t runq_length(struct runq *q);
bool runq_has_next(struct runq *q);

#endif
