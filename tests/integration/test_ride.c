/*
 * test_ride.c - answers that the broker may keep until it has something else to say: that they
 * come. (Which are kept is in tests/unit/test_ride.c: it may be for less than a moment.)
 */
#include "tests/support/daemon.h"
#include "tests/support/peer.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct test_daemon d;
static struct peer p, q;

static int setup(void **state)
{
	(void)state;
	daemon_start(&d, NULL);
	peer_dial_lingering(&p, d.url, 60000);
	peer_dial(&q, d.tcp_url);
	p.rides = true;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	peer_drop(&p);
	peer_drop(&q);
	daemon_stop(&d);
	return 0;
}

static void test_answers_go_ahead_of_what_is_waited_for(void **state)
{
	uint64_t x = peer_channel(&p, "x", CHAN_TYPE_STRING, 10);
	uint64_t y = peer_channel(&p, "y", CHAN_TYPE_STRING, 10);
	uint64_t sent, waits;

	(void)state;
	peer_opened(&q, "x", CHAN_RECV);
	peer_opened(&q, "y", CHAN_SEND);
	sent = peer_send(&p, x, "there");
	waits = peer_recv(&p, y);
	peer_expect_deliver(&q, peer_recv(&q, x), "there");
	peer_expect_done(&q, peer_send(&q, y, "back"));
	peer_expect_done(&p, sent);
	peer_expect_deliver(&p, waits, "back");
}

/* DONE for all numbers from first to last: one, or one when those that were kept left by
 * themselves. */
static void expect_all_done(uint64_t first, uint64_t last)
{
	while (first <= last) {
		peer_expect(&p, MESSAGE_DONE);
		assert_int_equal(p.m.seq, first);
		first += p.m.done.count;
	}
	assert_int_equal(first, last + 1);
}

/* Also of a send that had to wait, when that is done. */
static void test_an_unbuffered_send(void **state)
{
	uint64_t x = peer_channel(&p, "x", CHAN_TYPE_STRING, 0), sent;

	(void)state;
	peer_opened(&q, "x", CHAN_RECV);
	sent = peer_send(&p, x, "there");
	peer_taken(&q, peer_expect_deliver(&q, peer_recv(&q, x), "there"));
	peer_expect_done(&q, peer_cancel(&q, 0)); /* so that it has been taken */
	expect_all_done(sent, peer_cancel(&p, 0));
}

/* Who asks before it is done is answered when it is. */
static void test_the_leave_is_taken_back(void **state)
{
	uint64_t x = peer_channel(&p, "x", CHAN_TYPE_STRING, 0), sent;

	(void)state;
	peer_opened(&q, "x", CHAN_RECV);
	sent = peer_send(&p, x, "there");
	peer_expect_done(&p, peer_cancel(&p, 0));
	peer_taken(&q, peer_expect_deliver(&q, peer_recv(&q, x), "there"));
	peer_expect_done(&p, sent);
}

/* A send without the leave is answered at once, with all that was kept. */
static void test_another_operation_takes_it_back(void **state)
{
	uint64_t x = peer_channel(&p, "x", CHAN_TYPE_STRING, 10), first, second;

	(void)state;
	first = peer_send(&p, x, "1");
	p.rides = false;
	second = peer_send(&p, x, "2");
	expect_all_done(first, second);
	p.rides = true;
}

static void test_failures_are_not_kept(void **state)
{
	uint64_t x = peer_channel(&p, "x", CHAN_TYPE_STRING, 10), kept, y, received;

	(void)state;
	kept = peer_send(&p, x, "1");
	y = peer_channel(&q, "x", CHAN_TYPE_STRING, 10);
	received = peer_recv(&q, y);
	peer_expect_deliver(&q, received, "1"); /* the broker has it */
	peer_expect_done(&q, peer_close(&q, y));
	peer_send(&p, x, "2");
	peer_expect_done(&p, kept);
	peer_expect_fail(&p, kept + 1, CHAN_ECLOSED);
}

/* Nobody waits for ever. */
static void test_by_itself(void **state)
{
	uint64_t x = peer_channel(&p, "x", CHAN_TYPE_STRING, 10);

	(void)state;
	peer_expect_done(&p, peer_send(&p, x, "1"));
}

static void test_a_client_that_asks_for_nothing_more(void **state)
{
	uint64_t x = peer_channel(&q, "x", CHAN_TYPE_STRING, 10), sent;

	(void)state;
	q.rides = true;
	sent = peer_send(&q, x, "1");
	peer_shut_sending(&q);
	peer_expect_done(&q, sent);
	peer_expect_end(&q);
}

static void test_a_loss_loses_no_answer(void **state)
{
	uint64_t x = peer_channel(&p, "x", CHAN_TYPE_STRING, 10), sent;

	(void)state;
	peer_opened(&q, "x", CHAN_RECV);
	sent = peer_send(&p, x, "1");
	peer_lose(&p);
	peer_resume(&p, d.url);
	peer_expect_done(&p, sent);
}

static void test_a_broker_that_ends(void **state)
{
	uint64_t x = peer_channel(&p, "x", CHAN_TYPE_STRING, 10), sent, y, received;

	(void)state;
	y = peer_channel(&q, "x", CHAN_TYPE_STRING, 10);
	sent = peer_send(&p, x, "1");
	received = peer_recv(&q, y);
	peer_expect_deliver(&q, received, "1");
	daemon_signal(&d, SIGTERM);
	peer_expect_done(&p, sent);
	peer_expect(&p, MESSAGE_GOAWAY);
	assert_int_equal(daemon_wait(&d), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answers_go_ahead_of_what_is_waited_for),
		TEST(test_an_unbuffered_send),
		TEST(test_the_leave_is_taken_back),
		TEST(test_another_operation_takes_it_back),
		TEST(test_failures_are_not_kept),
		TEST(test_by_itself),
		TEST(test_a_client_that_asks_for_nothing_more),
		TEST(test_a_loss_loses_no_answer),
		TEST(test_a_broker_that_ends),
	};

	test_time_limit();
	return cmocka_run_group_tests_name("ride", tests, NULL, NULL);
}
