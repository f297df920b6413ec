#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/chan.h"
#include "tests/support/daemon.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The library against a real daemon: what takes two sides, many threads, or a process that dies. */

static struct test_daemon daemon_under_test;

static int setup(void **state)
{
	(void)state;
	daemon_start(&daemon_under_test, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	daemon_stop(&daemon_under_test);
	return 0;
}

static struct chan_client *dial(const char *url)
{
	struct chan_client *c;

	if (chan_dial(url, NULL, &c) < 0)
		fail_msg("%s", chan_error_text());
	return c;
}

/* ---- a thread that waits, and one that starts --------------------------------------------- */

static void *wait_for_one(void *arg)
{
	struct chan_completion done = {0};

	return chan_wait_completion(arg, &done, CHAN_FOREVER) == 1 ? done.tag : NULL;
}

/* What one thread starts, or withdraws, is not held up by another that is blocked in reading. */
static void test_starting_beside_a_thread_that_waits(void **state)
{
	struct chan_client *c = dial(daemon_under_test.url), *other = dial(daemon_under_test.url);
	struct chan_stat stat = {.receivers_waiting = 0};
	struct chan *quiet, *busy, *far;
	struct chan_value v = chan_value_int(7);
	int tag_sent, tag_withdrawn;
	void *tag = NULL;
	struct chan_op *op;
	pthread_t thread;

	(void)state;
	assert_int_equal(chan_make(c, "beside-quiet", CHAN_TYPE_INT, 0, NULL, &quiet), 0);
	assert_int_equal(chan_make(c, "beside-busy", CHAN_TYPE_INT, 0, NULL, &busy), 0);
	assert_int_equal(chan_open(other, "beside-busy", CHAN_RECV, NULL, &far), 0);
	assert_int_equal(chan_start_recv(quiet, CHAN_FOREVER, &tag_withdrawn, &op), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_one, c), 0);
	while (stat.receivers_waiting == 0)
		assert_int_equal(chan_stat(other, "beside-quiet", &stat), 0);
	usleep(20000);
	assert_int_equal(chan_start_send(busy, &v, 1, CHAN_FOREVER, &tag_sent, NULL), 0);
	assert_int_equal(chan_recv_timeout(far, &v, 3000000000), 1);
	pthread_join(thread, &tag);
	assert_ptr_equal(tag, &tag_sent);
	chan_op_cancel(op);
	assert_ptr_equal(wait_for_one(c), &tag_withdrawn);
	chan_hangup(c);
	chan_hangup(other);
}

