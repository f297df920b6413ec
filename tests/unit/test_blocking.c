/* Calls that block in the kernel do not stop other goroutines. */
#include "tests/support/run.h"

#include <errno.h>
#include <unistd.h>

static struct countdown all;
static _Atomic int ticks;

/* Blocks its thread until a byte comes. */
static void block_on(int fd)
{
	char byte;

	blocking_enter();
	expect(read(fd, &byte, 1) == 1);
	blocking_exit();
	countdown_done(&all);
}

static void tick(int n)
{
	for (int i = 0; i < n; i++) {
		atomic_fetch_add(&ticks, 1);
		go_yield();
	}
	countdown_done(&all);
}

/* More blocked threads than processors, and the others go on; then the blocked ones come back. */
static int block_many(void *arg)
{
	enum { BLOCKED = 8 };
	int fds[2];

	(void)arg;
	expect(pipe(fds) == 0);
	atomic_store(&ticks, 0);
	all = (struct countdown)COUNTDOWN(1);
	for (int i = 0; i < BLOCKED; i++)
		expect(go(block_on, fds[0]) == 0);
	go_sleep(NS_PER_MS);
	expect(go(tick, 1000) == 0);
	countdown_wait(&all);
	expect(atomic_load(&ticks) == 1000);

	all = (struct countdown)COUNTDOWN(BLOCKED);
	expect(write(fds[1], "12345678", BLOCKED) == BLOCKED);
	countdown_wait(&all);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static void others_run_meanwhile(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 4; procs++)
		run(procs, block_many, NULL);
}

static int sleep_beside(void *arg)
{
	(void)arg;
	all = (struct countdown)COUNTDOWN(1);
	expect(go(tick, 10) == 0);
	blocking_enter();
	usleep(20000);
	blocking_exit();
	countdown_wait(&all);
	return 0;
}

/* Even what was next on the processor that is given up. */
static void the_next_goroutine_runs_meanwhile(void **state)
{
	(void)state;
	run(1, sleep_beside, NULL);
	run(2, sleep_beside, NULL);
}

static _Atomic bool slept;

static void sleep_a_little(void)
{
	go_sleep(NS_PER_MS);
	atomic_store(&slept, true);
}

/* Timers fire while the only goroutine that could run blocks. */
static int timer_beside(void *arg)
{
	(void)arg;
	atomic_store(&slept, false);
	expect(go(sleep_a_little) == 0);
	go_yield();
	blocking_enter();
	for (int i = 0; i < 20000 && !atomic_load(&slept); i++)
		usleep(1000);
	blocking_exit();
	expect(atomic_load(&slept));
	return 0;
}

static void timers_fire_meanwhile(void **state)
{
	(void)state;
	run(1, timer_beside, NULL);
	run(2, timer_beside, NULL);
}

static int short_calls(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1000; i++) {
		blocking_enter();
		errno = EXDEV;
		blocking_exit();
		expect(errno == EXDEV);
	}
	return 0;
}

static void enter_and_exit(int n)
{
	for (int i = 0; i < n; i++) {
		blocking_enter();
		blocking_exit();
		go_yield();
	}
	countdown_done(&all);
}

static int contended_calls(void *arg)
{
	(void)arg;
	all = (struct countdown)COUNTDOWN(20);
	for (int i = 0; i < 20; i++)
		expect(go(enter_and_exit, 50) == 0);
	countdown_wait(&all);
	return 0;
}

static void short_calls_come_back(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 4; procs *= 2) {
		run(procs, short_calls, NULL);
		run(procs, contended_calls, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_run_meanwhile),
		cmocka_unit_test(the_next_goroutine_runs_meanwhile),
		cmocka_unit_test(timers_fire_meanwhile),
		cmocka_unit_test(short_calls_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
