/*
 * run.c - from a submitted operation to its outcome in the program's hands.
 */
#include "client/client.h"
#include "client/lease.h"
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Whether the caller is about to wait for it, and for no send before it. */
static bool is_waited_for(const struct chan_op *op)
{
	return !op->async && (op->kind == OP_RECV || op->kind == OP_SELECT);
}

/* Its frame goes behind the sends that have gathered, which leave with it. */
static void submit_to_broker(struct chan_op *op)
{
	if (is_waited_for(op))
		client_let_ride(op->client);
	session_submit(&op->client->session, op);
}

void client_submit(struct chan_op *op)
{
	if (op->count == 0)
		op_finish(op);
	else if (op->kind == OP_RECV && end_is_streamed(op->chan))
		end_receive(op->chan, op);
	else
		submit_to_broker(op);
}

void client_start(struct chan_op *op, void *tag, struct chan_op **ret_op)
{
	op->async = true;
	op->tag = tag;
	op->client->async_pending++;
	if (ret_op)
		*ret_op = op;
	client_submit(op);
	if (op->client->waiters) /* they block already, and will not send it */
		client_flush(op->client);
	else
		client_flush_much(op->client);
}

/* ---- taking ------------------------------------------------------------------------------- */

static struct chan *received_from(const struct chan_op *op)
{
	return op->kind == OP_SELECT ? op->cases[op->case_index].chan : op->chan;
}

/*
 * Whether what was taken is confirmed, and credit granted anew, by a write of its own: when half of the
 * credit is used. Where confirmations may come late, values whose confirmation has left with something
 * else do not count, as long as the broker has a quarter left to go on with: in a round trip each eighth
 * value of 16 would cost a write more here and a read more in the broker, and the trip a third more time.
 */
static bool must_grant(const struct chan *ch)
{
	uint32_t credit = end_credit(ch);

	return ch->ahead->grant_due >= credit / 2 &&
	       (!end_confirms_late(ch) || ch->ahead->credit_left <= credit / 4 ||
		       ch->client->session.taken_values >= credit / 2);
}

void client_handed_over(struct chan *ch, uint64_t first, uint32_t n)
{
	struct session *s = &ch->client->session;

	if (ch->options.manual && !ch->options.lease_ns) {
		s->by_hand += n;
		return;
	}
	session_note_taken(s, first, n);
	session_note_grant(s, ch, first, n);
	if (end_is_streamed(ch) && must_grant(ch))
		session_confirm(s);
}

void client_confirm_now(struct chan *ch)
{
	struct session *s = &ch->client->session;

	if (end_confirms_late(ch) && buf_len(&s->out) == 0) /* no new credit either */
		return;
	session_settle(s);
	client_flush(ch->client);
}

int client_hand_over(struct chan *ch, struct delivery *d, struct chan_value *ret_value)
{
	uint64_t id = d->id;
	int rc = value_unpack(ch, d, ret_value);

	if (rc < 0)
		return rc;
	if (ch->options.lease_ns || ch->options.manual)
		ret_value->delivery = id;
	if (ch->options.lease_ns)
		lease_hold(&ch->client->session, id, ch->options.lease_ns);
	return 0;
}

static void hand_over(struct chan_op *op, struct chan_value *ret_value)
{
	struct session *s = &op->client->session;
	uint64_t id = op->delivery->id;
	int rc;

	if (s->end.status < 0) { /* it goes to somebody else */
		failure_set(&op->failure, CHAN_EUNKNOWN, s->end.text);
		return;
	}
	rc = client_hand_over(received_from(op), op->delivery, ret_value);
	if (rc < 0) {
		failure_set(&op->failure, rc, NULL);
		return;
	}
	op->delivery = NULL;
	client_handed_over(received_from(op), id, 1);
}

/* The index that the program knows it by; -1: none. */
static int chosen_case(const struct chan_op *op)
{
	return op->case_index < op->case_count ? (int)op->cases[op->case_index].index : -1;
}

static int status_of(const struct chan_op *op)
{
	if (op_failed(op))
		return error_say_failure(&op->failure, op_word(op), op_whom(op));
	if (op->kind == OP_RECV)
		return !op->closed;
	return op->kind == OP_SELECT ? chosen_case(op) : 0;
}

/* The end that a make or open was for: the program's, or nobody's. */
static void pass_end(struct chan_op *op, struct chan_completion *done)
{
	if (op->kind == OP_SELECT)
		done->chan = NULL;
	if (op->kind != OP_MAKE && op->kind != OP_OPEN)
		return;
	if (op_failed(op)) {
		end_unref(op->chan);
		done->chan = NULL;
	}
}

void client_take(struct chan_op *op, struct chan_completion *ret)
{
	struct chan_completion done = {
		.tag = op->tag,
		.chan = op->chan,
		.closed = op->closed,
		.case_index = chosen_case(op),
	};
	struct chan_client *c = op->client;

	if (op->async) {
		client_remove_completion(c, op);
		c->async_pending--;
	} else {
		DL_DELETE(c->done, op);
	}
	if (op->delivery)
		hand_over(op, &done.value);
	done.status = status_of(op);
	done.count = op->kind == OP_RECV ? !op_failed(op) && !op->closed : op->succeeded;
	done.error = op_failed(op) ? chan_last_error() : NULL;
	pass_end(op, &done);
	op_unref(op);
	if (ret)
		*ret = done;
	else
		chan_value_clear(&done.value);
}

/* A value that came is handed over once it is known not to have been revoked meanwhile. */
static void await_fresh(struct chan_op *op)
{
	struct session *s = &op->client->session;

	while (op->delivery && s->end.status == 0 && !session_is_fresh(s))
		client_wait_any(op->client, DEADLINE_NONE);
}

int client_await(struct chan_client *c, struct chan_op *op, struct chan_completion *ret)
{
	client_wait_op(c, op);
	await_fresh(op);
	client_take(op, ret);
	return ret->status;
}

int client_run(struct chan_client *c, struct chan_op *op, struct chan_completion *ret)
{
	struct chan_completion done;
	int rc = client_await(c, op, ret ? ret : &done);

	session_settle(&c->session);
	client_flush(c);
	return rc;
}
