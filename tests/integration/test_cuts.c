#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/chan.h"
#include "tests/support/daemon.h"
#include "tests/support/dice.h"
#include "tests/support/proxy.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * The library's sessions against a real daemon, by connections that a proxy cuts: what a program
 * sees of it, which is nothing while the session lives.
 */

enum { TO_SENDER, TO_RECEIVER, LINKS };

static struct test_daemon daemon_under_test;
static struct proxy proxy;
static struct dice dice;

static int setup(void **state)
{
	const char *seed = getenv("CUTS_SEED");

	(void)state;
	test_time_limit();
	dice.state = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) ^ (uint64_t)getpid();
	print_message("CUTS_SEED=%#llx\n", (unsigned long long)dice.state);
	daemon_start(&daemon_under_test, NULL);
	proxy_start(&proxy, daemon_under_test.tcp_url, LINKS);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	proxy_stop(&proxy);
	daemon_stop(&daemon_under_test);
	return 0;
}

static struct chan_client *dial_with(const char *url, const struct chan_dial_options *options)
{
	struct chan_client *c;

	if (chan_dial(url, options, &c) < 0)
		fail_msg("%s", chan_error_text());
	return c;
}

static struct chan_client *dial(const char *url)
{
	return dial_with(url, NULL);
}

static struct chan *make(struct chan_client *c, const char *name, enum chan_type type,
	int64_t capacity, uint32_t credit)
{
	struct chan_make_options options = {.end = {.credit = credit}};
	struct chan *ch;

	if (chan_make(c, name, type, capacity, &options, &ch) < 0)
		fail_msg("%s", chan_error_text());
	return ch;
}

/* ---- streams ------------------------------------------------------------------------------ */

/* What a thread sends: n numbers in batches of up to so many. */
struct sending {
	pthread_t thread;
	struct chan *ch;
	int64_t n;
	size_t batch;
};

static void *send_numbers(void *arg)
{
	struct sending *s = arg;
	struct chan_value v[256];
	int64_t next = 0;
	size_t n, i, sent;

	while (next < s->n) {
		n = (size_t)(s->n - next) < s->batch ? (size_t)(s->n - next) : s->batch;
		for (i = 0; i < n; i++)
			v[i] = chan_value_int(next++);
		if (chan_sendv(s->ch, v, n, CHAN_FOREVER, &sent) < 0 || sent != n)
			return (void *)chan_error_text();
	}
	return NULL;
}

/* Streams numbers through the channel, with so many cuts at random places of each link. */
static void stream(int64_t capacity, uint32_t credit, size_t batch, int64_t n, int cuts)
{
	struct chan_client *to = dial(proxy.urls[TO_SENDER]);
	struct chan_client *from = dial(proxy.urls[TO_RECEIVER]);
	struct chan *in = make(from, "stream", CHAN_TYPE_INT, capacity, credit);
	struct sending s = {
		.ch = make(to, "stream", CHAN_TYPE_INT, capacity, 1), .n = n, .batch = batch};
	void *failed;
	int64_t i, got;

	pthread_create(&s.thread, NULL, send_numbers, &s);
	for (i = 0; i < n; i++) {
		if (i % (n / cuts) == 0) {
			proxy_cut_after(&proxy, TO_SENDER, 1 + dice_choose(&dice, 1000));
			proxy_cut_after(&proxy, TO_RECEIVER, 1 + dice_choose(&dice, 1000));
		}
		if (chan_recv_int(in, &got) != 1)
			fail_msg("%s", chan_error_text());
		assert_int_equal(got, i);
	}
	pthread_join(s.thread, &failed);
	if (failed)
		fail_msg("%s", (const char *)failed);
	assert_int_equal(chan_len(in), 0);
	assert_int_equal(chan_remove(to, "stream"), 0);
	chan_hangup(to);
	chan_hangup(from);
}

static void test_a_stream_through_cuts(void **state)
{
	(void)state;
	stream(1000, 256, 100, 100000, 50);
}

