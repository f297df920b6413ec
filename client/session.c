/*
 * session.c - a session without its connection, and its end.
 */
#include "client/session.h"
#include "client/client.h"
#include <stdlib.h>
#include <utlist.h>

/* Pieces on their way in or out: nobody waits for them any more. */
static void drop_pieces(struct session *s)
{
	struct transfer *t, *next_transfer;
	struct partial *p, *next_partial;

	DL_FOREACH_SAFE (s->transfers, t, next_transfer) {
		buf_fini(&t->bytes);
		op_unref(t->op);
		free(t);
	}
	DL_FOREACH_SAFE (s->partials, p, next_partial) {
		buf_fini(&p->bytes);
		free(p);
	}
	s->transfers = NULL;
	s->partials = NULL;
}

/* Confirmations that have not left: the broker gives those values to somebody else. */
static void drop_confirmations(struct session *s)
{
	struct chan *ch, *next;

	LL_FOREACH_SAFE2 (s->granting, ch, next, ahead->next_granting) {
		ch->ahead->grant_due = 0;
		ch->ahead->granting = false;
		end_unref(ch);
	}
	s->granting = NULL;
	s->taken_count = 0;
	s->taken_values = 0;
}

/* What was sent in part fails like what was sent. */
static void fail_sent(struct session *s, int status, const char *text)
{
	struct chan_op *op;
	size_t i;

	for (i = s->flight.first; i < s->flight.end; i++) {
		op = s->flight.runs[i].op;
		/* Another run of an operation that has failed already; its taker frees it. */
		if (!op || op->state == OP_DONE)
			continue;
		if (op->state == OP_HELD)
			DL_DELETE(s->backlog, op);
		op_fail(op, status, text);
	}
	flight_fini(&s->flight);
	while ((op = s->pings)) {
		DL_DELETE(s->pings, op);
		op_fail(op, status, text);
	}
}

void session_detach(struct session *s)
{
	s->greeted = false;
	s->unanswered_ns = 0;
	buf_consume(&s->control, buf_len(&s->control));
}

bool session_lingers(const struct session *s)
{
	return s->linger_ns > 0;
}

void session_end(struct session *s, struct chan_client *c, int status, const char *text)
{
	struct chan_op *op;
	struct chan *ch, *next;

	if (s->end.status < 0)
		return;
	failure_set(&s->end, status, text); /* first: whatever is submitted from here on fails */
	drop_pieces(s);
	drop_confirmations(s);
	buf_fini(&s->out);
	buf_fini(&s->batch.payload);
	s->batch.count = 0;
	DL_FOREACH_SAFE (c->ends, ch, next)
		end_drop_inbox(ch);
	fail_sent(s, status, text);
	while ((op = s->backlog)) {
		DL_DELETE(s->backlog, op);
		op_fail(op, CHAN_EUNREACHABLE, text);
	}
	DL_FOREACH_SAFE (c->ends, ch, next)
		end_fail_receivers(ch, status, text);
	client_wake_any(c);
}

void session_fini(struct session *s)
{
	drop_pieces(s);
	drop_confirmations(s);
	failure_fini(&s->end);
	flight_fini(&s->flight);
	resend_fini(&s->resend);
	buf_fini(&s->out);
	buf_fini(&s->control);
	buf_fini(&s->batch.payload);
	free(s->taken);
	free(s->leases);
	free(s->broker);
	free(s->id);
}
