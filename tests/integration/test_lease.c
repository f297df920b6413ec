#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/chan.h"
#include "tests/support/daemon.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Leases and producers through the library and a real daemon, with processes that die. */

#define MS_NS INT64_C(1000000)
#define MINUTE_NS (INT64_C(60000) * MS_NS)

static struct test_daemon daemon_under_test;
static struct chan_client *client;

static int setup(void **state)
{
	(void)state;
	daemon_start(&daemon_under_test, NULL);
	assert_int_equal(chan_dial(daemon_under_test.url, NULL, &client), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	chan_hangup(client);
	daemon_stop(&daemon_under_test);
	return 0;
}

#define ok(rc)                                                                                     \
	do {                                                                                       \
		if ((rc) < 0)                                                                      \
			fail_msg("%s", chan_error_text());                                         \
	} while (0)

static struct chan_stat stat_of(const char *name)
{
	struct chan_stat stat;

	ok(chan_stat(client, name, &stat));
	return stat;
}

static struct chan *open_leased(const char *name, int64_t lease_ns)
{
	struct chan_open_options options = {.end = {.lease_ns = lease_ns}};
	struct chan *ch;

	ok(chan_open(client, name, CHAN_RECV, &options, &ch));
	return ch;
}

/* Runs f in a process that ends without a word when f returns. */
static void in_a_process(void (*f)(struct chan_client *c))
{
	struct chan_dial_options options = {.program = "mortal", .linger_ns = -1};
	struct chan_client *c;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (chan_dial(daemon_under_test.url, &options, &c) < 0)
			_exit(1);
		f(c);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_a_value_is_done_with_when_it_is_acknowledged(void **state)
{
	struct chan *jobs, *leased;
	struct chan_value v, none;
	uint64_t token;

	(void)state;
	ok(chan_make(client, "jobs", CHAN_TYPE_INT, 1, NULL, &jobs));
	leased = open_leased("jobs", MINUTE_NS);
	ok(chan_send_int(jobs, 1));
	assert_int_equal(chan_recv(leased, &v), 1);
	token = v.token;
	ok(chan_send_int(jobs, 2)); /* the place is free */
	assert_int_equal(stat_of("jobs").leased, 1);
	assert_int_equal(stat_of("jobs").length, 1);
	ok(chan_nack(leased, &v, 1, 0));
	assert_int_equal(stat_of("jobs").length, 2);
	assert_int_equal(chan_recv(leased, &v), 1);
	assert_int_equal(v.i, 1);
	assert_int_equal(v.attempt, 2);
	assert_true(v.token > token && token > 0);
	ok(chan_close(jobs, NULL));
	ok(chan_ack(leased, &v, 1));
	assert_int_equal(chan_recv(leased, &v), 1);
	assert_int_equal(v.i, 2);
	assert_int_equal(chan_recv_timeout(leased, &none, 10 * MS_NS), CHAN_ETIMEDOUT);
	ok(chan_ack(leased, &v, 1));
	assert_int_equal(chan_recv(leased, &none), 0);
	chan_release(jobs);
	chan_release(leased);
}

static void test_a_lease_that_is_over_is_lost(void **state)
{
	struct chan *jobs, *leased;
	struct chan_value v, again;

	(void)state;
	ok(chan_make(client, "jobs", CHAN_TYPE_INT, 1, NULL, &jobs));
	leased = open_leased("jobs", MINUTE_NS);
	ok(chan_send_int(jobs, 1));
	assert_int_equal(chan_recv(leased, &v), 1);
	ok(chan_extend(leased, &v, 1, 200 * MS_NS));
	assert_int_equal(chan_recv(jobs, &again), 1); /* when its time is up */
	assert_int_equal(again.attempt, 2);
	assert_true(chan_lease_lost(leased, &v));
	assert_int_equal(chan_extend(leased, &v, 1, MINUTE_NS), CHAN_EGONE);
	assert_int_equal(chan_ack(leased, &v, 1), CHAN_EGONE);
	chan_release(jobs);
	chan_release(leased);
}

static void take_and_die(struct chan_client *c)
{
	struct chan_open_options options = {.end = {.lease_ns = MINUTE_NS}};
	struct chan_value v;
	struct chan *ch;

	if (chan_open(c, "jobs", CHAN_RECV, &options, &ch) < 0 || chan_recv(ch, &v) != 1)
		_exit(2);
}

static void test_who_dies_gives_its_leases_back_and_dead_letters_come_of_it(void **state)
{
	struct chan_make_options options = {.attempts_max = 2, .dead_letter = "dead"};
	struct chan *jobs, *dead;
	struct chan_value v;

	(void)state;
	ok(chan_make(client, "dead", CHAN_TYPE_ANY, 1, NULL, &dead));
	ok(chan_make(client, "jobs", CHAN_TYPE_INT, 1, &options, &jobs));
	assert_int_equal(chan_make(client, "jobs", CHAN_TYPE_INT, 1, NULL, NULL), CHAN_EEXIST);
	assert_non_null(strstr(chan_error_text(), "attempts_max 2"));
	ok(chan_send_int(jobs, 42));
	in_a_process(take_and_die);
	in_a_process(take_and_die);
	assert_int_equal(chan_recv(dead, &v), 1);
	assert_int_equal(v.type, CHAN_TYPE_INT);
	assert_int_equal(v.i, 42);
	assert_int_equal(v.attempt, 3);
	assert_int_equal(stat_of("jobs").dead_lettered, 1);
	assert_int_equal(stat_of("jobs").attempts_max, 2);
	assert_string_equal(stat_of("jobs").dead_letter, "dead");
	chan_release(jobs);
	chan_release(dead);
}

static void test_a_worker_that_is_slow_to_ask_keeps_an_unbuffered_channel(void **state)
{
	struct chan *ch, *leased;
	struct chan_value v;
	struct chan_completion done;
	struct chan_op *op;

	(void)state;
	ok(chan_make(client, "ch", CHAN_TYPE_INT, 0, NULL, &ch));
	leased = open_leased("ch", MINUTE_NS);
	v = chan_value_int(1);
	ok(chan_start_send(ch, &v, 1, CHAN_FOREVER, NULL, &op));
	assert_int_equal(chan_recv(leased, &v), 1);
	ok(chan_op_wait(op, &done)); /* the send has ended */
	assert_int_equal(done.status, 0);
	ok(chan_nack(leased, &v, 1, 0));
	assert_int_equal(chan_len(ch), 1);
	v = chan_value_int(2);
	assert_int_equal(chan_try_send(ch, &v), CHAN_EWOULDBLOCK);
	assert_int_equal(chan_recv(leased, &v), 1);
	assert_int_equal(v.i, 1);
	ok(chan_ack(leased, &v, 1));
	chan_release(ch);
	chan_release(leased);
}

static void produce_and_close(struct chan_client *c)
{
	struct chan *ch;

	if (chan_open(c, "ch", CHAN_SEND, NULL, &ch) < 0 || chan_send_int(ch, 1) < 0 ||
		chan_close(ch, "done") < 0)
		_exit(2);
}

static void produce_and_die(struct chan_client *c)
{
	struct chan *ch;

	if (chan_open(c, "ch", CHAN_SEND, NULL, &ch) < 0 || chan_send_int(ch, 2) < 0)
		_exit(2);
}

static void make_counted(struct chan **ret_chan)
{
	struct chan_make_options options = {.producers = 2, .direction = CHAN_RECV};

	ok(chan_make(client, "ch", CHAN_TYPE_INT, 5, &options, ret_chan));
}

static void test_the_last_producer_closes(void **state)
{
	struct chan *ch, *send;
	struct chan_value v;

	(void)state;
	make_counted(&ch);
	in_a_process(produce_and_close);
	assert_int_equal(stat_of("ch").producers, 2);
	assert_false(stat_of("ch").closed);
	in_a_process(produce_and_close);
	assert_int_equal(chan_recv(ch, &v), 1);
	assert_int_equal(chan_recv(ch, &v), 1);
	assert_int_equal(chan_recv(ch, &v), 0);
	ok(chan_open(client, "ch", CHAN_SEND, NULL, &send));
	assert_int_equal(chan_send_int(send, 3), CHAN_ECLOSED);
	chan_release(send);
	chan_release(ch);
}

static void test_a_producer_that_dies_aborts(void **state)
{
	struct chan *ch, *send;
	struct chan_value v;

	(void)state;
	make_counted(&ch);
	ok(chan_open(client, "ch", CHAN_SEND, NULL, &send));
	assert_int_equal(stat_of("ch").producers_open, 1);
	in_a_process(produce_and_die);
	assert_int_equal(chan_recv(ch, &v), 1);
	assert_int_equal(v.i, 2);
	assert_int_equal(chan_recv(ch, &v), CHAN_EABORTED);
	assert_memory_equal(chan_last_error()->closed_by, "mortal[", 7);
	assert_int_equal(chan_send_int(send, 3), CHAN_EABORTED);
	assert_non_null(strstr(chan_last_error()->reason, "session ended"));
	assert_true(stat_of("ch").aborted);
	chan_release(send);
	chan_release(ch);
}

static void test_abort(void **state)
{
	struct chan *ch;
	struct chan_value v;

	(void)state;
	ok(chan_make(client, "ch", CHAN_TYPE_INT, 5, NULL, &ch));
	ok(chan_send_int(ch, 1));
	ok(chan_abort(ch, "no more paper"));
	assert_int_equal(chan_abort(ch, NULL), CHAN_EABORTED);
	assert_int_equal(chan_close(ch, NULL), CHAN_EABORTED);
	assert_int_equal(chan_recv(ch, &v), 1);
	assert_int_equal(chan_recv(ch, &v), CHAN_EABORTED);
	assert_string_equal(chan_last_error()->reason, "no more paper");
	chan_release(ch);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_value_is_done_with_when_it_is_acknowledged),
		TEST(test_a_lease_that_is_over_is_lost),
		TEST(test_who_dies_gives_its_leases_back_and_dead_letters_come_of_it),
		TEST(test_a_worker_that_is_slow_to_ask_keeps_an_unbuffered_channel),
		TEST(test_the_last_producer_closes),
		TEST(test_a_producer_that_dies_aborts),
		TEST(test_abort),
	};

	return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
