/* test_glob.c - patterns over names. */
#include "server/broker/glob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_matches(void **state)
{
	static const struct {
		const char *pattern, *text;
	} rows[] = {
		{"", ""},
		{"*", ""},
		{"*", "anything/at.all"},
		{"jobs", "jobs"},
		{"jobs.*", "jobs."},
		{"jobs.*", "jobs.a.b/c"},
		{"*.log", "a.b.log"},
		{"*.log", ".log"},
		{"a*b*c", "a-b-b-c"},
		{"a*b*c", "abc"},
		{"job?", "jobs"},
		{"?*", "x"},
		{"**", "x"},
		{"*aab", "aaaaab"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!glob_match(rows[i].pattern, rows[i].text))
			fail_msg("'%s' does not match '%s'", rows[i].pattern, rows[i].text);
}

static void test_others_do_not(void **state)
{
	static const struct {
		const char *pattern, *text;
	} rows[] = {
		{"", "x"},
		{"jobs", ""},
		{"jobs", "job"},
		{"jobs", "jobs2"},
		{"jobs", "Jobs"},
		{"jobs.*", "jobs"},
		{"job?", "job"},
		{"?*", ""},
		{"*.log", "log"},
		{"*.log", "a.log.gz"},
		{"a*b*c", "a-c-b"},
		{"[a-z]", "b"},
		{"a.c", "abc"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (glob_match(rows[i].pattern, rows[i].text))
			fail_msg("'%s' matches '%s'", rows[i].pattern, rows[i].text);
}

/* Many stars against a long text that almost fits: the product of the lengths, not more. */
static void test_stars_do_not_explode(void **state)
{
	char pattern[256] = "", text[256];

	(void)state;
	for (int i = 0; i < 60; i++)
		strcat(pattern, "a*");
	strcat(pattern, "b");
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_false(glob_match(pattern, text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_others_do_not),
		cmocka_unit_test(test_stars_do_not_explode),
	};

	return cmocka_run_group_tests_name("glob", tests, NULL, NULL);
}
