/*
 * recv.c - receiving.
 */
#include "client/client.h"
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

int recv_build(struct chan *ch, int64_t timeout_ns, struct chan_op **ret_op)
{
	struct chan_op *op;
	int rc = end_check(ch, CHAN_RECV, "receive from");

	if (rc < 0)
		return rc;
	op = op_new(ch->client, OP_RECV, ch, timeout_ns);
	if (!op)
		return CHAN_ENOMEM;
	op->m.kind = MESSAGE_RECV;
	op->m.recv.channel = ch->id;
	op->m.recv.credit = 1;
	op->m.recv.lease_ns = (uint64_t)ch->options.lease_ns;
	*ret_op = op;
	return 0;
}

/* Whether there is a connection, made now where nobody else does. */
static bool is_connected(struct chan_client *c)
{
	if (c->link != LINK_UP && !c->keeper.running)
		client_reconnect(c);
	return c->link == LINK_UP;
}

/* Where values have come, waits until one may be handed over; a try not for a connection. */
static int await_fresh_inbox(struct chan *ch, bool try, int64_t deadline_ns)
{
	struct chan_client *c = ch->client;
	int rc;

	while (ch->ahead->inbox && c->session.end.status == 0 && !session_is_fresh(&c->session)) {
		if (try && !is_connected(c))
			rc = CHAN_ETIMEDOUT;
		else
			rc = client_wait_any(c, try ? DEADLINE_NONE : deadline_ns);
		if (rc == CHAN_ETIMEDOUT)
			return error_say(rc,
				"receive from '%s': the broker does not answer just now, and "
				"without it what has come may not be handed over",
				ch->name);
	}
	return 0;
}

/* A receive of a client that was taken for lost fails with CHAN_EGONE; it lives, and asks again. */
static int recv_one(struct chan *ch, struct chan_value *ret_value, int64_t timeout_ns)
{
	int64_t deadline_ns = clock_deadline_ns(timeout_ns);
	struct chan_client *c = ch->client;
	struct chan_completion done;
	struct chan_op *op;
	int rc;

	rc = await_fresh_inbox(ch, timeout_ns == CHAN_TRY, deadline_ns);
	if (rc < 0)
		return rc;
	do {
		rc = recv_build(ch, timeout_ns, &op);
		if (rc < 0)
			break;
		if (timeout_ns > 0)
			op->deadline_ns = deadline_ns;
		client_submit(op);
		rc = client_await(c, op, &done);
	} while (rc == CHAN_EGONE);
	if (rc > 0)
		*ret_value = done.value;
	return rc;
}

int chan_recv_timeout(struct chan *ch, struct chan_value *ret_value, int64_t timeout_ns)
{
	int rc;

	client_lock(ch->client);
	rc = recv_one(ch, ret_value, timeout_ns);
	client_confirm_now(ch);
	client_unlock(ch->client);
	return rc;
}

int chan_recv(struct chan *ch, struct chan_value *ret_value)
{
	return chan_recv_timeout(ch, ret_value, CHAN_FOREVER);
}

int chan_try_recv(struct chan *ch, struct chan_value *ret_value)
{
	return chan_recv_timeout(ch, ret_value, CHAN_TRY);
}

/* Hands the first of the inbox over, whose number is *ret_id; false: it cannot be. */
static bool take_first(struct chan *ch, struct chan_value *ret_value, uint64_t *ret_id)
{
	struct delivery *d = ch->ahead->inbox;

	*ret_id = d->id;
	DL_DELETE(ch->ahead->inbox, d);
	if (client_hand_over(ch, d, ret_value) == 0)
		return true;
	session_return(&ch->client->session, *ret_id);
	delivery_free(d);
	return false;
}

/* What is at hand now and may be handed over. Each is a receive that is over as soon as it is
 * submitted, so none is made; neighbours are noted together. */
static int take_at_hand(struct chan *ch, struct chan_value *values, int have, int n)
{
	struct session *s = &ch->client->session;
	uint64_t id, first = 0;
	uint32_t count = 0;

	if (ch->ahead->receivers || s->end.status < 0 || !session_is_fresh(s))
		return have;
	for (; have < n && ch->ahead->inbox && take_first(ch, &values[have], &id);
		have++, count++) {
		if (count > 0 && id == first + count)
			continue;
		if (count > 0)
			client_handed_over(ch, first, count);
		first = id;
		count = 0;
	}
	if (count > 0)
		client_handed_over(ch, first, count);
	return have;
}

