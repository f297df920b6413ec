/*
 * goroutine_test.h - test bodies that run as goroutines.
 *
 * cmocka's asserts may only be used on the test's own thread. Goroutines use expect(), which prints
 * and counts; run_everywhere() asserts afterwards that nothing was counted.
 */
#ifndef TESTS_SUPPORT_GOROUTINE_TEST_H
#define TESTS_SUPPORT_GOROUTINE_TEST_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/base/random.h"
#include "server/runtime/go.h"
#include "server/runtime/runtime.h"
#include "tests/support/time_limit.h"

static atomic_int expect_failures;

#define expect(condition)                                                                          \
	do {                                                                                       \
		if (!(condition))                                                                  \
			expect_failed(__FILE__, __LINE__, #condition);                             \
	} while (0)

static inline void expect_failed(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
	atomic_fetch_add(&expect_failures, 1);
}

static int run_body(void *arg)
{
	void (*const *body)(void) = arg;

	(*body)();
	return 0;
}

/* Runs body as the main goroutine on that many processors; a seed shuffles the schedule. */
static inline void run_on(int procs, uint64_t seed, void (*body)(void))
{
	struct go_options options = {.procs = procs, .seed = seed, .dump_on_sigquit = true};
	int rc;

	atomic_store(&expect_failures, 0);
	rc = go_run(&options, run_body, &body);
	if (rc || atomic_load(&expect_failures))
		fail_msg("procs=%d seed=%" PRIu64 ": go_run %d, %d expectations failed", procs,
			seed, rc, atomic_load(&expect_failures));
}

/* On one processor, where the order is the scheduler's alone; on four; and on four in an order that
 * is new every time, whose seed is told if anything fails. */
static inline void run_everywhere(void (*body)(void))
{
	run_on(1, 0, body);
	run_on(4, 0, body);
	run_on(4, random_seed(), body);
}

/* Runs body in a child process; asserts its exit status and that stderr begins with `text`. */
static inline void run_dies(void (*body)(void), int status, const char *text)
{
	char got[4096];
	size_t length = 0;
	ssize_t n;
	int fds[2], wait_status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct go_options options = {.procs = 2};

		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		test_time_limit();
		_exit(go_run(&options, run_body, &body));
	}
	close(fds[1]);
	while (length < sizeof(got) - 1 &&
		(n = read(fds[0], got + length, sizeof(got) - 1 - length)) > 0)
		length += (size_t)n;
	got[length] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &wait_status, 0), pid);
	assert_true(WIFEXITED(wait_status));
	assert_int_equal(WEXITSTATUS(wait_status), status);
	got[length < strlen(text) ? length : strlen(text)] = '\0';
	assert_string_equal(got, text);
}

#endif
