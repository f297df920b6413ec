#include "server/runtime/note.h"

#include "server/base/clock.h"

#include <pthread.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int message; /* handed over by the note alone: ThreadSanitizer watches */

static void *wake(void *arg)
{
	message = 42;
	note_wake(arg);
	return NULL;
}

static void a_sleeper_sees_what_its_waker_wrote(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		struct note n = {0};
		pthread_t thread;

		message = 0;
		pthread_create(&thread, NULL, wake, &n);
		note_sleep(&n);
		assert_int_equal(message, 42);
		pthread_join(thread, NULL);
	}
}

static void a_wake_before_the_sleep_counts_once(void **state)
{
	struct note n = {0};

	(void)state;
	note_wake(&n);
	note_sleep(&n);
	assert_true(note_sleep_for(&n, 0));
	note_clear(&n);
	assert_false(note_sleep_for(&n, 0));
}

static void sleeps_at_most_so_long(void **state)
{
	struct note n = {0};
	int64_t begin_ns = clock_now_ns();

	(void)state;
	assert_false(note_sleep_for(&n, 5 * NS_PER_MS));
	assert_true(clock_now_ns() - begin_ns >= 5 * NS_PER_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sleeper_sees_what_its_waker_wrote),
		cmocka_unit_test(a_wake_before_the_sleep_counts_once),
		cmocka_unit_test(sleeps_at_most_so_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
