/*
 * waitgroup.h - wait for a number of goroutines to be done (Go's sync.WaitGroup, one waiter).
 *
 * Storage is the caller's; it may be freed as soon as waitgroup_wait() has returned.
 */
#ifndef TESTS_SUPPORT_WAITGROUP_H
#define TESTS_SUPPORT_WAITGROUP_H

#include "server/base/lock.h"
#include "server/runtime/runtime.h"

struct waitgroup {
	struct lock lock;
	int64_t left;             /* not yet done */
	struct goroutine *waiter; /* parked in waitgroup_wait(), or NULL */
};

#define WAITGROUP_INIT                                                                             \
	{                                                                                          \
		.lock = LOCK_INIT(LOCK_RANK_OUTER)                                                 \
	}

static inline void waitgroup_add(struct waitgroup *w, int64_t n)
{
	lock_acquire(&w->lock);
	w->left += n;
	lock_release(&w->lock);
}

static inline void waitgroup_done(struct waitgroup *w)
{
	struct goroutine *waiter = NULL;

	lock_acquire(&w->lock);
	if (--w->left == 0) {
		waiter = w->waiter;
		w->waiter = NULL;
	}
	lock_release(&w->lock);
	if (waiter)
		go_ready(waiter);
}

static inline void waitgroup_wait(struct waitgroup *w)
{
	lock_acquire(&w->lock);
	if (w->left == 0) {
		lock_release(&w->lock);
		return;
	}
	w->waiter = go_self();
	go_park_unlock(&w->lock, WAIT_SEMACQUIRE);
}

#endif
