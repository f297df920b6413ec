/* test_pieces.c - payloads over one frame: both ways, interleaved, refused, withdrawn. */
#include "tests/support/daemon.h"
#include "tests/support/peer.h"

#include "proto/limits.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LARGE_BYTES (300u * 1024u)
#define PIECE_BYTES 65536u

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

/* A payload of one value, whose bytes depend on its seed. */
static struct buf payload_of(size_t n, unsigned int seed)
{
	struct buf b = {0};

	assert_int_equal(wire_value_put_prefix(&b, n, 1, 0), 0);
	assert_int_equal(buf_reserve(&b, n), 0);
	for (size_t i = 0; i < n; i++)
		b.bytes[b.end++] = (uint8_t)(i * 7 + i / 251 + seed);
	return b;
}

/* The first frame of a SEND of that payload, with its first n bytes. */
static uint64_t begin_send(struct peer *p, uint64_t channel, struct buf *payload, size_t n)
{
	struct message m = {.kind = MESSAGE_SEND, .seq = ++p->seq};

	m.send.channel = channel;
	m.send.count = 1;
	m.send.payload_bytes = buf_len(payload);
	peer_say_payload(p, &m, FRAME_MORE, buf_data(payload), n);
	buf_consume(payload, n);
	return m.seq;
}

/* The next piece, of n bytes or what is left. False after the last. */
static bool send_piece(struct peer *p, uint64_t seq, struct buf *payload, size_t n)
{
	struct message m = {.kind = MESSAGE_PIECE, .seq = seq};
	bool last = buf_len(payload) <= n;

	if (last)
		n = buf_len(payload);
	peer_say_payload(p, &m, last ? 0 : FRAME_MORE, buf_data(payload), n);
	buf_consume(payload, n);
	return !last;
}

static uint64_t send_large(struct peer *p, uint64_t channel, size_t n, unsigned int seed)
{
	struct buf payload = payload_of(n, seed);
	uint64_t seq = begin_send(p, channel, &payload, PIECE_BYTES);

	while (send_piece(p, seq, &payload, PIECE_BYTES))
		;
	buf_fini(&payload);
	return seq;
}

/* Collects a DELIVER that was heard (in p->m) and its pieces; asserts the value; the delivery. */
static uint64_t collect(struct peer *p, size_t n, unsigned int seed)
{
	struct buf expected = payload_of(n, seed), got = {0};
	uint64_t delivery = p->m.deliver.delivery;

	assert_int_equal(p->m.deliver.payload_bytes, buf_len(&expected));
	assert_int_equal(buf_append(&got, p->payload, p->payload_bytes), 0);
	while (p->flags & FRAME_MORE) {
		peer_expect(p, MESSAGE_PIECE);
		assert_int_equal(p->m.seq, delivery);
		assert_true(p->payload_bytes <= FRAME_PAYLOAD_BYTES_MAX);
		assert_int_equal(buf_append(&got, p->payload, p->payload_bytes), 0);
	}
	assert_int_equal(buf_len(&got), buf_len(&expected));
	assert_memory_equal(buf_data(&got), buf_data(&expected), buf_len(&got));
	buf_fini(&got);
	buf_fini(&expected);
	return delivery;
}

/* A large value arrives as it was sent, in pieces both ways. */
static void test_large_value(void **state)
{
	struct peer p;
	uint64_t channel, send;

	(void)state;
	for (size_t n = 66000; n <= VALUE_BYTES_MAX_DEFAULT; n = n < 70000 ? n + 500 : n * 4 + 1) {
		peer_dial(&p, d.url);
		channel = peer_channel(&p, "pieces", CHAN_TYPE_BYTES, 1);
		send = n + VALUE_PREFIX_BYTES > FRAME_PAYLOAD_BYTES_MAX
			       ? send_large(&p, channel, n, 1)
			       : 0;
		if (send) {
			peer_expect_done(&p, send);
			peer_recv(&p, channel);
			peer_expect(&p, MESSAGE_DELIVER);
			peer_taken(&p, collect(&p, n, 1));
		}
		peer_drop(&p);
	}
}

