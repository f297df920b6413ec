/*
 * test_suite.c - the programs of the integration suite against a daemon in which calls fail.
 *
 * test_torture holds one conversation and knows what each step of it may end with. Here the suite
 * itself leads the daemon wherever the suite goes, and with a period: call n of a kind fails, counted
 * from the first client on, then call n + PERIOD, and so on; for n = 1 to PERIOD each call is the
 * one that fails some time. What the suite's assertions say then proves nothing, since its requests
 * are refused as they must be. What must hold is the daemon's life: it never aborts, and crashes
 * never.
 *
 * `make check` takes one n and no memory, `make torture` each kind of fault. TORTURE_OFFSETS=k takes k
 * of the n (97: all), TORTURE_OFFSET=n (with TORTURE_KIND=MEMORY and TORTURE_PROGRAM=test_lease) just
 * that one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/daemon.h"
#include "tests/torture/faults.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A prime, so that it does not fall into step with what the suite repeats. */
enum { PERIOD = 97 };

/* What a program of the suite may take; and what one of its waits may, since what it waits for may
 * have been refused. */
#define PROGRAM_SECONDS "10"
#define PATIENCE_MS "500"

/* A program of the suite, with a page and a log of its own: all run at once, since most of their
 * time is patience. */
struct act {
	const char *program;
	struct fault_page *page;
	char page_path[32], log_path[32];
	pid_t pid;
};

/* test_many and test_attack drive ten thousand connections at a time: by their size, not by another
 * path through the daemon. */
static struct act acts[] = {{.program = "test_access"}, {.program = "test_cuts"},
	{.program = "test_daemon"}, {.program = "test_handoff"}, {.program = "test_input"},
	{.program = "test_lease"}, {.program = "test_libchan"}, {.program = "test_lifetime"},
	{.program = "test_pieces"}, {.program = "test_resume"}, {.program = "test_tls"}};
enum { ACTS = sizeof(acts) / sizeof(acts[0]) };

static int64_t number_from(const char *name, int64_t otherwise)
{
	const char *text = getenv(name);

	return text ? atoll(text) : otherwise;
}

static void make_file(char path[32])
{
	int fd;

	snprintf(path, 32, "/tmp/chand-suite-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
}

/* Daemons whose test is gone become this process's children. */
static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < ACTS; i++) {
		make_file(acts[i].page_path);
		make_file(acts[i].log_path);
		acts[i].page = fault_page_new(acts[i].page_path);
	}
	setenv("CHAND_PROGRAM", "tests/torture/chand", 1);
	setenv("CHAND_PROCS", "1", 1);
	setenv("TEST_TIMEOUT", PROGRAM_SECONDS, 1);
	setenv("TEST_PATIENCE_MS", PATIENCE_MS, 1);
	return prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < ACTS; i++) {
		unlink(acts[i].page_path);
		unlink(acts[i].log_path);
	}
	return 0;
}

static void start(struct act *a)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/tests/integration/%s", getenv("top_builddir"), a->program);
	a->pid = fork();
	assert_true(a->pid >= 0);
	if (a->pid > 0)
		return;
	setpgid(0, 0);
	setenv("CHAND_FAULTS", a->page_path, 1);
	fd = open(a->log_path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	/* Programs set limits of their own, which may be longer. */
	execlp("timeout", "timeout", "--signal=KILL", PROGRAM_SECONDS, path, NULL);
	_exit(127);
}

static const struct act *act_of(pid_t pid)
{
	for (size_t i = 0; i < ACTS; i++)
		if (acts[i].pid == pid)
			return &acts[i];
	return NULL;
}

/* Whether a process ended by a signal that nobody sends but its own faults. */
static bool crashed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL && WTERMSIG(status) != SIGTERM;
}

/* Waits for the programs, and for the daemons that they leave behind, killed. How many of those had
 * crashed. */
static int await_all(void)
{
	int status, crashes = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, 0)) > 0) {
		const struct act *a = act_of(pid);

		if (!a)
			crashes += crashed(status);
		else
			kill(-pid, SIGKILL);
		if (a && WIFEXITED(status) && WEXITSTATUS(status) == 127)
			fail_msg("%s cannot be run", a->program);
	}
	assert_int_equal(errno, ECHILD);
	return crashes;
}

static void show_log(const struct act *a)
{
	char line[512];
	FILE *f = fopen(a->log_path, "r");

	print_error("%s, where %lld daemons died:\n", a->program,
		(long long)atomic_load(&a->page->deaths));
	while (f && fgets(line, sizeof(line), f))
		print_error("%s", line);
	if (f)
		fclose(f);
}

/* The whole suite with the n-th call of each PERIOD failing. How many calls failed. */
static int64_t suffer(enum fault kind, int64_t n)
{
	const char *only = getenv("TORTURE_PROGRAM");
	int64_t failed = 0, deaths = 0;
	int crashes;

	for (size_t i = 0; i < ACTS; i++) {
		atomic_store(&acts[i].page->deaths, 0);
		fault_arm_every(acts[i].page, kind, n, PERIOD);
		if (!only || strcmp(only, acts[i].program) == 0)
			start(&acts[i]);
	}
	crashes = await_all();
	for (size_t i = 0; i < ACTS; i++) {
		failed += fault_disarm(acts[i].page);
		deaths += atomic_load(&acts[i].page->deaths);
		if (atomic_load(&acts[i].page->deaths) > 0)
			show_log(&acts[i]);
	}
	if (deaths + crashes > 0)
		fail_msg("call %lld of each %d of %s: daemons aborted %lld times and crashed %d",
			(long long)n, PERIOD, fault_name(kind), (long long)deaths, crashes);
	return failed;
}

static void torture_suite(void **state)
{
	enum fault kind = *(const enum fault *)*state;
	int64_t offsets = number_from("TORTURE_OFFSETS", 1), only = number_from("TORTURE_OFFSET", 0);
	int64_t failed = 0;

	for (int64_t i = 0; i < offsets; i++)
		failed += suffer(kind, only ? only : 1 + i * PERIOD / offsets);
	print_message("# %s: %lld calls failed\n", fault_name(kind), (long long)failed);
}

#define KIND_CONSTANT(name, what) FAULT_##name,
static enum fault kinds[] = {FAULT_LIST(KIND_CONSTANT)};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

int main(void)
{
	struct CMUnitTest tests[KINDS];
	const char *all = getenv("TORTURE_STRIDE"), *only = getenv("TORTURE_KIND");
	size_t count = 0;

	test_time_limit();
	if (!all && !only)
		only = "MEMORY";
	for (size_t i = 0; i < KINDS; i++) {
		const char *name = fault_name(kinds[i]);

		if (!only || strncmp(name, only, strcspn(name, ":")) == 0)
			tests[count++] = (struct CMUnitTest){
				name, torture_suite, NULL, NULL, &kinds[i]};
	}
	return _cmocka_run_group_tests("suite", tests, count, setup, teardown);
}
