/*
 * emit.c - operations become frames: one emitter a kind.
 *
 * Numbers rise on the wire: an operation gets its numbers when its frame is made, not when it is
 * started. And where the broker may refuse one value for a reason that does not hold for the next
 * (a deadline, a try, a channel that died as a value), an operation's next frame waits until the
 * one before is answered, so that nothing is sent behind what was not. So it does on an unbuffered
 * channel, where the broker offers the values of one frame one after another and each frame by
 * itself; and no other operation's value joins a frame there, or it would wait for those before it.
 *
 * Half of the broker's limit of operations is left unused, so that each can still be withdrawn.
 */
#include "client/emit.h"
#include "client/client.h"
#include "proto/endian.h"
#include "proto/limits.h"
#include <stdlib.h>

/* ---- frames ------------------------------------------------------------------------------- */

bool frame_counts(enum message_kind kind)
{
	return kind != MESSAGE_HELLO && kind != MESSAGE_WELCOME && kind != MESSAGE_PING &&
	       kind != MESSAGE_PONG && kind != MESSAGE_SEEN && kind != MESSAGE_GOAWAY &&
	       kind != MESSAGE_RING_ASK && kind != MESSAGE_RING_OFFER &&
	       kind != MESSAGE_RING_BEGIN && kind != MESSAGE_RING_DECLINE;
}

int frame_put(
	struct session *s, const struct message *m, uint8_t flags, const void *payload, size_t n)
{
	size_t before = buf_len(&s->out);
	int rc = wire_encode(&s->out, m, flags, (uint32_t)n);

	if (rc == 0 && n > 0)
		rc = buf_append(&s->out, payload, n);
	if (rc < 0)
		s->out.end = s->out.start + before;
	else
		s->frames_sent++;
	return rc;
}

void batch_seal(struct session *s)
{
	struct batch *b = &s->batch;

	if (b->count == 0)
		return;
	b->m.send.count = b->count;
	b->m.send.payload_bytes = buf_len(&b->payload);
	if (frame_put(s, &b->m, 0, buf_data(&b->payload), buf_len(&b->payload)) < 0)
		s->doomed = CHAN_ENOMEM;
	s->riding = b->m.send.ride;
	buf_consume(&b->payload, buf_len(&b->payload));
	b->count = 0;
}

int session_put(struct session *s, const struct message *m)
{
	if (!frame_counts(m->kind))
		return wire_encode(&s->control, m, 0, 0);
	batch_seal(s);
	return frame_put(s, m, 0, NULL, 0);
}

/* ---- parts that all kinds share ----------------------------------------------------------- */

/* What remains of the time; 0: no deadline. One that has passed goes as the shortest there is, as
 * it is the broker that says what came first. */
static uint64_t remaining_ns(const struct chan_op *op)
{
	int64_t left_ns;

	if (op->deadline_ns == DEADLINE_NONE)
		return 0;
	left_ns = op->deadline_ns - clock_now_ns();
	return left_ns > 0 ? (uint64_t)left_ns : 1;
}

static void set_waiting(struct chan_op *op)
{
	struct message *m = &op->m;

	switch (m->kind) {
	case MESSAGE_SEND:
		m->send.try = op->try;
		m->send.timeout_ns = remaining_ns(op);
		m->send.participant = op->participant;
		break;
	case MESSAGE_RECV:
		m->recv.try = op->try;
		m->recv.timeout_ns = remaining_ns(op);
		m->recv.participant = op->participant;
		break;
	case MESSAGE_SELECT:
		m->select.try = op->try;
		m->select.timeout_ns = remaining_ns(op);
		m->select.participant = op->participant;
		break;
	case MESSAGE_OPEN:
		m->open.timeout_ns = remaining_ns(op);
		m->open.participant = op->participant;
		break;
	case MESSAGE_MAKE:
		m->make.participant = op->participant;
		break;
	case MESSAGE_CLOSE:
		m->close.participant = op->participant;
		break;
	default:
		break;
	}
}

static bool within_limits(const struct session *s, const struct chan_op *op, size_t bytes)
{
	if (!op_is_internal(op) && s->ops_in_flight >= s->limits.ops_in_flight / 2)
		return false;
	return bytes == 0 || s->bytes_in_flight == 0 ||
	       s->bytes_in_flight + bytes <= s->limits.bytes_in_flight;
}

static void count_numbers(struct session *s, struct chan_op *op, uint32_t n, size_t bytes)
{
	s->seq += n;
	s->ops_in_flight += n;
	s->bytes_in_flight += bytes;
	op->sent += n;
}

/* Numbers for n values more of op that go in one frame. NULL: out of memory. */
static struct flight_run *take_numbers(
	struct session *s, struct chan_op *op, uint32_t n, size_t bytes)
{
	struct flight_run *run = flight_add(&s->flight, s->seq + 1, n, op);

	if (!run)
		return NULL;
	run->base = op->sent;
	run->bytes = (uint32_t)bytes;
	count_numbers(s, op, n, bytes);
	return run;
}

