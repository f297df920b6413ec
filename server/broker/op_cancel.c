/*
 * op_cancel.c - CANCEL: the target's outcome first, then the answer to the CANCEL.
 */
#include "chan/status.h"
#include "server/broker/state.h"
#include <inttypes.h>

/* A value that is in a receiver's hands: taken or returned decides, and the CANCEL waits for it. */
static void cancel_out(struct call *c, struct operation *op)
{
	struct engine *e = c->engine;
	int rc = CHAN_ELIMIT;

	if (c->party->ops_in_flight < e->options.limits.ops_in_flight_max)
		rc = operation_cancel_later(e, op, c->message->seq);
	if (rc < 0)
		answer_fail(call_asked(c), rc,
			"cancel: no room for one more operation in flight, the limit is %u",
			e->options.limits.ops_in_flight_max);
}

/* A value of a SEND that waits, though it be for another that is out; one that was answered before
 * is left alone. */
static void cancel_value(struct call *c, struct operation *op, uint64_t index)
{
	if (index >= op->send.cursor && operation_values(op)[index])
		operation_withdraw_value(c->engine, op, (uint32_t)index);
}

int op_cancel(struct call *c)
{
	uint64_t target = c->message->cancel.target;
	struct operation *op = operation_find(c->party, target);

	if (op && op->out && target == operation_offered_seq(op)) {
		cancel_out(c, op);
		return 0;
	}
	if (op && op->kind == OP_SEND)
		cancel_value(c, op, target - op->seq);
	else if (op)
		operation_fail(c->engine, op, CHAN_ECANCELED, 0);
	answer_done(c->party, c->message->seq, 1, 0);
	return 0;
}
