/* The beginning and the end of a run. */
#include "tests/support/child.h"
#include "tests/support/run.h"
#include "tests/support/time_limit.h"

#include "server/runtime/sched.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int return_argument(void *arg)
{
	return *(int *)arg;
}

static void returns_what_main_returns(void **state)
{
	int n = 42;

	(void)state;
	for (int i = 0; i < 20; i++) { /* and again, and again */
		assert_int_equal(go_run(NULL, return_argument, &n), 42);
		n = 42 + i % 2;
		assert_int_equal(go_run(NULL, return_argument, &n), n);
		n = 42;
	}
}

static _Atomic int progress;

static void never_ends(void)
{
	for (;;) {
		atomic_fetch_add(&progress, 1);
		go_yield();
	}
}

static void sleeps_for_ever(void)
{
	go_sleep_until(DEADLINE_NEVER - 1);
}

static int leave_others(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++) {
		expect(go(never_ends) == 0);
		expect(go(sleeps_for_ever) == 0);
	}
	go_sleep(NS_PER_MS);
	return 0;
}

static void does_not_wait_for_others(void **state)
{
	int seen;

	(void)state;
	for (int procs = 1; procs <= 4; procs++) {
		run(procs, leave_others, NULL);
		seen = atomic_load(&progress);
		usleep(1000);
		assert_int_equal(atomic_load(&progress), seen); /* they never run again */
	}
}

static _Atomic bool let_go;

static void computes(void)
{
	while (!atomic_load(&let_go))
		;
}

static int leave_a_computing_one(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2; i++)
		go(computes);
	go_sleep(20 * NS_PER_MS);
	return 7;
}

static void run_beside_a_computing_one(void *arg)
{
	int n = 1, rc;

	(void)arg;
	rc = go_run(&(struct go_options){.procs = 4}, leave_a_computing_one, NULL);
	if (rc != 7)
		_exit(rc ? 100 + rc : 3);
	rc = go_run(NULL, return_argument, &n);
	_exit(rc == -EBUSY ? 0 : 4);
}

/* One that never comes to a scheduling point cannot hold up the program's end. */
static void returns_beside_one_that_computes(void **state)
{
	static struct child c;

	(void)state;
	child_run(&c, run_beside_a_computing_one, NULL);
	if (c.status)
		fprintf(stderr, "%s", c.err);
	assert_int_equal(c.status, 0);
}

static _Atomic bool computing;
static _Atomic int64_t left_ns; /* when the main goroutine did; 0: not yet */

static void compute_until(int64_t ns)
{
	while (clock_now_ns() < ns)
		;
}

/* Stops the whole process while its run is about to end, and comes to no scheduling point before nor at
 * once afterwards. */
static void stands_still(void)
{
	atomic_store(&computing, true);
	while (!atomic_load(&left_ns))
		;
	compute_until(atomic_load(&left_ns) + 20 * NS_PER_MS);
	raise(SIGSTOP);
	compute_until(clock_now_ns() + 50 * NS_PER_MS);
}

static int leave_one_that_stands_still(void *arg)
{
	(void)arg;
	go(stands_still);
	while (!atomic_load(&computing))
		go_sleep(NS_PER_MS);
	atomic_store(&left_ns, clock_now_ns());
	return 7;
}

static _Noreturn void run_and_stand_still(void)
{
	int n = 1;

	test_time_limit();
	if (go_run(&(struct go_options){.procs = 2}, leave_one_that_stands_still, NULL) != 7)
		_exit(3);
	_exit(go_run(NULL, return_argument, &n) == n ? 0 : 4);
}

/* A process that was stopped for longer than a run waits for its threads gives them their time all the
 * same, and can run again. */
static void ends_in_a_process_that_stood_still(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0)
		run_and_stand_still();
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	usleep(2500000); /* while it stands still */
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void options_are_checked(void **state)
{
	static const struct go_options wrong[] = {
		{.procs = -1},
		{.procs = GO_PROCS_MAX + 1},
		{.stack_bytes = 8 << 10},
		{.stack_bytes = 2 << 20},
		{.stack_bytes = 100000},
		{.goroutines_max = GO_GOROUTINES_LIMIT + 1},
		{.goroutines_max = UINT32_MAX}, /* with what processors keep free it would wrap */
	};
	int n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(go_run(&wrong[i], return_argument, &n), -EINVAL);
	for (size_t bytes = 16 << 10; bytes <= 1 << 20; bytes *= 2)
		run_with((struct go_options){.stack_bytes = bytes, .procs = 1}, return_argument, &n);
}

static int tell_procs(void *arg)
{
	(void)arg;
	return go_procs();
}

static void procs_come_from_option_or_environment(void **state)
{
	struct go_options o = {.procs = 3};

	(void)state;
	assert_int_equal(go_run(&o, tell_procs, NULL), 3);
	setenv("CHAND_PROCS", "5", 1);
	assert_int_equal(go_run(NULL, tell_procs, NULL), 5);
	assert_int_equal(go_run(&o, tell_procs, NULL), 3);
	setenv("CHAND_PROCS", "many", 1);
	assert_true(go_run(NULL, tell_procs, NULL) > 0);
	unsetenv("CHAND_PROCS");
}

static struct countdown all;

static void has_its_own_things(int n)
{
	uint64_t id = go_id();

	expect(go_user() == NULL);
	go_set_user(&n);
	go_set_label("worker");
	for (int i = 0; i < 10; i++)
		go_yield();
	expect(go_user() == &n);
	expect(go_id() == id && id > 1);
	expect(strcmp(go_self()->label, "worker") == 0);
	countdown_done(&all);
}

static int own_things(void *arg)
{
	(void)arg;
	expect(go_id() == 1);
	all = (struct countdown)COUNTDOWN(100);
	for (int i = 0; i < 100; i++)
		expect(go(has_its_own_things, i) == 0);
	countdown_wait(&all);
	return 0;
}

static void a_goroutine_has_its_own_things(void **state)
{
	(void)state;
	assert_null(go_self());
	assert_int_equal(go_id(), 0);
	run(1, own_things, NULL);
	run(4, own_things, NULL);
}

static int random_numbers(void *arg)
{
	bool seen[10] = {false};

	(void)arg;
	for (int i = 0; i < 1000; i++) {
		uint32_t n = go_random_below(10);

		expect(n < 10);
		seen[n] = true;
	}
	for (int i = 0; i < 10; i++)
		expect(seen[i]);
	expect(go_random_u32() != go_random_u32() || go_random_u32() != go_random_u32());
	return 0;
}

static void random_numbers_are_in_range(void **state)
{
	(void)state;
	run(2, random_numbers, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(returns_what_main_returns),
		cmocka_unit_test(does_not_wait_for_others),
		cmocka_unit_test(returns_beside_one_that_computes),
		cmocka_unit_test(ends_in_a_process_that_stood_still),
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(procs_come_from_option_or_environment),
		cmocka_unit_test(a_goroutine_has_its_own_things),
		cmocka_unit_test(random_numbers_are_in_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
