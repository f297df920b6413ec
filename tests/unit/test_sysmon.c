/* An idle process is idle; memory of free stacks comes back. */
#include "tests/support/run.h"

#include "server/runtime/netpoll.h"
#include "server/runtime/netpoll_sched.h"

#include <sys/resource.h>
#include <sys/socket.h>

static int64_t cpu_ns(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * NS_PER_S +
		(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * NS_PER_US;
}

static void wait_for_ever(struct netpoll_desc *desc)
{
	netpoll_wait(desc, NETPOLL_READ, DEADLINE_NEVER);
}

static int idle(void *arg)
{
	struct netpoll_desc *desc;
	const int64_t limit_ns = 5 * NS_PER_MS * SANITIZER_STACK_FACTOR;
	int64_t before_ns, spent_ns = INT64_MAX;
	int fds[2];

	(void)arg;
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	expect(netpoll_open(fds[0], &desc) == 0);
	expect(go(wait_for_ever, desc) == 0);
	/* In the end it is under 1 % of a core, though sanitizers may have threads of their own: sysmon
	 * falls asleep after ten ticks, which a busy machine makes longer. */
	for (int i = 0; i < 20 && spent_ns >= limit_ns; i++) {
		before_ns = cpu_ns();
		go_sleep(500 * NS_PER_MS);
		spent_ns = cpu_ns() - before_ns;
	}
	expect(spent_ns < limit_ns);
	netpoll_close(desc);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static void idleness_costs_nothing(void **state)
{
	(void)state;
	run(1, idle, NULL);
	run(4, idle, NULL);
}

static struct countdown all;

static void wait_once(struct netpoll_desc *desc)
{
	expect(netpoll_wait(desc, NETPOLL_READ, DEADLINE_NEVER) == 0);
	countdown_done(&all);
}

/* Only this thread may find that the descriptor is ready, while the last goroutine goes to sleep. */
static int park_while_sysmon_polls(void *arg)
{
	struct netpoll_desc *desc;
	int fds[2];

	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	expect(netpoll_open(fds[0], &desc) == 0);
	all = (struct countdown)COUNTDOWN(1);
	expect(go(wait_once, desc) == 0);
	go_yield();
	go_yield();
	expect(write(fds[1], "x", 1) == 1);
	while (netpoll_has_waiters())
		;
	for (volatile int i = *(int *)arg * 40; i > 0; i--)
		; /* into whatever it does then */
	countdown_wait(&all);
	netpoll_close(desc);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static void what_it_has_found_is_not_asleep(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++)
		run(1, park_while_sysmon_polls, &i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idleness_costs_nothing),
		cmocka_unit_test(what_it_has_found_is_not_asleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
