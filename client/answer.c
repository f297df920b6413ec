/*
 * answer.c - what the broker says, and what comes of it.
 *
 * The broker is not trusted further than the connection: an answer to nothing, a delivery that was
 * not asked for or a payload that is none ends the session with CHAN_EPROTOCOL.
 */
#include "client/client.h"
#include "client/lease.h"
#include "proto/limits.h"
#include "proto/status.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* What a handler works with. */
struct answer {
	struct session *s;
	struct chan_client *c;
	const struct frame *frame;
	const struct message *m;
	char *text; /* why the session must end */
	size_t text_size;
};

static int breach(struct answer *a, const char *what)
{
	snprintf(a->text, a->text_size, "the broker broke the protocol: %s (%s %llu)", what,
		message_kind_name(a->m->kind), (unsigned long long)a->m->seq);
	return CHAN_EPROTOCOL;
}

/* ---- answers to operations ---------------------------------------------------------------- */

/* A select says which of its cases it is about. */
static bool note_case(struct chan_op *op, uint32_t case_index)
{
	if (op->kind != OP_SELECT)
		return true;
	if (case_index >= op->case_count)
		return false;
	op->case_index = case_index;
	return true;
}

/* Whether a failure says that a receive found its channel closed and drained. */
static bool is_closed_receive(const struct chan_op *op, const struct message *fail)
{
	if (fail->fail.status != CHAN_ECLOSED)
		return false;
	return op->kind == OP_RECV || op->kind == OP_STREAM ||
	       (op->kind == OP_SELECT && op->cases[op->case_index].direction == CHAN_RECV);
}

static void note_failure(struct chan_op *op, uint32_t index, const struct message *fail)
{
	if (is_closed_receive(op, fail)) {
		op->closed = true;
	} else if (index < op->failed_index) {
		op->failed_index = index;
		failure_set_message(&op->failure, fail);
	}
}

void session_answer(struct session *s, struct flight_run *run, uint64_t seq, uint32_t n,
	const struct message *fail)
{
	struct chan_op *op = run->op;

	if (fail)
		note_failure(op, run->base + (uint32_t)(seq - run->seq), fail);
	else
		op->succeeded += n;
	op->answered += n;
	run->left -= n;
	s->ops_in_flight -= n;
	if (run->left == 0) {
		s->bytes_in_flight -= run->bytes;
		flight_remove(&s->flight, run);
	}
	if (op_failed(op) && op->sent < op->count)
		session_drop_unsent(s, op, op->failure.status, NULL);
	else if (op->answered == op->count)
		op_finish(op);
}

/* Whether DONE, and not a message of its own, says that it succeeded. */
static bool ends_by_done(const struct chan_op *op)
{
	switch (op->kind) {
	case OP_SELECT:
		return op->cases[op->case_index].direction == CHAN_SEND;
	case OP_SEND:
	case OP_CONFIRM:
	case OP_RETURN:
	case OP_ACK:
	case OP_NACK:
	case OP_EXTEND:
	case OP_CLOSE:
	case OP_ABORT:
	case OP_REMOVE:
	case OP_RELEASE:
	case OP_CANCEL:
		return true;
	default:
		return false;
	}
}

/* Whether the number is of a send that has not been put into a frame yet. */
static bool is_gathering(const struct session *s, uint64_t seq)
{
	return s->batch.count > 0 && seq >= s->batch.m.seq;
}

/* Whether the outcome is of one case of a select. */
static bool says_case(const struct message *fail)
{
	return !fail || fail->fail.status == CHAN_ECLOSED || fail->fail.status == CHAN_EABORTED;
}

/* DONE and FAIL: of a run, or of several that follow one another. */
static int on_outcome(
	struct answer *a, uint32_t count, uint32_t case_index, const struct message *fail)
{
	uint64_t seq = a->m->seq, end = seq + count;
	struct flight_run *run;
	uint32_t n;

	while (seq < end) {
		run = flight_find(&a->s->flight, seq);
		if (!run || is_gathering(a->s, seq))
			return breach(a, "an answer to an operation that is not in flight");
		n = run->count - (uint32_t)(seq - run->seq);
		if (n > end - seq)
			n = (uint32_t)(end - seq);
		if (n > run->left)
			return breach(a, "more answers than were asked for");
		/* Which case failed is said only where one was chosen. */
		if (says_case(fail) && !note_case(run->op, case_index))
			return breach(a, "a case that the select does not have");
		if (!fail && !ends_by_done(run->op))
			return breach(a, "an answer of another kind than was asked for");
		session_answer(a->s, run, seq, n, fail);
		seq += n;
	}
	return 0;
}

