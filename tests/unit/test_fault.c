/* An overflown stack is a fatal message that names its goroutine. */
#include "tests/support/child.h"
#include "tests/support/run.h"

#include <signal.h>
#include <string.h>

static __attribute__((noinline)) long deep(long n)
{
	char frame[500];
	long below;

	__asm__ volatile("" : : "r"(frame) : "memory"); /* the frame is needed, before and after */
	below = n == 0 ? 0 : deep(n - 1);
	__asm__ volatile("" : : "r"(frame) : "memory");
	return below + 1;
}

/* One frame that is larger than a page: the compiler touches every page on the way. */
static __attribute__((noinline)) void wide(void)
{
	char frame[2 << 20];

	__asm__ volatile("" : : "r"(frame) : "memory");
}

static void overflows_deep(int i)
{
	if (i == 3)
		deep(1000000);
	go_park(NULL, NULL, WAIT_TEST);
}

static void overflows_wide(int i)
{
	if (i == 3)
		wide();
	go_park(NULL, NULL, WAIT_TEST);
}

/* ThreadSanitizer holds locks of its own while it looks at the scheduler's atomics, and a fault in there
 * finds them taken. */
#ifdef SANITIZER_THREAD
enum { OVERFLOWS = 2 };
#else
enum { OVERFLOWS = 3 };
#endif

/* Deepest in the scheduler, half way to another goroutine. */
static __attribute__((noinline)) long deep_yields(long n)
{
	long below;

	go_yield();
	below = n == 0 ? 0 : deep_yields(n - 1);
	__asm__ volatile("" : : : "memory");
	return below + 1;
}

static void overflows_yielding(int i)
{
	if (i == 3)
		deep_yields(1000000);
	for (;;)
		go_yield();
}

static int overflow_main(void *arg)
{
	for (int i = 0; i < 5; i++)
		go((void (*)(int))arg, i);
	go_park(NULL, NULL, WAIT_TEST);
	return 0;
}

struct overflow {
	struct go_options options;
	void (*fn)(int);
};

static void run_overflow(void *arg)
{
	const struct overflow *o = arg;

	go_run(&o->options, overflow_main, (void *)o->fn);
}

static void check_overflow(struct overflow o)
{
	static struct child c;
	char line[64];

	child_run(&c, run_overflow, &o);
	assert_true(child_exited(&c, 2));
	assert_non_null(strstr(c.err, "runtime: goroutine "));
	assert_non_null(strstr(c.err, "fatal error: stack overflow\n\n"));
	/* The one that is named is the one that runs. */
	snprintf(line, sizeof(line), "goroutine %d [running]:\n\tcreated at ",
		atoi(strstr(c.err, "runtime: goroutine ") + strlen("runtime: goroutine ")));
	assert_non_null(strstr(c.err, line));
	assert_non_null(strstr(c.err, "(overflow_main)"));
}

static void an_overflow_names_its_goroutine(void **state)
{
	static const enum go_guards guards[] = {GO_GUARDS_AUTO, GO_GUARDS_MPROTECT};
	static void (*const fns[])(int) = {overflows_deep, overflows_wide, overflows_yielding};

	(void)state;
	for (int g = 0; g < 2; g++)
		for (int f = 0; f < OVERFLOWS; f++)
			for (int procs = 1; procs <= 2; procs++)
				check_overflow((struct overflow){
					.options = {.procs = procs, .guards = guards[g]},
					.fn = fns[f]});
}

static int write_to_nowhere(void *arg)
{
	*(volatile int *)arg = 1;
	return 0;
}

static void run_write_to_nowhere(void *arg)
{
	signal(SIGSEGV, SIG_DFL);
	go_run(NULL, write_to_nowhere, arg);
}

/* Another fault ends the program as if we had no handler. */
static void other_faults_are_not_ours(void **state)
{
	static struct child c;

	(void)state;
	child_run(&c, run_write_to_nowhere, (void *)64);
	assert_null(strstr(c.err, "stack overflow\n\n"));
	assert_true(WIFSIGNALED(c.status));
	assert_int_equal(WTERMSIG(c.status), SIGSEGV);
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* Handlers and alternate stacks are the program's again afterwards. */
static void everything_is_put_back(void **state)
{
	struct sigaction before, after;
	stack_t stack_before, stack_after;

	(void)state;
	sigaction(SIGSEGV, NULL, &before);
	sigaltstack(NULL, &stack_before);
	run(2, nothing, NULL);
	sigaction(SIGSEGV, NULL, &after);
	sigaltstack(NULL, &stack_after);
	assert_true(before.sa_handler == after.sa_handler);
	assert_ptr_equal(stack_before.ss_sp, stack_after.ss_sp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_overflow_names_its_goroutine),
		cmocka_unit_test(other_faults_are_not_ours),
		cmocka_unit_test(everything_is_put_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