/* One value each: every one of them is a round trip that may be cut. */
static void test_a_rendezvous_through_cuts(void **state)
{
	(void)state;
	stream(0, 1, 1, 2000, 50);
}

static void *send_large(void *arg)
{
	struct sending *s = arg;
	size_t len = 300000;
	char *bytes = malloc(len);
	const char *failed = NULL;
	int64_t i;

	for (i = 0; i < s->n && !failed; i++) {
		memset(bytes, (int)i, len);
		if (chan_send_bytes(s->ch, bytes, len) < 0)
			failed = chan_error_text();
	}
	free(bytes);
	return (void *)failed;
}

static void test_values_in_pieces_through_cuts(void **state)
{
	struct chan_client *to = dial(proxy.urls[TO_SENDER]);
	struct chan_client *from = dial(proxy.urls[TO_RECEIVER]);
	struct chan *in = make(from, "large", CHAN_TYPE_BYTES, 2, 1);
	struct sending s = {.ch = make(to, "large", CHAN_TYPE_BYTES, 2, 1), .n = 30};
	unsigned char *bytes;
	void *failed;
	size_t len;
	int64_t i;

	(void)state;
	pthread_create(&s.thread, NULL, send_large, &s);
	for (i = 0; i < s.n; i++) {
		proxy_cut_after(&proxy, TO_SENDER, 1 + dice_choose(&dice, 300000));
		proxy_cut_after(&proxy, TO_RECEIVER, 1 + dice_choose(&dice, 300000));
		if (chan_recv_bytes(in, (void **)&bytes, &len) != 1)
			fail_msg("%s", chan_error_text());
		assert_int_equal(len, 300000);
		assert_true(bytes[0] == (unsigned char)i && bytes[len - 1] == (unsigned char)i);
		free(bytes);
	}
	pthread_join(s.thread, &failed);
	if (failed)
		fail_msg("%s", (const char *)failed);
	chan_hangup(to);
	chan_hangup(from);
}

/* By one thread, without a keeper: an event loop's calls. */
static void test_an_event_loop_through_cuts(void **state)
{
	enum { N = 5000 };
	struct chan_client *c =
		dial_with(proxy.urls[TO_SENDER], &(struct chan_dial_options){.no_keeper = true});
	struct chan *ch = make(c, "loop", CHAN_TYPE_INT, 100, 1);
	struct chan_completion done;
	int64_t sent = 0, received = 0;
	struct chan_value v;

	(void)state;
	while (received < N) {
		if (received % (N / 20) == 0)
			proxy_cut_after(&proxy, TO_SENDER, 1 + dice_choose(&dice, 500));
		for (; sent < received + 50 && sent < N; sent++) {
			v = chan_value_int(sent);
			assert_int_equal(chan_start_send(ch, &v, 1, CHAN_FOREVER, NULL, NULL), 0);
		}
		assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, &received, NULL), 0);
		do {
			if (chan_wait_completion(c, &done, CHAN_FOREVER) != 1)
				fail_msg("%s", chan_error_text());
			assert_true(done.status >= 0);
		} while (done.tag != &received);
		assert_int_equal(done.value.i, received);
		received++;
	}
	chan_hangup(c);
}

/* ---- how it ends -------------------------------------------------------------------------- */

static void test_a_session_whose_time_is_up(void **state)
{
	struct chan_dial_options brief = {.linger_ns = 300000000};
	struct chan_client *c = dial_with(proxy.urls[TO_RECEIVER], &brief);
	struct chan *ch = make(c, "brief", CHAN_TYPE_INT, 0, 1);
	struct chan_op *op;
	struct chan_completion done;

	(void)state;
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, &op), 0);
	assert_int_equal(chan_ping(c, NULL), 0);
	proxy_refuse(&proxy, TO_RECEIVER);
	daemon_expect_log(&daemon_under_test, "a session without a connection ends");
	proxy_heal(&proxy, TO_RECEIVER);
	assert_int_equal(chan_op_wait(op, &done), 0);
	assert_int_equal(done.status, CHAN_EUNKNOWN);
	assert_int_equal(chan_ping(c, NULL), CHAN_EUNREACHABLE);
	chan_hangup(c);
}