/* A program that computes after a receive has confirmed it, also where it fetches ahead. */
static void test_computing_after_a_receive(void **state)
{
	struct chan_open_options ahead = {.end = {.credit = 8}};
	struct chan_client *c = dial(daemon_under_test.url), *other = dial(daemon_under_test.url);
	struct chan_stat stat = {.in_flight = 1};
	struct chan_value v = chan_value_int(1);
	struct chan *in, *out;
	int i;

	(void)state;
	assert_int_equal(chan_make(other, "computing", CHAN_TYPE_INT, 8, NULL, &out), 0);
	assert_int_equal(chan_open(c, "computing", CHAN_RECV, &ahead, &in), 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(chan_send(out, &v), 0);
	assert_int_equal(chan_recv(in, &v), 1);
	for (i = 0; i < test_patience_ms() && stat.received < 1; i++) {
		assert_int_equal(chan_stat(other, "computing", &stat), 0);
		usleep(1000);
	}
	assert_int_equal(stat.received, 1);
	chan_hangup(c);
	chan_hangup(other);
}

/* ---- many threads on one connection ------------------------------------------------------- */

enum { SENDERS = 4, RECEIVERS = 4, SENDS = 500 };

static struct {
	struct chan_client *client;
	struct chan *buffered, *unbuffered, *ahead;
	long sent, received; /* sums; the rest: what must not happen */
	long failures;
} mixed;

static void count(long *sum, long n)
{
	__atomic_add_fetch(sum, n, __ATOMIC_RELAXED);
}

static void expect(bool holds)
{
	if (!holds)
		count(&mixed.failures, 1);
}

static int send_somehow(struct chan *ch, int64_t i, unsigned how)
{
	struct chan_value v = chan_value_int(i);
	struct chan_case cases[2] = {
		{.chan = mixed.buffered, .direction = CHAN_SEND, .value = v},
		{.chan = mixed.unbuffered, .direction = CHAN_SEND, .value = v},
	};
	int rc;

	switch (how) {
	case 0:
		return chan_send(ch, &v);
	case 1:
		do {
			rc = chan_send_timeout(ch, &v, 300000);
		} while (rc == CHAN_ETIMEDOUT);
		return rc;
	default:
		return chan_select(mixed.client, cases, 2, CHAN_FOREVER) >= 0 ? 0 : -1;
	}
}

static void *send_mixed(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	int64_t i;

	for (i = 1; i <= SENDS; i++) {
		expect(send_somehow(rand_r(&seed) % 2 ? mixed.buffered : mixed.unbuffered, i,
			       (unsigned)rand_r(&seed) % 3) == 0);
		count(&mixed.sent, i);
	}
	return NULL;
}

/* Receives, and withdraws at once: it may still be faster. */
static int receive_withdrawn(int64_t *ret)
{
	struct chan_completion done;
	struct chan_op *op;

	if (chan_start_recv(mixed.buffered, CHAN_FOREVER, NULL, &op) < 0)
		return -1;
	chan_op_cancel(op);
	chan_op_wait(op, &done);
	*ret = done.value.i;
	return done.status;
}

static int receive_selected(int64_t *ret)
{
	struct chan_case cases[2] = {
		{.chan = mixed.buffered, .direction = CHAN_RECV},
		{.chan = mixed.unbuffered, .direction = CHAN_RECV},
	};
	int chosen = chan_select(mixed.client, cases, 2, CHAN_FOREVER);

	if (chosen < 0)
		return chosen;
	*ret = cases[chosen].value.i;
	return cases[chosen].result;
}

static int receive_somehow(int64_t *ret, unsigned how)
{
	struct chan_value v;
	int rc;

	if (how == 0)
		return receive_withdrawn(ret);
	if (how == 1)
		return receive_selected(ret);
	rc = chan_recv_timeout(how == 2 ? mixed.buffered : mixed.unbuffered, &v, 200000);
	*ret = rc > 0 ? v.i : 0;
	return rc;
}

/* Until a channel is closed and drained. */
static void *receive_mixed(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	int64_t i;
	int rc;

	while ((rc = receive_somehow(&i, (unsigned)rand_r(&seed) % 4)) != 0) {
		if (rc > 0)
			count(&mixed.received, i);
		else
			expect(rc == CHAN_ECANCELED || rc == CHAN_ETIMEDOUT);
	}
	return NULL;
}

static void *receive_ahead(void *arg)
{
	int64_t i;
	int rc;

	(void)arg;
	while ((rc = chan_recv_int(mixed.ahead, &i)) > 0)
		count(&mixed.received, i);
	expect(rc == 0);
	return NULL;
}

static void test_threads_of_every_kind_share_a_connection(void **state)
{
	struct chan_open_options some = {.end = {.credit = 8}};
	pthread_t senders[SENDERS], receivers[RECEIVERS + 2];
	uintptr_t i;

	(void)state;
	memset(&mixed, 0, sizeof(mixed));
	mixed.client = dial(daemon_under_test.url);
	assert_int_equal(
		chan_make(mixed.client, "mixed", CHAN_TYPE_INT, 16, NULL, &mixed.buffered), 0);
	assert_int_equal(
		chan_make(mixed.client, NULL, CHAN_TYPE_INT, 0, NULL, &mixed.unbuffered), 0);
	assert_int_equal(chan_open(mixed.client, "mixed", CHAN_RECV, &some, &mixed.ahead), 0);
	for (i = 0; i < RECEIVERS; i++)
		pthread_create(&receivers[i], NULL, receive_mixed, (void *)(i + 1));
	for (; i < RECEIVERS + 2; i++)
		pthread_create(&receivers[i], NULL, receive_ahead, NULL);
	for (i = 0; i < SENDERS; i++)
		pthread_create(&senders[i], NULL, send_mixed, (void *)(i + 1));
	for (i = 0; i < SENDERS; i++)
		pthread_join(senders[i], NULL);
	assert_int_equal(chan_close(mixed.buffered, NULL), 0);
	assert_int_equal(chan_close(mixed.unbuffered, NULL), 0);
	for (i = 0; i < RECEIVERS + 2; i++)
		pthread_join(receivers[i], NULL);
	assert_int_equal(mixed.failures, 0);
	assert_int_equal(mixed.sent, SENDERS * (long)SENDS * (SENDS + 1) / 2);
	assert_int_equal(mixed.received, mixed.sent);
	chan_hangup(mixed.client);
}

/* ---- large values ------------------------------------------------------------------------- */

static void *send_large(void *arg)
{
	size_t len = 700000;
	char *bytes = malloc(len);
	long failed = 0, i;

	for (i = 0; i < 5; i++) {
		memset(bytes, 'a' + (int)i, len);
		failed += chan_send_bytes(arg, bytes, len - (size_t)i) != 0;
	}
	free(bytes);
	return (void *)failed;
}

static void test_large_values_over_tcp(void **state)
{
	struct chan_client *c = dial(daemon_under_test.tcp_url),
			   *other = dial(daemon_under_test.url);
	struct chan *in, *out;
	pthread_t sender;
	struct chan_value v;
	const char *bytes;
	void *failed;
	int i;

	(void)state;
	assert_int_equal(chan_make(c, "large", CHAN_TYPE_BYTES, 2, NULL, &in), 0);
	assert_int_equal(chan_open(other, "large", CHAN_RECV, NULL, &out), 0);
	pthread_create(&sender, NULL, send_large, in);
	for (i = 0; i < 5; i++) {
		/* Where memory fails the sender gives up, and nobody sends any more. */
		assert_int_equal(
			chan_recv_timeout(out, &v, test_patience_ms() * INT64_C(1000000)), 1);
		assert_int_equal(v.len, 700000 - i);
		bytes = v.bytes;
		assert_true(bytes[0] == 'a' + i && bytes[v.len - 1] == 'a' + i);
		chan_value_clear(&v);
	}
	pthread_join(sender, &failed);
	assert_null(failed);
	chan_hangup(c);
	chan_hangup(other);
}

/* Where no network can hold it up, a connection does without what networks need. */
static void test_congestion_control_within_the_machine(void **state)
{
	struct chan_client *c = dial(daemon_under_test.tcp_url);
	char name[16];
	socklen_t size = sizeof(name);

	(void)state;
	assert_int_equal(getsockopt(chan_fd(c), IPPROTO_TCP, TCP_CONGESTION, name, &size), 0);
	assert_string_equal(name, "reno");
	chan_hangup(c);
}

/* Makes a channel by one connection, and sends a value of some pieces through it to another. */
static void pass_large(const char *url)
{
	enum { BYTES = 200000 };
	static char bytes[BYTES];
	struct chan_client *c = dial(url), *other = dial(url);
	struct chan *in, *out;
	struct chan_value v;

	memset(bytes, 'p', BYTES);
	assert_int_equal(chan_make(c, "pieces", CHAN_TYPE_BYTES, 1, NULL, &in), 0);
	assert_int_equal(chan_open(other, "pieces", CHAN_RECV, NULL, &out), 0);
	assert_int_equal(chan_send_bytes(in, bytes, BYTES), 0);
	assert_int_equal(chan_recv(out, &v), 1);
	assert_int_equal(v.len, BYTES);
	assert_memory_equal(v.bytes, bytes, BYTES);
	chan_value_clear(&v);
	assert_int_equal(chan_remove(c, "pieces"), 0);
	chan_hangup(c);
	chan_hangup(other);
}

/* Either side may have sent one piece that the other has not confirmed, and no more: each waits for the
 * SEEN of the one before. One that did not come would be made good by a heartbeat some seconds later; so
 * often that the test would not end in time. */
static void test_large_values_where_little_may_be_kept(void **state)
{
	enum { TIMES = 32 };
	static const char *const arguments[] = {
		"--unseen-bytes-max=64K", "--silence-timeout=60m", NULL};
	struct test_daemon tight;

	(void)state;
	daemon_start(&tight, arguments);
	for (int i = 0; i < TIMES; i++)
		pass_large(i % 2 ? tight.url : tight.tcp_url);
	daemon_stop(&tight);
}

/* ---- an event loop ------------------------------------------------------------------------ */

/* Waits in poll for the client, as an event loop does. */
static void turn(struct chan_client *c)
{
	struct pollfd p = {.fd = chan_fd(c), .events = chan_events(c)};

	poll(&p, 1, 10000);
	assert_int_equal(chan_process(c), 0);
}

static void test_an_event_loop_streams_both_ways(void **state)
{
	enum { VALUES = 20000, BATCH = 100 };
	struct chan_make_options fast = {.end = {.credit = 256}};
	struct chan_client *c = dial(daemon_under_test.url);
	struct chan_value values[BATCH];
	struct chan_completion done;
	struct chan *ch;
	int64_t next = 0, sum = 0;
	int i, k, receiving = 1;

	(void)state;
	assert_int_equal(chan_make(c, "loop", CHAN_TYPE_INT, 1000, &fast, &ch), 0);
	for (i = 0; i < VALUES; i += BATCH) {
		for (k = 0; k < BATCH; k++)
			values[k] = chan_value_int(i + k);
		assert_int_equal(chan_start_send(ch, values, BATCH, CHAN_FOREVER, values, NULL), 0);
	}
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	while (chan_ops_pending(c) > 0) {
		while (chan_next_completion(c, &done) > 0) {
			if (done.tag) {
				assert_int_equal(done.count, BATCH);
				continue;
			}
			assert_int_equal(done.value.i, next++);
			sum += done.value.i;
			receiving = next < VALUES;
			if (receiving)
				assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
		}
		if (chan_ops_pending(c) > 0)
			turn(c);
	}
	assert_int_equal(sum, (int64_t)VALUES * (VALUES - 1) / 2);
	chan_hangup(c);
}

/* ---- channels as values ------------------------------------------------------------------- */

static void test_a_channel_travels_as_a_value(void **state)
{
	struct chan_client *c = dial(daemon_under_test.url), *other = dial(daemon_under_test.url);
	struct chan *calls, *far_calls, *mine, *theirs;
	struct chan_open_options raw = {.end = {.raw = true}};
	struct chan_value v;

	(void)state;
	assert_int_equal(chan_make(c, "calls", CHAN_TYPE_CHAN, 2, NULL, &calls), 0);
	assert_int_equal(chan_open(other, "calls", CHAN_RECV, NULL, &far_calls), 0);
	assert_int_equal(chan_make(c, NULL, CHAN_TYPE_ANY, 3, NULL, &mine), 0);
	assert_int_equal(chan_send_chan(calls, mine), 0);
	assert_int_equal(chan_recv_chan(far_calls, &theirs), 1);
	assert_string_equal(chan_name(theirs), "");
	assert_int_equal(chan_type(theirs), CHAN_TYPE_ANY);
	assert_int_equal(chan_cap(theirs), 3);
	assert_int_equal(chan_send_float(theirs, 0.5), 0);
	chan_release(theirs);
	assert_int_equal(chan_recv(mine, &v), 1);
	assert_int_equal(v.type, CHAN_TYPE_FLOAT);
	assert_true(v.f == 0.5);
	/* As bytes, which are made an end again. */
	chan_release(far_calls);
	assert_int_equal(chan_open(other, "calls", CHAN_RECV, &raw, &far_calls), 0);
	assert_int_equal(chan_send_chan(calls, mine), 0);
	assert_int_equal(chan_recv(far_calls, &v), 1);
	assert_int_equal(v.type, CHAN_TYPE_RAW);
	assert_int_equal(chan_open_reference(other, v.bytes, v.len, NULL, &theirs), 0);
	assert_int_equal(chan_open_reference(other, v.bytes, 3, NULL, &far_calls), CHAN_EINVAL);
	chan_value_clear(&v);
	assert_int_equal(chan_len(theirs), 0);
	/* The other side dies: there is room for three, but nobody whom a fourth could wait for. */
	chan_hangup(c);
	assert_int_equal(chan_send_signal(theirs), 0);
	assert_int_equal(chan_send_signal(theirs), 0);
	assert_int_equal(chan_send_signal(theirs), 0);
	assert_int_equal(chan_send_signal(theirs), CHAN_EABORTED);
	chan_hangup(other);
}

/* ---- looking around ----------------------------------------------------------------------- */

struct walk {
	char last[256];
	int seen;
};

static int note_channel(const struct chan_stat *stat, void *arg)
{
	struct walk *walk = arg;

	assert_true(strcmp(walk->last, stat->name) < 0);
	strcpy(walk->last, stat->name);
	return ++walk->seen == 350 ? 77 : 0;
}

static int note_waiter(const struct chan_waiter *waiter, void *arg)
{
	if (waiter->channel_count == 1 && strcmp(waiter->channels[0], "many.000") == 0) {
		assert_string_equal(waiter->operation, "recv");
		assert_int_equal(waiter->pid, getpid());
		(*(int *)arg)++;
	}
	return 0;
}

static void test_lists_come_in_pages(void **state)
{
	struct chan_client *c = dial(daemon_under_test.url);
	struct walk walk = {.seen = 0};
	struct chan_stat stat;
	struct chan_op *op;
	struct chan_completion done;
	struct chan *ch;
	char name[32];
	int i, waiters = 0;

	(void)state;
	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "many.%03d", i);
		assert_int_equal(chan_make(c, name, CHAN_TYPE_BOOL, i, NULL, NULL), 0);
	}
	assert_int_equal(chan_list(c, "many.", note_channel, &walk), 0);
	assert_int_equal(walk.seen, 300);
	memset(&walk, 0, sizeof(walk));
	walk.seen = 349;
	assert_int_equal(chan_list(c, "many.", note_channel, &walk), 77);
	assert_string_equal(walk.last, "many.000");
	assert_int_equal(chan_stat(c, "many.017", &stat), 0);
	assert_int_equal(stat.capacity, 17);
	assert_int_equal(stat.type, CHAN_TYPE_BOOL);
	assert_int_equal(chan_stat(c, "none", &stat), CHAN_ENOCHANNEL);
	assert_int_equal(chan_open(c, "many.000", CHAN_RECV, NULL, &ch), 0);
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, &op), 0);
	assert_int_equal(chan_ps(c, note_waiter, &waiters), 0);
	assert_int_equal(waiters, 1);
	chan_op_cancel(op);
	chan_op_wait(op, &done);
	assert_int_equal(done.status, CHAN_ECANCELED);
	chan_hangup(c);
}