static int on_done(struct answer *a)
{
	return on_outcome(a, a->m->done.count, a->m->done.case_index, NULL);
}

static int on_fail(struct answer *a)
{
	if (a->m->fail.status >= 0)
		return breach(a, "a failure without a status");
	return on_outcome(a, a->m->fail.count, a->m->fail.case_index, a->m);
}

/* The run of the operation that is answered, if it is of one of these kinds; else NULL. */
static struct flight_run *find_one(
	struct answer *a, enum op_kind one, enum op_kind other, enum op_kind third)
{
	struct flight_run *run = flight_find(&a->s->flight, a->m->seq);
	enum op_kind kind;

	if (!run)
		return NULL;
	kind = run->op->kind;
	return kind == one || kind == other || kind == third ? run : NULL;
}

static int on_opened(struct answer *a)
{
	struct flight_run *run = find_one(a, OP_MAKE, OP_OPEN, OP_RESOLVE);

	if (!run)
		return breach(a, "an answer to an operation that is not in flight");
	if (run->op->chan && end_opened(run->op->chan, a->m) < 0)
		return CHAN_ENOMEM;
	session_answer(a->s, run, a->m->seq, 1, NULL);
	return 0;
}

/* STATS and WAITERS: the thread that asked reads the frame for itself, outside the lock. */
static int on_list(struct answer *a)
{
	struct flight_run *run = find_one(a, OP_STAT, OP_LIST, OP_PS);
	const struct frame *f = a->frame;

	if (!run)
		return breach(a, "an answer to an operation that is not in flight");
	if (buf_append(&run->op->reply, f->header - FRAME_PREFIX_BYTES,
		    FRAME_PREFIX_BYTES + f->header_bytes + f->payload_bytes) < 0)
		return CHAN_ENOMEM;
	session_answer(a->s, run, a->m->seq, 1, NULL);
	return 0;
}

/* ---- deliveries --------------------------------------------------------------------------- */

/* The payload of a DELIVER, whole, or what is left of it. */
struct contents {
	const uint8_t *at;
	size_t left;    /* bytes */
	uint32_t count; /* values */
	uint64_t id;    /* of the next one's delivery */
	struct packing packing;
};

/* The next value. 1, 0 at the end, or a status. */
static inline int next_delivery(struct answer *a, struct contents *in, struct delivery **ret_delivery)
{
	size_t left = in->left;
	struct wire_value v;
	int rc;

	if (in->count == 0 && in->left == 0)
		return 0;
	rc = in->count > 0 ? wire_value_next(&in->at, &in->left, &v) : 0;
	if (rc <= 0)
		return breach(a, "a payload that is not as many values as it says");
	*ret_delivery = delivery_new(&in->packing, in->id, &v, in->count, left);
	in->count--;
	in->id++;
	return *ret_delivery ? 1 : CHAN_ENOMEM;
}

/* For a stream, whose end may have been given up: then they go back. */
static int deliver_to_stream(struct answer *a, struct chan *ch, struct contents *in)
{
	uint64_t first = in->id;
	struct delivery *d;
	int rc;

	while ((rc = next_delivery(a, in, &d)) > 0) {
		if (!ch->released) {
			DL_APPEND(ch->ahead->inbox, d);
			continue;
		}
		session_return(a->s, d->id);
		delivery_free(d);
		in->packing = (struct packing){0}; /* its pack went with it */
	}
	if (ch->released)
		return rc;
	if (first < ch->ahead->stream_first) /* one in pieces comes later than it began */
		ch->ahead->stream_first = first;
	session_note_delivered(a->s, ch, (uint32_t)(in->id - first));
	if (rc == 0)
		end_feed(ch);
	return rc;
}

static int deliver_to_receive(
	struct answer *a, struct flight_run *run, uint64_t seq, struct contents *in)
{
	struct delivery *d;
	int rc = next_delivery(a, in, &d);

	if (rc < 0)
		return rc;
	run->op->delivery = d;
	rc = next_delivery(a, in, &d); /* there is no other */
	if (rc == 0)
		session_answer(a->s, run, seq, 1, NULL);
	return rc;
}

