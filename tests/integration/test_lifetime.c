/* test_lifetime.c - temporary and unnamed channels, channels as values, and the death of the other
 * side. */
#include "tests/support/daemon.h"
#include "tests/support/peer.h"

#include "proto/type.h"
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
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

static uint64_t make_temporary(struct peer *p, const char *name)
{
	struct message m = {.kind = MESSAGE_MAKE, .seq = ++p->seq};

	m.make.name = name;
	m.make.type = CHAN_TYPE_STRING;
	m.make.capacity = 1;
	m.make.temporary = true;
	m.make.direction = CHAN_BOTH;
	peer_say(p, &m);
	peer_expect(p, MESSAGE_OPENED);
	return p->m.opened.channel;
}

/* Sends a chan value: an end of `passed` with these rights. */
static uint64_t send_end(struct peer *p, uint64_t channel, uint64_t incarnation, uint64_t passed,
	enum chan_direction direction)
{
	struct type_chan_ref ref = {.incarnation = incarnation,
		.channel = passed,
		.direction = (uint8_t)direction,
		.name = ""};
	struct message m = {.kind = MESSAGE_SEND, .seq = ++p->seq};
	struct buf payload = {0};
	uint8_t bytes[TYPE_CHAN_BYTES_MAX];
	size_t n = type_put_chan(bytes, &ref);

	assert_int_equal(wire_value_put_prefix(&payload, n, 1, 0), 0);
	assert_int_equal(buf_append(&payload, bytes, n), 0);
	m.send.channel = channel;
	m.send.count = 1;
	m.send.payload_bytes = buf_len(&payload);
	peer_say_payload(p, &m, 0, buf_data(&payload), buf_len(&payload));
	buf_fini(&payload);
	return m.seq;
}

/* The channel that the chan value just heard refers to. */
static uint64_t heard_end(struct peer *p)
{
	struct type_chan_ref ref;
	struct wire_value v;
	size_t left = p->payload_bytes;

	assert_int_equal(wire_value_next(&p->payload, &left, &v), 1);
	assert_int_equal(type_get_chan(v.bytes, v.len, &ref), 0);
	return ref.channel;
}

static uint64_t incarnation_of(const struct test_daemon *daemon)
{
	struct peer p;
	uint64_t incarnation;

	peer_dial(&p, daemon->url);
	incarnation = p.m.welcome->incarnation;
	peer_drop(&p);
	return incarnation;
}

/* A temporary channel goes with the last session that holds it. */
static void test_temporary_goes_with_its_holders(void **state)
{
	struct peer maker, user, looker;
	uint64_t seq;

	(void)state;
	peer_dial(&maker, d.url);
	peer_dial(&user, d.url);
	make_temporary(&maker, "temporary");
	peer_opened(&user, "temporary", CHAN_RECV);
	peer_drop(&maker);
	peer_dial(&looker, d.url);
	peer_opened(&looker, "temporary", CHAN_SEND);
	peer_drop(&user);
	peer_drop(&looker);
	peer_dial(&looker, d.url);
	for (int i = 0;; i++) { /* ends when the daemon has read that the others have gone */
		seq = peer_open(&looker, "temporary", CHAN_RECV);
		peer_hear(&looker);
		if (looker.m.kind == MESSAGE_FAIL)
			break;
		assert_true(i < test_patience_ms());
		usleep(1000);
		peer_drop(&looker);
		peer_dial(&looker, d.url);
	}
	assert_int_equal(looker.m.seq, seq);
	assert_int_equal(looker.m.fail.status, CHAN_ENOCHANNEL);
	peer_drop(&looker);
}

/* A named channel stays, with what is in it, when all have gone. */
static void test_named_stays(void **state)
{
	struct peer p;
	uint64_t channel, recv;

	(void)state;
	peer_dial(&p, d.url);
	channel = peer_channel(&p, "stays", CHAN_TYPE_STRING, 1);
	peer_expect_done(&p, peer_send(&p, channel, "kept"));
	peer_drop(&p);
	peer_dial(&p, d.url);
	assert_int_equal(peer_opened(&p, "stays", CHAN_RECV), channel);
	recv = peer_recv(&p, channel);
	peer_taken(&p, peer_expect_deliver(&p, recv, "kept"));
	peer_drop(&p);
}

