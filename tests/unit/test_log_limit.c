/* test_log_limit.c - so many lines in a time, and a count of the rest. */
#include "server/base/log_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_the_first_are_written(void **state)
{
	struct log_limit l = LOG_LIMIT_INIT;
	uint64_t left_out;

	(void)state;
	for (int i = 0; i < LOG_LIMIT_LINES; i++) {
		assert_true(log_limit_take(&l, 5, &left_out));
		assert_int_equal(left_out, 0);
	}
	for (int i = 0; i < 1000; i++)
		assert_false(log_limit_take(&l, 5 + LOG_LIMIT_NS - 1, &left_out));
}

/* The next time tells once how many there were. */
static void test_the_rest_is_counted(void **state)
{
	struct log_limit l = LOG_LIMIT_INIT;
	int64_t now_ns = 5;
	uint64_t left_out;

	(void)state;
	for (int i = 0; i < LOG_LIMIT_LINES + 7; i++)
		log_limit_take(&l, now_ns, &left_out);
	now_ns += LOG_LIMIT_NS;
	assert_true(log_limit_take(&l, now_ns, &left_out));
	assert_int_equal(left_out, 7);
	assert_true(log_limit_take(&l, now_ns, &left_out));
	assert_int_equal(left_out, 0);
}

/* Seldom ones are all written. */
static void test_seldom_ones_are_written(void **state)
{
	struct log_limit l = LOG_LIMIT_INIT;
	uint64_t left_out;

	(void)state;
	for (int64_t i = 0; i < 100; i++) {
		assert_true(log_limit_take(&l, i * NS_PER_S, &left_out));
		assert_int_equal(left_out, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_are_written),
		cmocka_unit_test(test_the_rest_is_counted),
		cmocka_unit_test(test_seldom_ones_are_written),
	};

	return cmocka_run_group_tests_name("log_limit", tests, NULL, NULL);
}
