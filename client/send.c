/*
 * send.c - sending.
 */
#include "client/client.h"
#include "proto/limits.h"
#include <string.h>

/* Room for the payload of all, so that it need not be copied as it grows. */
static int reserve_payload(struct buf *payload, const struct chan_value *values, size_t n)
{
	size_t bytes = 0, i;

	for (i = 0; i < n; i++) {
		bytes += VALUE_PREFIX_BYTES + sizeof(int64_t) + 1;
		if (values[i].type == CHAN_TYPE_STRING || values[i].type == CHAN_TYPE_BYTES ||
			values[i].type == CHAN_TYPE_RAW)
			bytes += values[i].len;
	}
	return buf_reserve(payload, bytes);
}

int send_build(struct chan *ch, const struct chan_value *values, size_t n, int64_t timeout_ns,
	struct chan_op **ret_op)
{
	struct chan_op *op;
	size_t i;
	int rc = end_check(ch, CHAN_SEND, "send to");

	if (rc == 0 && n > UINT32_MAX / 2)
		rc = error_say(CHAN_EINVAL, "send to '%s': too many values in one call", ch->name);
	if (rc < 0)
		return rc;
	op = op_new(ch->client, OP_SEND, ch, timeout_ns);
	if (!op)
		return CHAN_ENOMEM;
	op->count = (uint32_t)n;
	op->m.kind = MESSAGE_SEND;
	op->m.send.channel = ch->id;
	op->m.send.type = ch->type;
	op_take_payload(op);
	if (reserve_payload(&op->payload, values, n) < 0)
		rc = error_say(CHAN_ENOMEM, "send to '%s': out of memory", ch->name);
	for (i = 0; i < n && rc == 0; i++)
		rc = value_pack(&op->payload, ch, &values[i], "send to");
	if (rc < 0) {
		op_unref(op);
		return rc;
	}
	*ret_op = op;
	return 0;
}

int chan_sendv(struct chan *ch, const struct chan_value *values, size_t n, int64_t timeout_ns,
	size_t *ret_sent)
{
	struct chan_client *c = ch->client;
	struct chan_completion done = {.count = 0};
	struct chan_op *op;
	int rc;

	client_lock(c);
	rc = send_build(ch, values, n, timeout_ns, &op);
	if (rc == 0) {
		client_submit(op);
		rc = client_run(c, op, &done);
	}
	client_unlock(c);
	if (ret_sent)
		*ret_sent = done.count;
	return rc;
}

int chan_start_send(struct chan *ch, const struct chan_value *values, size_t n, int64_t timeout_ns,
	void *tag, struct chan_op **ret_op)
{
	struct chan_op *op;
	int rc;

	client_lock(ch->client);
	rc = send_build(ch, values, n, timeout_ns, &op);
	if (rc == 0)
		client_start(op, tag, ret_op);
	client_unlock(ch->client);
	return rc;
}

int chan_send_timeout(struct chan *ch, const struct chan_value *v, int64_t timeout_ns)
{
	return chan_sendv(ch, v, 1, timeout_ns, NULL);
}

int chan_send(struct chan *ch, const struct chan_value *v)
{
	return chan_sendv(ch, v, 1, CHAN_FOREVER, NULL);
}

int chan_try_send(struct chan *ch, const struct chan_value *v)
{
	return chan_sendv(ch, v, 1, CHAN_TRY, NULL);
}

/* ---- by type ------------------------------------------------------------------------------ */

static int send_one(struct chan *ch, struct chan_value v)
{
	return chan_send(ch, &v);
}

int chan_send_int(struct chan *ch, int64_t i)
{
	return send_one(ch, chan_value_int(i));
}

int chan_send_float(struct chan *ch, double f)
{
	return send_one(ch, chan_value_float(f));
}

int chan_send_bool(struct chan *ch, bool b)
{
	return send_one(ch, chan_value_bool(b));
}

int chan_send_string(struct chan *ch, const char *string)
{
	return send_one(ch, chan_value_string(string, strlen(string)));
}

int chan_send_bytes(struct chan *ch, const void *bytes, size_t len)
{
	return send_one(ch, chan_value_bytes(bytes, len));
}

int chan_send_signal(struct chan *ch)
{
	return send_one(ch, chan_value_signal());
}

int chan_send_chan(struct chan *ch, struct chan *passed)
{
	return send_one(ch, chan_value_chan(passed));
}
