/*
 * ride.c - answers of sends that may wait for company: PROTOCOL.md, part 7.
 *
 * A program that starts sends and then blocks for something else does not look at their answers
 * before that has come; so the broker need not write, and this client not wake up, for them alone.
 * Whoever begins to wait for such a send asks.
 */
#include "client/client.h"
#include "client/emit.h"

void session_let_ride(struct session *s)
{
	if (s->batch.count == 0 || s->backlog)
		return;
	s->batch.m.send.ride = true;
	batch_seal(s);
}

/* A CANCEL of nothing, behind the sends that it is about; any other operation does as well, sends
 * that have gathered for instance. */
void session_ask(struct session *s, struct chan_client *c)
{
	struct chan_op *op;

	if (s->riding)
		batch_seal(s);
	if (!s->riding)
		return;
	s->riding = false;
	op = op_new(c, OP_CANCEL, NULL, CHAN_FOREVER);
	if (!op) {
		s->doomed = CHAN_ENOMEM;
		return;
	}
	op->m.kind = MESSAGE_CANCEL;
	session_submit(s, op);
}

/* Whether a thread waits for what may be the answer of a send. */
static bool answers_are_awaited(const struct chan_client *c)
{
	const struct waiter *w;

	for (w = c->waiters; w; w = w->next)
		if (w->hears)
			return true;
	return false;
}

void client_let_ride(struct chan_client *c)
{
	if (!answers_are_awaited(c))
		session_let_ride(&c->session);
}
