/*
 * runq.c - see runq.h.
 *
 * Ordering. A put writes the slot, then stores tail with release; a consumer loads tail with acquire,
 * reads slots, and only then claims them by a release compare-and-swap on head. The owner loads head
 * with acquire before it reuses a slot, so that a thief's reads have happened. A thief that read slots
 * which the owner has meanwhile reused fails its compare-and-swap, since head moved on.
 *
 * The seq_cst store of tail in runq_put is the first step of the submit pattern in sched.c: what follows it
 * cannot be seen before it. For what is put next nobody is called.
 *
 * The next slot. Every handoff puts and takes there, and others seldom do, when its owner has not come to it
 * for 10 ms, as sysmon last saw. So the owner changes it by plain loads and stores, and who raids it pays for all:
 *
 *	owner: (1) next_busy				raider: (1) raided
 *	       (2) look at raided; change next			(2) a fence for all threads
 *	       (3) not next_busy				(3) look at next_busy
 *
 * Either the fence comes before the owner's second step, who then sees that it has to use an exchange, or
 * after its first, and the raider sees that it is busy, unless it is through. A busy owner is not one that
 * needs help; then the raid brings nothing, and who raids looks on until there is something, or nothing. Two
 * exchanges a handoff were a quarter of the sieve's time with two processors (tests/bench).
 */
#include "server/runtime/runq.h"

#include "server/base/fence.h"

static struct goroutine *slot_load(struct runq *q, uint32_t i)
{
	return atomic_load_explicit(&q->ring[i % RUNQ_CAPACITY], memory_order_relaxed);
}

static void slot_store(struct runq *q, uint32_t i, struct goroutine *g)
{
	atomic_store_explicit(&q->ring[i % RUNQ_CAPACITY], g, memory_order_relaxed);
}

void runq_init(struct runq *q, bool alone)
{
	q->alone = alone;
	q->unfenced = !alone && !fence_all_threads();
	atomic_init(&q->raided, q->unfenced);
}

bool runq_put(struct runq *q, struct goroutine *g)
{
	return q->alone ? runq_put_back(q, g) : runq_put_ordered(q, g, memory_order_seq_cst);
}

struct goroutine *runq_get_fair(struct runq *q)
{
	struct goroutine *g = runq_take_head(q);

	return g ? g : runq_take_next(q);
}

uint32_t runq_shed(struct runq *q, struct go_queue *out)
{
	uint32_t head = atomic_load_explicit(&q->head, memory_order_acquire);
	uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
	uint32_t n = (tail - head) / 2;

	/* Claim first: once thieves could take a goroutine it must not be linked. */
	if (!atomic_compare_exchange_strong_explicit(
		    &q->head, &head, head + n, memory_order_release, memory_order_relaxed))
		return 0;
	/* The owner alone puts, so the claimed slots keep what they hold. */
	for (uint32_t i = 0; i < n; i++)
		go_queue_push(out, slot_load(q, head + i));
	return n;
}

/* Copies the older half of victim's ring behind thief's tail, without publishing it there. */
static uint32_t grab(struct runq *thief, uint32_t at, struct runq *victim)
{
	for (;;) {
		uint32_t head = atomic_load_explicit(&victim->head, memory_order_acquire);
		uint32_t tail = atomic_load_explicit(&victim->tail, memory_order_acquire);
		uint32_t n = tail - head;

		n -= n / 2;
		if (n == 0)
			return 0;
		if (n > RUNQ_CAPACITY / 2)
			continue; /* head and tail were read at different times */
		for (uint32_t i = 0; i < n; i++)
			slot_store(thief, at + i, slot_load(victim, head + i));
		if (atomic_compare_exchange_weak_explicit(&victim->head, &head, head + n,
			    memory_order_acq_rel, memory_order_relaxed))
			return n;
	}
}

/* What is next on a queue whose owner seems to be away; NULL when it is not, or somebody else raids it. */
static struct goroutine *runq_raid(struct runq *q)
{
	struct goroutine *g = NULL;
	bool raided = false;

	if (q->unfenced)
		return atomic_exchange_explicit(&q->next, NULL, memory_order_acq_rel);
	if (!runq_has_next(q) || !atomic_compare_exchange_strong(&q->raided, &raided, true))
		return NULL;
	if (fence_all_threads() && !atomic_load_explicit(&q->next_busy, memory_order_acquire))
		g = atomic_exchange_explicit(&q->next, NULL, memory_order_acq_rel);
	atomic_store_explicit(&q->raided, false, memory_order_release);
	return g;
}

struct goroutine *runq_steal(struct runq *thief, struct runq *victim, bool next_too)
{
	uint32_t tail = atomic_load_explicit(&thief->tail, memory_order_relaxed);
	uint32_t n = grab(thief, tail, victim);

	if (n == 0)
		return next_too ? runq_raid(victim) : NULL;
	n--; /* the youngest of them is ours to run: it is the one not published */
	if (n > 0)
		atomic_store_explicit(&thief->tail, tail + n, memory_order_release);
	return slot_load(thief, tail + n);
}

uint32_t runq_length(struct runq *q)
{
	uint32_t head = atomic_load(&q->head);
	uint32_t tail = atomic_load(&q->tail);

	return tail - head > RUNQ_CAPACITY ? 0 : tail - head;
}
