/*
 * fuzz_session.c - what clients may send, from the bytes of their frames through their sessions and
 * the engine to the bytes of the answers. Only sockets and goroutines are missing.
 *
 * Input: before each frame a byte that says whose it is and what happens before it (time passes, a
 * silent client loses its deliveries, one leaves); the first that is no frame ends the input. The
 * limits are small, so that all of them are met. Whatever comes, the engine stays whole, nobody is
 * answered what he did not ask, and all that is answered are frames that a client can read.
 */
#include "chan/status.h"
#include "chan/value.h"
#include "proto/limits.h"
#include "server/broker/broker.h"
#include "server/broker/connection.h"
#include "server/broker/engine.h"
#include "server/broker/session.h"
#include "server/broker/writer.h"
#include "tests/fuzz/fuzz.h"

#define CLIENTS 3

static struct broker_options options = {
	.limits =
		{
			.channels_max = 12,
			.capacity_max = 1000,
			.value_bytes_max = 70000,
			.buffered_bytes_max = 400000,
			.ops_in_flight_max = 40,
			.bytes_in_flight_max = 200000,
			.ends_max = 8,
		},
};

static struct client {
	struct session *session;
	uint64_t delivered; /* the highest delivery number so far */
	struct writer writer;
	struct writer_todo todo; /* of the writer */
} clients[CLIENTS];

static struct engine *engine;
static struct wire_scratch *scratch;
static int64_t now_ns;
static enum memory_level memory;

/* ---- what a session asks of its surroundings ---------------------------------------------- */

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

/* ---- answers ------------------------------------------------------------------------------ */

static void check_answered_number(const struct client *c, const struct message *m)
{
	uint64_t n = 1;

	if (m->kind == MESSAGE_DONE)
		n = m->done.count;
	else if (m->kind == MESSAGE_FAIL)
		n = m->fail.count;
	fuzz_require(n >= 1 && m->seq >= 1 && m->seq - 1 + n <= c->session->last_seq);
}

static void check_values(const struct message *m, const struct frame *f)
{
	const uint8_t *at = f->payload;
	size_t left = f->payload_bytes;
	struct wire_value v;
	uint32_t n = 0;

	if (f->flags & FRAME_MORE)
		return;
	fuzz_require(m->deliver.payload_bytes == f->payload_bytes);
	while (wire_value_next(&at, &left, &v) > 0)
		n++;
	fuzz_require(left == 0 && n == m->deliver.count);
}

static void check_frame(struct client *c, const struct frame *f)
{
	struct message m;

	wire_scratch_reset(scratch);
	fuzz_require(wire_decode(f, scratch, &m) == 0);
	fuzz_require(message_kind_allowed(m.kind, false));
	if (m.kind == MESSAGE_GONE || m.kind == MESSAGE_PIECE)
		return;
	check_answered_number(c, &m);
	if (m.kind != MESSAGE_DELIVER)
		return;
	fuzz_require(m.deliver.delivery > c->delivered);
	c->delivered = m.deliver.delivery + m.deliver.count - 1;
	check_values(&m, f);
}

static void check_round(struct client *c, int n)
{
	struct buf bytes = {0};
	struct frame f;
	long taken;

	for (int i = 0; i < n; i++)
		fuzz_require(buf_append(&bytes, c->writer.iov[i].iov_base,
				     c->writer.iov[i].iov_len) == 0);
	while ((taken = frame_parse(buf_data(&bytes), buf_len(&bytes), &f)) > 0) {
		check_frame(c, &f);
		buf_consume(&bytes, (size_t)taken);
	}
	fuzz_require(buf_len(&bytes) == 0);
	buf_fini(&bytes);
}

/* Writes what everybody was answered since the last time. */
static void flush(void)
{
	int n;

	for (struct client *c = clients; c < clients + CLIENTS; c++) {
		if (!c->session || !c->session->answers)
			continue;
		writer_todo_add(&c->todo, c->session->answers);
		c->session->answers = NULL;
		while ((n = writer_fill(&c->writer)) > 0) {
			check_round(c, n);
			writer_written(&c->writer);
		}
		fuzz_require(n == 0 && writer_idle(&c->writer));
	}
}

static void answer(struct party *to, const struct message *m, struct value *const *values,
	const uint32_t *attempts, size_t n)
{
	session_answer(party_owner(to), m, values, attempts, n);
}

/* ---- clients ------------------------------------------------------------------------------ */

