/*
 * test_keeper.c - one keeper for the clients of a process. What it does for each of them is in
 * test_reconnect.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/chan.h"
#include "tests/support/fake_broker.h"
#include "tests/support/skip.h"
#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BROKERS = 3 };

static struct fake_broker brokers[BROKERS];
static struct chan_client *clients[BROKERS];
static const struct fake_greeting resumes[] = {{.answer = FAKE_RESUMES}};

static void start_broker(struct fake_broker *b)
{
	fake_start(b);
	b->linger_ms = 30000;
	b->heartbeat_ms = 2000;
}

static int setup(void **state)
{
	(void)state;
	for (int i = 0; i < BROKERS; i++)
		start_broker(&brokers[i]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < BROKERS; i++)
		fake_stop(&brokers[i]);
	return 0;
}

/* Answers BYE by closing, while the client waits for that. */
static void *answer_bye(void *arg)
{
	struct fake_broker *b = arg;

	while (fake_wait(b, true) && b->m.kind != MESSAGE_BYE)
		;
	shutdown(b->fd, SHUT_WR);
	return arg;
}

static void hang_up(struct fake_broker *b, struct chan_client *c)
{
	pthread_t thread;

	pthread_create(&thread, NULL, answer_bye, b);
	chan_hangup(c);
	pthread_join(thread, NULL);
}

/* This process's threads; the kernel may show one that was joined for a moment longer, now or where n
 * was counted. */
static int count_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void await_threads(int n)
{
	while (count_threads() > n)
		sched_yield();
}

static void await_ping(struct fake_broker *b)
{
	do
		assert_true(fake_wait_any(b));
	while (b->m.kind != MESSAGE_PING);
	fake_pong(b);
}

/* A client that waits for a value, for which it has to give signs of life. */
static struct chan_client *waiting_client(struct fake_broker *b)
{
	struct chan_client *c = fake_client(b);
	struct chan *ch = fake_open(b, c, 1, 5, CHAN_TYPE_INT, 9, NULL);

	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	fake_read(b, MESSAGE_RECV);
	return c;
}

static void resume(struct fake_broker *b)
{
	fake_resume_begin(b, resumes);
	fake_resume_end(b);
}

static void test_clients_share_one_thread(void **state)
{
	int with_one, i;

	(void)state;
	clients[0] = waiting_client(&brokers[0]);
	with_one = count_threads();
	for (i = 1; i < BROKERS; i++)
		clients[i] = waiting_client(&brokers[i]);
	await_threads(with_one);
	for (i = 0; i < 2 * BROKERS; i++)
		await_ping(&brokers[i % BROKERS]);
	for (i = 0; i < BROKERS; i++)
		hang_up(&brokers[i], clients[i]);
	await_threads(with_one - 1);
	clients[0] = waiting_client(&brokers[0]); /* it begins anew */
	await_ping(&brokers[0]);
	hang_up(&brokers[0], clients[0]);
}

/* Two connections are lost, and nobody greets who wants to come back. */
static void test_a_loss_keeps_no_other_client_waiting(void **state)
{
	struct pollfd p[2];
	int i;

	(void)state;
	for (i = 0; i < BROKERS; i++)
		clients[i] = waiting_client(&brokers[i]);
	for (i = 0; i < 2; i++) {
		fake_cut(&brokers[i]);
		p[i] = (struct pollfd){.fd = brokers[i].listener, .events = POLLIN};
		assert_int_equal(poll(&p[i], 1, 60000), 1);
	}
	for (i = 0; i < 2; i++)
		await_ping(&brokers[2]);
	for (i = 0; i < 2; i++)
		assert_false(chan_connected(clients[i]));
	for (i = 0; i < 2; i++)
		resume(&brokers[i]);
	for (i = 0; i < BROKERS; i++)
		await_ping(&brokers[i]);
	for (i = 0; i < BROKERS; i++)
		hang_up(&brokers[i], clients[i]);
}

/* The first is between two attempts then, the second in the middle of one. */
static void test_hanging_up_ends_attempts(void **state)
{
	int with_one, i;

	(void)state;
	clients[0] = waiting_client(&brokers[0]);
	with_one = count_threads();
	clients[1] = waiting_client(&brokers[1]);
	close(brokers[0].listener);
	brokers[0].listener = -1;
	for (i = 0; i < 2; i++)
		fake_cut(&brokers[i]);
	for (i = 0; i < 2; i++)
		chan_hangup(clients[i]);
	await_threads(with_one - 1);
}

/* The parent's keeper is not there, and the parent's client not the child's. */
static void live_in_child(void)
{
	struct fake_broker b;
	struct chan_client *c;

	start_broker(&b);
	c = waiting_client(&b);
	await_ping(&b);
	fake_cut(&b);
	resume(&b);
	await_ping(&b);
	hang_up(&b, c);
	fake_stop(&b);
}

static void test_a_child_has_a_keeper_of_its_own(void **state)
{
	int status;
	pid_t child;

	(void)state;
#ifdef __SANITIZE_THREAD__
	SKIP_TEST("TSan allows no thread in a child of a process with threads");
#endif
	clients[0] = waiting_client(&brokers[0]);
	child = fork();
	if (child == 0) {
		live_in_child();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	await_ping(&brokers[0]);
	hang_up(&brokers[0], clients[0]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_clients_share_one_thread),
		TEST(test_a_loss_keeps_no_other_client_waiting),
		TEST(test_hanging_up_ends_attempts),
		TEST(test_a_child_has_a_keeper_of_its_own),
	};

	return cmocka_run_group_tests_name("keeper", tests, NULL, NULL);
}
