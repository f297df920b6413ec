/* The queue of waiters: order, removal from anywhere, and waiters whose select is over. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/channel/sudog.h"

enum { N = 5 };

static struct sudog waiters[N];
static struct wait_queue q;

static int set_up(void **state)
{
	(void)state;
	q = (struct wait_queue){.first = NULL};
	for (int i = 0; i < N; i++) {
		waiters[i] = (struct sudog){0};
		wait_queue_put(&q, &waiters[i]);
	}
	return 0;
}

static void assert_takes(int i)
{
	assert_ptr_equal(wait_queue_take(&q), i < 0 ? NULL : &waiters[i]);
}

static void assert_takes_last(int i)
{
	assert_ptr_equal(wait_queue_take_last(&q), i < 0 ? NULL : &waiters[i]);
}

static void first_in_first_out(void **state)
{
	(void)state;
	assert_int_equal(wait_queue_length(&q), N);
	for (int i = 0; i < N; i++)
		assert_takes(i);
	assert_takes(-1);
	assert_int_equal(wait_queue_length(&q), 0);
}

static void taken_from_both_ends(void **state)
{
	(void)state;
	assert_takes_last(4);
	assert_takes(0);
	assert_takes_last(3);
	assert_takes(1);
	assert_takes_last(2);
	assert_takes_last(-1);
	assert_takes(-1);
	wait_queue_put(&q, &waiters[1]);
	assert_takes_last(1);
	assert_int_equal(wait_queue_length(&q), 0);
}

static void removed_from_anywhere(void **state)
{
	(void)state;
	wait_queue_remove(&q, &waiters[2]);
	wait_queue_remove(&q, &waiters[0]);
	wait_queue_remove(&q, &waiters[N - 1]);
	wait_queue_remove(&q, &waiters[2]);
	assert_int_equal(wait_queue_length(&q), 2);
	assert_takes(1);
	assert_takes(3);
	assert_takes(-1);
}

static void removed_after_it_was_taken(void **state)
{
	(void)state;
	assert_takes(0);
	wait_queue_remove(&q, &waiters[0]);
	assert_int_equal(wait_queue_length(&q), N - 1);
	assert_takes(1);
}

static void put_again(void **state)
{
	(void)state;
	assert_takes(0);
	wait_queue_put(&q, &waiters[0]);
	wait_queue_remove(&q, &waiters[1]);
	wait_queue_put(&q, &waiters[1]);
	for (int i = 2; i < N; i++)
		assert_takes(i);
	assert_takes(0);
	assert_takes(1);
	assert_takes(-1);
}

static void skips_whose_select_is_over(void **state)
{
	struct select_race open = {.winner = NULL}, over = {.winner = &waiters[4]};

	(void)state;
	waiters[0].race = waiters[2].race = &over;
	waiters[1].race = waiters[3].race = &open;
	assert_takes(1);
	assert_ptr_equal(open.winner, &waiters[1]);
	assert_takes(4); /* 3 belonged to the race that 1 has just won */
	assert_takes(-1);
	assert_ptr_equal(over.winner, &waiters[4]);
	for (int i = 0; i < N; i++)
		assert_false(waiters[i].queued);
}

static void skips_those_also_at_the_end(void **state)
{
	struct select_race open = {.winner = NULL}, over = {.winner = &waiters[0]};

	(void)state;
	waiters[4].race = waiters[2].race = &over;
	waiters[3].race = waiters[1].race = &open;
	assert_takes_last(3);
	assert_ptr_equal(open.winner, &waiters[3]);
	assert_takes_last(0); /* 1 belonged to the race that 3 has just won */
	assert_takes_last(-1);
	for (int i = 0; i < N; i++)
		assert_false(waiters[i].queued);
}

/* From the end, each says who comes some places later. */
static void leaves_a_trail(void **state)
{
	struct sudog many[3 * TRAIL_LENGTH] = {0};
	struct wait_queue long_one = {.first = NULL};

	(void)state;
	for (int i = 0; i < 3 * TRAIL_LENGTH; i++)
		wait_queue_put(&long_one, &many[i]);
	for (int i = 3 * TRAIL_LENGTH - 1; i > TRAIL_LENGTH; i--) {
		assert_ptr_equal(wait_trail_ahead(&many[i]), &many[i - TRAIL_LENGTH]);
		assert_ptr_equal(wait_queue_take_last(&long_one), &many[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(first_in_first_out, set_up),
		cmocka_unit_test_setup(taken_from_both_ends, set_up),
		cmocka_unit_test_setup(removed_from_anywhere, set_up),
		cmocka_unit_test_setup(removed_after_it_was_taken, set_up),
		cmocka_unit_test_setup(put_again, set_up),
		cmocka_unit_test_setup(skips_whose_select_is_over, set_up),
		cmocka_unit_test_setup(skips_those_also_at_the_end, set_up),
		cmocka_unit_test(leaves_a_trail),
	};

	return cmocka_run_group_tests_name("sudog", tests, NULL, NULL);
}
