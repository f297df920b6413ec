/* An idle process is idle; memory of free stacks comes back. */
#include "tests/support/run.h"

#include "server/runtime/netpoll.h"

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
	int64_t before_ns;
	int fds[2];

	(void)arg;
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	expect(netpoll_open(fds[0], &desc) == 0);
	expect(go(wait_for_ever, desc) == 0);
	go_sleep(150 * NS_PER_MS); /* sysmon falls asleep meanwhile */
	before_ns = cpu_ns();
	go_sleep(500 * NS_PER_MS);
	/* Under 1 % of a core, though sanitizers may have threads of their own. */
	expect(cpu_ns() - before_ns < 5 * NS_PER_MS * SANITIZER_STACK_FACTOR);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idleness_costs_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
