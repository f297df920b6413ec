/* test_session.c - frames of one session become operations: numbers, payloads, pieces. */
#include "server/broker/session.h"

#include "chan/status.h"
#include "chan/value.h"
#include "proto/limits.h"
#include "server/broker/broker.h"
#include "server/broker/connection.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What a session asks of its surroundings; there is no broker and no connection here. */
static struct broker_options options = {
	.limits = {.value_bytes_max = 200000, .bytes_in_flight_max = 300000},
};

const struct broker_options *broker_options(const struct broker *b)
{
	(void)b;
	return &options;
}

struct connection *connection_ref(struct connection *c)
{
	return c;
}

void connection_unref(struct connection *c)
{
	(void)c;
}

void broker_touch(struct broker *b, struct session *s)
{
	(void)b;
	(void)s;
}

static struct session *s;
static struct batch *b;
static char why[TEXT_BYTES_MAX];

static int setup(void **state)
{
	(void)state;
	s = session_new(NULL, NULL, 0);
	b = batch_new(s);
	return s && b ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	batch_free(b);
	session_free(s);
	batch_stock_fini();
	return 0;
}

/* The session takes the message as a frame with that payload. */
static int take(const struct message *m, uint8_t flags, const void *payload, size_t n)
{
	struct buf bytes = {0};
	struct frame f;
	int rc;

	assert_int_equal(wire_encode(&bytes, m, flags, (uint32_t)n), 0);
	if (n)
		assert_int_equal(buf_append(&bytes, payload, n), 0);
	assert_int_equal(frame_parse(buf_data(&bytes), buf_len(&bytes), &f), buf_len(&bytes));
	rc = session_frame(s, b, &f, why, sizeof(why));
	buf_fini(&bytes);
	return rc;
}

static int take_recv(uint64_t seq)
{
	struct message m = {.kind = MESSAGE_RECV, .seq = seq};

	m.recv.channel = 1;
	return take(&m, 0, NULL, 0);
}

static int take_piece(uint64_t id, const void *bytes, size_t n, bool more)
{
	struct message m = {.kind = MESSAGE_PIECE, .seq = id};

	return take(&m, more ? FRAME_MORE : 0, bytes, n);
}

static struct buf payload_of(size_t n)
{
	struct buf p = {0};

	assert_int_equal(wire_value_put_prefix(&p, n, 1, 0), 0);
	assert_int_equal(buf_reserve(&p, n), 0);
	memset(p.bytes + p.end, 'v', n);
	p.end += n;
	return p;
}

static int take_send(uint64_t seq, uint32_t count, uint64_t announced, uint8_t flags,
	const void *bytes, size_t n)
{
	struct message m = {.kind = MESSAGE_SEND, .seq = seq};

	m.send.channel = 1;
	m.send.count = count;
	m.send.payload_bytes = announced;
	return take(&m, flags, bytes, n);
}

static const struct batch_op *last(void)
{
	assert_true(b->count > 0);
	return &b->ops[b->count - 1];
}

/* Numbers rise; a SEND uses one a value; GRANT, and TAKEN without a number, use none. */
static void test_numbers(void **state)
{
	struct message grant = {.kind = MESSAGE_GRANT, .seq = 1}, taken = {.kind = MESSAGE_TAKEN};
	struct wire_range range = {1, 1};
	struct buf two = payload_of(1);

	(void)state;
	assert_int_equal(buf_append(&two, "\0\0\0\0\1w", 6), 0);
	taken.settle.deliveries = (struct wire_ranges){&range, 1};
	assert_int_equal(take_recv(1), 0);
	assert_int_equal(take_send(2, 2, 12, 0, buf_data(&two), 12), 0);
	assert_int_equal(last()->value_count, 2);
	grant.grant.credit = 1;
	assert_int_equal(take(&grant, 0, NULL, 0), 0);
	assert_int_equal(take(&taken, 0, NULL, 0), 0);
	assert_int_equal(b->count, 4);
	assert_int_equal(take_recv(3), CHAN_EPROTOCOL);
	assert_int_equal(b->count, 4);
	assert_int_equal(take_recv(4), 0);
	assert_int_equal(take_recv(100), 0);
	taken.seq = 100;
	assert_int_equal(take(&taken, 0, NULL, 0), CHAN_EPROTOCOL);
	buf_fini(&two);
}

