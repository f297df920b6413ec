/*
 * select.c - one of several operations.
 */
#include "client/client.h"
#include <stdlib.h>

/* Whether the i-th case can be asked for; NULL channels are never ready and are left out. */
static int check_case(struct chan_client *c, const struct chan_case *one, size_t i)
{
	int rc;

	if (one->chan->client != c)
		return error_say(CHAN_EINVAL, "select: case %zu is of another client", i);
	if (one->direction != CHAN_SEND && one->direction != CHAN_RECV)
		return error_say(CHAN_EINVAL, "select: case %zu neither sends nor receives", i);
	rc = end_check(one->chan, one->direction, "select");
	if (rc == 0 && one->direction == CHAN_RECV && end_is_streamed(one->chan))
		rc = error_say(CHAN_EINVAL,
			"select: case %zu is an end that fetches ahead; open %s "
			"with credit 1",
			i, one->chan->name);
	return rc;
}

static int add_case(struct chan_op *op, const struct chan_case *one, size_t i)
{
	uint32_t k = op->case_count;
	int rc = check_case(op->client, one, i);

	if (rc == 0 && one->direction == CHAN_SEND)
		rc = value_pack(&op->payload, one->chan, &one->value, "select");
	if (rc < 0)
		return rc;
	op->cases[k] = (struct op_case){end_ref(one->chan), one->direction, (uint32_t)i};
	op->wire_cases[k].channel = one->chan->id;
	op->wire_cases[k].direction = one->direction;
	if (one->direction == CHAN_SEND)
		op->wire_cases[k].type = one->chan->type;
	else
		op->wire_cases[k].lease_ns = (uint64_t)one->chan->options.lease_ns;
	op->case_count++;
	return 0;
}

int select_build(struct chan_client *c, const struct chan_case *cases, size_t n, int64_t timeout_ns,
	struct chan_op **ret_op)
{
	uint32_t max = c->session.limits.select_cases;
	struct chan_op *op;
	size_t i;
	int rc = 0;

	if (n > max)
		return error_say(CHAN_EINVAL, "select: %zu cases, the broker takes %u", n, max);
	op = op_new(c, OP_SELECT, NULL, timeout_ns);
	if (!op)
		return CHAN_ENOMEM;
	op->m.kind = MESSAGE_SELECT;
	op->cases = calloc(n + 1, sizeof(*op->cases));
	op->wire_cases = calloc(n + 1, sizeof(*op->wire_cases));
	if (!op->cases || !op->wire_cases)
		rc = error_say(CHAN_ENOMEM, "select: out of memory");
	for (i = 0; i < n && rc == 0; i++)
		if (cases[i].chan)
			rc = add_case(op, &cases[i], i);
	if (rc < 0) {
		op_unref(op);
		return rc;
	}
	op->m.select.cases = op->wire_cases;
	op->m.select.case_count = op->case_count;
	*ret_op = op;
	return 0;
}

/* Writes the outcome into the case that happened. */
static void tell_case(struct chan_case *one, const struct chan_completion *done)
{
	one->result = done->status < 0 ? done->status : !done->closed;
	if (one->result > 0 && one->direction == CHAN_RECV)
		one->value = done->value;
}

/* As in chan_recv_timeout: what was taken back happened to nobody here. */
int chan_select(struct chan_client *c, struct chan_case *cases, size_t n, int64_t timeout_ns)
{
	int64_t deadline_ns = clock_deadline_ns(timeout_ns);
	struct chan_completion done;
	struct chan_op *op;
	size_t i;
	int rc;

	for (i = 0; i < n; i++)
		cases[i].result = 0;
	client_lock(c);
	do {
		rc = select_build(c, cases, n, timeout_ns, &op);
		if (rc < 0)
			break;
		if (timeout_ns > 0)
			op->deadline_ns = deadline_ns;
		client_submit(op);
		rc = client_run(c, op, &done);
		if (rc != CHAN_EGONE && done.case_index >= 0)
			tell_case(&cases[done.case_index], &done);
	} while (rc == CHAN_EGONE);
	client_unlock(c);
	return rc;
}

int chan_start_select(struct chan_client *c, const struct chan_case *cases, size_t n,
	int64_t timeout_ns, void *tag, struct chan_op **ret_op)
{
	struct chan_op *op;
	int rc;

	client_lock(c);
	rc = select_build(c, cases, n, timeout_ns, &op);
	if (rc == 0)
		client_start(op, tag, ret_op);
	client_unlock(c);
	return rc;
}
