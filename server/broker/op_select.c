/*
 * op_select.c - SELECT: one operation that stands in several channels. What happens to it is
 * decided where it stands, in channel.c; which ready case comes first, in operation_stand.
 */
#include "chan/status.h"
#include "proto/limits.h"
#include "server/broker/state.h"

static uint32_t count_sends(const struct message *m)
{
	uint32_t n = 0;

	for (size_t i = 0; i < m->select.case_count; i++)
		n += m->select.cases[i].direction == CHAN_SEND;
	return n;
}

/* Checks one case, and finds its channel. NULL: it was answered. */
static struct channel *check_case(struct call *c, uint32_t i, const struct value *v)
{
	const struct wire_case *k = &c->message->select.cases[i];
	struct asked a = call_asked(c);
	struct channel *ch;

	a.case_index = i;
	if (k->direction != CHAN_SEND && k->direction != CHAN_RECV) {
		answer_fail(a, CHAN_EINVAL, "select: case %u neither sends nor receives", i);
		return NULL;
	}
	ch = call_channel(c, a, v ? "select, send to" : "select, receive from", k->channel,
		(uint8_t)k->direction, k->epoch);
	if (ch && !v && call_check_lease(a, ch, "select, receive from", k->lease_ns) < 0)
		return NULL;
	if (ch && v && (call_check_type(a, ch, k->type) < 0 || call_check_value(c, a, ch, v) < 0))
		return NULL;
	if (ch && traffic_need(&c->engine->traffic, ch) < 0) {
		answer_fail(a, CHAN_ENOMEM, "select: the broker is out of memory; try again later");
		return NULL;
	}
	return ch;
}

static bool check_cases(struct call *c)
{
	const struct message *m = c->message;
	uint32_t next_value = 0;

	for (uint32_t i = 0; i < m->select.case_count; i++) {
		bool sends = m->select.cases[i].direction == CHAN_SEND;

		if (!check_case(c, i, sends ? c->values[next_value++] : NULL))
			return false;
	}
	return true;
}

static void bind_cases(struct call *c, struct operation *op)
{
	const struct message *m = c->message;

	for (uint32_t i = 0; i < m->select.case_count; i++) {
		const struct wire_case *k = &m->select.cases[i];
		struct waiter *w = &op->waiters[i];

		waiter_bind(w, party_end_of(c->party, k->channel)->channel, (uint8_t)k->direction);
		if (k->direction == CHAN_SEND) {
			w->value = c->values[c->consumed++];
			engine_hold_value(c->engine, c->party->account, w->channel->type, w->value);
		} else {
			w->lease_ns = k->lease_ns;
		}
	}
}

int op_select(struct call *c)
{
	const struct message *m = c->message;
	struct asked a = call_asked(c);
	struct operation *op;
	struct operation_request r = {
		.kind = OP_SELECT,
		.seq = m->seq,
		.participant = m->select.participant,
		.try = m->select.try,
		.timeout_ns = m->select.timeout_ns,
		.waiter_count = (uint32_t)m->select.case_count,
	};

	if (c->value_count != count_sends(m))
		return CHAN_EPROTOCOL;
	if (m->select.case_count > SELECT_CASES_MAX) {
		answer_fail(a, CHAN_EINVAL, "select: %zu cases, the limit is %u",
			m->select.case_count, SELECT_CASES_MAX);
		return 0;
	}
	if (!check_cases(c))
		return 0;
	for (uint32_t i = 0; i < c->value_count; i++)
		r.value_bytes += c->values[i]->len;
	if (call_operation(c, a, "select", "", &r, &op) < 0)
		return 0;
	bind_cases(c, op);
	operation_stand(c->engine, op);
	return 0;
}
