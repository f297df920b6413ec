#include "server/base/fence.h"

#include "tests/support/child.h"
#include "tests/support/no_membarrier.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/skip.h"

enum { RARE_ROUNDS = 50000, STAY = 20 };

/* Each side says that it is about to go in, and does so if the other has not said that. */
static _Atomic bool frequent_in, rare_in, begun, over;

/* Who is inside. */
static _Atomic int inside;
static _Atomic bool met;

static void go_in(int who)
{
	atomic_store_explicit(&inside, who, memory_order_relaxed);
	for (int i = 0; i < STAY; i++)
		if (atomic_load_explicit(&inside, memory_order_relaxed) != who)
			atomic_store(&met, true);
}

static void *be_frequent(void *arg)
{
	(void)arg;
	atomic_store(&begun, true);
	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		atomic_store_explicit(&frequent_in, true, memory_order_relaxed);
		atomic_signal_fence(memory_order_seq_cst);
		if (!atomic_load_explicit(&rare_in, memory_order_acquire))
			go_in(1);
		atomic_store_explicit(&frequent_in, false, memory_order_release);
	}
	return NULL;
}

static void be_rare(void)
{
	for (int i = 0; i < RARE_ROUNDS; i++) {
		atomic_store_explicit(&rare_in, true, memory_order_relaxed);
		fence_all_threads();
		if (!atomic_load_explicit(&frequent_in, memory_order_acquire))
			go_in(2);
		atomic_store_explicit(&rare_in, false, memory_order_release);
	}
}

/* Of two sides that store and then look at least one sees the other, though only one lays a fence. */
static void orders_both_sides(void **state)
{
	pthread_t thread;

	(void)state;
	fence_prepare();
	if (!fence_all_threads())
		SKIP_TEST("no membarrier");
	assert_int_equal(pthread_create(&thread, NULL, be_frequent, NULL), 0);
	while (!atomic_load(&begun))
		sched_yield();
	be_rare();
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	assert_false(met);
}

static void fence_without_membarrier(void *arg)
{
	(void)arg;
	forbid_membarrier();
	fence_prepare();
	if (fence_all_threads() != (syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) >= 0))
		_exit(1);
}

static void tells_that_it_cannot(void **state)
{
	static struct child c;

	(void)state;
	child_run(&c, fence_without_membarrier, NULL);
	assert_true(child_exited(&c, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(orders_both_sides),
		cmocka_unit_test(tells_that_it_cannot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