/* Other frames travel between the pieces of a payload, and pieces of two payloads mix. */
static void test_pieces_interleave(void **state)
{
	struct buf a = payload_of(LARGE_BYTES, 1), b = payload_of(LARGE_BYTES, 2);
	uint64_t first, second, small, channel, other;
	bool more_a = true, more_b = true;
	struct peer p;

	(void)state;
	peer_dial(&p, d.url);
	channel = peer_channel(&p, "mix", CHAN_TYPE_BYTES, 10);
	other = peer_channel(&p, "mix/other", CHAN_TYPE_STRING, 10);
	first = begin_send(&p, channel, &a, 1);
	second = begin_send(&p, channel, &b, PIECE_BYTES);
	small = peer_send(&p, other, "between");
	peer_expect_done(&p, small);
	while (more_a || more_b) {
		if (more_b)
			more_b = send_piece(&p, second, &b, 50000);
		if (more_a)
			more_a = send_piece(&p, first, &a, 30000);
	}
	/* b was complete first. */
	peer_expect_done(&p, second);
	peer_expect_done(&p, first);
	peer_recv(&p, channel);
	peer_expect(&p, MESSAGE_DELIVER);
	peer_taken(&p, collect(&p, LARGE_BYTES, 2));
	peer_recv(&p, channel);
	peer_expect(&p, MESSAGE_DELIVER);
	peer_taken(&p, collect(&p, LARGE_BYTES, 1));
	buf_fini(&a);
	buf_fini(&b);
	peer_drop(&p);
}

/* Values of one receive keep their order, also where a small one follows a large one; and a small
 * answer does not wait for all of a large value. */
static void test_order_behind_large(void **state)
{
	struct message m = {.kind = MESSAGE_RECV};
	uint64_t channel, delivery, first;
	struct peer p, q;
	struct buf got = {0};

	(void)state;
	peer_dial(&p, d.url);
	peer_dial(&q, d.url);
	channel = peer_channel(&p, "order", CHAN_TYPE_BYTES, 10);
	peer_opened(&q, "order", CHAN_RECV);
	peer_expect_done(&p, send_large(&p, channel, LARGE_BYTES, 3));
	peer_expect_done(&p, peer_send(&p, channel, "small"));
	m.seq = ++q.seq;
	m.recv.channel = channel;
	m.recv.credit = 2;
	peer_say(&q, &m);
	peer_expect(&q, MESSAGE_DELIVER);
	first = q.m.deliver.delivery;
	assert_int_equal(q.m.deliver.payload_bytes, LARGE_BYTES + VALUE_PREFIX_BYTES);

	/* Every piece of the large value comes before the last of the small one. */
	size_t bytes = q.payload_bytes;
	do {
		peer_hear(&q);
		if (q.m.kind == MESSAGE_DELIVER) {
			assert_int_equal(q.m.deliver.delivery, first + 1);
			assert_true(q.flags & FRAME_MORE);
			assert_int_equal(buf_append(&got, q.payload, q.payload_bytes), 0);
		} else {
			assert_int_equal(q.m.kind, MESSAGE_PIECE);
			assert_int_equal(q.m.seq, first);
			bytes += q.payload_bytes;
		}
	} while (bytes < LARGE_BYTES + VALUE_PREFIX_BYTES);
	assert_false(q.flags & FRAME_MORE);
	if (!buf_len(&got)) {
		peer_expect(&q, MESSAGE_DELIVER);
		assert_int_equal(buf_append(&got, q.payload, q.payload_bytes), 0);
	}
	delivery = first + 1;
	while (buf_len(&got) < VALUE_PREFIX_BYTES + 5) {
		peer_expect(&q, MESSAGE_PIECE);
		assert_int_equal(q.m.seq, delivery);
		assert_int_equal(buf_append(&got, q.payload, q.payload_bytes), 0);
	}
	assert_memory_equal(buf_data(&got) + VALUE_PREFIX_BYTES, "small", 5);
	peer_taken(&q, first);
	peer_taken(&q, delivery);
	buf_fini(&got);
	peer_drop(&p);
	peer_drop(&q);
}

/* A value over the limit is refused at its first frame, by name, and its pieces are ignored. */
static void test_too_large_is_refused_at_once(void **state)
{
	struct buf payload = payload_of(2 * VALUE_BYTES_MAX_DEFAULT, 4);
	uint64_t channel, seq;
	struct peer p;

	(void)state;
	peer_dial(&p, d.url);
	channel = peer_channel(&p, "toolarge", CHAN_TYPE_BYTES, 1);
	seq = begin_send(&p, channel, &payload, PIECE_BYTES);
	peer_expect_fail(&p, seq, CHAN_ETOOLARGE);
	assert_non_null(strstr(p.m.fail.message, "value_bytes_max"));
	while (send_piece(&p, seq, &payload, PIECE_BYTES))
		;
	peer_expect_done(&p, peer_send(&p, channel, "goes on"));
	buf_fini(&payload);
	peer_drop(&p);
}