/* The last number there is, and a range beyond it. */
static void test_numbers_end(void **state)
{
	struct buf p = payload_of(1);

	(void)state;
	assert_int_equal(take_send(UINT64_MAX, 1, 6, 0, buf_data(&p), 6), CHAN_EPROTOCOL);
	assert_int_equal(take_send(UINT64_MAX - 1, 1, 6, 0, buf_data(&p), 6), 0);
	buf_fini(&p);
}

/* An operation in pieces arrives with the last; others that began later come before it. */
static void test_pieces(void **state)
{
	struct buf p = payload_of(100000);

	(void)state;
	assert_int_equal(take_send(1, 1, buf_len(&p), FRAME_MORE, buf_data(&p), 3), 0);
	assert_int_equal(b->count, 0);
	assert_int_equal(take_recv(2), 0);
	assert_int_equal(take_piece(1, buf_data(&p) + 3, 60000, true), 0);
	assert_int_equal(b->count, 1);
	assert_int_equal(take_piece(1, buf_data(&p) + 60003, buf_len(&p) - 60003, false), 0);
	assert_int_equal(b->count, 2);
	assert_int_equal(last()->m.kind, MESSAGE_SEND);
	assert_int_equal(last()->m.seq, 1);
	assert_int_equal(last()->value_count, 1);
	assert_int_equal(b->values[last()->value_first]->len, 100000);
	assert_int_equal(s->assemblies->count, 0);
	assert_int_equal(s->assemblies->bytes, 0);
	buf_fini(&p);
}

/* A deadline runs from the first frame, and does not become "none" by running out. */
static void test_deadline_of_pieces(void **state)
{
	struct message m = {.kind = MESSAGE_SEND, .seq = 1};
	struct buf p = payload_of(10);

	(void)state;
	m.send.channel = m.send.count = 1;
	m.send.payload_bytes = buf_len(&p);
	m.send.timeout_ns = 1;
	assert_int_equal(take(&m, FRAME_MORE, buf_data(&p), 1), 0);
	assert_int_equal(take_piece(1, buf_data(&p) + 1, buf_len(&p) - 1, false), 0);
	assert_int_equal(last()->m.send.timeout_ns, 1);
	buf_fini(&p);
}

static void assert_refused(uint64_t seq, int status, const char *words)
{
	assert_int_equal(last()->m.kind, MESSAGE_FAIL);
	assert_int_equal(last()->m.seq, seq);
	assert_int_equal(last()->m.fail.status, status);
	assert_non_null(strstr(last()->m.fail.message, words));
}

/* What would exceed a bound is refused at its first frame; the pieces that still come are ignored,
 * to the last; the bound counts what is arriving. */
static void test_bounds(void **state)
{
	struct buf p = payload_of(190000);

	(void)state;
	assert_int_equal(take_send(1, 1, 999999, FRAME_MORE, buf_data(&p), 5), 0);
	assert_refused(1, CHAN_ETOOLARGE, "value_bytes_max");
	assert_int_equal(take_send(2, 1, buf_len(&p), FRAME_MORE, buf_data(&p), 5), 0);
	assert_int_equal(take_send(3, 1, buf_len(&p), FRAME_MORE, buf_data(&p), 5), 0);
	assert_refused(3, CHAN_ELIMIT, "bytes_in_flight_max");
	assert_int_equal(b->count, 2);
	assert_int_equal(take_piece(1, "x", 1, true), 0);
	assert_int_equal(take_piece(3, "x", 1, false), 0);
	assert_int_equal(take_piece(1, "x", 1, false), 0);
	assert_int_equal(b->count, 2);
	assert_int_equal(s->assemblies->count, 1);
	assert_int_equal(take_piece(1, "x", 1, true), CHAN_EPROTOCOL);
	buf_fini(&p);
}

/* CANCEL of what has not arrived whole: its FAIL comes first, the CANCEL is left to the engine. */
static void test_cancel_of_pieces(void **state)
{
	struct message m = {.kind = MESSAGE_CANCEL, .seq = 2};
	struct buf p = payload_of(1000);

	(void)state;
	assert_int_equal(take_send(1, 1, buf_len(&p), FRAME_MORE, buf_data(&p), 5), 0);
	m.cancel.target = 1;
	assert_int_equal(take(&m, 0, NULL, 0), 0);
	assert_int_equal(b->count, 2);
	assert_int_equal(b->ops[0].m.kind, MESSAGE_FAIL);
	assert_int_equal(b->ops[0].m.fail.status, CHAN_ECANCELED);
	assert_int_equal(b->ops[1].m.kind, MESSAGE_CANCEL);
	assert_int_equal(take_piece(1, buf_data(&p) + 5, buf_len(&p) - 5, false), 0);
	assert_int_equal(b->count, 2);
	assert_int_equal(s->assemblies->bytes, 0);
	buf_fini(&p);
}

