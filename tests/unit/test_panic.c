#include "server/base/panic.h"

#include "tests/support/child.h"

#include <signal.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void break_an_invariant(void *arg)
{
	int one = 1;

	(void)arg;
	check(one == 2);
}

static void hook(void)
{
	fprintf(stderr, "the hook ran\n");
	panic("again %d", 7);
}

static void panic_with_hook(void *arg)
{
	(void)arg;
	panic_set_hook(hook);
	panic("first");
}

static void tells_where_and_aborts(void **state)
{
	static struct child c;

	(void)state;
	child_run(&c, break_an_invariant, NULL);
	assert_true(WIFSIGNALED(c.status));
	assert_int_equal(WTERMSIG(c.status), SIGABRT);
	assert_non_null(strstr(c.err, "panic: "));
	assert_non_null(strstr(c.err, "test_panic.c:"));
	assert_non_null(strstr(c.err, "broken invariant: one == 2\n"));
}

/* A hook that panics itself does not run again. */
static void hook_runs_once(void **state)
{
	static struct child c;

	(void)state;
	child_run(&c, panic_with_hook, NULL);
	assert_true(WIFSIGNALED(c.status));
	assert_non_null(strstr(c.err, "first\nthe hook ran\npanic: "));
	assert_non_null(strstr(c.err, "again 7"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_where_and_aborts),
		cmocka_unit_test(hook_runs_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