static void give_back_numbers(struct session *s, struct chan_op *op, struct flight_run *run)
{
	s->ops_in_flight -= run->count;
	s->bytes_in_flight -= run->bytes;
	op->sent -= run->count;
	flight_remove(&s->flight, run);
}

int emit_frame(struct session *s, struct chan_op *op, uint8_t flags, const void *payload, size_t n,
	size_t counted_bytes)
{
	struct flight_run *run;
	int rc;

	batch_seal(s);
	run = take_numbers(s, op, 1, counted_bytes);
	if (!run)
		return CHAN_ENOMEM;
	op->m.seq = run->seq;
	set_waiting(op);
	rc = frame_put(s, &op->m, flags, payload, n);
	if (rc < 0)
		give_back_numbers(s, op, run);
	else if (op->m.kind != MESSAGE_RECV && op->m.kind != MESSAGE_SELECT)
		s->riding = false; /* it asks */
	return rc;
}

/* ---- one emitter a kind ------------------------------------------------------------------- */

static int emit_plain(struct session *s, struct chan_op *op)
{
	int rc;

	if (!within_limits(s, op, 0))
		return EMIT_HELD;
	rc = emit_frame(s, op, 0, NULL, 0, 0);
	return rc < 0 ? rc : EMIT_SENT;
}

static int emit_select(struct session *s, struct chan_op *op)
{
	size_t n = buf_len(&op->payload);
	int rc;

	if (!within_limits(s, op, n))
		return EMIT_HELD;
	op->m.select.payload_bytes = n;
	if (n > s->limits.frame_payload_bytes)
		rc = transfer_begin(s, op, n);
	else
		rc = emit_frame(s, op, 0, buf_data(&op->payload), n, n);
	return rc < 0 ? rc : EMIT_SENT;
}

uint32_t session_settle_frames(size_t ranges)
{
	return (uint32_t)((ranges + RANGES_PER_FRAME - 1) / RANGES_PER_FRAME);
}

/* TAKEN, RETURN, ACK, NACK and EXTEND: as many frames as the ranges need. */
static int emit_settle(struct session *s, struct chan_op *op)
{
	size_t at, n;
	int rc;

	if (!within_limits(s, op, 0))
		return EMIT_HELD;
	for (at = 0; at < op->range_count; at += n) {
		n = op->range_count - at < RANGES_PER_FRAME ? op->range_count - at
							    : RANGES_PER_FRAME;
		op->m.settle.deliveries = (struct wire_ranges){op->ranges + at, n};
		rc = emit_frame(s, op, 0, NULL, 0, 0);
		if (rc < 0)
			return rc;
	}
	return EMIT_SENT;
}

static int emit_ping(struct session *s, struct chan_op *op)
{
	struct message m = {.kind = MESSAGE_PING};
	int rc;

	op->asked_ns = clock_now_ns();
	m.ping.nonce = (uint64_t)op->asked_ns;
	m.ping.frames_received = s->frames_received;
	rc = session_put(s, &m);
	if (rc < 0)
		return rc;
	session_note_asked(s, op->asked_ns);
	return EMIT_SENT;
}

/* See the top. */
static bool frame_by_frame(const struct chan_op *op)
{
	enum chan_type type = op->chan->type;

	return op->try || op->deadline_ns != DEADLINE_NONE || op->chan->capacity == 0 ||
	       type == CHAN_TYPE_CHAN || type == CHAN_TYPE_ANY;
}

/* Whether a value may go into the frame that is gathering. Of different operations only such
 * that the same thread started, for ps, and that the broker treats alike. */
static bool batch_takes(const struct session *s, const struct chan_op *op, size_t bytes)
{
	const struct batch *b = &s->batch;
	const struct flight_run *last;

	if (b->count == 0 || b->count >= s->limits.batch_values ||
		b->m.send.channel != op->chan->id ||
		buf_len(&b->payload) + bytes > s->limits.frame_payload_bytes)
		return false;
	last = &s->flight.runs[s->flight.end - 1];
	if (last->op == op)
		return true;
	return !frame_by_frame(op) && !b->m.send.try && b->m.send.timeout_ns == 0 &&
	       b->m.send.participant == op->participant;
}

static void batch_begin(struct session *s, struct chan_op *op)
{
	struct message *m = &s->batch.m;

	batch_seal(s);
	op->m.seq = s->seq + 1;
	set_waiting(op);
	m->kind = MESSAGE_SEND;
	m->seq = op->m.seq;
	m->send = op->m.send;
}

/* Some of the first values of op->payload. */
struct lot {
	uint32_t count;
	size_t bytes;
};

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* As many of the next values as go with the first, which does, into the frame that is gathering. */
static struct lot take_lot(const struct session *s, const struct chan_op *op, size_t first_bytes)
{
	const struct batch *b = &s->batch;
	const uint8_t *at = buf_data(&op->payload) + 1;
	uint32_t max = least(op->count - op->sent, s->limits.batch_values - b->count);
	size_t room = s->limits.frame_payload_bytes - buf_len(&b->payload);
	size_t unused = s->limits.bytes_in_flight > s->bytes_in_flight
				? s->limits.bytes_in_flight - s->bytes_in_flight
				: 0;
	struct lot lot = {1, first_bytes};
	size_t bytes;