/* m is a's message, or that of the first of several pieces. */
static int deliver(struct answer *a, const struct message *m, const uint8_t *payload, size_t left)
{
	struct contents in = {
		.at = payload, .left = left, .count = m->deliver.count, .id = m->deliver.delivery};
	struct flight_run *run = flight_find(&a->s->flight, m->seq);
	struct chan_op *op = run ? run->op : NULL;

	if (!op || (op->kind != OP_STREAM && m->deliver.count != 1))
		return breach(a, "a delivery that was not asked for");
	if (!note_case(op, m->deliver.case_index))
		return breach(a, "a case that the select does not have");
	if (op->kind == OP_SELECT && op->cases[m->deliver.case_index].direction != CHAN_RECV)
		return breach(a, "a delivery to a send case");
	if (op->kind != OP_SELECT && op->kind != OP_RECV && op->kind != OP_STREAM)
		return breach(a, "a delivery to what is no receive");
	if (op->kind == OP_STREAM)
		return deliver_to_stream(a, op->chan, &in);
	return deliver_to_receive(a, run, m->seq, &in);
}

static int begin_partial(struct answer *a)
{
	const struct message *m = a->m;
	uint64_t max = (uint64_t)a->s->limits.value_bytes + FRAME_PAYLOAD_BYTES_MAX;
	struct partial *p;

	if (m->deliver.count != 1 || m->deliver.payload_bytes > max)
		return breach(a, "a delivery in pieces that is too large");
	if (!flight_find(&a->s->flight, m->seq))
		return breach(a, "a delivery that was not asked for");
	p = calloc(1, sizeof(*p));
	if (!p)
		return CHAN_ENOMEM;
	if (buf_append(&p->bytes, a->frame->payload, a->frame->payload_bytes) < 0) {
		free(p);
		return CHAN_ENOMEM;
	}
	p->deliver = *m;
	p->delivery = m->deliver.delivery;
	DL_APPEND(a->s->partials, p);
	return 0;
}

static int on_deliver(struct answer *a)
{
	if (a->frame->flags & FRAME_MORE)
		return begin_partial(a);
	return deliver(a, a->m, a->frame->payload, a->frame->payload_bytes);
}

static void drop_partial(struct session *s, struct partial *p)
{
	DL_DELETE(s->partials, p);
	buf_fini(&p->bytes);
	free(p);
}

static struct partial *find_partial(struct session *s, uint64_t delivery)
{
	struct partial *p;

	DL_SEARCH_SCALAR(s->partials, p, delivery, delivery);
	return p;
}

static int on_piece(struct answer *a)
{
	const struct frame *f = a->frame;
	struct partial *p = find_partial(a->s, a->m->seq);
	int rc;

	if (!p)
		return 0; /* of a delivery that was revoked on its way */
	if (buf_len(&p->bytes) + f->payload_bytes > p->deliver.deliver.payload_bytes)
		return breach(a, "pieces that are more than was said");
	if (buf_append(&p->bytes, f->payload, f->payload_bytes) < 0)
		return CHAN_ENOMEM;
	if (f->flags & FRAME_MORE)
		return 0;
	rc = deliver(a, &p->deliver, buf_data(&p->bytes), buf_len(&p->bytes));
	drop_partial(a->s, p);
	return rc;
}

/* ---- revoked ------------------------------------------------------------------------------ */

static bool within(const struct wire_ranges *ranges, uint64_t id)
{
	size_t i;

	for (i = 0; i < ranges->count; i++)
		if (id - ranges->list[i].first < ranges->list[i].count)
			return true;
	return false;
}

static void revoke_inbox(struct session *s, struct chan *ch, const struct wire_ranges *ranges)
{
	struct delivery *d, *next;

	DL_FOREACH_SAFE (ch->ahead->inbox, d, next) {
		if (!within(ranges, d->id))
			continue;
		DL_DELETE(ch->ahead->inbox, d);
		session_note_grant(s, ch, d->id, 1);
		delivery_free(d);
	}
}

/* The credit for what comes in pieces is used, and given anew like that for the inbox. */
static void revoke_partial(struct session *s, struct partial *p)
{
	struct flight_run *run = flight_find(&s->flight, p->deliver.seq);
	struct chan *ch = run && run->op->kind == OP_STREAM ? run->op->chan : NULL;

	if (ch && p->delivery < ch->ahead->stream_first)
		ch->ahead->stream_first = p->delivery;
	if (ch) {
		session_note_delivered(s, ch, 1);
		session_note_grant(s, ch, p->delivery, 1);
	}
	drop_partial(s, p);
}

static void revoke_done(struct chan_op *list, const struct wire_ranges *ranges)
{
	struct chan_op *op;

	DL_FOREACH (list, op) {
		if (!op->delivery || !within(ranges, op->delivery->id))
			continue;
		delivery_free(op->delivery);
		op->delivery = NULL;
		failure_set(&op->failure, CHAN_EGONE, NULL);
	}
}

/* What was handed over already is out of our hands: chan_confirm says so to who asks, and
 * chan_lease_lost of leases. */