static void arrive(struct client *c)
{
	struct wire_speaker speaker = {"host", "program", "", "", 7};

	c->session = session_new(NULL, NULL, 0);
	fuzz_require(c->session);
	c->session->party = engine_party_new(engine, c->session, &speaker);
	fuzz_require(c->session->party);
	c->delivered = 0;
	c->todo = (struct writer_todo){0};
	writer_init(&c->writer, &c->todo);
}

static void leave(struct client *c)
{
	engine_party_end(engine, c->session->party, now_ns);
	flush();
	session_free(c->session);
	c->session = NULL;
	writer_fini(&c->writer);
	writer_todo_fini(&c->todo);
}

static void start_anew(struct client *c)
{
	leave(c);
	arrive(c);
}

/* The broker's half of an operation, as in broker.c. 0 or why the session must end. */
static int apply(struct client *c, struct batch *b, struct batch_op *op)
{
	int rc;

	if (op->what == BATCH_ANSWER) {
		session_answer(c->session, &op->m, NULL, NULL, 0);
		return 0;
	}
	rc = engine_apply(engine, c->session->party, &op->m, b->values + op->value_first,
		op->value_count, now_ns);
	for (size_t i = 0; i < op->value_count; i++)
		b->values[op->value_first + i] = NULL;
	return rc;
}

static void take_frame(struct client *c, const struct frame *f)
{
	struct batch *b = batch_new(c->session);
	char why[TEXT_BYTES_MAX] = "";
	int rc;

	fuzz_require(b);
	rc = session_frame(c->session, b, f, why, sizeof(why));
	fuzz_require(rc == 0 || *why);
	for (size_t i = 0; i < b->count && rc == 0; i++)
		rc = apply(c, b, &b->ops[i]);
	batch_free(b);
	flush();
	if (rc < 0)
		start_anew(c);
}

/* ---- the input ---------------------------------------------------------------------------- */

/* What may happen before a frame, by the higher bits of its first byte. */
enum event {
	NOTHING_HAPPENS,
	TIME_PASSES,
	MUCH_TIME_PASSES,
	IS_SILENT,
	LEAVES,
	MEMORY_CHANGES,
	EVENTS
};

static void happen(struct client *c, enum event event)
{
	switch (event) {
	case TIME_PASSES:
		engine_expire(engine, now_ns += 1000);
		break;
	case MUCH_TIME_PASSES:
		engine_expire(engine, now_ns += 1000000000);
		break;
	case IS_SILENT:
		engine_party_revoke(engine, c->session->party, now_ns);
		break;
	case LEAVES:
		start_anew(c);
		break;
	case MEMORY_CHANGES:
		memory = (memory + 1) % (MEMORY_FULL + 1);
		engine_set_memory(engine, memory, 4096);
		break;
	default:
		break;
	}
	flush();
}

static bool is_operation(const struct frame *f)
{
	return message_kind_allowed(f->kind, true) && f->kind != MESSAGE_HELLO &&
	       f->kind != MESSAGE_BYE && f->kind != MESSAGE_PING && f->kind != MESSAGE_PONG;
}

static void play(const uint8_t *bytes, size_t n)
{
	struct client *c;
	struct frame f;
	uint8_t first;
	long taken;

	while (n > 0) {
		first = fuzz_byte(&bytes, &n);
		c = &clients[first % CLIENTS];
		happen(c, first / CLIENTS % EVENTS);
		taken = frame_parse(bytes, n, &f);
		if (taken <= 0)
			return;
		if (is_operation(&f))
			take_frame(c, &f);
		engine_check(engine);
		fuzz_require(
			engine_values_buffered(engine) <= options.limits.buffered_bytes_max / 64);
		bytes += taken;
		n -= (size_t)taken;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct engine_options engine_options = {
		.limits = options.limits, .incarnation = 7, .seed = n, .answer = answer};

	engine = engine_new(&engine_options);
	scratch = wire_scratch_new();
	fuzz_require(engine && scratch);
	now_ns = 1;
	memory = MEMORY_FREE;
	for (int i = 0; i < CLIENTS; i++)
		arrive(&clients[i]);
	play(bytes, n);
	engine_shutdown(engine, now_ns);
	flush();
	for (int i = 0; i < CLIENTS; i++)
		leave(&clients[i]);
	engine_free(engine);
	wire_scratch_free(scratch);
	batch_stock_fini();
	return 0;
}
