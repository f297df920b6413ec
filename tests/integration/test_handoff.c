/* test_handoff.c - values between clients of a real daemon: handoff, settling, losing a receiver.
 */
#include "tests/support/daemon.h"
#include "tests/support/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct test_daemon d;

static int setup(void **state)
{
	(void)state;
	daemon_start(&d, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	daemon_stop(&d);
	return 0;
}

/* A producer and a consumer of one channel, each a client of its own. */
struct pair {
	struct peer producer, consumer;
	uint64_t channel;
};

static void pair_begin(struct pair *p, const char *name, int64_t capacity)
{
	peer_dial(&p->producer, d.url);
	peer_dial(&p->consumer, d.tcp_url);
	p->channel = peer_channel(&p->producer, name, CHAN_TYPE_STRING, capacity);
	assert_int_equal(peer_opened(&p->consumer, name, CHAN_RECV), p->channel);
}

static void pair_end(struct pair *p)
{
	peer_drop(&p->producer);
	peer_drop(&p->consumer);
}

/* An unbuffered send is done when a receiver has taken the value, and not when it was delivered. */
static void test_unbuffered_send_ends_when_taken(void **state)
{
	struct pair p;
	uint64_t send, recv, delivery;

	(void)state;
	pair_begin(&p, "handoff", 0);
	send = peer_send(&p.producer, p.channel, "a");
	peer_expect_quiet(&p.producer);
	recv = peer_recv(&p.consumer, p.channel);
	delivery = peer_expect_deliver(&p.consumer, recv, "a");
	peer_expect_quiet(&p.producer);
	peer_taken(&p.consumer, delivery);
	peer_expect_done(&p.producer, send);
	pair_end(&p);
}

/* A receiver that waits gets the next value, whatever comes first. */
static void test_receiver_waits(void **state)
{
	struct pair p;
	uint64_t send, recv;

	(void)state;
	pair_begin(&p, "waits", 3);
	recv = peer_recv(&p.consumer, p.channel);
	peer_expect_quiet(&p.consumer);
	send = peer_send(&p.producer, p.channel, "x");
	peer_expect_done(&p.producer, send);
	peer_taken(&p.consumer, peer_expect_deliver(&p.consumer, recv, "x"));
	pair_end(&p);
}

/* The values of a lost receiver go back to the head, in their order, marked. */
static void test_lost_receiver_returns_to_the_head(void **state)
{
	static const char *const values[] = {"1", "2", "3"};
	struct message m = {.kind = MESSAGE_RECV};
	struct peer second;
	struct pair p;
	uint64_t recv;

	(void)state;
	pair_begin(&p, "lost", 3);
	peer_expect_done(&p.producer, peer_send_many(&p.producer, p.channel, 3, values));
	m.seq = ++p.consumer.seq;
	m.recv.channel = p.channel;
	m.recv.credit = 2;
	peer_say(&p.consumer, &m);
	peer_expect(&p.consumer, MESSAGE_DELIVER);
	if (p.consumer.m.deliver.count == 1)
		peer_expect(&p.consumer, MESSAGE_DELIVER);

	peer_dial(&second, d.url);
	peer_opened(&second, "lost", CHAN_RECV);
	recv = peer_recv(&second, p.channel);
	peer_taken(&second, peer_expect_deliver(&second, recv, "3"));
	recv = peer_recv(&second, p.channel);
	peer_expect_quiet(&second);
	peer_drop(&p.consumer);
	peer_taken(&second, peer_expect_redeliver(&second, recv, "1", 2));
	recv = peer_recv(&second, p.channel);
	peer_taken(&second, peer_expect_redeliver(&second, recv, "2", 2));
	peer_drop(&second);
	peer_drop(&p.producer);
}

/* What is out for delivery counts in the length and against the capacity, until it is taken. */
static void test_in_flight_counts(void **state)
{
	static const char *const values[] = {"a", "b", "c"};
	struct pair p;
	uint64_t send, delivery;

	(void)state;
	pair_begin(&p, "inflight", 2);
	send = peer_send_many(&p.producer, p.channel, 3, values);
	peer_expect_done(&p.producer, send);
	assert_int_equal(p.producer.m.done.count, 2);
	delivery = peer_expect_deliver(&p.consumer, peer_recv(&p.consumer, p.channel), "a");
	peer_stat(&p.producer, p.channel);
	assert_int_equal(p.producer.m.stats.channels[0].length, 2);
	assert_int_equal(p.producer.m.stats.channels[0].in_flight, 1);
	assert_int_equal(p.producer.m.stats.channels[0].senders_waiting, 1);
	peer_taken(&p.consumer, delivery);
	peer_expect_done(&p.producer, send + 2);
	pair_end(&p);
}

/* A value that is given back comes again, before everything younger. */
static void test_return(void **state)
{
	struct pair p;
	uint64_t send, recv, delivery;

	(void)state;
	pair_begin(&p, "return", 0);
	send = peer_send(&p.producer, p.channel, "v");
	delivery = peer_expect_deliver(&p.consumer, peer_recv(&p.consumer, p.channel), "v");
	peer_return(&p.consumer, delivery);
	peer_expect_quiet(&p.producer);
	recv = peer_recv(&p.consumer, p.channel);
	peer_taken(&p.consumer, peer_expect_redeliver(&p.consumer, recv, "v", 2));
	peer_expect_done(&p.producer, send);
	pair_end(&p);
}

/* An operation that waits does not delay others of the same connection. */
static void test_head_of_line(void **state)
{
	struct peer p;
	uint64_t full, empty, other, waiting_send, waiting_recv, send;

	(void)state;
	peer_dial(&p, d.url);
	full = peer_channel(&p, "hol/full", CHAN_TYPE_STRING, 0);
	empty = peer_channel(&p, "hol/empty", CHAN_TYPE_STRING, 0);
	other = peer_channel(&p, "hol/other", CHAN_TYPE_STRING, 1);
	waiting_send = peer_send(&p, full, "x");
	waiting_recv = peer_recv(&p, empty);
	send = peer_send(&p, other, "y");
	peer_expect_done(&p, send);
	peer_cancel(&p, waiting_recv);
	peer_expect_fail(&p, waiting_recv, CHAN_ECANCELED);
	peer_expect_done(&p, p.seq);
	peer_cancel(&p, waiting_send);
	peer_expect_fail(&p, waiting_send, CHAN_ECANCELED);
	peer_expect_done(&p, p.seq);
	peer_drop(&p);
}

/* The broker ends what has a deadline, and nothing has happened then. */
static void test_deadline(void **state)
{
	struct message m = {.kind = MESSAGE_RECV};
	struct pair p;

	(void)state;
	pair_begin(&p, "deadline", 1);
	m.seq = ++p.consumer.seq;
	m.recv.channel = p.channel;
	m.recv.credit = 1;
	m.recv.timeout_ns = 30000000;
	peer_say(&p.consumer, &m);
	peer_expect_fail(&p.consumer, m.seq, CHAN_ETIMEDOUT);
	peer_expect_done(&p.producer, peer_send(&p.producer, p.channel, "late"));
	peer_stat(&p.producer, p.channel);
	assert_int_equal(p.producer.m.stats.channels[0].length, 1);
	pair_end(&p);
}

/* Close wakes who waits: receivers once all is drained, senders at once with their values. */
static void test_close_wakes(void **state)
{
	struct peer closer;
	struct pair p;
	uint64_t recv, send;

	(void)state;
	pair_begin(&p, "close", 1);
	peer_dial(&closer, d.url);
	peer_opened(&closer, "close", CHAN_SEND);
	peer_expect_done(&p.producer, peer_send(&p.producer, p.channel, "in"));
	send = peer_send(&p.producer, p.channel, "out");
	peer_expect_quiet(&p.producer);
	peer_expect_done(&closer, peer_close(&closer, p.channel));
	peer_expect_fail(&p.producer, send, CHAN_ECLOSED);
	recv = peer_recv(&p.consumer, p.channel);
	peer_taken(&p.consumer, peer_expect_deliver(&p.consumer, recv, "in"));
	recv = peer_recv(&p.consumer, p.channel);
	peer_expect_fail(&p.consumer, recv, CHAN_ECLOSED);
	assert_true(strncmp(p.consumer.m.fail.closed_by, "test[", 5) == 0);
	peer_expect_fail(&closer, peer_close(&closer, p.channel), CHAN_ECLOSED);
	peer_drop(&closer);
	pair_end(&p);
}

/* A value that is out when its channel is closed is settled first; until then receivers wait. */
static void test_close_waits_for_what_is_out(void **state)
{
	struct peer second;
	struct pair p;
	uint64_t delivery, recv;

	(void)state;
	pair_begin(&p, "close/out", 1);
	peer_dial(&second, d.url);
	peer_opened(&second, "close/out", CHAN_RECV);
	peer_expect_done(&p.producer, peer_send(&p.producer, p.channel, "v"));
	delivery = peer_expect_deliver(&p.consumer, peer_recv(&p.consumer, p.channel), "v");
	peer_expect_done(&p.producer, peer_close(&p.producer, p.channel));
	recv = peer_recv(&second, p.channel);
	peer_expect_quiet(&second);
	peer_return(&p.consumer, delivery);
	delivery = peer_expect_redeliver(&second, recv, "v", 2);
	recv = peer_recv(&second, p.channel);
	peer_expect_quiet(&second);
	peer_taken(&second, delivery);
	peer_expect_fail(&second, recv, CHAN_ECLOSED);
	peer_drop(&second);
	pair_end(&p);
}

/* A close that races with a send from another connection: the send succeeds before it or fails
 * after it, and what succeeded is received. */
static void test_close_race(void **state)
{
	struct peer closer;
	struct pair p;
	uint64_t send, recv;

	(void)state;
	for (int i = 0; i < 50; i++) {
		char name[32];

		snprintf(name, sizeof(name), "race/%d", i);
		pair_begin(&p, name, 1);
		peer_dial(&closer, d.url);
		peer_opened(&closer, name, CHAN_SEND);
		send = peer_send(&p.producer, p.channel, "v");
		peer_expect_done(&closer, peer_close(&closer, p.channel));
		recv = peer_recv(&p.consumer, p.channel);
		if (peer_expect_outcome(&p.producer, send) == 0) {
			peer_taken(&p.consumer, peer_expect_deliver(&p.consumer, recv, "v"));
			recv = peer_recv(&p.consumer, p.channel);
		}
		peer_expect_fail(&p.consumer, recv, CHAN_ECLOSED);
		peer_drop(&closer);
		pair_end(&p);
	}
}

/* Silence with a delivery out for the configured time: the value goes to the next receiver, and a
 * late confirmation is answered GONE. */
static void test_silent_receiver_is_revoked(void **state)
{
	static const char *const arguments[] = {"--silence-timeout=1s", NULL};
	struct test_daemon quick;
	struct peer silent, other;
	uint64_t channel, first, recv;

	(void)state;
	daemon_start(&quick, arguments);
	peer_dial(&silent, quick.url);
	peer_dial(&other, quick.url);
	channel = peer_channel(&silent, "silence", CHAN_TYPE_STRING, 1);
	peer_opened(&other, "silence", CHAN_BOTH);
	peer_expect_done(&silent, peer_send(&silent, channel, "v"));
	first = peer_expect_deliver(&silent, peer_recv(&silent, channel), "v");
	recv = peer_recv(&other, channel);
	peer_taken(&other, peer_expect_redeliver(&other, recv, "v", 2));
	peer_expect(&silent, MESSAGE_GONE);
	assert_int_equal(silent.m.settle.deliveries.list[0].first, first);
	peer_taken(&silent, first);
	peer_expect(&silent, MESSAGE_GONE);
	peer_drop(&silent);
	peer_drop(&other);
	daemon_stop(&quick);
}

/* What the broker says to a receiver is no sign of life of it: values that keep coming do not put
 * off that it is taken for lost. And it learns what was taken back before it learns that it is
 * heard. */
static void test_deliveries_are_no_sign_of_life(void **state)
{
	static const char *const arguments[] = {"--silence-timeout=1s", NULL};
	struct message m = {.kind = MESSAGE_RECV}, ping = {.kind = MESSAGE_PING};
	struct peer silent, other;
	struct test_daemon quick;
	uint64_t channel;
	int sent = 0;

	(void)state;
	daemon_start(&quick, arguments);
	peer_dial(&silent, quick.url);
	peer_dial(&other, quick.url);
	channel = peer_channel(&other, "coming", CHAN_TYPE_STRING, 100);
	peer_opened(&silent, "coming", CHAN_RECV);
	m.seq = ++silent.seq;
	m.recv.channel = channel;
	m.recv.credit = 40;
	m.recv.stream = true;
	peer_say(&silent, &m);
	for (; sent < 20; sent++) {
		peer_expect_done(&other, peer_send(&other, channel, "v"));
		usleep(200000);
	}
	peer_say(&silent, &ping);
	for (sent = 0; silent.m.kind != MESSAGE_GONE; peer_hear(&silent))
		sent += silent.m.kind == MESSAGE_DELIVER;
	assert_in_range(sent, 1, 15);
	for (sent = 0; silent.m.kind != MESSAGE_PONG; peer_hear(&silent))
		sent += silent.m.kind == MESSAGE_DELIVER;
	if (!sent)
		peer_expect(&silent, MESSAGE_DELIVER); /* it is heard, so it receives again */
	peer_drop(&silent);
	peer_drop(&other);
	daemon_stop(&quick);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unbuffered_send_ends_when_taken),
		cmocka_unit_test(test_receiver_waits),
		cmocka_unit_test(test_lost_receiver_returns_to_the_head),
		cmocka_unit_test(test_in_flight_counts),
		cmocka_unit_test(test_return),
		cmocka_unit_test(test_head_of_line),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_close_wakes),
		cmocka_unit_test(test_close_waits_for_what_is_out),
		cmocka_unit_test(test_close_race),
		cmocka_unit_test(test_silent_receiver_is_revoked),
		cmocka_unit_test(test_deliveries_are_no_sign_of_life),
	};

	test_time_limit();
	return cmocka_run_group_tests_name("handoff", tests, setup, teardown);
}
