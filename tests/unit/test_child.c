/* test_child.c - commands that chanctl runs, and their guard. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/chanctl/child.h"
#include "client/chanctl/clock.h"
#include "client/chanctl/signals.h"
#include "tests/support/child.h"

#define STARTS 30
#define PATIENCE_NS INT64_C(60000000000)

static char *no_facts[] = {NULL};

/* Its exit code, once it has one. */
static int wait_for_end(pid_t pid)
{
	int64_t end_ns = clock_now_ns() + PATIENCE_NS;
	int code = -1;

	while (child_look(pid, &code) != CHILD_ENDED && clock_now_ns() < end_ns)
		usleep(1000);
	return code;
}

/* Sends SIGINT to that group again and again, from outside of it. */
static pid_t pester(pid_t group)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	setpgid(0, 0);
	close(STDERR_FILENO);
	test_time_limit();
	while (kill(-group, SIGINT) == 0)
		;
	_exit(0);
}

static void run_one(const struct guard *guard)
{
	char *arguments[] = {"sh", "-c", "exit 7", NULL};
	struct child_spec spec = {.arguments = arguments,
		.facts = no_facts,
		.stdin_fd = -1,
		.terminal_fd = -1,
		.times = {GUARD_NEVER, GUARD_NEVER}};
	int rc, code;
	pid_t pid;

	rc = child_start(&spec, guard, &pid);
	if (rc < 0) {
		fprintf(stderr, "the command was not started: %s\n", strerror(-rc));
		return;
	}
	code = wait_for_end(pid);
	if (code != 7)
		fprintf(stderr, "the command ended with %d\n", code);
	child_bury(pid, guard, true);
}

/* As cmd_lock.c and cmd_worker.c begin: the guard first. */
static void start_once(void)
{
	static const int watched[] = {SIGINT, 0};
	struct guard guard;
	int signals, code;
	sigset_t none;
	pid_t pest;

	if (guard_start(&guard) < 0 || (signals = signals_open(watched)) < 0)
		abort();
	kill(0, SIGINT);
	pest = pester(getpgrp());
	run_one(&guard);
	kill(pest, SIGKILL);
	waitpid(pest, NULL, 0);
	if (child_look(guard.pid, &code) != CHILD_RUNS)
		fprintf(stderr, "the guard ended with %d\n", code);
	guard_stop(&guard);
	while (signals_next(signals))
		;
	close(signals);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void start_while_signalled(void *arg)
{
	(void)arg;
	signal(SIGPIPE, SIG_IGN);
	setpgid(0, 0);
	for (int i = 0; i < STARTS; i++)
		start_once();
}

/* ^C means chanctl, however early it comes: neither the command nor its guard, which are of
 * chanctl's group for a moment, dies of it. */
static void test_signals_while_it_starts(void **state)
{
	static struct child c;

	(void)state;
	child_run(&c, start_while_signalled, NULL);
	assert_string_equal(c.err, "");
	assert_true(child_exited(&c, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signals_while_it_starts),
	};

	return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
