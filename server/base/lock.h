/*
 * lock.h - a small mutual exclusion with a rank.
 *
 * A lock protects data for tens of instructions. Who holds one must not park, block in the kernel,
 * or allocate without bound: a waiter spins briefly and then blocks its whole thread. (What may last
 * is a channel's business.) There are no recursive locks.
 *
 * A lock may be released by another goroutine than took it, on the same thread: that is how
 * go_park_unlock hands a waiting goroutine to its waker.
 *
 * With --enable-debug a thread that takes a lock whose rank is not above all that it holds panics,
 * and so does a goroutine that parks with a lock held.
 */
#ifndef CHAND_BASE_LOCK_H
#define CHAND_BASE_LOCK_H

#include "config.h" /* CHAND_DEBUG decides the layout */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Outermost first: a thread takes locks in this order only. */
enum lock_rank {
	LOCK_RANK_OUTER,   /* of users above the runtime, one at a time */
	LOCK_RANK_HCHAN,   /* channels; several at once in the order of their addresses */
	LOCK_RANK_TIMERS,  /* the timer heap; timers' functions run under it */
	LOCK_RANK_NETPOLL, /* the poller's own state */
	LOCK_RANK_STACK,   /* slabs, free goroutines, guards */
	LOCK_RANK_SCHED,   /* sched.lock: global queue, idle machines and processors */
	LOCK_RANK_LOG,     /* innermost: anyone may log */
};

struct lock {
	_Atomic uint32_t word; /* 0 free, 1 held */
#ifdef CHAND_DEBUG
	enum lock_rank rank;
#endif
};

#ifdef CHAND_DEBUG
#define LOCK_INIT(r) {.rank = (r)}
#else
#define LOCK_INIT(r) {.word = 0}
#endif

void lock_init(struct lock *l, enum lock_rank rank);

/* How many threads sleep on any lock, or are about to: see lock.c. On a cache line of its own, as every
 * release reads it. */
extern _Alignas(64) _Atomic uint32_t lock_sleepers;

/* Slow halves; the fast ones are inline below. */
void lock_wait(struct lock *l);
void lock_wake(struct lock *l);

#ifdef CHAND_DEBUG
void lock_note_acquire(struct lock *l); /* panics when the rank forbids it */
void lock_note_release(struct lock *l); /* panics when this thread does not hold it */
#else
static inline void lock_note_acquire(struct lock *l)
{
	(void)l;
}

static inline void lock_note_release(struct lock *l)
{
	(void)l;
}
#endif

/* How many locks this thread holds; always 0 without --enable-debug. */
int lock_held_count(void);

/* Takes the lock; may spin, then sleeps in the kernel. */
static inline void lock_acquire(struct lock *l)
{
	uint32_t was = 0;

	lock_note_acquire(l);
	if (__builtin_expect(!atomic_compare_exchange_strong_explicit(&l->word, &was, 1,
				     memory_order_acquire, memory_order_relaxed),
		    0))
		lock_wait(l);
}

/* Takes the lock if it is free; false, and nothing done, otherwise. */
static inline bool lock_try(struct lock *l)
{
	uint32_t was = 0;

	if (!atomic_compare_exchange_strong_explicit(
		    &l->word, &was, 1, memory_order_acquire, memory_order_relaxed))
		return false;
	lock_note_acquire(l);
	return true;
}

/* Releases; what l guards may be gone once this has returned (l is not touched after the store,
 * except as an address to wake). A plain store: an exchange, which would tell of sleepers at the same
 * time, costs 4.7 ns, a third of what a value costs in a buffered channel. */
static inline void lock_release(struct lock *l)
{
	lock_note_release(l);
	atomic_store_explicit(&l->word, 0, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
	if (__builtin_expect(atomic_load_explicit(&lock_sleepers, memory_order_relaxed) != 0, 0))
		lock_wake(l);
}

#endif
