/*
 * runq.h - a processor's queue of runnable goroutines: a ring with one owner and many thieves, and a
 * slot for the one that runs next.
 *
 * The owner is whoever holds the processor; only it puts. Everyone may steal. Nothing here waits for a
 * lock or wakes anybody.
 */
#ifndef CHAND_RUNTIME_RUNQ_H
#define CHAND_RUNTIME_RUNQ_H

#include "server/runtime/goroutine.h"

/* 8 KiB a processor; what does not fit goes through the global queue and its lock. */
enum { RUNQ_CAPACITY = 1024 };

struct runq {
	/* Consumers (owner and thieves) advance head by compare-and-swap; the owner alone stores tail.
	 * Both only grow, and wrap: tail - head is the length, slot i lies at i % RUNQ_CAPACITY. */
	_Alignas(64) _Atomic uint32_t head;
	_Atomic uint32_t tail;
	bool alone; /* the only queue of its run: nobody steals, so nothing needs a locked instruction */
	bool unfenced; /* constant: the kernel has no fence for all threads, so `raided` is always true */
	/* Readied by what ran last: runs before the ring, so that a wake-up is a handoff. Its owner changes
	 * it without a locked instruction while it is not raided, see runq.c. */
	_Atomic(struct goroutine *) next;
	_Atomic bool next_busy; /* the owner is changing it */
	_Atomic bool raided;    /* others may take it: who changes it does so by an exchange */
	_Atomic(struct goroutine *) ring[RUNQ_CAPACITY];
};

/* q is zero, which is an empty queue among others, in a process where fences work. */
void runq_init(struct runq *q, bool alone);

/* Owner: puts at the tail; false when the ring is full. What the owner looks at next is looked at after
 * the put, in the one order of all (see sched.c). */
bool runq_put(struct runq *q, struct goroutine *g);

/* The same, cheaper, for a goroutine that nobody else needs to come for: no such order. */
static inline bool runq_put_back(struct runq *q, struct goroutine *g);

/* Owner: puts into the next slot; returns whom that displaced, who belongs at the tail, or NULL. */
static inline struct goroutine *runq_put_next(struct runq *q, struct goroutine *g);

/* Owner: the next slot's, else the head's; NULL when both are empty. */
static inline struct goroutine *runq_get(struct runq *q);

/* Owner: the head's, else the next slot's: goroutines that start or wake each other in the next slot
 * for ever must not starve the ring. */
struct goroutine *runq_get_fair(struct runq *q);

/* Owner: moves half of a full ring to `out`, in order; returns how many (0 when thieves were faster). */
uint32_t runq_shed(struct runq *q, struct go_queue *out);

/*
 * Moves the older half of the victim's ring to the thief's, whose ring must be empty, and returns one
 * of them to run; NULL when there is nothing. With `next_too` an only goroutine is taken from the
 * victim's next slot, unless its owner or another thief is at it: for one that its processor does not come to.
 */
struct goroutine *runq_steal(struct runq *thief, struct runq *victim, bool next_too);

/* How many wait in the ring, and whether the next slot is occupied: a moment's truth. */
uint32_t runq_length(struct runq *q);
static inline bool runq_has_next(struct runq *q);

/* ---- Inline: every switch goes through these. The ordering is told in runq.c. ---- */

/*
 * In a long queue those that wait have left the caches since they ran. So the owner, taking the one
 * at `head`, fetches a later one's structure, and the frames of another that it fetched before. It
 * buys half of the time in which 10,000 wake, and a tenth of the sieve's.
 */
enum { RUNQ_LONG = 16, RUNQ_AHEAD_FRAMES = 2, RUNQ_AHEAD = 5 };

static inline void runq_prefetch(struct runq *q, uint32_t head)
{
	struct goroutine *far = atomic_load_explicit(
		&q->ring[(head + RUNQ_AHEAD) % RUNQ_CAPACITY], memory_order_relaxed);
	struct goroutine *near = atomic_load_explicit(
		&q->ring[(head + RUNQ_AHEAD_FRAMES) % RUNQ_CAPACITY], memory_order_relaxed);

	__builtin_prefetch(far, 1);
	goroutine_prefetch_frames(near);
}

static inline bool runq_put_ordered(struct runq *q, struct goroutine *g, memory_order order)
{
	uint32_t head = atomic_load_explicit(&q->head, memory_order_acquire);
	uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);

	if (tail - head == RUNQ_CAPACITY)
		return false;
	atomic_store_explicit(&q->ring[tail % RUNQ_CAPACITY], g, memory_order_relaxed);
	atomic_store_explicit(&q->tail, tail + 1, order);
	return true;
}

static inline bool runq_put_back(struct runq *q, struct goroutine *g)
{
	return runq_put_ordered(q, g, memory_order_release);
}

static inline bool runq_has_next(struct runq *q)
{
	return atomic_load_explicit(&q->next, memory_order_relaxed) != NULL;
}

/* Owner: does nothing wait? */
static inline bool runq_own_empty(struct runq *q)
{
	return !runq_has_next(q) && atomic_load_explicit(&q->head, memory_order_relaxed) ==
		atomic_load_explicit(&q->tail, memory_order_relaxed);
}

/* Owner: next becomes g; returns what it was. */
static inline struct goroutine *runq_swap_next(struct runq *q, struct goroutine *g)
{
	struct goroutine *was;

	atomic_store_explicit(&q->next_busy, true, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst); /* pairs with the fence in runq_raid */
	if (__builtin_expect(atomic_load_explicit(&q->raided, memory_order_acquire), 0)) {
		was = atomic_exchange_explicit(&q->next, g, memory_order_acq_rel);
	} else {
		was = atomic_load_explicit(&q->next, memory_order_relaxed);
		atomic_store_explicit(&q->next, g, memory_order_release);
	}
	atomic_store_explicit(&q->next_busy, false, memory_order_release);
	return was;
}

static inline struct goroutine *runq_put_next(struct runq *q, struct goroutine *g)
{
	return runq_swap_next(q, g);
}

static inline struct goroutine *runq_take_next(struct runq *q)
{
	return runq_has_next(q) ? runq_swap_next(q, NULL) : NULL;
}

static inline struct goroutine *runq_take_head(struct runq *q)
{
	uint32_t head = atomic_load_explicit(&q->head, memory_order_acquire), tail;
	struct goroutine *g;

	for (;;) {
		tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
		if (head == tail)
			return NULL;
		g = atomic_load_explicit(&q->ring[head % RUNQ_CAPACITY], memory_order_relaxed);
		if (tail - head > RUNQ_LONG)
			runq_prefetch(q, head);
		if (q->alone) {
			atomic_store_explicit(&q->head, head + 1, memory_order_relaxed);
			return g;
		}
		if (atomic_compare_exchange_weak_explicit(
			    &q->head, &head, head + 1, memory_order_release, memory_order_acquire))
			return g;
	}
}

static inline struct goroutine *runq_get(struct runq *q)
{
	struct goroutine *g = runq_take_next(q);

	return g ? g : runq_take_head(q);
}

#endif
