/*
 * op_recv.c - RECV and GRANT: credit in values, for one answer or for a stream of them.
 */
#include "chan/status.h"
#include "proto/limits.h"
#include "server/broker/handoff.h"
#include "server/broker/permit.h"
#include <inttypes.h>

/* 0, or it was answered. */
static int check_recv(
	const struct message *m, struct asked a, const struct channel *ch, uint32_t credit)
{
	char label[CHANNEL_LABEL_MAX];

	if (call_check_lease(a, ch, "receive from", m->recv.lease_ns) < 0)
		return CHAN_EINVAL;
	if (m->recv.stream && m->recv.try)
		return answer_fail(a, CHAN_EINVAL,
			"receive from %s: a stream waits; it cannot be a try",
			channel_label(ch, label));
	if (credit > CREDIT_MAX)
		return answer_fail(a, CHAN_ELIMIT,
			"receive from %s: credit %u is above the limit, %u",
			channel_label(ch, label), credit, CREDIT_MAX);
	if (credit > 1 && !ch->capacity)
		return answer_fail(a, CHAN_EINVAL,
			"receive from %s: credit %u, but on an unbuffered channel a receive takes "
			"one value",
			channel_label(ch, label), credit);
	return 0;
}

int op_recv(struct call *c)
{
	const struct message *m = c->message;
	struct asked a = call_asked(c);
	uint32_t credit = m->recv.credit ? m->recv.credit : 1;
	struct operation *op;
	struct channel *ch =
		call_channel(c, a, "receive from", m->recv.channel, CHAN_RECV, m->recv.epoch);
	struct operation_request r = {
		.kind = OP_RECV,
		.channel = ch,
		.seq = a.seq,
		.participant = m->recv.participant,
		.try = m->recv.try,
		.timeout_ns = m->recv.timeout_ns,
		.waiter_count = 1,
	};

	if (!ch || check_recv(m, a, ch, credit) < 0)
		return 0;
	if (credit == 1 && !m->recv.stream && !m->recv.lease_ns &&
		handoff_at_once(c->engine, c->party, &r))
		return 0;
	if (call_operation(c, a, "receive from", NULL, &r, &op) < 0)
		return 0;
	op->stream = m->recv.stream;
	op->recv.credit = credit;
	waiter_bind(&op->waiters[0], ch, CHAN_RECV);
	op->waiters[0].lease_ns = m->recv.lease_ns;
	operation_stand(c->engine, op);
	return 0;
}

/* Rules that were replaced while the stream stood may end it. Without an end it is about to. */
static bool may_receive(struct call *c, const struct channel *ch)
{
	struct end *end = party_end_of(c->party, ch->id);

	return !end || end_allowed(c->engine, c->party, end) & CHAN_RECV;
}

/* A stream that has ended meanwhile is a race, and no error; a seq that is something else's is. */
int op_grant(struct call *c)
{
	struct operation *op = operation_find(c->party, c->message->seq);
	uint32_t credit = c->message->grant.credit, max;
	char label[CHANNEL_LABEL_MAX];
	struct waiter *w;

	if (!op || credit == 0)
		return 0;
	if (op->kind != OP_RECV || !op->stream)
		return CHAN_EPROTOCOL;
	w = &op->waiters[0];
	if (!may_receive(c, w->channel)) {
		permit_refuse_end(c, call_asked(c), w->channel, CHAN_RECV, "receive from");
		operation_end(c->engine, op);
		return 0;
	}
	max = w->channel->capacity ? CREDIT_MAX : 1;
	if (credit > max || op->recv.credit + op->recv.out > max - credit) {
		answer_fail(call_asked(c), CHAN_ELIMIT,
			"receive from %s: %u more would raise its credit and what is out above the "
			"limit, %u",
			channel_label(w->channel, label), credit, max);
		operation_end(c->engine, op);
		return 0;
	}
	if (op->recv.credit == 0)
		waiter_to_tail(c->engine, w);
	op->recv.credit += credit;
	channel_touch(c->engine, w->channel);
	return 0;
}