int chan_recvv(struct chan *ch, struct chan_value *values, size_t n, int64_t timeout_ns)
{
	int max = n > INT32_MAX ? INT32_MAX : (int)n;
	int rc;

	if (n == 0)
		return error_say(CHAN_EINVAL, "receive: no room for a value");
	client_lock(ch->client);
	rc = recv_one(ch, values, timeout_ns);
	if (rc > 0)
		rc = take_at_hand(ch, values, 1, max);
	client_confirm_now(ch);
	client_unlock(ch->client);
	return rc;
}

int chan_start_recv(struct chan *ch, int64_t timeout_ns, void *tag, struct chan_op **ret_op)
{
	struct chan_op *op;
	int rc;

	client_lock(ch->client);
	rc = recv_build(ch, timeout_ns, &op);
	if (rc == 0)
		client_start(op, tag, ret_op);
	client_unlock(ch->client);
	return rc;
}

/* ---- by type ------------------------------------------------------------------------------ */

/* A value of exactly that type. */
static int recv_typed(struct chan *ch, enum chan_type type, struct chan_value *ret_value)
{
	enum chan_type has = chan_type(ch);

	if (ch->options.manual || ch->options.raw || ch->options.lease_ns)
		return error_say(CHAN_EINVAL,
			"receive from '%s': use chan_recv on an end with manual "
			"confirmation, a lease or raw values",
			ch->name);
	if (has != type && has != CHAN_TYPE_RAW)
		return error_say(CHAN_ETYPE,
			"receive from '%s': the channel's type is %s, asked was for %s", ch->name,
			chan_type_name(has), chan_type_name(type));
	return chan_recv(ch, ret_value);
}

int chan_recv_int(struct chan *ch, int64_t *ret_int)
{
	struct chan_value v;
	int rc = recv_typed(ch, CHAN_TYPE_INT, &v);

	if (rc > 0)
		*ret_int = v.i;
	return rc;
}

int chan_recv_float(struct chan *ch, double *ret_float)
{
	struct chan_value v;
	int rc = recv_typed(ch, CHAN_TYPE_FLOAT, &v);

	if (rc > 0)
		*ret_float = v.f;
	return rc;
}

int chan_recv_bool(struct chan *ch, bool *ret_bool)
{
	struct chan_value v;
	int rc = recv_typed(ch, CHAN_TYPE_BOOL, &v);

	if (rc > 0)
		*ret_bool = v.b;
	return rc;
}

int chan_recv_signal(struct chan *ch)
{
	struct chan_value v;

	return recv_typed(ch, CHAN_TYPE_SIGNAL, &v);
}

int chan_recv_chan(struct chan *ch, struct chan **ret_chan)
{
	struct chan_value v;
	int rc = recv_typed(ch, CHAN_TYPE_CHAN, &v);

	if (rc > 0)
		*ret_chan = v.chan;
	return rc;
}

/* Text of that type, in memory of its own, which the program can free. */
static int recv_text(struct chan *ch, enum chan_type type, void **ret_text, size_t *ret_len)
{
	struct chan_value v;
	int rc = recv_typed(ch, type, &v);
	void *text;

	if (rc <= 0)
		return rc;
	text = delivery_detach(v.memory, v.bytes, v.len);
	if (!text) {
		chan_value_clear(&v);
		return error_say(CHAN_ENOMEM, "receive from '%s': out of memory", ch->name);
	}
	*ret_text = text;
	if (ret_len)
		*ret_len = v.len;
	return 1;
}

int chan_recv_bytes(struct chan *ch, void **ret_bytes, size_t *ret_len)
{
	return recv_text(ch, CHAN_TYPE_BYTES, ret_bytes, ret_len);
}

int chan_recv_string(struct chan *ch, char **ret_string, size_t *ret_len)
{
	void *text = NULL;
	int rc = recv_text(ch, CHAN_TYPE_STRING, &text, ret_len);

	if (rc > 0)
		*ret_string = text;
	return rc;
}