/* ---- processes that die ------------------------------------------------------------------- */

/* Receives n values without confirming the last two, and dies. */
static void die_receiving(const char *url, int n)
{
	struct chan_open_options options = {.end = {.credit = 4, .manual = true}};
	struct chan_dial_options brief = {.linger_ns = -1};
	struct chan_value v[4];
	struct chan_client *c;
	struct chan *ch;
	int i;

	if (chan_dial(url, &brief, &c) < 0 || chan_open(c, "fragile", CHAN_RECV, &options, &ch) < 0)
		_exit(1);
	for (i = 0; i < n; i++)
		if (chan_recv(ch, &v[i]) != 1)
			_exit(2);
	_exit(chan_confirm(ch, v, (size_t)n - 2) == 0 ? 0 : 3);
}

static void test_what_a_dead_receiver_had_comes_again(void **state)
{
	struct chan_client *c = dial(daemon_under_test.url);
	struct chan_value v;
	struct chan *ch;
	int status, i;
	pid_t child;

	(void)state;
	assert_int_equal(chan_make(c, "fragile", CHAN_TYPE_INT, 10, NULL, &ch), 0);
	for (i = 0; i < 6; i++)
		assert_int_equal(chan_send_int(ch, i), 0);
	child = fork();
	if (child == 0)
		die_receiving(daemon_under_test.url, 4);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	for (i = 2; i < 6; i++) {
		assert_int_equal(chan_recv(ch, &v), 1);
		assert_int_equal(v.i, i);
		if (i < 4)
			assert_int_equal(v.attempt, 2);
	}
	chan_hangup(c);
}

