/*
 * recv.c - receiving, and confirming by hand.
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
	*ret_op = op;
	return 0;
}

/* What was handed over is confirmed before the program works on it. */
static void confirm_now(struct chan_client *c)
{
	session_settle(&c->session);
	client_flush(c);
}

/* A receive of a client that was taken for lost fails with CHAN_EGONE; it lives, and asks again. */
static int recv_one(struct chan *ch, struct chan_value *ret_value, int64_t timeout_ns)
{
	int64_t deadline_ns = clock_deadline_ns(timeout_ns);
	struct chan_client *c = ch->client;
	struct chan_completion done;
	struct chan_op *op;
	int rc;

	while (ch->inbox && c->session.end.status == 0 && !session_is_fresh(&c->session))
		client_wait_any(c, DEADLINE_NONE);
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
	confirm_now(ch->client);
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

/* What is at hand now and may be handed over. Each is a receive that is over as soon as it is
 * submitted, so none is made. */
static int take_at_hand(struct chan *ch, struct chan_value *values, int have, int n)
{
	struct session *s = &ch->client->session;
	struct delivery *d;

	if (ch->receivers || s->end.status < 0 || !session_is_fresh(s))
		return have;
	while (have < n && (d = ch->inbox)) {
		DL_DELETE(ch->inbox, d);
		if (client_hand_over(ch, d, &values[have]) < 0) {
			session_return(s, d->id);
			free(d);
			break;
		}
		have++;
	}
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
	confirm_now(ch->client);
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

	if (ch->options.manual || ch->options.raw)
		return error_say(CHAN_EINVAL,
			"receive from '%s': use chan_recv on an end with manual "
			"confirmation or raw values",
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

/* Moves the text to the start of the memory that it stands in, which the program can free. */
static void *detach(struct chan_value *v)
{
	return memmove(v->memory, v->bytes, v->len + 1);
}

int chan_recv_bytes(struct chan *ch, void **ret_bytes, size_t *ret_len)
{
	struct chan_value v;
	int rc = recv_typed(ch, CHAN_TYPE_BYTES, &v);

	if (rc > 0)
		*ret_bytes = detach(&v);
	if (rc > 0 && ret_len)
		*ret_len = v.len;
	return rc;
}

int chan_recv_string(struct chan *ch, char **ret_string, size_t *ret_len)
{
	struct chan_value v;
	int rc = recv_typed(ch, CHAN_TYPE_STRING, &v);

	if (rc > 0)
		*ret_string = detach(&v);
	if (rc > 0 && ret_len)
		*ret_len = v.len;
	return rc;
}

/* ---- confirming by hand ------------------------------------------------------------------- */

static int compare_deliveries(const void *a, const void *b)
{
	const struct wire_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Sorts and joins. Returns how many ranges are left. */
static size_t join_ranges(struct wire_range *ranges, size_t n)
{
	size_t i, last = 0;

	qsort(ranges, n, sizeof(*ranges), compare_deliveries);
	for (i = 1; i < n; i++) {
		if (ranges[last].first + ranges[last].count == ranges[i].first)
			ranges[last].count++;
		else
			ranges[++last] = ranges[i];
	}
	return last + 1;
}

int settle_build(struct chan *ch, enum op_kind kind, struct chan_value *values, size_t n,
	struct chan_op **ret_op)
{
	const char *asked = kind == OP_CONFIRM ? "confirm to" : "return to";
	struct chan_op *op;
	size_t i;

	for (i = 0; i < n; i++)
		if (values[i].delivery == 0)
			return error_say(CHAN_EINVAL,
				"%s '%s': a value was confirmed or returned before", asked,
				ch->name);
	op = op_new(ch->client, kind, ch, CHAN_FOREVER);
	if (!op)
		return CHAN_ENOMEM;
	op->ranges = calloc(n + 1, sizeof(*op->ranges));
	if (!op->ranges) {
		op_unref(op);
		return error_say(CHAN_ENOMEM, "%s '%s': out of memory", asked, ch->name);
	}
	for (i = 0; i < n; i++) {
		op->ranges[i] = (struct wire_range){values[i].delivery, 1};
		session_note_grant(&ch->client->session, ch, values[i].delivery);
		values[i].delivery = 0;
	}
	op->m.kind = kind == OP_CONFIRM ? MESSAGE_TAKEN : MESSAGE_RETURN;
	op->range_count = n ? join_ranges(op->ranges, n) : 0;
	op->count = session_settle_frames(op->range_count);
	*ret_op = op;
	return 0;
}

static int settle(struct chan *ch, enum op_kind kind, struct chan_value *values, size_t n)
{
	struct chan_op *op;
	int rc;

	client_lock(ch->client);
	rc = settle_build(ch, kind, values, n, &op);
	if (rc == 0) {
		client_submit(op);
		rc = client_run(ch->client, op, NULL);
	}
	client_unlock(ch->client);
	return rc;
}

static int start_settle(struct chan *ch, enum op_kind kind, struct chan_value *values, size_t n,
	void *tag, struct chan_op **ret_op)
{
	struct chan_op *op;
	int rc;

	client_lock(ch->client);
	rc = settle_build(ch, kind, values, n, &op);
	if (rc == 0)
		client_start(op, tag, ret_op);
	client_unlock(ch->client);
	return rc;
}

int chan_confirm(struct chan *ch, struct chan_value *values, size_t n)
{
	return settle(ch, OP_CONFIRM, values, n);
}

int chan_return(struct chan *ch, struct chan_value *values, size_t n)
{
	return settle(ch, OP_RETURN, values, n);
}

int chan_start_confirm(
	struct chan *ch, struct chan_value *values, size_t n, void *tag, struct chan_op **ret_op)
{
	return start_settle(ch, OP_CONFIRM, values, n, tag, ret_op);
}

int chan_start_return(
	struct chan *ch, struct chan_value *values, size_t n, void *tag, struct chan_op **ret_op)
{
	return start_settle(ch, OP_RETURN, values, n, tag, ret_op);
}
