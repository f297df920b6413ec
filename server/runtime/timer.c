/*
 * timer.c - a pairing heap of deadlines.
 *
 * Intrusive, so that starting cannot fail; start is O(1), stop O(log n) amortised, and the usual fate
 * of a timer, to be stopped before it fires, touches a few nodes near it.
 *
 * A node's children are a list linked by next; prev is the elder sibling, or the parent for the eldest.
 */
#include "config.h"

#include "server/runtime/timer.h"

#include "server/base/lock.h"
#include "server/base/panic.h"
#include "server/runtime/timer_sched.h"

#include <stdatomic.h>
#include <stddef.h>

static struct {
	struct lock lock; /* guards the heap and every started timer's links */
	struct timer *root;
	_Atomic int64_t next_ns; /* root's deadline; written under lock, seq_cst: see sched.c */
} timers = {.lock = LOCK_INIT(LOCK_RANK_TIMERS), .next_ns = DEADLINE_NEVER};

/* Makes the later of two roots the eldest child of the other. Each has no siblings. */
static struct timer *meld(struct timer *a, struct timer *b)
{
	struct timer *swap;

	if (!a || !b)
		return a ? a : b;
	if (b->deadline_ns < a->deadline_ns) {
		swap = a;
		a = b;
		b = swap;
	}
	b->prev = a;
	b->next = a->child;
	if (a->child)
		a->child->prev = b;
	a->child = b;
	return a;
}

/* Cuts the first node off a list of siblings. */
static struct timer *cut_first(struct timer **list)
{
	struct timer *t = *list;

	if (!t)
		return NULL;
	*list = t->next;
	t->next = t->prev = NULL;
	return t;
}

/* One heap of a list of siblings: in pairs forwards, then the pairs backwards. */
static struct timer *meld_siblings(struct timer *list)
{
	struct timer *pairs = NULL, *heap = NULL, *pair;

	while (list) {
		struct timer *a = cut_first(&list), *b = cut_first(&list);

		pair = meld(a, b);
		pair->next = pairs; /* a stack of pairs */
		pairs = pair;
	}
	while ((pair = cut_first(&pairs)))
		heap = meld(heap, pair);
	return heap;
}

static void unlink_node(struct timer *t)
{
	if (t->prev->child == t)
		t->prev->child = t->next;
	else
		t->prev->next = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->next = t->prev = NULL;
}

static void publish_next(void)
{
	atomic_store(&timers.next_ns, timers.root ? timers.root->deadline_ns : DEADLINE_NEVER);
}

static void heap_remove(struct timer *t)
{
	struct timer *children = meld_siblings(t->child);

	t->child = NULL;
	t->started = false;
	if (t == timers.root) {
		timers.root = children;
		return;
	}
	unlink_node(t);
	timers.root = meld(timers.root, children);
}

void timer_init(struct timer *t, void (*fn)(void *arg), void *arg)
{
	*t = (struct timer){.deadline_ns = DEADLINE_NEVER, .fn = fn, .arg = arg};
}

void timer_start(struct timer *t, int64_t deadline_ns)
{
	t->deadline_ns = deadline_ns;
	if (deadline_ns == DEADLINE_NEVER)
		return;
	lock_acquire(&timers.lock);
	check(!t->started);
	t->child = t->next = t->prev = NULL;
	t->started = true;
	timers.root = meld(timers.root, t);
	if (timers.root == t)
		publish_next();
	lock_release(&timers.lock);
}

bool timer_stop(struct timer *t)
{
	bool was_first, was_started;

	if (t->deadline_ns == DEADLINE_NEVER)
		return false;
	lock_acquire(&timers.lock);
	was_started = t->started;
	was_first = t == timers.root;
	if (was_started)
		heap_remove(t);
	if (was_first)
		publish_next();
	lock_release(&timers.lock);
	return was_started;
}

void timer_reset(struct timer *t, int64_t deadline_ns)
{
	timer_stop(t);
	timer_start(t, deadline_ns);
}

int64_t timers_next_ns(void)
{
	return atomic_load(&timers.next_ns);
}

void timers_run(void)
{
	int64_t now_ns;

	if (!timers_pending())
		return;
	now_ns = clock_now_ns();
	if (timers_next_ns() > now_ns)
		return;
	lock_acquire(&timers.lock);
	while (timers.root && timers.root->deadline_ns <= now_ns) {
		struct timer *t = timers.root;

		heap_remove(t);
		t->fn(t->arg);
	}
	publish_next();
	lock_release(&timers.lock);
}

void timers_reset(void)
{
	timers.root = NULL;
	publish_next();
}