/* One without a keeper that works on a value for so long that the broker takes it for lost: what it
 * had fetched ahead goes to others, what it had taken does not. */
static void test_a_busy_receiver_keeps_what_it_took(void **state)
{
	static const char *const arguments[] = {"--silence-timeout=5s", NULL};
	struct chan_make_options ahead = {.end = {.credit = 8}};
	struct chan_dial_options silent = {.no_keeper = true};
	struct test_daemon impatient;
	struct chan_client *busy, *idle;
	struct chan *mine, *theirs;
	struct chan_value v;
	int i;

	(void)state;
	daemon_start(&impatient, arguments);
	assert_int_equal(chan_dial(impatient.url, &silent, &busy), 0);
	idle = dial(impatient.url);
	assert_int_equal(chan_make(busy, "work", CHAN_TYPE_INT, 4, &ahead, &mine), 0);
	assert_int_equal(chan_open(idle, "work", CHAN_BOTH, NULL, &theirs), 0);
	for (i = 0; i < 3; i++)
		assert_int_equal(chan_send_int(theirs, i), 0);
	for (i = 0; i < 2; i++) {
		assert_int_equal(chan_recv(mine, &v), 1);
		assert_int_equal(v.i, i);
	}
	assert_int_equal(chan_recv(theirs, &v), 1); /* once busy is taken for lost */
	assert_int_equal(v.i, 2);
	assert_true(v.attempt >= 2);
	assert_int_equal(chan_send_int(theirs, 3), 0);
	assert_int_equal(chan_recv(mine, &v), 1);
	assert_int_equal(v.i, 3);
	chan_hangup(busy);
	chan_hangup(idle);
	daemon_stop(&impatient);
}

