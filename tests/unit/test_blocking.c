/* Calls that block in the kernel do not stop other goroutines. */
#include "tests/support/run.h"

#include "server/base/log.h"
#include "server/runtime/netpoll.h"
#include "server/runtime/sched.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
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

static void wait_for_ever(struct netpoll_desc *desc)
{
	netpoll_wait(desc, NETPOLL_READ, DEADLINE_NEVER);
}

static void sleep_past_sysmon(void)
{
	go_sleep(300 * NS_PER_MS);
	atomic_store(&slept, true);
}

/* The same where another thread waits for a socket already, and knew of no timer when it began; and
 * nothing else will wake it. */
static int timer_behind_poller(void *arg)
{
	struct netpoll_desc *desc;
	int fds[2];

	(void)arg;
	atomic_store(&slept, false);
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	expect(netpoll_open(fds[0], &desc) == 0);
	expect(go(wait_for_ever, desc) == 0);
	/* What is next here is taken over by another thread, which then waits for the socket. */
	while (atomic_load(&sched.poll_until_ns) != DEADLINE_NEVER)
		;
	expect(go(sleep_past_sysmon) == 0);
	go_yield();
	blocking_enter();
	for (int i = 0; i < 30000 && !atomic_load(&slept); i++)
		usleep(1000);
	blocking_exit();
	expect(atomic_load(&slept));
	netpoll_close(desc);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static void a_poller_hears_of_timers(void **state)
{
	(void)state;
	run(2, timer_behind_poller, NULL);
}

/* From here on no thread can be had: what it asks for is more than there are addresses. */
static void forbid_threads(pthread_attr_t *old)
{
	pthread_attr_t attr;

	expect(pthread_getattr_default_np(old) == 0);
	expect(pthread_attr_init(&attr) == 0);
	expect(pthread_attr_setstacksize(&attr, (size_t)1 << 56) == 0);
	expect(pthread_setattr_default_np(&attr) == 0);
	pthread_attr_destroy(&attr);
}

static void write_byte(int fd)
{
	expect(write(fd, "1", 1) == 1);
}

/* What was next, and what stood in the queue, is run by the thread that waits for a socket: there is
 * no other, and nothing else wakes it. */
static int block_without_threads(void *arg)
{
	struct netpoll_desc *desc;
	pthread_attr_t old;
	int fds[2], sockets[2];
	char bytes[2];

	(void)arg;
	expect(pipe(fds) == 0);
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets) == 0);
	expect(netpoll_open(sockets[0], &desc) == 0);
	expect(go(wait_for_ever, desc) == 0);
	go_yield();
	blocking_enter();
	while (atomic_load(&sched.poll_until_ns) != DEADLINE_NEVER)
		usleep(100);
	blocking_exit();

	forbid_threads(&old);
	for (int i = 0; i < 2; i++)
		expect(go(write_byte, fds[1]) == 0);
	blocking_enter();
	for (int i = 0; i < 2; i++)
		expect(read(fds[0], &bytes[i], 1) == 1);
	blocking_exit();
	expect(pthread_setattr_default_np(&old) == 0);
	pthread_attr_destroy(&old);
	netpoll_close(desc);
	close(sockets[0]);
	close(sockets[1]);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static void the_poller_helps_where_threads_are_out(void **state)
{
	(void)state;
	run(1, block_without_threads, NULL);
}

/* ---- errno ---- */

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

/* As the daemon logs. Where all processors are busy the call ends on another thread. */
static void log_blocks(bool begins)
{
	if (begins) {
		blocking_enter();
	} else {
		usleep(1000);
		blocking_exit();
	}
}

static void yield_until(_Atomic bool *done)
{
	while (!atomic_load(done))
		go_yield();
	countdown_done(&all);
}

static int log_and_look(void *arg)
{
	_Atomic bool done = false;
	int null = open("/dev/null", O_RDONLY), err = dup(STDERR_FILENO), seen;

	(void)arg;
	all = (struct countdown)COUNTDOWN(3);
	for (int i = 0; i < 3; i++)
		expect(go(yield_until, &done) == 0);
	dup2(null, STDERR_FILENO); /* nothing can be written there: EBADF */
	log_set_blocking(log_blocks);
	errno = EXDEV;
	log_error("something");
	seen = errno;
	log_set_blocking(NULL);
	dup2(err, STDERR_FILENO);
	expect(seen == EXDEV);
	atomic_store(&done, true);
	countdown_wait(&all);
	close(null);
	close(err);
	return 0;
}

static void errno_survives_a_log_line(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		run(2, log_and_look, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_run_meanwhile),
		cmocka_unit_test(the_next_goroutine_runs_meanwhile),
		cmocka_unit_test(timers_fire_meanwhile),
		cmocka_unit_test(a_poller_hears_of_timers),
		cmocka_unit_test(the_poller_helps_where_threads_are_out),
		cmocka_unit_test(short_calls_come_back),
		cmocka_unit_test(errno_survives_a_log_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