/* Request and reply: an unnamed channel travels as a value, and the answer comes back over it. */
static void test_reply_channel(void **state)
{
	struct peer client, server;
	uint64_t incarnation = incarnation_of(&d), requests, reply, got, recv;

	(void)state;
	peer_dial(&client, d.url);
	peer_dial(&server, d.tcp_url);
	requests = peer_channel(&server, "requests", CHAN_TYPE_CHAN, 1);
	peer_opened(&client, "requests", CHAN_SEND);
	reply = peer_channel(&client, "", CHAN_TYPE_STRING, 0);
	peer_expect_done(&client, send_end(&client, requests, incarnation, reply, CHAN_SEND));

	recv = peer_recv(&server, requests);
	peer_expect(&server, MESSAGE_DELIVER);
	assert_int_equal(server.m.seq, recv);
	got = heard_end(&server);
	assert_int_equal(got, reply);
	peer_taken(&server, server.m.deliver.delivery);
	recv = peer_recv(&client, reply);
	uint64_t send = peer_send(&server, got, "answer");
	peer_taken(&client, peer_expect_deliver(&client, recv, "answer"));
	peer_expect_done(&server, send);

	/* The end that travelled is for sending only. */
	peer_expect_fail(&server, peer_recv(&server, got), CHAN_EWRONGEND);
	peer_drop(&client);
	peer_drop(&server);
}

/* Who waits on a reply channel is told when the server that held the other end has died. */
static void test_server_dies(void **state)
{
	struct peer client, server;
	uint64_t incarnation = incarnation_of(&d), requests, reply, recv;

	(void)state;
	peer_dial(&client, d.url);
	peer_dial(&server, d.url);
	requests = peer_channel(&server, "mortal", CHAN_TYPE_CHAN, 1);
	peer_opened(&client, "mortal", CHAN_SEND);
	reply = peer_channel(&client, "", CHAN_TYPE_STRING, 0);
	peer_expect_done(&client, send_end(&client, requests, incarnation, reply, CHAN_SEND));
	recv = peer_recv(&server, requests);
	peer_expect(&server, MESSAGE_DELIVER);
	assert_int_equal(server.m.seq, recv);
	peer_taken(&server, server.m.deliver.delivery);
	recv = peer_recv(&client, reply);
	peer_expect_quiet(&client);
	peer_drop(&server);
	peer_expect_fail(&client, recv, CHAN_EABORTED);
	peer_drop(&client);
}

/* An id of an earlier incarnation of the channel is stale, and never means the new one. */
static void test_stale(void **state)
{
	struct message m = {.kind = MESSAGE_REMOVE};
	uint64_t old, new, recv;
	struct peer p;

	(void)state;
	peer_dial(&p, d.url);
	old = peer_channel(&p, "phoenix", CHAN_TYPE_STRING, 0);
	recv = peer_recv(&p, old);
	m.seq = ++p.seq;
	m.channel_ref.name = "phoenix";
	peer_say(&p, &m);
	assert_int_equal(peer_expect_outcome(&p, recv), CHAN_EREMOVED);
	assert_int_equal(peer_expect_outcome(&p, m.seq), 0);
	new = peer_channel(&p, "phoenix", CHAN_TYPE_STRING, 0);
	assert_int_not_equal(old, new);
	peer_expect_fail(&p, peer_send(&p, old, "x"), CHAN_ESTALE);
	peer_drop(&p);
}

/* BYE ends a session in order: what is out goes back, and the stream ends. */
static void test_bye(void **state)
{
	struct message bye = {.kind = MESSAGE_BYE};
	struct peer p, q;
	uint64_t channel, recv;

	(void)state;
	peer_dial(&p, d.url);
	peer_dial(&q, d.url);
	channel = peer_channel(&p, "bye", CHAN_TYPE_STRING, 1);
	peer_opened(&q, "bye", CHAN_RECV);
	peer_expect_done(&p, peer_send(&p, channel, "v"));
	recv = peer_recv(&p, channel);
	peer_expect_deliver(&p, recv, "v");
	peer_say(&p, &bye);
	peer_expect_end(&p);
	recv = peer_recv(&q, channel);
	peer_taken(&q, peer_expect_redeliver(&q, recv, "v", 2));
	peer_drop(&p);
	peer_drop(&q);
}

/* A client that shuts its sending side down after its last operation still gets the answers. */
static void test_half_close(void **state)
{
	struct peer p;
	uint64_t channel, send;

	(void)state;
	peer_dial(&p, d.tcp_url);
	channel = peer_channel(&p, "half", CHAN_TYPE_STRING, 1);
	send = peer_send(&p, channel, "last");
	peer_shut_sending(&p);
	peer_expect_done(&p, send);
	peer_expect_end(&p);
	peer_drop(&p);
}

/* What it asked to receive is withdrawn, and what was out to it goes back; its sends go on, as long
 * as they take. */
