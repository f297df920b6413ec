/*
 * settle.c - what programs say of values that they received: confirmed or given back by hand; and
 * of leased ones: done with, given back, needed for longer.
 */
#include "client/client.h"
#include "client/lease.h"
#include <stdlib.h>

/* Each of the five, by the kind of its operation. */
static const struct settling {
	enum message_kind kind;
	bool leased; /* for ends with a lease; the others for those without */
	bool ends;   /* the value is settled by it */
} settlings[] = {
	[OP_CONFIRM] = {MESSAGE_TAKEN, false, true},
	[OP_RETURN] = {MESSAGE_RETURN, false, true},
	[OP_ACK] = {MESSAGE_ACK, true, true},
	[OP_NACK] = {MESSAGE_NACK, true, true},
	[OP_EXTEND] = {MESSAGE_EXTEND, true, false},
};

/* What is said of values, and the time that goes with it. */
struct saying {
	enum op_kind kind;
	int64_t delay_ns, lease_ns;
};

static int check_time(const struct chan *ch, const struct saying *what)
{
	if (what->delay_ns < 0)
		return error_say(CHAN_EINVAL, "%s '%s': a delay of %lld ns",
			op_kind_word(what->kind), ch->name, (long long)what->delay_ns);
	if (what->kind == OP_EXTEND && what->lease_ns <= 0)
		return error_say(CHAN_EINVAL, "%s '%s': a lease of %lld ns",
			op_kind_word(what->kind), ch->name, (long long)what->lease_ns);
	return 0;
}

static int check(
	const struct chan *ch, const struct saying *what, const struct chan_value *values, size_t n)
{
	bool leased = settlings[what->kind].leased;
	size_t i;

	if (leased != (ch->options.lease_ns != 0))
		return error_say(CHAN_EINVAL,
			leased ? "%s '%s': the end was opened without a lease; use chan_confirm "
				 "or chan_return"
			       : "%s '%s': the end was opened with a lease; use chan_ack or "
				 "chan_nack",
			op_kind_word(what->kind), ch->name);
	for (i = 0; i < n; i++)
		if (values[i].delivery == 0)
			return error_say(CHAN_EINVAL,
				leased || ch->options.manual
					? "%s '%s': a value was settled before, or never received"
					: "%s '%s': values are confirmed as they are received, unless "
					  "the end is opened with manual confirmation",
				op_kind_word(what->kind), ch->name);
	return check_time(ch, what);
}

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

/* The value is not the program's any more: its lease needs no watching, or its credit is due. */
static void let_go(struct chan *ch, enum op_kind kind, struct chan_value *v)
{
	struct session *s = &ch->client->session;

	if (settlings[kind].leased) {
		lease_forget(s, &(struct wire_range){v->delivery, 1});
	} else {
		session_note_grant(s, ch, v->delivery, 1);
		s->by_hand -= s->by_hand > 0; /* a copy of it may have been settled before */
	}
	v->delivery = 0;
}

static int build(struct chan *ch, const struct saying *what, struct chan_value *values, size_t n,
	struct chan_op **ret_op)
{
	struct chan_op *op;
	size_t i;
	int rc = check(ch, what, values, n);

	if (rc < 0)
		return rc;
	op = op_new(ch->client, what->kind, ch, CHAN_FOREVER);
	if (!op)
		return CHAN_ENOMEM;
	op->ranges = calloc(n + 1, sizeof(*op->ranges));
	if (!op->ranges) {
		op_unref(op);
		return error_say(
			CHAN_ENOMEM, "%s '%s': out of memory", op_kind_word(what->kind), ch->name);
	}
	for (i = 0; i < n; i++) {
		op->ranges[i] = (struct wire_range){values[i].delivery, 1};
		if (settlings[what->kind].ends)
			let_go(ch, what->kind, &values[i]);
	}
	op->m.kind = settlings[what->kind].kind;
	op->m.settle.delay_ns = (uint64_t)what->delay_ns;
	op->m.settle.lease_ns = (uint64_t)what->lease_ns;
	op->asked_ns = clock_now_ns();
	op->range_count = n ? join_ranges(op->ranges, n) : 0;
	op->count = session_settle_frames(op->range_count);
	*ret_op = op;
	return 0;
}

static int say(struct chan *ch, struct saying what, struct chan_value *values, size_t n)
{
	struct chan_op *op;
	int rc;

	client_lock(ch->client);
	rc = build(ch, &what, values, n, &op);
	if (rc == 0) {
		client_submit(op);
		rc = client_run(ch->client, op, NULL);
	}
	client_unlock(ch->client);
	return rc;
}

static int start(struct chan *ch, struct saying what, struct chan_value *values, size_t n,
	void *tag, struct chan_op **ret_op)
{
	struct chan_op *op;
	int rc;

	client_lock(ch->client);
	rc = build(ch, &what, values, n, &op);
	if (rc == 0)
		client_start(op, tag, ret_op);
	client_unlock(ch->client);
	return rc;
}

int chan_confirm(struct chan *ch, struct chan_value *values, size_t n)
{
	return say(ch, (struct saying){.kind = OP_CONFIRM}, values, n);
}

int chan_return(struct chan *ch, struct chan_value *values, size_t n)
{
	return say(ch, (struct saying){.kind = OP_RETURN}, values, n);
}

int chan_ack(struct chan *ch, struct chan_value *values, size_t n)
{
	return say(ch, (struct saying){.kind = OP_ACK}, values, n);
}

int chan_nack(struct chan *ch, struct chan_value *values, size_t n, int64_t delay_ns)
{
	return say(ch, (struct saying){.kind = OP_NACK, .delay_ns = delay_ns}, values, n);
}

/* Which does not change the values. */
int chan_extend(struct chan *ch, const struct chan_value *values, size_t n, int64_t lease_ns)
{
	return say(ch, (struct saying){.kind = OP_EXTEND, .lease_ns = lease_ns},
		(struct chan_value *)values, n);
}

int chan_start_confirm(
	struct chan *ch, struct chan_value *values, size_t n, void *tag, struct chan_op **ret_op)
{
	return start(ch, (struct saying){.kind = OP_CONFIRM}, values, n, tag, ret_op);
}

int chan_start_return(
	struct chan *ch, struct chan_value *values, size_t n, void *tag, struct chan_op **ret_op)
{
	return start(ch, (struct saying){.kind = OP_RETURN}, values, n, tag, ret_op);
}

int chan_start_ack(
	struct chan *ch, struct chan_value *values, size_t n, void *tag, struct chan_op **ret_op)
{
	return start(ch, (struct saying){.kind = OP_ACK}, values, n, tag, ret_op);
}

int chan_start_nack(struct chan *ch, struct chan_value *values, size_t n, int64_t delay_ns,
	void *tag, struct chan_op **ret_op)
{
	return start(
		ch, (struct saying){.kind = OP_NACK, .delay_ns = delay_ns}, values, n, tag, ret_op);
}

int chan_start_extend(struct chan *ch, const struct chan_value *values, size_t n, int64_t lease_ns,
	void *tag, struct chan_op **ret_op)
{
	return start(ch, (struct saying){.kind = OP_EXTEND, .lease_ns = lease_ns},
		(struct chan_value *)values, n, tag, ret_op);
}
