/*
 * newq.c - see newq.h.
 *
 * Head (where the oldest lies) and length are one word, which everybody changes by compare-and-swap:
 * the owner takes at one end and thieves several at the other, and with a word for each end a thief
 * might claim what the owner has just taken. A thief reads slots before it claims them. The owner may
 * have taken and put in between, so that other goroutines lie there and head and length are the same:
 * hence the version, which each taking raises. It has 43 bits, days of takings.
 *
 * A put writes the slot, then the word; thieves load the word first. All changes are sequentially
 * consistent: a put is the first step of the submit pattern in sched.c, and costs no more for it.
 */
#include "server/runtime/newq.h"

_Static_assert(NEWQ_CAPACITY == 1 << NEWQ_HEAD_BITS && NEWQ_CAPACITY < 1 << NEWQ_LENGTH_BITS,
	"a full queue's head and length have to fit");

struct goroutine *newq_get_oldest(struct newq *q)
{
	uint64_t word = atomic_load_explicit(&q->word, memory_order_relaxed);
	struct goroutine *g;
	uint32_t length;

	do {
		length = newq_word_length(word);
		if (length == 0)
			return NULL;
		g = newq_at(q, newq_word_head(word));
	} while (!newq_change(q, &word, newq_word_next(word, 1, length - 1)));
	return g;
}

uint32_t newq_shed(struct newq *q, struct go_queue *out)
{
	uint64_t word = atomic_load_explicit(&q->word, memory_order_relaxed);
	uint32_t length, n;

	/* Claim first: once thieves could take a goroutine it must not be linked. */
	do {
		length = newq_word_length(word);
		n = length / 2;
	} while (!newq_change(q, &word, newq_word_next(word, n, length - n)));
	/* The owner alone puts, so the claimed slots keep what they hold. */
	for (uint32_t i = 0; i < n; i++)
		go_queue_push(out, newq_at(q, newq_word_head(word) + i));
	return n;
}

struct goroutine *newq_steal(struct newq *thief, struct newq *victim, bool only_too)
{
	uint64_t own = atomic_load_explicit(&thief->word, memory_order_relaxed);
	uint64_t word = atomic_load_explicit(&victim->word, memory_order_acquire);
	uint32_t at = newq_word_head(own), length, n;

	/* Copied behind the thief's head, where nothing is published. */
	do {
		length = newq_word_length(word);
		n = length == 1 && only_too ? 1 : length / 2;
		if (n == 0)
			return NULL;
		for (uint32_t i = 0; i < n; i++)
			atomic_store_explicit(&thief->ring[(at + i) % NEWQ_CAPACITY],
				newq_at(victim, newq_word_head(word) + i), memory_order_relaxed);
	} while (!newq_change(victim, &word, newq_word_next(word, n, length - n)));

	n--; /* the youngest of them is ours to run: it is the one not published */
	if (n > 0)
		atomic_store_explicit(&thief->word, newq_word_next(own, 0, n), memory_order_release);
	return newq_at(thief, at + n);
}
