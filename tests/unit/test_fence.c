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

/* Has the calling thread run on the n-th of those CPUs; false: there are not so many. */
static bool run_on(const cpu_set_t *cpus, int n)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, cpus) && n-- == 0)
			CPU_SET(cpu, &one);
	return CPU_COUNT(&one) == 1 && sched_setaffinity(0, sizeof(one), &one) == 0;
}

/* Each side says that it is about to go in, and does so if the other has not said that. */
static _Atomic bool frequent_in, rare_in, begun, over;

/* On one CPU a missing fence does not show; on two it does now and then. */
static bool apart;

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
	apart = run_on(arg, 1);
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
	cpu_set_t cpus;
	pthread_t thread;

	(void)state;
	fence_prepare();
	if (!fence_all_threads())
		SKIP_TEST("no membarrier");
	assert_int_equal(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	assert_int_equal(pthread_create(&thread, NULL, be_frequent, &cpus), 0);
	assert_true(run_on(&cpus, 0));
	while (!atomic_load(&begun))
		sched_yield();
	be_rare();
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	assert_false(met);
	if (!apart)
		SKIP_TEST("one CPU");
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
