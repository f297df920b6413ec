#define LOG_SUBSYSTEM "test"
#include "server/base/log.h"

#include "tests/support/child.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void log_some(void *arg)
{
	(void)arg;
	unsetenv("JOURNAL_STREAM");
	log_info("a value of %d", 7);
	log_debug("not shown");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("shown");
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("not shown");
}

static void log_to_journal(void *arg)
{
	(void)arg;
	setenv("JOURNAL_STREAM", "8:1", 1);
	log_error("full");
}

static void log_hostile(void *arg)
{
	char text[2 * LOG_LINE_BYTES_MAX];

	(void)arg;
	unsetenv("JOURNAL_STREAM");
	log_info("%s", "two\nlines\x1b[2J");
	memset(text, '\n', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
}

static void one_line_an_event(void **state)
{
	static struct child c;

	(void)state;
	child_run(&c, log_some, NULL);
	assert_string_equal(c.err, "info: test: a value of 7\ndebug: test: shown\n");
	child_run(&c, log_to_journal, NULL);
	assert_string_equal(c.err, "<3>test: full\n");
}

static void control_bytes_are_escaped_and_lines_cut(void **state)
{
	static const char first[] = "info: test: two\\x0alines\\x1b[2J\n";
	static struct child c;
	char *second;

	(void)state;
	child_run(&c, log_hostile, NULL);
	assert_memory_equal(c.err, first, sizeof(first) - 1);
	second = c.err + sizeof(first) - 1;
	assert_true(strlen(second) <= LOG_LINE_BYTES_MAX);
	assert_ptr_equal(strchr(second, '\n'), second + strlen(second) - 1);
}

static void levels_have_words(void **state)
{
	(void)state;
	assert_int_equal(log_level_parse("error"), LOG_LEVEL_ERROR);
	assert_int_equal(log_level_parse("debug"), LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("loud"), -1);
	assert_int_equal(log_level_parse(""), -1);
}

static void errno_survives(void **state)
{
	(void)state;
	errno = EPIPE;
	log_debug("not shown");
	assert_int_equal(errno, EPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_line_an_event),
		cmocka_unit_test(control_bytes_are_escaped_and_lines_cut),
		cmocka_unit_test(levels_have_words),
		cmocka_unit_test(errno_survives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
