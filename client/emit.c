/*
 * emit.c - operations become frames.
 *
 * What goes out keeps these orders:
 *   - numbers rise: an operation gets its numbers when its frame is made, not when it is started;
 *   - sends on a channel, and its close, leave as they were started: while a payload in pieces is
 *     under way on it, or one of them waits on the backlog, the next go to the backlog;
 *   - one operation's frames: where the broker may refuse one value for a reason that does not
 *     hold for the next (a deadline, a try, a channel that died as a value), the next frame waits
 *     until the one before is answered.
 *
 * Half of the broker's limit of operations is left unused, so that each can still be withdrawn.
 */
#include "client/client.h"
#include "proto/endian.h"
#include "proto/limits.h"
#include <stdlib.h>
#include <utlist.h>

/* A range takes at most 24 bytes of a header. */
#define RANGES_PER_FRAME (FRAME_HEADER_BYTES_MAX / 32u)

/* What a step of sending came to; below 0: a status with which the operation fails. */
enum {
	EMIT_HELD = 0, /* the rest has to wait */
	EMIT_SENT = 1, /* all of it is in s->out, or in a transfer */
};

/* ---- frames ------------------------------------------------------------------------------- */

static bool frame_counts(enum message_kind kind)
{
	return kind != MESSAGE_HELLO && kind != MESSAGE_PING && kind != MESSAGE_PONG;
}

static int put_frame(
	struct session *s, const struct message *m, uint8_t flags, const void *payload, size_t n)
{
	size_t before = buf_len(&s->out);
	int rc = wire_encode(&s->out, m, flags, (uint32_t)n);

	if (rc == 0 && n > 0)
		rc = buf_append(&s->out, payload, n);
	if (rc < 0)
		s->out.end = s->out.start + before;
	else if (frame_counts(m->kind))
		s->frames_sent++;
	return rc;
}

/* Makes a frame of the sends that have gathered. */
static void seal(struct session *s)
{
	struct batch *b = &s->batch;

	if (b->count == 0)
		return;
	b->m.send.count = b->count;
	b->m.send.payload_bytes = buf_len(&b->payload);
	if (put_frame(s, &b->m, 0, buf_data(&b->payload), buf_len(&b->payload)) < 0)
		s->doomed = CHAN_ENOMEM;
	buf_consume(&b->payload, buf_len(&b->payload));
	b->count = 0;
}

