#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/status.h"
#include <string.h>

static void test_names_and_sentences(void **state)
{
	(void)state;
	assert_string_equal(status_name(CHAN_ECLOSED), "ECLOSED");
	assert_string_equal(status_text(CHAN_ECLOSED), "the channel is closed");
	assert_string_equal(status_name(CHAN_OK), "OK");
	assert_string_equal(status_text(CHAN_OK), "success");
}

/* What another version may send is shown, not trusted. */
static void test_unknown_numbers(void **state)
{
	static const int unknown[] = {1, 1000, -1000, CHAN_EDEADLOCK - 1, INT32_MIN, INT32_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		assert_false(status_known(unknown[i]));
		assert_string_equal(status_name(unknown[i]), "?");
		assert_string_equal(status_text(unknown[i]), "unknown status");
	}
}

/* The numbers are in programs and on the wire. */
static void test_numbers_have_no_gaps(void **state)
{
	(void)state;
	assert_int_equal(CHAN_ECLOSED, -1);
	assert_int_equal(CHAN_EDEADLOCK, -26);
	for (int s = 0; s >= CHAN_EDEADLOCK; s--) {
		assert_true(status_known(s));
		assert_true(strlen(status_text(s)) > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_sentences),
		cmocka_unit_test(test_unknown_numbers),
		cmocka_unit_test(test_numbers_have_no_gaps),
	};

	return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