static void test_the_other_side_has_died(void **state)
{
	struct chan_client *c = dial(daemon_under_test.url), *other = dial(daemon_under_test.url);
	struct chan_make_options temporary = {.temporary = true};
	struct chan *in, *out;
	struct chan_value v;

	(void)state;
	assert_int_equal(chan_make(c, "brief", CHAN_TYPE_INT, 1, &temporary, &in), 0);
	chan_release(in);
	assert_int_equal(chan_make(c, "brief", CHAN_TYPE_INT, 1, &temporary, &in), 0);
	assert_int_equal(chan_open(other, "brief", CHAN_SEND, NULL, &out), 0);
	chan_release(in);
	assert_int_equal(chan_open(c, "brief", CHAN_RECV, NULL, &in), 0);
	assert_int_equal(chan_send_int(out, 5), 0);
	chan_hangup(other);
	assert_int_equal(chan_recv(in, &v), 1);
	assert_int_equal(chan_recv(in, &v), CHAN_EABORTED);
	chan_hangup(c);
}

/* ---- interruptions ------------------------------------------------------------------------ */

static void on_alarm(int sig)
{
	(void)sig;
}

static void be_withdrawn(int sa_flags)
{
	struct chan_dial_options options = {.withdraw_on_signal = true};
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = sa_flags}, before;
	struct chan_client *c;
	struct chan_stat stat;
	struct chan_value v;
	struct chan *ch;

	assert_int_equal(chan_dial(daemon_under_test.url, &options, &c), 0);
	assert_int_equal(chan_make(c, "quiet", CHAN_TYPE_INT, 0, NULL, &ch), 0);
	sigaction(SIGALRM, &action, &before);
	ualarm(50000, 50000); /* one may come before the receive waits */
	assert_int_equal(chan_recv(ch, &v), CHAN_ECANCELED);
	ualarm(0, 0);
	sigaction(SIGALRM, &before, NULL);
	assert_int_equal(chan_stat(c, "quiet", &stat), 0);
	assert_int_equal(stat.receivers_waiting, 0);
	assert_int_equal(chan_remove(c, "quiet"), 0);
	chan_hangup(c);
}