int session_put(struct session *s, const struct message *m)
{
	seal(s);
	return put_frame(s, m, 0, NULL, 0);
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

/* The i-th end that the operation sends on or closes, where order matters; NULL: not the i-th. */
static struct chan *ordered_end(const struct chan_op *op, uint32_t i)
{
	if (op->kind == OP_SELECT)
		return op->cases[i].direction == CHAN_SEND ? op->cases[i].chan : NULL;
	return op->kind == OP_SEND || op->kind == OP_CLOSE ? op->chan : NULL;
}

static uint32_t ordered_ends(const struct chan_op *op)
{
	return op->kind == OP_SELECT ? op->case_count : 1;
}

static bool within_limits(const struct session *s, const struct chan_op *op, size_t bytes)
{
	if (!op_is_internal(op) && s->ops_in_flight >= s->limits.ops_in_flight / 2)
		return false;
	return bytes == 0 || s->bytes_in_flight == 0 ||
	       s->bytes_in_flight + bytes <= s->limits.bytes_in_flight;
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
	s->seq += n;
	s->ops_in_flight += n;
	s->bytes_in_flight += bytes;
	op->sent += n;
	return run;
}

static void give_back_numbers(struct session *s, struct chan_op *op, struct flight_run *run)
{
	s->ops_in_flight -= run->count;
	s->bytes_in_flight -= run->bytes;
	op->sent -= run->count;
	flight_remove(&s->flight, run);
}

/* One frame that is the whole operation, or all but the rest of its payload. */
static int put_numbered(struct session *s, struct chan_op *op, uint8_t flags, const void *payload,
	size_t n, size_t counted_bytes)
{
	struct flight_run *run;
	int rc;

	seal(s);
	run = take_numbers(s, op, 1, counted_bytes);
	if (!run)
		return CHAN_ENOMEM;
	op->m.seq = run->seq;
	set_waiting(op);
	rc = put_frame(s, &op->m, flags, payload, n);
	if (rc < 0)
		give_back_numbers(s, op, run);
	return rc;
}

/* ---- payloads in pieces ------------------------------------------------------------------- */

/*
 * Sends n bytes of payload, of the start of op->payload, as a first frame now and pieces later.
 */
static int begin_transfer(struct session *s, struct chan_op *op, size_t n)
{
	size_t first = s->limits.frame_payload_bytes;
	struct transfer *t = calloc(1, sizeof(*t));
	uint32_t i;
	int rc = t ? buf_append(&t->bytes, buf_data(&op->payload) + first, n - first) : CHAN_ENOMEM;

	if (rc == 0)
		rc = put_numbered(s, op, FRAME_MORE, buf_data(&op->payload), first, n);
	if (rc < 0) {
		if (t)
			buf_fini(&t->bytes);
		free(t);
		return rc;
	}
	buf_consume(&op->payload, n);
	t->op = op_ref(op);
	t->seq = op->m.seq;
	DL_APPEND(s->transfers, t);
	op->transfers++;
	for (i = 0; i < ordered_ends(op); i++)
		if (ordered_end(op, i))
			ordered_end(op, i)->transfers++;
	return 0;
}

static void cancel_sent(struct session *s, struct chan_op *op);

static void end_transfer(struct session *s, struct transfer *t)
{
	struct chan_op *op = t->op;
	uint32_t i;

	for (i = 0; i < ordered_ends(op); i++)
		if (ordered_end(op, i))
			ordered_end(op, i)->transfers--;
	op->transfers--;
	if (op->cancelled && op->transfers == 0)
		cancel_sent(s, op);
	DL_DELETE(s->transfers, t);
	buf_fini(&t->bytes);
	free(t);
	op_unref(op);
}

/* True: that was the last. */
static bool put_piece(struct session *s, struct transfer *t)
{
	struct message m = {.kind = MESSAGE_PIECE, .seq = t->seq};
	size_t left = buf_len(&t->bytes);
	size_t n = left < s->limits.frame_payload_bytes ? left : s->limits.frame_payload_bytes;

	if (put_frame(s, &m, n < left ? FRAME_MORE : 0, buf_data(&t->bytes), n) < 0) {
		s->doomed = CHAN_ENOMEM;
		return false;
	}
	buf_consume(&t->bytes, n);
	DL_DELETE(s->transfers, t);
	DL_APPEND(s->transfers, t); /* the next piece is another payload's */
	if (n == left)
		end_transfer(s, t);
	return n == left;
}

/* At most one piece stands in out at a time, so what is appended behind it waits for one only. */
void session_fill(struct session *s)
{
	seal(s);
	while (s->transfers && buf_len(&s->out) < s->limits.frame_payload_bytes && !s->doomed) {
		if (put_piece(s, s->transfers))
			session_run_backlog(s);
		seal(s);
	}
}

/* ---- one emitter a kind ------------------------------------------------------------------- */

static int emit_plain(struct session *s, struct chan_op *op)
{
	int rc;

	if (!within_limits(s, op, 0))
		return EMIT_HELD;
	rc = put_numbered(s, op, 0, NULL, 0, 0);
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
		rc = begin_transfer(s, op, n);
	else
		rc = put_numbered(s, op, 0, buf_data(&op->payload), n, n);
	return rc < 0 ? rc : EMIT_SENT;
}

uint32_t session_settle_frames(size_t ranges)
{
	return (uint32_t)((ranges + RANGES_PER_FRAME - 1) / RANGES_PER_FRAME);
}

/* TAKEN and RETURN: as many frames as the ranges need. */
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
		rc = put_numbered(s, op, 0, NULL, 0, 0);
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
	s->ping_ns = op->asked_ns;
	DL_APPEND(s->pings, op);
	return EMIT_SENT;
}

/* See the third order at the top. */
static bool frame_by_frame(const struct chan_op *op)
{
	enum chan_type type = op->chan->type;

	return op->try || op->deadline_ns != DEADLINE_NONE || type == CHAN_TYPE_CHAN ||
	       type == CHAN_TYPE_ANY;
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
	seal(s);
	op->m.seq = s->seq + 1;
	set_waiting(op);
	s->batch.m = op->m;
}

/* Puts the first value of op->payload, of so many bytes, into the frame that is gathering. */
static int batch_add(struct session *s, struct chan_op *op, size_t bytes)
{
	struct batch *b = &s->batch;
	struct flight_run *run;
	int rc = buf_append(&b->payload, buf_data(&op->payload), bytes);

	if (rc < 0)
		return rc;
	run = b->count > 0 ? &s->flight.runs[s->flight.end - 1] : NULL;
	if (run && run->op == op) {
		run->count++;
		run->left++;
		run->bytes += (uint32_t)bytes;
		s->seq++;
		s->ops_in_flight++;
		s->bytes_in_flight += bytes;
		op->sent++;
	} else if (!take_numbers(s, op, 1, bytes)) {
		b->payload.end -= bytes;
		return CHAN_ENOMEM;
	}
	b->count++;
	buf_consume(&op->payload, bytes);
	return 0;
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
			rc = batch_add(s, op, bytes);
			continue;
		}
		if (op->sent > op->answered && frame_by_frame(op))
			return EMIT_HELD;
		if (bytes > s->limits.frame_payload_bytes) {
			op->m.send.count = 1;
			op->m.send.payload_bytes = bytes;
			rc = begin_transfer(s, op, bytes);
			continue;
		}
		batch_begin(s, op);
		rc = batch_add(s, op, bytes);
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
	[OP_CLOSE] = emit_plain,
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