static int on_gone(struct answer *a)
{
	const struct wire_ranges *ranges = &a->m->settle.deliveries;
	struct partial *p, *next;
	struct chan *ch;
	size_t i;

	for (i = 0; i < ranges->count; i++)
		lease_forget(a->s, &ranges->list[i]);
	DL_FOREACH_SAFE (a->s->partials, p, next)
		if (within(ranges, p->delivery))
			revoke_partial(a->s, p);
	DL_FOREACH (a->c->ends, ch)
		revoke_inbox(a->s, ch, ranges);
	revoke_done(a->c->completions, ranges);
	revoke_done(a->c->done, ranges);
	return 0;
}

/* ---- the connection ----------------------------------------------------------------------- */

/* PING and PONG say it, too; a broker that does not keep the session need not. */
static int on_seen(struct answer *a)
{
	if (resend_see(&a->s->resend, a->m->ping.frames_received) < 0)
		return breach(a, "more frames have arrived than were sent");
	return 0;
}

static int on_ping(struct answer *a)
{
	struct message m = {.kind = MESSAGE_PONG};

	m.ping.nonce = a->m->ping.nonce;
	m.ping.frames_received = a->s->frames_received;
	a->s->unsaid_bytes = 0;
	return session_put(a->s, &m) < 0 ? CHAN_ENOMEM : on_seen(a);
}

static int on_pong(struct answer *a)
{
	int64_t asked_ns = (int64_t)a->m->ping.nonce;
	struct session *s = a->s;
	struct chan_op *op, *next;
	struct chan *ch;

	if (asked_ns > s->ping_ns)
		return breach(a, "an answer to what was not asked");
	if (asked_ns > s->heard_ns)
		s->heard_ns = asked_ns;
	DL_FOREACH_SAFE (s->pings, op, next) {
		if (op->asked_ns > asked_ns)
			continue;
		DL_DELETE(s->pings, op);
		op->succeeded = 1;
		op_finish(op);
	}
	DL_FOREACH (a->c->ends, ch)
		end_feed(ch);
	return on_seen(a);
}

/* Bounds that cannot be worked with are taken for the defaults. */
static void take_limits(struct wire_limits *limits, const struct wire_limits *said)
{
	*limits = *said;
	if (limits->frame_payload_bytes < 1024 ||
		limits->frame_payload_bytes > FRAME_PAYLOAD_BYTES_MAX)
		limits->frame_payload_bytes = FRAME_PAYLOAD_BYTES_MAX;
	if (limits->value_bytes == 0)
		limits->value_bytes = VALUE_BYTES_MAX_DEFAULT;
	if (limits->batch_values == 0)
		limits->batch_values = 1;
	if (limits->ops_in_flight < 2)
		limits->ops_in_flight = 2;
	if (limits->bytes_in_flight == 0)
		limits->bytes_in_flight = BYTES_IN_FLIGHT_MAX_DEFAULT;
	if (limits->select_cases == 0)
		limits->select_cases = SELECT_CASES_MAX;
	if (limits->credit == 0)
		limits->credit = 1;
	if (limits->unseen_bytes == 0)
		limits->unseen_bytes = UNSEEN_BYTES_MAX_DEFAULT;
}

/* How long the session outlives a connection: more than a day is as good as a day. */
static int64_t linger_ns(uint64_t ms)
{
	return (int64_t)(ms < 24 * 3600 * 1000 ? ms : 24 * 3600 * 1000) * NS_PER_MS;
}

static int begin_session(struct answer *a)
{
	const struct wire_welcome *w = a->m->welcome;
	struct session *s = a->s;
	size_t id = w->session_id.len, secret = w->session_secret.len;

	s->id = malloc(id + secret + 1);
	s->broker = strdup(w->broker);
	if (!s->id || !s->broker) {
		free(s->id);
		free(s->broker);
		s->id = NULL; /* there is no session yet */
		s->broker = NULL;
		return CHAN_ENOMEM;
	}
	memcpy(s->id, w->session_id.bytes ? (const void *)w->session_id.bytes : "", id);
	memcpy(s->id + id, w->session_secret.bytes ? (const void *)w->session_secret.bytes : "",
		secret);
	s->id_bytes = id;
	s->secret_bytes = secret;
	s->incarnation = w->incarnation;
	s->connection_epoch = w->connection_epoch;
	s->linger_ns = linger_ns(w->linger_ms);
	if (w->heartbeat_ms > 0 && w->heartbeat_ms < 3600 * 1000)
		s->heartbeat_ns = (int64_t)w->heartbeat_ms * NS_PER_MS;
	take_limits(&s->limits, &w->limits);
	s->resend.keeps = session_lingers(s);
	s->resend.bytes_max = s->limits.unseen_bytes;
	s->heard_ns = s->ping_ns = clock_now_ns();
	return 0;
}

