/* test_printable.c - what of a text a terminal gets to see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/chanctl/printable.h"

/* Control characters of both kinds become question marks; everything else stays, whole or not. */
static void test_control_characters(void **state)
{
	static const struct {
		char text[32];
		const char *shown;
	} cases[] = {
		{"", ""},
		{"plain text ~", "plain text ~"},
		{"a\nb\tc\033[1md\177", "a?b?c?[1md?"},
		{"\302\205\302\237\302\240\303\237", "?\?\?\?\302\240\303\237"},
		{"cut \302", "cut \302"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[32];

		for (size_t at = 0; at < sizeof(text); at++)
			text[at] = cases[i].text[at];
		printable(text);
		assert_string_equal(text, cases[i].shown);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_control_characters),
	};

	return cmocka_run_group_tests_name("printable", tests, NULL, NULL);
}
