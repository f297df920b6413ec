/*
 * op_send.c - SEND: what there is room for enters at once, the rest waits as one record.
 */
#include "chan/status.h"
#include "proto/limits.h"
#include "server/broker/broken.h"
#include "server/broker/buffer.h"
#include "server/broker/producers.h"
#include "server/broker/state.h"
#include <string.h>

/* The part of a SEND from one value to another. */
static struct asked part(struct asked a, uint32_t from, uint32_t to)
{
	a.seq += from;
	a.count = to - from;
	return a;
}

/* Counts the values in that may enter, up to the first that may not. */
static uint32_t hold_values(struct call *c, struct channel *ch)
{
	struct asked nobody = {0};
	uint32_t n = 0;

	while (n < c->value_count) {
		uint32_t run = call_sound_run(c, ch, n);

		if (run == 0 && call_check_value(c, nobody, ch, c->values[n]) == 0)
			run = 1;
		if (run > 0)
			engine_hold_run(c->engine, c->party->account, ch->type, c->values[n], run);
		else if (!call_unpack(c, n))
			break;
		n += run;
	}
	return n;
}

/* Those behind a value that failed were not attempted, so that a producer's order has no gaps. */
static void refuse_behind(struct asked a, struct channel *ch, uint32_t from, uint32_t to)
{
	char label[CHANNEL_LABEL_MAX];

	answer_fail(part(a, from, to), CHAN_ECANCELED,
		"send to %s: not attempted, because a value before it in the same batch failed",
		channel_label(ch, label));
}

/* Answers the values from the first that may not enter. It fits after all when those before it
 * were in the way, and have failed meanwhile. */
static void refuse_values(struct call *c, struct asked a, struct channel *ch, uint32_t from)
{
	if (call_check_value(c, part(a, from, from + 1), ch, c->values[from]) < 0)
		from++;
	if (from < c->value_count)
		refuse_behind(a, ch, from, c->value_count);
}

static void drop_values(struct call *c, struct channel *ch, uint32_t from, uint32_t to)
{
	for (; from < to; from++)
		engine_drop_value(c->engine, ch->type, c->values[from]);
}

/* The values from..to stand as one operation: into a buffer they go together, as far as there is
 * room; without one they are offered one after another, from the same place. */
static void stand_to_send(
	struct call *c, struct asked whole, struct channel *ch, uint32_t from, uint32_t to)
{
	struct asked a = part(whole, from, to);
	struct operation *op;
	struct operation_request r = {
		.kind = OP_SEND,
		.channel = ch,
		.seq = a.seq,
		.participant = c->message->send.participant,
		.try = c->message->send.try,
		.timeout_ns = c->message->send.timeout_ns,
		.waiter_count = 1,
		.value_count = a.count,
	};

	for (uint32_t i = from; i < to; i++)
		r.value_bytes += c->values[i]->len;
	if (call_operation(c, a, "send to", NULL, &r, &op) < 0) {
		drop_values(c, ch, from, to);
		return;
	}
	memcpy(operation_values(op), c->values + from, a.count * sizeof(*c->values));
	waiter_bind(&op->waiters[0], ch, CHAN_SEND);
	operation_stand(c->engine, op);
}

/* BROKEN(resume_sends_twice): as if it had come before the connection was lost, too. */
static void send_again(struct call *c, struct channel *ch, struct value *v)
{
	engine_hold_value(c->engine, c->party->account, ch->type, value_ref(v));
	if (buffer_accept(c->engine, ch, &v, 1) == 1)
		c->party->resumed = false;
	else
		engine_drop_value(c->engine, ch->type, v);
}

int op_send(struct call *c)
{
	const struct message *m = c->message;
	struct asked a = call_asked(c);
	struct channel *ch;
	uint32_t good, n;

	if (c->value_count == 0 || c->value_count != m->send.count ||
		c->value_count > BATCH_VALUES_MAX || m->seq > UINT64_MAX - c->value_count)
		return CHAN_EPROTOCOL;
	ch = call_channel(c, a, "send to", m->send.channel, CHAN_SEND, m->send.epoch);
	if (!ch || call_check_type(a, ch, m->send.type) < 0)
		return 0;
	if ((ch->closing && !BROKEN(value_after_close)) || producer_is_done(ch, c->party)) {
		answer_closed(a, "send to", ch);
		return 0;
	}
	good = c->consumed = hold_values(c, ch);
	n = buffer_accept(c->engine, ch, c->values, good);
	if (n > 0) {
		answer_done(c->party, a.seq, n, 0);
		if (BROKEN(resume_sends_twice) && c->party->resumed)
			send_again(c, ch, c->values[0]);
		channel_touch(c->engine, ch);
	}
	if (n < good)
		stand_to_send(c, a, ch, n, good);
	if (good < c->value_count)
		refuse_values(c, a, ch, good);
	return 0;
}
