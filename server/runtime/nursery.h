/*
 * nursery.h - goroutines that have not begun to run.
 *
 * go() takes no stack. It writes down what is to be called, in a struct newborn, whose struct goroutine
 * every run queue takes as it takes any other; whoever comes to run it takes a stack then, the one
 * that was used last. So a thousand goroutines that are started at once and soon end all run on
 * one warm page, and a crowd's pages are touched by all processors and not by the one that says go.
 *
 * Newborns lie in nurseries. A nursery is the first page of a stack that nobody uses, cut from its low
 * end up: by its processor alone, until it is full. When it is and the last of its newborns has begun,
 * on whatever processor, it is a free stack again. So there are never more nurseries than newborns and
 * processors, and what held a crowd of newborns becomes their stacks.
 */
#ifndef CHAND_RUNTIME_NURSERY_H
#define CHAND_RUNTIME_NURSERY_H

#include "server/runtime/sched.h"

/* At the low end of its page. */
struct nursery {
	struct goroutine *holder;    /* whose first page this is */
	_Atomic int32_t balance;     /* see nursery.c */
	int32_t cut;                 /* newborns that were */
	_Atomic uint32_t filled_bytes; /* stored with release after the newborns below it */
};

struct newborn {
	/* In G_NEW; beside its link, `id` and `site` alone mean anything, and `context.sp`, which points
	 * here. */
	struct goroutine g;
	struct nursery *nursery;
	void (*call)(void *code, void *args);
	void *code;
	uint32_t args_bytes;
	uint32_t bytes; /* to the next one */
	_Alignas(16) char args[];
};

static inline struct newborn *newborn_of(struct goroutine *g)
{
	return (struct newborn *)g;
}

/* Cuts a newborn from p's nursery (NULL: from one of its own), all else still to be filled in;
 * newborn_publish makes it known to dumps. */
static inline struct newborn *newborn_new(struct processor *p, size_t args_bytes);
static inline void newborn_publish(struct newborn *n);

/* n has begun, on p: its memory is not touched any more. */
static inline void newborn_free(struct processor *p, struct newborn *n);

/*
 * Dumps, from signal handlers too: the next newborn in the nursery that `holder` is (G_NURSERY), from
 * *cursor on (0 at first). False at the end, and when it stops being a nursery meanwhile.
 */
bool nursery_walk(const struct goroutine *holder, uint32_t *cursor, uint64_t *ret_id,
	const struct go_site **ret_site);

/* ---- Inline: every start goes through these. ---- */

/* From a new nursery. */
struct newborn *newborn_new_slow(struct processor *p, size_t bytes);
void nursery_free(struct processor *p, struct nursery *nursery);

static inline size_t newborn_round_up(size_t bytes)
{
	return (bytes + _Alignof(struct newborn) - 1) & -_Alignof(struct newborn);
}

static inline uint32_t nursery_filled(const struct nursery *nursery)
{
	return atomic_load_explicit(&nursery->filled_bytes, memory_order_relaxed);
}

static inline bool nursery_has_room(const struct nursery *nursery, size_t bytes)
{
	return (size_t)((char *)nursery->holder - (char *)nursery) - nursery_filled(nursery) >= bytes;
}

static inline struct newborn *nursery_cut(struct nursery *nursery, size_t bytes)
{
	struct newborn *n = (struct newborn *)((char *)nursery + nursery_filled(nursery));

	n->nursery = nursery;
	n->bytes = (uint32_t)bytes;
	nursery->cut++;
	return n;
}

static inline struct newborn *newborn_new(struct processor *p, size_t args_bytes)
{
	size_t bytes = newborn_round_up(sizeof(struct newborn) + args_bytes);

	if (p && p->nursery && nursery_has_room(p->nursery, bytes))
		return nursery_cut(p->nursery, bytes);
	return newborn_new_slow(p, bytes);
}

static inline void newborn_publish(struct newborn *n)
{
	atomic_store_explicit(&n->nursery->filled_bytes,
		(uint32_t)((char *)n + n->bytes - (char *)n->nursery), memory_order_release);
}

/* Adds n to the balance; true when that made it zero. A run's only processor needs no locked
 * instruction. */
static inline bool nursery_balance(struct processor *p, struct nursery *nursery, int32_t n)
{
	int32_t now;

	if (!p || !p->runq.alone)
		return atomic_fetch_add_explicit(&nursery->balance, n, memory_order_acq_rel) == -n;
	now = atomic_load_explicit(&nursery->balance, memory_order_relaxed) + n;
	atomic_store_explicit(&nursery->balance, now, memory_order_relaxed);
	return now == 0;
}

static inline void newborn_free(struct processor *p, struct newborn *n)
{
	struct nursery *nursery = n->nursery;

	atomic_store_explicit(&n->g.state, G_IDLE, memory_order_relaxed);
	if (nursery_balance(p, nursery, -1))
		nursery_free(p, nursery);
}

#endif