	max = least(max, (uint32_t)(s->limits.ops_in_flight / 2 - s->ops_in_flight));
	room = room < unused ? room : unused;
	for (; lot.count < max; lot.count++, lot.bytes += bytes) {
		bytes = VALUE_PREFIX_BYTES + get_be32(at + lot.bytes);
		if (bytes > room || lot.bytes > room - bytes)
			break;
	}
	return lot;
}

/* Puts the lot into the frame that is gathering. 0 or CHAN_ENOMEM, and then nothing was. */
static int batch_add(struct session *s, struct chan_op *op, struct lot lot)
{
	struct batch *b = &s->batch;
	struct flight_run *run = b->count > 0 ? &s->flight.runs[s->flight.end - 1] : NULL;

	if (buf_reserve(&b->payload, lot.bytes) < 0)
		return CHAN_ENOMEM;
	if (run && run->op == op) {
		run->count += lot.count;
		run->left += lot.count;
		run->bytes += (uint32_t)lot.bytes;
		count_numbers(s, op, lot.count, lot.bytes);
	} else if (!take_numbers(s, op, lot.count, lot.bytes)) {
		return CHAN_ENOMEM;
	}
	b->count += lot.count;
	buf_append(&b->payload, buf_data(&op->payload), lot.bytes); /* there is room */
	buf_consume(&op->payload, lot.bytes);
	return 0;
}

/* A frame of its own, for what would fill one nearly: its values are copied once less. */
static int put_lot(struct session *s, struct chan_op *op, struct lot lot)
{
	struct flight_run *run = take_numbers(s, op, lot.count, lot.bytes);
	int rc;

	if (!run)
		return CHAN_ENOMEM;
	s->batch.m.send.count = lot.count;
	s->batch.m.send.payload_bytes = lot.bytes;
	rc = frame_put(s, &s->batch.m, 0, buf_data(&op->payload), lot.bytes);
	if (rc < 0) {
		give_back_numbers(s, op, run);
		return rc;
	}
	s->riding = false;
	buf_consume(&op->payload, lot.bytes);
	return 0;
}

/* The next values, behind what was sealed. */
static int begin_lot(struct session *s, struct chan_op *op, size_t first_bytes)
{
	struct lot lot;

	batch_begin(s, op);
	lot = take_lot(s, op, first_bytes);
	if (lot.bytes >= s->limits.frame_payload_bytes / 2)
		return put_lot(s, op, lot);
	return batch_add(s, op, lot);
}

static int emit_send(struct session *s, struct chan_op *op)
{
	size_t bytes;
	int rc = 0;

	while (op->sent < op->count && rc == 0) {
		bytes = VALUE_PREFIX_BYTES + get_be32(buf_data(&op->payload) + 1);
		if (op->chan->transfers > 0 || !within_limits(s, op, bytes))
			return EMIT_HELD;
		if (bytes <= s->limits.frame_payload_bytes && batch_takes(s, op, bytes)) {
			rc = batch_add(s, op, take_lot(s, op, bytes));
			continue;
		}
		if (op->sent > op->answered && frame_by_frame(op))
			return EMIT_HELD;
		if (bytes > s->limits.frame_payload_bytes) {
			op->m.send.count = 1;
			op->m.send.payload_bytes = bytes;
			rc = transfer_begin(s, op, bytes);
			continue;
		}
		rc = begin_lot(s, op, bytes);
	}
	return rc < 0 ? rc : EMIT_SENT;
}

static int (*const emitters[])(struct session *s, struct chan_op *op) = {
	[OP_MAKE] = emit_plain,
	[OP_OPEN] = emit_plain,
	[OP_SEND] = emit_send,
	[OP_RECV] = emit_plain,
	[OP_SELECT] = emit_select,
	[OP_CONFIRM] = emit_settle,
	[OP_RETURN] = emit_settle,
	[OP_ACK] = emit_settle,
	[OP_NACK] = emit_settle,
	[OP_EXTEND] = emit_settle,
	[OP_CLOSE] = emit_plain,
	[OP_ABORT] = emit_plain,
	[OP_REMOVE] = emit_plain,
	[OP_STAT] = emit_plain,
	[OP_LIST] = emit_plain,
	[OP_PS] = emit_plain,
	[OP_PING] = emit_ping,
	[OP_STREAM] = emit_plain,
	[OP_RESOLVE] = emit_plain,
	[OP_TIMER] = emit_plain,
	[OP_RELEASE] = emit_plain,
	[OP_CANCEL] = emit_plain,
};

int emit_op(struct session *s, struct chan_op *op)
{
	if (!s->greeted) /* so that its deadline is told as it is when it leaves */
		return EMIT_HELD;
	return emitters[op->kind](s, op);
}
