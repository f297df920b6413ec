#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "client/chanctl/substitute.h"

static void test_every_hole_of_every_word_is_filled(void **state)
{
	const struct operand words[] = {{"cp", true}, {"{}", true}, {"a{}b{}c", true}, {"", true}};
	char **arguments;

	(void)state;
	assert_true(substitute_wanted(words, 4));
	assert_int_equal(substitute(words, 4, "v w", 3, &arguments), 0);
	assert_string_equal(arguments[0], "cp");
	assert_string_equal(arguments[1], "v w");
	assert_string_equal(arguments[2], "av wbv wc");
	assert_string_equal(arguments[3], "");
	assert_null(arguments[4]);
	substitute_free(arguments);
}

static void test_what_a_value_holds_is_not_filled_again(void **state)
{
	const struct operand word = {"{{}}", true};
	char **arguments;

	(void)state;
	assert_int_equal(substitute(&word, 1, "{}", 2, &arguments), 0);
	assert_string_equal(arguments[0], "{{}}");
	substitute_free(arguments);
	assert_int_equal(substitute(&word, 1, NULL, 0, &arguments), 0);
	assert_string_equal(arguments[0], "{}");
	substitute_free(arguments);
}

static void test_a_zero_byte_fits_no_argument(void **state)
{
	const struct operand with = {"{}", true}, without = {"{", true};
	char **arguments;

	(void)state;
	assert_int_equal(substitute(&with, 1, "a\0b", 3, &arguments), -EINVAL);
	assert_false(substitute_wanted(&without, 1));
	assert_int_equal(substitute(&without, 1, "a\0b", 3, &arguments), 0);
	assert_string_equal(arguments[0], "{");
	substitute_free(arguments);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_hole_of_every_word_is_filled),
		cmocka_unit_test(test_what_a_value_holds_is_not_filled_again),
		cmocka_unit_test(test_a_zero_byte_fits_no_argument),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
