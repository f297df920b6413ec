#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/chanctl/duration.h"

static void test_every_unit(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = {
		{"0", 0},
		{"0s", 0},
		{"40ns", 40},
		{"250us", 250000},
		{"500ms", 500000000},
		{"2s", 2000000000},
		{"1.5s", 1500000000},
		{"0.001s", 1000000},
		{"1m", 60000000000},
		{"1.5h", 5400000000000},
		{"292h", 1051200000000000},
		{"3.s", 3000000000},
	};
	int64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ns = -1;
		assert_int_equal(duration_parse(good[i].text, &ns), 0);
		assert_int_equal(ns, good[i].ns);
	}
}

static void test_everything_else_is_refused(void **state)
{
	static const char *const bad[] = {"", "5", "s", "-1s", "+1s", " 1s", "1s ", "1 s", "1x",
		"1e3s", "0x10s", "inf", "nan", "1..5s", ".5s", "1,5s", "1S", "1sec", "1m30s",
		"9999999999h"};
	int64_t ns = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (duration_parse(bad[i], &ns) == 0)
			fail_msg("'%s' was taken", bad[i]);
	assert_int_equal(ns, 77);
}

static void test_format_is_short(void **state)
{
	char text[DURATION_TEXT_BYTES];

	(void)state;
	assert_string_equal(duration_format(text, 0), "0 ns");
	assert_string_equal(duration_format(text, 999), "999 ns");
	assert_string_equal(duration_format(text, 1500), "1.5 us");
	assert_string_equal(duration_format(text, 42000000), "42 ms");
	assert_string_equal(duration_format(text, 3000000000), "3 s");
	assert_string_equal(duration_format(text, 90000000000), "1.5 m");
	assert_string_equal(duration_format(text, INT64_MAX), "2562048 h");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_unit),
		cmocka_unit_test(test_everything_else_is_refused),
		cmocka_unit_test(test_format_is_short),
	};

	return cmocka_run_group_tests_name("duration", tests, NULL, NULL);
}