/* A value that is a little too large, and not seen to be so by its payload, is refused, too. */
static void test_slightly_too_large(void **state)
{
	uint64_t channel;
	struct peer p;

	(void)state;
	peer_dial(&p, d.url);
	channel = peer_channel(&p, "slightly", CHAN_TYPE_BYTES, 1);
	peer_expect_fail(
		&p, send_large(&p, channel, VALUE_BYTES_MAX_DEFAULT + 1, 5), CHAN_ETOOLARGE);
	peer_expect_done(&p, send_large(&p, channel, VALUE_BYTES_MAX_DEFAULT, 5));
	peer_drop(&p);
}

/* An operation can be withdrawn while its pieces are still to come. */
static void test_cancel_between_pieces(void **state)
{
	struct buf payload = payload_of(LARGE_BYTES, 6);
	uint64_t channel, seq;
	struct peer p;

	(void)state;
	peer_dial(&p, d.url);
	channel = peer_channel(&p, "cancel", CHAN_TYPE_BYTES, 1);
	seq = begin_send(&p, channel, &payload, PIECE_BYTES);
	peer_cancel(&p, seq);
	peer_expect_fail(&p, seq, CHAN_ECANCELED);
	peer_expect_done(&p, p.seq);
	while (send_piece(&p, seq, &payload, PIECE_BYTES))
		;
	peer_stat(&p, channel);
	assert_int_equal(p.m.stats.channels[0].length, 0);
	buf_fini(&payload);
	peer_drop(&p);
}

/* A SELECT's payload may go on in pieces, whatever the number of its values. */
static void test_select_in_pieces(void **state)
{
	struct message m = {.kind = MESSAGE_SELECT};
	struct buf payload = payload_of(100000, 7), more = payload_of(100000, 8);
	struct wire_case cases[2] = {{.direction = CHAN_SEND}, {.direction = CHAN_SEND}};
	struct peer p;
	uint32_t chosen;

	(void)state;
	assert_int_equal(buf_append(&payload, buf_data(&more), buf_len(&more)), 0);
	peer_dial(&p, d.url);
	cases[0].channel = peer_channel(&p, "select/0", CHAN_TYPE_BYTES, 1);
	cases[1].channel = peer_channel(&p, "select/1", CHAN_TYPE_BYTES, 1);
	m.seq = ++p.seq;
	m.select.cases = cases;
	m.select.case_count = 2;
	m.select.payload_bytes = buf_len(&payload);
	peer_say_payload(&p, &m, FRAME_MORE, buf_data(&payload), 10);
	buf_consume(&payload, 10);
	while (send_piece(&p, m.seq, &payload, PIECE_BYTES))
		;
	peer_expect_done(&p, m.seq);
	chosen = p.m.done.case_index;
	assert_true(chosen < 2);
	peer_recv(&p, cases[chosen].channel);
	peer_expect(&p, MESSAGE_DELIVER);
	peer_taken(&p, collect(&p, 100000, 7 + chosen));
	buf_fini(&payload);
	buf_fini(&more);
	peer_drop(&p);
}

static void expect_goaway(struct peer *p, const char *words)
{
	peer_expect(p, MESSAGE_GOAWAY);
	assert_int_equal(p->m.goaway.status, CHAN_EPROTOCOL);
	if (!strstr(p->m.goaway.message, words))
		fail_msg("'%s' does not say '%s'", p->m.goaway.message, words);
	peer_expect_end(p);
	peer_drop(p);
}

/* Pieces that continue nothing, or more or less than announced, end the connection. */
static void test_wrong_pieces(void **state)
{
	struct message stray = {.kind = MESSAGE_PIECE, .seq = 5};
	struct buf payload;
	uint64_t seq, channel;
	struct peer p;

	(void)state;
	peer_dial(&p, d.url);
	peer_say_payload(&p, &stray, 0, "x", 1);
	expect_goaway(&p, "not to go on");

	peer_dial(&p, d.url);
	channel = peer_channel(&p, "wrong", CHAN_TYPE_BYTES, 1);
	payload = payload_of(LARGE_BYTES, 9);
	seq = begin_send(&p, channel, &payload, 1000);
	stray.seq = seq;
	peer_say_payload(&p, &stray, 0, "x", 1);
	expect_goaway(&p, "announced");
	buf_fini(&payload);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_large_value),
		cmocka_unit_test(test_pieces_interleave),
		cmocka_unit_test(test_order_behind_large),
		cmocka_unit_test(test_too_large_is_refused_at_once),
		cmocka_unit_test(test_slightly_too_large),
		cmocka_unit_test(test_cancel_between_pieces),
		cmocka_unit_test(test_select_in_pieces),
		cmocka_unit_test(test_wrong_pieces),
	};

	test_time_limit();
	return cmocka_run_group_tests_name("pieces", tests, setup, teardown);
}
