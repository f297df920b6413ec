/*
 * sudog.h - a goroutine's stand in the queue of one channel.
 *
 * The relation is many to many: a goroutine in a select stands in several queues at once, and many
 * goroutines stand in one. A sudog is one such pair. It lives in the frame of the call that waits
 * (hchan_send, hchan_recv) or in the caller's array of cases (hchan_select), so waiting allocates
 * nothing and cannot fail. Internal to server/channel; hchan.h and select.h show it only because
 * their structures contain it.
 */
#ifndef CHAND_CHANNEL_SUDOG_H
#define CHAND_CHANNEL_SUDOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct goroutine;

/*
 * The race for a select: of all the channels it stands in, and its deadline, exactly one wins by
 * storing its sudog in `winner`, which was NULL. Only the winner may move a value and wake the
 * goroutine.
 *
 * The structure is in the waiting goroutine's frame. It may be touched only under the lock of a
 * channel in whose queue one of its sudogs stands (the goroutine takes that lock before it leaves,
 * to remove the sudog), or by the deadline while its timer stands.
 */
struct select_race {
	_Atomic(struct sudog *) winner;
};

/* Tries to win the race for sg; false if another did. */
static inline bool select_race_win(struct select_race *race, struct sudog *sg)
{
	struct sudog *open = NULL;

	return atomic_compare_exchange_strong_explicit(
		&race->winner, &open, sg, memory_order_acq_rel, memory_order_relaxed);
}

/*
 * Every field is guarded by the lock of the channel in whose queue the sudog stands. Once it is
 * taken out of the queue by another goroutine it belongs to that goroutine until it calls
 * go_ready() for `g`; then to `g` again.
 */
struct sudog {
	struct sudog *next, *prev;
	struct goroutine *g;
	void *value;              /* send: read from here; receive: written to, or NULL */
	struct select_race *race; /* NULL: a plain send or receive, always to be had */
	bool queued;              /* stands in a queue */
	bool ok;                  /* woken by a value that moved; false: by close */
	int32_t ahead;            /* from here to who came some time before, in units of 8 bytes */
};

/* FIFO of waiters. Whoever has waited longest is first. `first` may be read without the lock, as
 * a hint; zeroed memory is an empty queue. */
struct wait_queue {
	_Atomic(struct sudog *) first;
	struct sudog *last;
};

/*
 * In a long queue each is a cache miss, and who is next is known only after it. So who comes notes who came
 * TRAIL_LENGTH before on this thread, mostly to the same queue, and who takes them out from the end has that
 * one fetched meanwhile: it buys half of the time that it takes to close a channel with 10,000 waiters. He
 * may be gone, wait elsewhere, or be too far away for 32 bits: it is a hint, which is never followed.
 */
enum { TRAIL_LENGTH = 8 };

void wait_trail_note(struct sudog *sg);

static inline const void *wait_trail_ahead(const struct sudog *sg)
{
	return (const void *)((intptr_t)sg + (intptr_t)sg->ahead * 8);
}

static inline struct sudog *wait_queue_first(const struct wait_queue *q)
{
	return atomic_load_explicit(&q->first, memory_order_relaxed);
}

/* Appends sg. Needs the channel's lock. */
static inline void wait_queue_put(struct wait_queue *q, struct sudog *sg)
{
	sg->next = NULL;
	sg->queued = true;
	if (wait_queue_first(q)) {
		sg->prev = q->last;
		wait_trail_note(sg);
		q->last->next = sg;
	} else {
		sg->prev = NULL;
		atomic_store_explicit(&q->first, sg, memory_order_relaxed);
	}
	q->last = sg;
}

/* Takes out the first waiter that can still be had, having won its race if it is in a select;
 * waiters of selects that another case won are taken out on the way and left to find that out
 * themselves. Returns NULL if there is none. Needs the channel's lock. */
static inline struct sudog *wait_queue_take(struct wait_queue *q)
{
	struct sudog *sg;

	while ((sg = wait_queue_first(q))) {
		atomic_store_explicit(&q->first, sg->next, memory_order_relaxed);
		if (sg->next)
			sg->next->prev = NULL;
		sg->queued = false;
		if (!sg->race || select_race_win(sg->race, sg))
			break;
	}
	return sg;
}

/* The same for the last that can still be had. */
static inline struct sudog *wait_queue_take_last(struct wait_queue *q)
{
	struct sudog *sg;

	while (wait_queue_first(q)) {
		sg = q->last;
		__builtin_prefetch(wait_trail_ahead(sg), 1);
		q->last = sg->prev;
		if (sg->prev)
			sg->prev->next = NULL;
		else
			atomic_store_explicit(&q->first, NULL, memory_order_relaxed);
		sg->queued = false;
		if (!sg->race || select_race_win(sg->race, sg))
			return sg;
	}
	return NULL;
}

/* Takes sg out of the queue wherever it stands; nothing if it no longer does. Needs the lock. */
void wait_queue_remove(struct wait_queue *q, struct sudog *sg);

/* Number of waiters that stand in the queue. Walks it: for tests and reports. Needs the lock. */
unsigned int wait_queue_length(const struct wait_queue *q);

#endif
