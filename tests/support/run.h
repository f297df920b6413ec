/*
 * run.h - goroutines in a test: run a function as goroutine 1, count failures inside, assert outside.
 *
 * cmocka's assertions must not be used on another thread than the test's, and goroutines change
 * theirs: `expect(condition)` only records, and run() asserts afterwards.
 */
#ifndef SUPPORT_RUN_H
#define SUPPORT_RUN_H

#include "server/runtime/runtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static _Atomic int expect_failures;

#define expect(condition)                                                                           \
	do {                                                                                        \
		if (!(condition)) {                                                                 \
			atomic_fetch_add(&expect_failures, 1);                                      \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);     \
		}                                                                                   \
	} while (0)

/* Runs main_fn(arg) with these options; it must return 0, and no expect() may have failed. */
static inline void run_with(struct go_options options, int (*main_fn)(void *arg), void *arg)
{
	int rc;

	options.dump_on_sigquit = true; /* by which run-test.sh ends a test that hangs */
	atomic_store(&expect_failures, 0);
	rc = go_run(&options, main_fn, arg);
	assert_int_equal(rc, 0);
	assert_int_equal(atomic_load(&expect_failures), 0);
}

static inline void run(int procs, int (*main_fn)(void *arg), void *arg)
{
	run_with((struct go_options){.procs = procs}, main_fn, arg);
}

/* A rendezvous for many: the last of `count` to arrive wakes who waits. Of one waiter. */
struct countdown {
	struct lock lock;
	int left;
	struct goroutine *waiter;
};

#define COUNTDOWN(n) {.lock = LOCK_INIT(LOCK_RANK_OUTER), .left = (n)}

static inline void countdown_done(struct countdown *c)
{
	struct goroutine *waiter = NULL;

	lock_acquire(&c->lock);
	if (--c->left == 0)
		waiter = c->waiter;
	lock_release(&c->lock);
	if (waiter)
		go_ready(waiter);
}

static inline void countdown_wait(struct countdown *c)
{
	lock_acquire(&c->lock);
	if (c->left <= 0) {
		lock_release(&c->lock);
		return;
	}
	c->waiter = go_self();
	go_park_unlock(&c->lock, WAIT_TEST);
}

/* Is the memory of this process what we take? Not with what a checker or an emulator adds. */
static inline bool memory_is_ours(void)
{
	return SANITIZER_STACK_FACTOR == 1 && !getenv("TEST_EMULATED") && !getenv("TEST_WRAPPER");
}

/* How many goroutines a test may hold at once, and how often it may do a thing: ThreadSanitizer takes
 * a megabyte for each, knows 8,000 at most, and a switch takes it a microsecond. */
#ifdef SANITIZER_THREAD
#define SCALE(n) ((n) > 500 ? 500 : (n))
#define SCALE_ROUNDS(n) ((n) > 50 ? 50 : (n))
#else
#define SCALE(n) (n)
#define SCALE_ROUNDS(n) (n)
#endif

#endif
