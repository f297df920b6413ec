/*
 * newq.h - a processor's queue of goroutines that have not begun (nursery.h): its owner takes the
 * youngest, thieves the oldest.
 *
 * What was started last works on what is warm, and ends before its elder siblings begin: a tree of
 * goroutines is walked in depth, and a few hundred are alive, not the whole tree. The oldest is the
 * one with most before it, which is worth the way to another processor.
 *
 * The owner is whoever holds the processor; only it puts. Everyone may steal. Nothing here locks or
 * wakes anybody.
 */
#ifndef CHAND_RUNTIME_NEWQ_H
#define CHAND_RUNTIME_NEWQ_H

#include "server/runtime/goroutine.h"

/* 8 KiB a processor; what does not fit goes through a global queue and its lock. */
enum { NEWQ_CAPACITY = 1024 };

struct newq {
	/* See newq.c: length, head and version in one word. */
	_Alignas(64) _Atomic uint64_t word;
	bool alone; /* the only queue of its run: nobody steals, so nothing needs a locked instruction */
	_Atomic(struct goroutine *) ring[NEWQ_CAPACITY];
};

/* Owner: puts one that is the youngest; false when there is no room. What the owner looks at next is
 * looked at after the put, in the one order of all (see sched.c). */
static inline bool newq_put(struct newq *q, struct goroutine *g);

/* Owner: takes the youngest, the oldest; NULL when there is none. */
static inline struct goroutine *newq_get(struct newq *q);
struct goroutine *newq_get_oldest(struct newq *q);

/* Owner: moves the older half to `out`, oldest first; returns how many. */
uint32_t newq_shed(struct newq *q, struct go_queue *out);

/*
 * Moves the older half of the victim's, rounded down, to the thief's, which must be empty, and returns
 * one of them to run; NULL when there is none. An only one is left to its own processor, which is
 * about to come to it, but for `only_too`.
 */
struct goroutine *newq_steal(struct newq *thief, struct newq *victim, bool only_too);

/* How many there are: a moment's truth. */
static inline uint32_t newq_length(struct newq *q);

/* ---- Inline: every start goes through these. ---- */

enum { NEWQ_LENGTH_BITS = 11, NEWQ_HEAD_BITS = 10 };

static inline uint32_t newq_word_length(uint64_t word)
{
	return word & ((1u << NEWQ_LENGTH_BITS) - 1);
}

static inline uint32_t newq_word_head(uint64_t word)
{
	return word >> NEWQ_LENGTH_BITS & (NEWQ_CAPACITY - 1);
}

/* The word once `taken` have left at the head and the length is `length`. */
static inline uint64_t newq_word_next(uint64_t word, uint32_t taken, uint32_t length)
{
	uint64_t version = (word >> (NEWQ_LENGTH_BITS + NEWQ_HEAD_BITS)) + 1;
	uint64_t head = (newq_word_head(word) + taken) % NEWQ_CAPACITY;

	return version << (NEWQ_LENGTH_BITS + NEWQ_HEAD_BITS) | head << NEWQ_LENGTH_BITS | length;
}

/* word becomes next, if it is still *word; *word is what it is otherwise. */
static inline bool newq_change(struct newq *q, uint64_t *word, uint64_t next)
{
	if (!q->alone)
		return atomic_compare_exchange_strong(&q->word, word, next);
	atomic_store_explicit(&q->word, next, memory_order_relaxed);
	return true;
}

static inline uint32_t newq_length(struct newq *q)
{
	return newq_word_length(atomic_load(&q->word));
}

static inline struct goroutine *newq_at(struct newq *q, uint32_t i)
{
	return atomic_load_explicit(&q->ring[i % NEWQ_CAPACITY], memory_order_relaxed);
}

static inline bool newq_put(struct newq *q, struct goroutine *g)
{
	uint64_t word = atomic_load_explicit(&q->word, memory_order_relaxed);
	uint32_t length;

	do {
		length = newq_word_length(word);
		if (length == NEWQ_CAPACITY)
			return false;
		atomic_store_explicit(&q->ring[(newq_word_head(word) + length) % NEWQ_CAPACITY], g,
			memory_order_relaxed);
	} while (!newq_change(q, &word, word + 1));
	return true;
}

static inline struct goroutine *newq_get(struct newq *q)
{
	uint64_t word = atomic_load_explicit(&q->word, memory_order_relaxed);
	struct goroutine *g;
	uint32_t length;

	do {
		length = newq_word_length(word);
		if (length == 0)
			return NULL;
		g = newq_at(q, newq_word_head(word) + length - 1);
	} while (!newq_change(q, &word, newq_word_next(word, 0, length - 1)));
	return g;
}

#endif