static void test_a_signal_withdraws(void **state)
{
	(void)state;
	be_withdrawn(0);
}

/* As signal(3) has it: the kernel goes on with system calls that it can. */
static void test_a_signal_withdraws_whose_handler_restarts(void **state)
{
	(void)state;
	be_withdrawn(SA_RESTART);
}

static void test_the_daemon_goes_down(void **state)
{
	struct chan_client *c = dial(daemon_under_test.url);
	struct chan_value v;
	struct chan_op *op;
	struct chan_completion done;
	struct chan *ch;

	(void)state;
	assert_int_equal(chan_make(c, "last", CHAN_TYPE_INT, 0, NULL, &ch), 0);
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, &op), 0);
	assert_int_equal(chan_ping(c, NULL), 0);
	daemon_signal(&daemon_under_test, SIGTERM);
	assert_int_equal(chan_op_wait(op, &done), 0);
	assert_int_equal(done.status, CHAN_ESHUTDOWN);
	while (chan_recv(ch, &v) == CHAN_ESHUTDOWN)
		; /* until it has closed the connection */
	assert_int_equal(chan_recv(ch, &v), CHAN_EUNREACHABLE);
	chan_hangup(c);
	assert_int_equal(daemon_wait(&daemon_under_test), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_starting_beside_a_thread_that_waits),
		cmocka_unit_test(test_computing_after_a_receive),
		cmocka_unit_test(test_threads_of_every_kind_share_a_connection),
		cmocka_unit_test(test_large_values_over_tcp),
		cmocka_unit_test(test_congestion_control_within_the_machine),
		cmocka_unit_test(test_large_values_where_little_may_be_kept),
		cmocka_unit_test(test_an_event_loop_streams_both_ways),
		cmocka_unit_test(test_a_channel_travels_as_a_value),
		cmocka_unit_test(test_lists_come_in_pages),
		cmocka_unit_test(test_what_a_dead_receiver_had_comes_again),
		cmocka_unit_test(test_a_busy_receiver_keeps_what_it_took),
		cmocka_unit_test(test_the_other_side_has_died),
		cmocka_unit_test(test_a_signal_withdraws),
		cmocka_unit_test(test_a_signal_withdraws_whose_handler_restarts),
		cmocka_unit_test(test_the_daemon_goes_down),
	};

	return cmocka_run_group_tests_name("libchan", tests, setup, teardown);
}