/* A SELECT in pieces keeps its cases, though its header's memory is used again. */
static void test_select_in_pieces(void **state)
{
	struct wire_case cases[] = {
		{.channel = 7, .direction = CHAN_SEND}, {.channel = 8, .direction = CHAN_RECV}};
	struct message m = {.kind = MESSAGE_SELECT, .seq = 1};
	struct buf p = payload_of(1000);

	(void)state;
	m.select.cases = cases;
	m.select.case_count = 2;
	m.select.payload_bytes = buf_len(&p);
	assert_int_equal(take(&m, FRAME_MORE, buf_data(&p), 5), 0);
	wire_scratch_reset(b->scratch);
	for (uint64_t seq = 2; seq < 50; seq++)
		assert_int_equal(take_recv(seq), 0);
	assert_int_equal(take_piece(1, buf_data(&p) + 5, buf_len(&p) - 5, false), 0);
	assert_int_equal(last()->m.select.case_count, 2);
	assert_int_equal(last()->m.select.cases[1].channel, 8);
	assert_int_equal(last()->value_count, 1);
	buf_fini(&p);
}

/* What cannot be: payloads that are not what they announce, and pieces where there are none. */
static void test_breaches(void **state)
{
	struct message recv = {.kind = MESSAGE_RECV, .seq = 1};
	struct buf p = payload_of(10);

	(void)state;
	assert_int_equal(take_send(1, 2, 15, 0, buf_data(&p), 15), CHAN_EPROTOCOL);
	assert_int_equal(take_send(2, 1, 14, 0, buf_data(&p), 15), CHAN_EPROTOCOL);
	assert_int_equal(take_send(3, 0, 0, 0, NULL, 0), CHAN_EPROTOCOL);
	assert_int_equal(
		take_send(4, BATCH_VALUES_MAX + 1, 15, 0, buf_data(&p), 15), CHAN_EPROTOCOL);
	assert_int_equal(take_send(5, 2, 99, FRAME_MORE, buf_data(&p), 15), CHAN_EPROTOCOL);
	assert_int_equal(take_send(6, 1, 5, FRAME_MORE, buf_data(&p), 15), CHAN_EPROTOCOL);
	recv.seq = 7;
	assert_int_equal(take(&recv, 0, "x", 1), CHAN_EPROTOCOL);
	recv.seq = 8;
	assert_int_equal(take(&recv, FRAME_MORE, NULL, 0), CHAN_EPROTOCOL);
	assert_int_equal(take_piece(6, "x", 1, false), CHAN_EPROTOCOL);
	assert_int_equal(b->count, 0);
	buf_fini(&p);
}

/* The number of payloads that arrive at once is bounded. */
static void test_assemblies_max(void **state)
{
	struct buf p = payload_of(10);

	(void)state;
	for (uint64_t i = 1; i <= ASSEMBLIES_MAX; i++)
		assert_int_equal(take_send(i, 1, buf_len(&p), FRAME_MORE, buf_data(&p), 1), 0);
	assert_int_equal(take_send(ASSEMBLIES_MAX + 1, 1, buf_len(&p), FRAME_MORE, buf_data(&p), 1),
		CHAN_ELIMIT);
	buf_fini(&p);
}

/* Refusals of thousands of small operations stay small, and say at least which status it is. */
static void test_many_refusals_get_short(void **state)
{
	char text[TEXT_BYTES_MAX];
	struct message m = {.kind = MESSAGE_FAIL};

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	m.fail.status = CHAN_ECLOSED;
	m.fail.message = m.fail.reason = text;
	m.fail.closed_by = m.fail.redirect_url = "";
	for (m.seq = 1; m.seq <= 10000; m.seq++)
		session_answer(s, &m, NULL, NULL, 0);
	assert_in_range(
		s->answers->bytes, WORDY_ANSWERS_BYTES_MAX, WORDY_ANSWERS_BYTES_MAX + 10000 * 128);
	assert_false(s->failed);
	assert_int_equal(s->answers->entry_count, 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_numbers_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline_of_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel_of_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_select_in_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_breaches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_assemblies_max, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_refusals_get_short, setup, teardown),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
