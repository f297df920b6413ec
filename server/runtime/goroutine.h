/*
 * goroutine.h - what a goroutine is, for the scheduler and for those who park one.
 *
 * The structure lies at the upper end of its goroutine's stack, in the same page as the first frames:
 * a parked goroutine is one resident page, everything included. It therefore lives exactly as long as
 * its stack, and is found by walking the slabs of stacks (stack.h); there is no list of all goroutines.
 * Before it runs for the first time it has no stack, and its structure lies elsewhere (nursery.h).
 */
#ifndef CHAND_RUNTIME_GOROUTINE_H
#define CHAND_RUNTIME_GOROUTINE_H

#include "server/runtime/context.h"
#include "server/runtime/wait_reason.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a goroutine was started; go() makes one static copy a place. */
struct go_site {
	const char *file;
	const char *function; /* the function that said go(...) */
	const char *callee;   /* what it started, as written there */
	int line;
};

enum goroutine_state {
	G_IDLE,     /* zero page: never used, or its memory was given back; owned by stack.c */
	G_NEW,      /* has not begun and has no stack: a newborn (nursery.h), on exactly one run queue */
	G_RUNNABLE, /* on exactly one run queue; nobody touches its stack */
	G_RUNNING,  /* on a machine that holds a processor; owns its stack; on no queue */
	G_WAITING,  /* on no run queue; reachable from what it waits on, and from there alone woken */
	G_BLOCKING, /* on a machine in blocking_enter .. blocking_exit; owns its stack */
	G_DEAD,     /* finished; its stack is in a pool (stackpool.h) */
	G_NURSERY,  /* none: its stack's first page holds newborns */
};

struct goroutine {
	struct context context; /* its saved registers; meaningful while no machine runs it */

	/* Link of the one queue that the goroutine is on: a run queue, a list of the free, a
	 * struct go_queue, or whatever its waker keeps. */
	struct goroutine *link;

	/* Written by the waker before go_ready, read by the woken: what happened to it. */
	union {
		void *wake_value;
		intptr_t wake_result;
	};

	_Atomic uint8_t state;       /* enum goroutine_state */
	uint8_t wait_reason;         /* enum wait_reason; meaningful in G_WAITING */
	_Atomic bool guarded;        /* there is a guard below its stack (stack.h) */
	bool scavenged;              /* free, and its stack's deep pages were given back since */
	uint32_t slot;               /* which stack, see stack.h */
	uint32_t guard_place;        /* among the cached guards, while guarded by one (guard.c) */

	int64_t since_ns; /* when it began to wait; exact to 10 ms, or 50. So far one cache line, which
			   * is all that parking and waking touch. */
	uint64_t id;      /* unique in a run, from 1; 1 is the main goroutine */
	const struct go_site *site;
	void *user;               /* the program's own, see go_user() */
	const char *label;        /* shown in dumps, see go_set_label() */
	const void *wait_object;  /* what it waits on, for debuggers and dumps; may be NULL */
};

/* Fetches what a waiting goroutine will touch when it runs: its innermost frames, or what a newborn is
 * made of. It may be running elsewhere by now; then this fetches for nothing, and what it reads of a newborn
 * may be anything. */
static inline SANITIZER_RACY void goroutine_prefetch_frames(const struct goroutine *g)
{
	enum { LINES = 6, LINE_BYTES = 64 };
	const char *sp = __atomic_load_n(&g->context.sp, __ATOMIC_RELAXED);

	for (int i = 0; i < LINES; i++)
		__builtin_prefetch(sp + LINE_BYTES * i, 1);
}

/* A batch of goroutines, linked by `link`, first in first out; zero-initialised is empty. */
struct go_queue {
	struct goroutine *head;
	struct goroutine *tail;
	size_t count;
};

static inline void go_queue_push(struct go_queue *q, struct goroutine *g)
{
	g->link = NULL;
	if (q->tail)
		q->tail->link = g;
	else
		q->head = g;
	q->tail = g;
	q->count++;
}

static inline void go_queue_push_first(struct go_queue *q, struct goroutine *g)
{
	g->link = q->head;
	if (!q->head)
		q->tail = g;
	q->head = g;
	q->count++;
}

static inline struct goroutine *go_queue_pop(struct go_queue *q)
{
	struct goroutine *g = q->head;

	if (!g)
		return NULL;
	q->head = g->link;
	if (!q->head)
		q->tail = NULL;
	q->count--;
	return g;
}

/* Moves all of `from` to the end of `to`. */
static inline void go_queue_append(struct go_queue *to, struct go_queue *from)
{
	if (!from->head)
		return;
	if (to->tail)
		to->tail->link = from->head;
	else
		to->head = from->head;
	to->tail = from->tail;
	to->count += from->count;
	*from = (struct go_queue){0};
}

#endif
