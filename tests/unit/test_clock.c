#include "server/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void never_goes_back(void **state)
{
	int64_t last = clock_now_ns();

	(void)state;
	for (int i = 0; i < 10000; i++) {
		int64_t now = clock_now_ns();

		assert_true(now >= last);
		last = now;
	}
}

static void deadlines_saturate(void **state)
{
	int64_t now = clock_now_ns();

	(void)state;
	assert_true(clock_deadline_ns(NS_PER_S) >= now + NS_PER_S);
	assert_true(clock_deadline_ns(-5) >= now);
	assert_true(clock_deadline_ns(-5) < now + NS_PER_S);
	assert_int_equal(clock_deadline_ns(INT64_MAX), DEADLINE_NEVER);
}

static void wall_time_is_of_this_century(void **state)
{
	(void)state;
	assert_true(clock_wall_ns() > 946684800 * NS_PER_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_goes_back),
		cmocka_unit_test(deadlines_saturate),
		cmocka_unit_test(wall_time_is_of_this_century),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
