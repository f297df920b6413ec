#include "server/base/lock.h"

#include "tests/support/child.h"
#include "tests/support/no_membarrier.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { THREADS = 4, ROUNDS = 20000 };

static struct lock lock = LOCK_INIT(LOCK_RANK_OUTER);
static long counter; /* guarded by lock */

static void *count(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		lock_acquire(&lock);
		counter++;
		lock_release(&lock);
	}
	return NULL;
}

static void excludes(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(counter, (long)THREADS * ROUNDS);
}

static void *try_it(void *arg)
{
	*(bool *)arg = lock_try(&lock);
	return NULL;
}

static void try_takes_a_free_lock_only(void **state)
{
	bool got = true;
	pthread_t thread;

	(void)state;
	assert_true(lock_try(&lock));
	pthread_create(&thread, NULL, try_it, &got);
	pthread_join(thread, NULL);
	assert_false(got);
	lock_release(&lock);
	assert_true(lock_try(&lock));
	lock_release(&lock);
}

static void wake_a_sleeper(void)
{
	pthread_t thread;

	counter = 0;
	lock_acquire(&lock);
	pthread_create(&thread, NULL, count, NULL);
	while (atomic_load(&lock_sleepers) == 0)
		usleep(100);
	lock_release(&lock);
	pthread_join(thread, NULL);
	assert_int_equal(counter, ROUNDS);
	assert_int_equal(atomic_load(&lock_sleepers), 0);
}

/* A waiter that has gone to sleep in the kernel is woken. */
static void wakes_a_sleeper(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		wake_a_sleeper();
}

static void wake_without_membarrier(void *arg)
{
	(void)arg;
	forbid_membarrier();
	for (int i = 0; i < 10; i++)
		wake_a_sleeper();
}

static void needs_no_membarrier(void **state)
{
	static struct child c;

	(void)state;
	child_run(&c, wake_without_membarrier, NULL);
	assert_true(child_exited(&c, 0));
}

#ifdef CHAND_DEBUG

static void take_against_the_ranks(void *arg)
{
	struct lock outer, inner;

	(void)arg;
	lock_init(&outer, LOCK_RANK_TIMERS);
	lock_init(&inner, LOCK_RANK_SCHED);
	lock_acquire(&inner);
	lock_acquire(&outer);
}

static void take_channels_against_their_addresses(void *arg)
{
	struct lock locks[2];

	(void)arg;
	lock_init(&locks[0], LOCK_RANK_HCHAN);
	lock_init(&locks[1], LOCK_RANK_HCHAN);
	lock_acquire(&locks[0]);
	lock_acquire(&locks[1]);
	lock_release(&locks[0]);
	lock_acquire(&locks[0]);
}

static void release_what_is_not_held(void *arg)
{
	struct lock l;

	(void)arg;
	lock_init(&l, LOCK_RANK_LOG);
	lock_release(&l);
}

static void wrong_use_panics(void **state)
{
	void (*const wrong[])(void *) = {take_against_the_ranks,
		take_channels_against_their_addresses, release_what_is_not_held};
	static struct child c;

	(void)state;
	for (int i = 0; i < 3; i++) {
		child_run(&c, wrong[i], NULL);
		assert_true(WIFSIGNALED(c.status));
		assert_int_equal(WTERMSIG(c.status), SIGABRT);
		assert_non_null(strstr(c.err, "panic: "));
	}
}

static void held_locks_are_counted(void **state)
{
	struct lock outer, inner;

	(void)state;
	lock_init(&outer, LOCK_RANK_OUTER);
	lock_init(&inner, LOCK_RANK_LOG);
	lock_acquire(&outer);
	lock_acquire(&inner);
	assert_int_equal(lock_held_count(), 2);
	lock_release(&outer); /* in any order */
	assert_int_equal(lock_held_count(), 1);
	lock_release(&inner);
	assert_int_equal(lock_held_count(), 0);
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(excludes),
		cmocka_unit_test(try_takes_a_free_lock_only),
		cmocka_unit_test(wakes_a_sleeper),
		cmocka_unit_test(needs_no_membarrier),
#ifdef CHAND_DEBUG
		cmocka_unit_test(wrong_use_panics),
		cmocka_unit_test(held_locks_are_counted),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