/* ---- the backlog -------------------------------------------------------------------------- */

static void hold(struct session *s, struct chan_op *op)
{
	uint32_t i;

	op->state = OP_HELD;
	DL_APPEND(s->backlog, op);
	for (i = 0; i < ordered_ends(op); i++)
		if (ordered_end(op, i))
			ordered_end(op, i)->held++;
	if (op->deadline_ns != DEADLINE_NONE && !op->timer)
		session_start_timer(s, op);
}

static void unhold(struct session *s, struct chan_op *op)
{
	uint32_t i;

	DL_DELETE(s->backlog, op);
	op->state = OP_FLYING;
	for (i = 0; i < ordered_ends(op); i++)
		if (ordered_end(op, i))
			ordered_end(op, i)->held--;
}

/* Whether it must stay behind what was started before it: a new one (round 0), or one of the
 * backlog. */
static bool must_stay(const struct chan_op *op, uint64_t round)
{
	struct chan *ch;
	uint32_t i;

	for (i = 0; i < ordered_ends(op); i++) {
		ch = ordered_end(op, i);
		if (ch &&
			(ch->transfers > 0 || (round ? ch->blocked_round == round : ch->held > 0)))
			return true;
	}
	return false;
}

static void stays(struct chan_op *op, uint64_t round)
{
	uint32_t i;

	for (i = 0; i < ordered_ends(op); i++)
		if (ordered_end(op, i))
			ordered_end(op, i)->blocked_round = round;
}

void session_drop_unsent(struct session *s, struct chan_op *op, int status, const char *text)
{
	if (op->state == OP_HELD)
		unhold(s, op);
	if (op->sent < op->failed_index && op->sent < op->count) {
		op->failed_index = op->sent;
		failure_set(&op->failure, status, text);
	}
	op->count = op->sent;
	buf_fini(&op->payload);
	if (op->answered == op->count)
		op_finish(op);
}

void session_submit(struct session *s, struct chan_op *op)
{
	int rc = EMIT_HELD;

	if (s->end.status < 0) {
		op_fail(op, CHAN_EUNREACHABLE, s->end.text);
		return;
	}
	op->state = OP_FLYING;
	if (!must_stay(op, 0)) {
		rc = emitters[op->kind](s, op);
		if (rc == EMIT_HELD && op->try && op->sent == 0) /* it cannot wait for a place */
			rc = CHAN_ELIMIT;
	}
	if (rc == EMIT_HELD)
		hold(s, op);
	else if (rc < 0)
		session_drop_unsent(s, op, rc,
			rc == CHAN_ELIMIT ? "as much as the broker allows is in flight already; "
					    "receive its answers first"
					  : NULL);
}

void session_run_backlog(struct session *s)
{
	uint64_t round = ++s->backlog_round;
	struct chan_op *op, *next;
	int rc;

	DL_FOREACH_SAFE (s->backlog, op, next) {
		if (must_stay(op, round)) {
			stays(op, round);
			continue;
		}
		rc = emitters[op->kind](s, op);
		if (rc == EMIT_HELD)
			stays(op, round);
		else if (rc == EMIT_SENT)
			unhold(s, op);
		else
			session_drop_unsent(s, op, rc, NULL);
	}
}

/* ---- withdrawing -------------------------------------------------------------------------- */

static void cancel_one(struct session *s, struct chan_op *target, uint64_t seq)
{
	struct chan_op *op = op_new(target->client, OP_CANCEL, NULL, CHAN_FOREVER);

	if (!op) {
		s->doomed = CHAN_ENOMEM;
		return;
	}
	op->m.kind = MESSAGE_CANCEL;
	op->m.cancel.target = seq;
	session_submit(s, op);
}

/* The last first, so that no value overtakes one that was withdrawn. The runs are noted before, as
 * every cancel adds a run of its own. */
static void cancel_sent(struct session *s, struct chan_op *op)
{
	size_t n = op->count - op->answered, noted = 0, i;
	uint64_t *seqs = calloc(n + 1, sizeof(*seqs));
	const struct flight_run *run;
	uint32_t k;

	if (!seqs) {
		s->doomed = CHAN_ENOMEM;
		return;
	}
	for (i = s->flight.end; i-- > s->flight.first && noted < n;) {
		run = &s->flight.runs[i];
		for (k = 0; run->op == op && k < run->left && noted < n; k++)
			seqs[noted++] = run->seq + run->count - 1 - k;
	}
	for (i = 0; i < noted; i++)
		cancel_one(s, op, seqs[i]);
	free(seqs);
}