static void half_close(const char *url)
{
	struct peer p, q;
	uint64_t channel, other, send, recv, out, theirs;

	peer_dial(&p, url);
	peer_dial(&q, d.url);
	channel = peer_channel(&p, "half-in", CHAN_TYPE_STRING, 0);
	other = peer_channel(&p, "half-out", CHAN_TYPE_STRING, 1);
	peer_opened(&q, "half-in", CHAN_BOTH);
	peer_opened(&q, "half-out", CHAN_BOTH);
	out = peer_recv(&p, other);
	peer_expect_done(&q, peer_send(&q, other, "v"));
	peer_expect_deliver(&p, out, "v");
	recv = peer_recv(&p, other);
	send = peer_send(&p, channel, "last");
	peer_shut_sending(&p);
	peer_expect_fail(&p, recv, CHAN_ECANCELED);
	peer_expect(&p, MESSAGE_GONE);
	theirs = peer_recv(&q, other);
	peer_taken(&q, peer_expect_redeliver(&q, theirs, "v", 2));
	theirs = peer_recv(&q, channel);
	peer_taken(&q, peer_expect_deliver(&q, theirs, "last"));
	peer_expect_done(&p, send);
	peer_expect_end(&p);
	peer_drop(&p);
	peer_drop(&q);
}

static void test_half_close_of_a_receiver(void **state)
{
	(void)state;
	half_close(d.url);
	half_close(d.tcp_url);
}

/* A sender that is gone altogether, and not only silent, takes its waiting sends along; whether it
 * was half closed before or not. */
static void lose_a_sender(const char *url, bool half)
{
	struct peer p, q;
	uint64_t channel;

	peer_dial(&p, url);
	peer_dial(&q, d.url);
	channel = peer_channel(&p, "gone", CHAN_TYPE_STRING, 0);
	peer_opened(&q, "gone", CHAN_BOTH);
	peer_send(&p, channel, "v");
	peer_expect_quiet(&p);
	if (half)
		peer_shut_sending(&p);
	peer_drop(&p);
	do
		peer_stat(&q, channel);
	while (q.m.stats.channels[0].senders_waiting);
	peer_drop(&q);
}

static void test_lost_sender(void **state)
{
	(void)state;
	lose_a_sender(d.url, false);
	lose_a_sender(d.url, true);
	lose_a_sender(d.tcp_url, false);
	lose_a_sender(d.tcp_url, true);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/* Asks for something whose answer comes and is not read, so that the end of the connection is an
 * error to the broker. */
static void leave_an_answer_unread(struct peer *p)
{
	struct pollfd pfd = {.fd = p->fd, .events = POLLIN};

	peer_say(p, &(struct message){.kind = MESSAGE_PING, .ping = {.nonce = 1}});
	assert_int_equal(poll(&pfd, 1, test_patience_ms()), 1);
}

/* The broker finds the last bytes of a receiver and an error together. Returns how long it takes to
 * notice, since it has read the one and has nothing to write that would meet the other. */
static int64_t error_is_noticed_ms(void)
{
	struct peer p, q;
	uint64_t channel;
	int64_t began_ms;

	peer_dial(&p, d.url);
	peer_dial(&q, d.url);
	channel = peer_channel(&p, "last-bytes", CHAN_TYPE_STRING, 0);
	peer_opened(&q, "last-bytes", CHAN_BOTH);
	leave_an_answer_unread(&p);
	assert_int_equal(kill(d.pid, SIGSTOP), 0);
	peer_recv(&p, channel);
	peer_drop(&p);
	assert_int_equal(kill(d.pid, SIGCONT), 0);
	began_ms = now_ms();
	do
		peer_stat(&q, channel);
	while (q.m.stats.channels[0].receivers_waiting);
	peer_drop(&q);
	return now_ms() - began_ms;
}

/* It notices before it says PING to the receiver, which is after 5 s. Where it did not it would do so
 * each time; a machine that stands still in between does so once. */
static void test_an_error_behind_the_last_bytes(void **state)
{
	enum { NOTICED_MS = 4000, TRIES = 4 };
	int64_t least_ms = INT64_MAX;

	(void)state;
	for (int i = 0; i < TRIES && least_ms > NOTICED_MS; i++) {
		int64_t ms = error_is_noticed_ms();

		least_ms = ms < least_ms ? ms : least_ms;
	}
	assert_in_range(least_ms, 0, NOTICED_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_temporary_goes_with_its_holders),
		cmocka_unit_test(test_named_stays),
		cmocka_unit_test(test_reply_channel),
		cmocka_unit_test(test_server_dies),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_bye),
		cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_half_close_of_a_receiver),
		cmocka_unit_test(test_lost_sender),
		cmocka_unit_test(test_an_error_behind_the_last_bytes),
	};

	test_time_limit();
	return cmocka_run_group_tests_name("lifetime", tests, setup, teardown);
}