/* A daemon of another run, at the same place. */
static void test_a_daemon_that_was_restarted(void **state)
{
	struct test_daemon mortal;
	struct chan_client *c;
	struct chan_op *op;
	struct chan_completion done;
	struct chan *ch;

	(void)state;
	daemon_start(&mortal, NULL);
	c = dial(mortal.url);
	ch = make(c, "mortal", CHAN_TYPE_INT, 0, 1);
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, &op), 0);
	assert_int_equal(chan_ping(c, NULL), 0);
	daemon_kill(&mortal);
	daemon_start_again(&mortal, NULL);
	assert_int_equal(chan_op_wait(op, &done), 0);
	assert_int_equal(done.status, CHAN_ERESTARTED);
	assert_int_equal(chan_ping(c, NULL), CHAN_EUNREACHABLE);
	chan_hangup(c);
	daemon_stop(&mortal);
}

/* ---- a program that is stopped -------------------------------------------------------------- */

/* Begins at a byte from in, says what it receives, stops itself after the first two, and goes on
 * when it is woken. */
static void receive_and_stop(const char *url, int in, int out)
{
	struct chan_end_options ahead = {.credit = 8};
	struct chan_open_options options = {.end = ahead};
	struct chan_client *c;
	struct chan *ch;
	int64_t i;
	char go;
	int n = 0;

	if (read(in, &go, 1) != 1 || chan_dial(url, NULL, &c) < 0 ||
		chan_open(c, "paused", CHAN_RECV, &options, &ch) < 0)
		_exit(1);
	while (chan_recv_int(ch, &i) == 1) {
		if (write(out, &i, sizeof(i)) != sizeof(i))
			_exit(2);
		if (++n == 2)
			raise(SIGSTOP);
	}
	chan_hangup(c);
	_exit(0);
}

/* What went to others while it was stopped it does not use when it wakes. */
static void test_a_stopped_program_does_not_use_what_was_revoked(void **state)
{
	enum { N = 12 };
	static const char *const arguments[] = {"--silence-timeout=1s", NULL};
	int64_t i, given[N] = {0};
	struct test_daemon impatient;
	struct chan_client *c;
	struct chan *ch;
	struct chan_value v;
	int begin[2], ends[2], status;
	pid_t child;

	(void)state;
	daemon_start(&impatient, arguments);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pipe(begin), 0);
	child = fork(); /* before there are threads here */
	if (child == 0)
		receive_and_stop(impatient.url, begin[0], ends[1]);
	close(ends[1]);
	c = dial(impatient.url);
	ch = make(c, "paused", CHAN_TYPE_INT, N, 1);
	for (i = 0; i < N; i++)
		assert_int_equal(chan_send_int(ch, i), 0);
	assert_int_equal(write(begin[1], "", 1), 1);
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	/* Those behind what it has ahead, and then those that it had. */
	for (i = 0; i < N - 4; i++) {
		assert_int_equal(chan_recv(ch, &v), 1);
		given[v.i]++;
	}
	kill(child, SIGCONT);
	assert_int_equal(chan_close(ch, NULL), 0);
	while (read(ends[0], &i, sizeof(i)) == sizeof(i))
		given[i]++;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	for (i = 0; i < N; i++)
		assert_int_equal(given[i], 1);
	chan_hangup(c);
	close(ends[0]);
	close(begin[0]);
	close(begin[1]);
	daemon_stop(&impatient);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_stream_through_cuts),
		cmocka_unit_test(test_a_rendezvous_through_cuts),
		cmocka_unit_test(test_values_in_pieces_through_cuts),
		cmocka_unit_test(test_an_event_loop_through_cuts),
		cmocka_unit_test(test_a_session_whose_time_is_up),
		cmocka_unit_test(test_a_daemon_that_was_restarted),
		cmocka_unit_test(test_a_stopped_program_does_not_use_what_was_revoked),
	};

	return cmocka_run_group_tests_name("cuts", tests, setup, teardown);
}