/* Where the broker is silent about what it took back meanwhile, it says so before it answers. */
static int resume_session(struct answer *a)
{
	const struct wire_welcome *w = a->m->welcome;
	struct session *s = a->s;

	if (!w->resumed || w->connection_epoch != s->connection_epoch)
		return breach(a, "a greeting that resumes another session than was asked for");
	if (resend_rewind(&s->resend, w->frames_received) < 0)
		return breach(a, "frames that it had have got lost");
	s->heard_ns = HEARD_NEVER;
	return 0;
}

static int on_welcome(struct answer *a)
{
	struct session *s = a->s;
	int rc;

	if (s->greeted || a->m->welcome->version != PROTOCOL_VERSION)
		return breach(a, "a greeting in a version that was not offered, or a second one");
	rc = s->id ? resume_session(a) : begin_session(a);
	if (rc < 0)
		return rc;
	s->greeted = true;
	s->features = a->m->welcome->features;
	s->unsaid_bytes = 0;
	if (s->heard_ns == HEARD_NEVER)
		session_ping(s, 0);
	return 0;
}

static int on_ring_offer(struct answer *a)
{
	int rc = rings_offered(
		a->c, a->m->ring_offer.ring_bytes, a->m->ring_offer.larger_ring_bytes);

	return rc == CHAN_EPROTOCOL ? breach(a, "an offer that was not asked for") : rc;
}

static int on_ring_begin(struct answer *a)
{
	size_t bytes = FRAME_PREFIX_BYTES + (size_t)a->frame->header_bytes + a->frame->payload_bytes;

	if (buf_len(&a->c->in) != bytes)
		return breach(a, "something behind RING_BEGIN");
	return rings_begun(a->c) < 0 ? breach(a, "rings that were not agreed upon") : 0;
}

static int on_ring_decline(struct answer *a)
{
	return rings_declined(a->c) < 0 ? breach(a, "an answer to what was not asked") : 0;
}

static int on_goaway(struct answer *a)
{
	int status = a->m->goaway.status;

	if (status >= 0)
		status = CHAN_EUNKNOWN;
	snprintf(a->text, a->text_size, "the broker ended the connection: %s",
		a->m->goaway.message[0] ? a->m->goaway.message : status_text(status));
	return status;
}

/* ---- by kind ------------------------------------------------------------------------------ */

static int (*const handlers[])(struct answer *a) = {
	[MESSAGE_PING] = on_ping,
	[MESSAGE_PONG] = on_pong,
	[MESSAGE_SEEN] = on_seen,
	[MESSAGE_RING_BEGIN] = on_ring_begin,
	[MESSAGE_RING_DECLINE] = on_ring_decline,
	[MESSAGE_PIECE] = on_piece,
	[MESSAGE_WELCOME] = on_welcome,
	[MESSAGE_OPENED] = on_opened,
	[MESSAGE_DONE] = on_done,
	[MESSAGE_FAIL] = on_fail,
	[MESSAGE_DELIVER] = on_deliver,
	[MESSAGE_GONE] = on_gone,
	[MESSAGE_STATS] = on_list,
	[MESSAGE_WAITERS] = on_list,
	[MESSAGE_GOAWAY] = on_goaway,
	[MESSAGE_RING_OFFER] = on_ring_offer,
};

int session_handle(struct session *s, struct chan_client *c, const struct frame *f,
	struct wire_scratch *scratch, char *text, size_t text_size)
{
	struct message m; /* wire_decode clears it */
	struct answer a = {s, c, f, &m, text, text_size};
	int rc;

	m.kind = f->kind; /* for breach */
	m.seq = 0;

	if (!message_kind_allowed(f->kind, false) ||
		f->kind >= sizeof(handlers) / sizeof(*handlers) || !handlers[f->kind])
		return breach(&a, "a message that is not for clients");
	rc = wire_decode(f, scratch, &m);
	if (rc == CHAN_EPROTOCOL)
		return breach(&a, "a header that does not parse");
	if (rc < 0)
		return rc;
	if (!s->greeted && m.kind != MESSAGE_WELCOME && m.kind != MESSAGE_GOAWAY)
		return breach(&a, "something before its greeting");
	if (frame_counts(m.kind))
		session_note_received(
			s, FRAME_PREFIX_BYTES + (size_t)f->header_bytes + f->payload_bytes);
	return handlers[m.kind](&a);
}