void session_withdraw(struct session *s, struct chan_op *op, int status)
{
	if (op->state == OP_LOCAL) {
		DL_DELETE(op->chan->receivers, op);
		op_fail(op, status, NULL);
	} else if (op->state == OP_HELD) {
		session_drop_unsent(s, op, status, NULL);
	}
}

void session_cancel(struct session *s, struct chan_op *op)
{
	if (op->cancelled || op->state == OP_DONE || op->state == OP_NEW)
		return;
	op->cancelled = true;
	if (op->kind == OP_PING) {
		DL_DELETE(s->pings, op);
		op_fail(op, CHAN_ECANCELED, NULL);
		return;
	}
	if (op->state != OP_FLYING)
		session_withdraw(s, op, CHAN_ECANCELED);
	if (op->state == OP_FLYING && op->transfers == 0)
		cancel_sent(s, op);
}

void session_start_timer(struct session *s, struct chan_op *op)
{
	struct chan_op *timer = op_new(op->client, OP_TIMER, NULL, CHAN_FOREVER);

	if (!timer) {
		s->doomed = CHAN_ENOMEM;
		return;
	}
	timer->m.kind = MESSAGE_SELECT;
	timer->try = op->try;
	timer->deadline_ns = op->deadline_ns;
	timer->timed = op;
	op->timer = timer;
	session_submit(s, timer);
}

/* ---- deliveries --------------------------------------------------------------------------- */

void session_note_taken(struct session *s, uint64_t delivery)
{
	struct wire_range *last = s->taken_count ? &s->taken[s->taken_count - 1] : NULL;
	size_t size = s->taken_size ? s->taken_size * 2 : 16;
	struct wire_range *grown;

	if (last && last->first + last->count == delivery) {
		last->count++;
		return;
	}
	if (s->taken_count == s->taken_size) {
		grown = realloc(s->taken, size * sizeof(*grown));
		if (!grown) {
			s->doomed = CHAN_ENOMEM;
			return;
		}
		s->taken = grown;
		s->taken_size = size;
	}
	s->taken[s->taken_count++] = (struct wire_range){delivery, 1};
}

static void put_taken(struct session *s)
{
	struct message m = {.kind = MESSAGE_TAKEN};
	size_t at, n;

	for (at = 0; at < s->taken_count; at += n) {
		n = s->taken_count - at < RANGES_PER_FRAME ? s->taken_count - at : RANGES_PER_FRAME;
		m.settle.deliveries = (struct wire_ranges){s->taken + at, n};
		if (session_put(s, &m) < 0)
			s->doomed = CHAN_ENOMEM;
	}
	s->taken_count = 0;
}

void session_confirm(struct session *s)
{
	struct message m = {.kind = MESSAGE_GRANT};
	struct chan *ch, *next;

	if (s->taken_count > 0)
		put_taken(s);
	LL_FOREACH_SAFE2 (s->granting, ch, next, next_granting) {
		m.seq = ch->stream ? ch->stream->m.seq : 0;
		m.grant.credit = ch->grant_due;
		if (ch->stream && !ch->stream->cancelled && session_put(s, &m) < 0)
			s->doomed = CHAN_ENOMEM;
		ch->grant_due = 0;
		end_unref(ch);
	}
	s->granting = NULL;
}

void session_note_grant(struct session *s, struct chan *ch, uint32_t n)
{
	if (n == 0)
		return;
	if (ch->grant_due == 0) {
		end_ref(ch);
		LL_PREPEND2(s->granting, ch, next_granting);
	}
	ch->grant_due += n;
}

void session_return(struct session *s, uint64_t delivery)
{
	struct wire_range range = {delivery, 1};
	struct message m = {.kind = MESSAGE_RETURN};

	if (s->end.status < 0)
		return;
	m.settle.deliveries = (struct wire_ranges){&range, 1};
	if (session_put(s, &m) < 0)
		s->doomed = CHAN_ENOMEM;
}

/* ---- signs of life ------------------------------------------------------------------------ */

void session_ping(struct session *s, int64_t min_ns)
{
	struct message m = {.kind = MESSAGE_PING};
	int64_t now_ns = clock_now_ns();

	if (s->end.status < 0 || !s->greeted || now_ns - s->ping_ns < min_ns)
		return;
	s->ping_ns = now_ns;
	m.ping.nonce = (uint64_t)now_ns;
	m.ping.frames_received = s->frames_received;
	if (session_put(s, &m) < 0)
		s->doomed = CHAN_ENOMEM;
}

bool session_is_fresh(struct session *s)
{
	if (clock_now_ns() - s->heard_ns < HAND_OVER_SILENCE_MAX_NS(s))
		return true;
	session_ping(s, NS_PER_S);
	return false;
}
