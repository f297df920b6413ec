/* What dumps and fatal ends say. */
#include "tests/support/child.h"
#include "tests/support/run.h"

#include "server/runtime/netpoll.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>

static _Atomic int parked;

static bool count_parked(struct goroutine *g, void *arg)
{
	(void)g;
	(void)arg;
	atomic_fetch_add(&parked, 1);
	return true;
}

static void parks(enum wait_reason reason)
{
	go_set_label("labelled");
	go_park(count_parked, NULL, reason);
}

static void sleeps(void)
{
	go_park(count_parked, NULL, WAIT_SLEEP);
}

/* ---- Deadlock ---- */

static int all_park(void *arg)
{
	(void)arg;
	go(parks, WAIT_CHAN_RECEIVE);
	go(parks, WAIT_SELECT_NO_CASES);
	go_park(NULL, NULL, WAIT_CHAN_SEND);
	return 0;
}

static void run_child_main(void *main_fn)
{
	struct go_options o = {.procs = atoi(getenv("TEST_PROCS"))};

	_exit(go_run(&o, (int (*)(void *))main_fn, NULL));
}

static void deadlock_is_reported(void **state)
{
	static const char first[] = "fatal error: all goroutines are asleep - deadlock!\n\n"
				    "goroutine 1 [chan send]:\n\tcreated at ";
	static const char *const procs[] = {"1", "2", "4"};
	static struct child c;

	(void)state;
	for (int i = 0; i < 3; i++) {
		setenv("TEST_PROCS", procs[i], 1);
		child_run(&c, run_child_main, (void *)all_park);
		assert_true(child_exited(&c, 2));
		assert_memory_equal(c.err, first, sizeof(first) - 1);
		assert_non_null(strstr(c.err, " [chan receive]: labelled\n\tcreated at "));
		assert_non_null(strstr(c.err, " [select (no cases)]: labelled\n"));
		assert_non_null(strstr(c.err, "test_dump.c:"));
		assert_non_null(strstr(c.err, "(parks)\n\ngoroutine "));
	}
}

static int park_after_work(void *arg)
{
	(void)arg;
	go(parks, WAIT_CHAN_RECEIVE);
	go_sleep(NS_PER_MS); /* a timer was there, and is not any more */
	blocking_enter();
	usleep(1000);
	blocking_exit();
	go_park(NULL, NULL, WAIT_CHAN_SEND);
	return 0;
}

static int park_after_a_socket(void *arg)
{
	struct netpoll_desc *desc;
	int fds[2];

	(void)arg;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		return 3;
	if (netpoll_open(fds[0], &desc) < 0)
		return 3;
	netpoll_wait(desc, NETPOLL_READ, clock_deadline_ns(NS_PER_MS));
	netpoll_close(desc);
	go_park(NULL, NULL, WAIT_CHAN_SEND);
	return 0;
}

static void wait_on_socket(struct netpoll_desc *desc)
{
	netpoll_wait(desc, NETPOLL_READ, DEADLINE_NEVER);
}

/* The last one that could be woken is taken away while the poller waits for it. */
static int park_beside_a_socket(void *arg)
{
	struct netpoll_desc *desc;
	int fds[2];

	(void)arg;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		return 3;
	if (netpoll_open(fds[0], &desc) < 0)
		return 3;
	go(wait_on_socket, desc);
	go_sleep(5 * NS_PER_MS);
	netpoll_close(desc);
	go_park(NULL, NULL, WAIT_CHAN_SEND);
	return 0;
}

static void deadlock_is_found_after_other_waits(void **state)
{
	int (*const mains[])(void *) = {park_after_work, park_after_a_socket, park_beside_a_socket};
	static const char *const procs[] = {"1", "2", "4"};
	static struct child c;

	(void)state;
	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 3; j++) {
			setenv("TEST_PROCS", procs[j], 1);
			child_run(&c, run_child_main, (void *)mains[i]);
			assert_non_null(strstr(c.err, "all goroutines are asleep - deadlock!\n"));
			assert_true(child_exited(&c, 2));
		}
}

/* ---- Dumps ---- */

static int quit_self(void *arg)
{
	struct go_options *o = arg;

	go(parks, WAIT_CHAN_RECEIVE);
	go(sleeps);
	while (atomic_load(&parked) < 2)
		go_yield();
	go_sleep(20 * NS_PER_MS); /* an age that is told */
	if (o->dump_on_sigquit)
		raise(SIGQUIT);
	else
		go_dump_all(STDERR_FILENO);
	return 17; /* it keeps running */
}

static void run_dump(void *arg)
{
	_exit(go_run((struct go_options *)arg, quit_self, arg));
}

static void a_dump_shows_state_reason_age_and_site(void **state)
{
	struct go_options o = {.procs = 2};
	static struct child c;

	(void)state;
	for (int quit = 0; quit < 2; quit++) {
		o.dump_on_sigquit = quit;
		child_run(&c, run_dump, &o);
		assert_true(child_exited(&c, 17));
		assert_non_null(strstr(c.err, "goroutine 1 [running]:\n\tcreated at "));
		assert_non_null(strstr(c.err, " [chan receive, "));
		assert_non_null(strstr(c.err, " [sleep, "));
		assert_non_null(strstr(c.err, "s]: labelled\n"));
		assert_non_null(strstr(c.err, "test_dump.c:"));
		assert_non_null(strstr(c.err, "(sleeps)\n"));
	}
}

static _Atomic bool enough;

static void come_and_go(void)
{
	if (!atomic_load(&enough))
		go(come_and_go);
}

static int dump_while_running(void *arg)
{
	FILE *null = fopen("/dev/null", "we");

	(void)arg;
	atomic_store(&enough, false);
	for (int i = 0; i < 20; i++)
		go(come_and_go);
	for (int i = 0; i < 50; i++) {
		go_dump_all(fileno(null));
		go_yield();
	}
	atomic_store(&enough, true);
	fclose(null);
	return 0;
}

static void a_dump_disturbs_nobody(void **state)
{
	(void)state;
	run(4, dump_while_running, NULL);
}

/* ---- Panics ---- */

static int panics(void *arg)
{
	(void)arg;
	go(parks, WAIT_CHAN_RECEIVE);
	go_panic("send on closed channel");
}

static void a_panic_names_its_goroutine_alone(void **state)
{
	static struct child c;

	(void)state;
	setenv("TEST_PROCS", "2", 1);
	child_run(&c, run_child_main, (void *)panics);
	assert_true(child_exited(&c, 2));
	assert_ptr_equal(strstr(c.err, "panic: send on closed channel\n\ngoroutine 1 [running]:\n"),
		c.err);
	assert_null(strstr(c.err, "chan receive"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deadlock_is_reported),
		cmocka_unit_test(deadlock_is_found_after_other_waits),
		cmocka_unit_test(a_dump_shows_state_reason_age_and_site),
		cmocka_unit_test(a_dump_disturbs_nobody),
		cmocka_unit_test(a_panic_names_its_goroutine_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
