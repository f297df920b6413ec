/*
 * backlog.c - what cannot be sent yet, and what shall not be sent any more.
 *
 * Sends on a channel, and its close, leave as they were started: while a payload in pieces is
 * under way on it, or one of them waits here, the next wait here too. What exceeds the broker's
 * limits waits here as well, and holds up what comes behind it on the same channel only. While
 * there is no connection everything waits here.
 */
#include "client/client.h"
#include "client/emit.h"
#include <stdlib.h>
#include <utlist.h>

/* Without a connection session_expire keeps the deadline. */
static void have_timed(struct session *s, struct chan_op *op)
{
	if (op->deadline_ns != DEADLINE_NONE && !op->timer && !op_is_internal(op))
		session_start_timer(s, op);
}

static void hold(struct session *s, struct chan_op *op)
{
	uint32_t i;

	op->state = OP_HELD;
	DL_APPEND(s->backlog, op);
	for (i = 0; i < op_ordered_ends(op); i++)
		if (op_ordered_end(op, i))
			op_ordered_end(op, i)->held++;
	if (s->greeted)
		have_timed(s, op);
}

static void unhold(struct session *s, struct chan_op *op)
{
	uint32_t i;

	DL_DELETE(s->backlog, op);
	op->state = OP_FLYING;
	for (i = 0; i < op_ordered_ends(op); i++)
		if (op_ordered_end(op, i))
			op_ordered_end(op, i)->held--;
}

/* It has left, and what it sent with it; a PING is found by its turn. */
static void has_left(struct session *s, struct chan_op *op)
{
	op_shed_payload(op);
	if (op->kind == OP_PING)
		DL_APPEND(s->pings, op);
}

/* Whether it must stay behind what was started before it: a new one (round 0), or one of the
 * backlog. */
static bool must_stay(const struct chan_op *op, uint64_t round)
{
	struct chan *ch;
	uint32_t i;

	for (i = 0; i < op_ordered_ends(op); i++) {
		ch = op_ordered_end(op, i);
		if (ch &&
			(ch->transfers > 0 || (round ? ch->blocked_round == round : ch->held > 0)))
			return true;
	}
	return false;
}

static void stays(struct chan_op *op, uint64_t round)
{
	uint32_t i;

	for (i = 0; i < op_ordered_ends(op); i++)
		if (op_ordered_end(op, i))
			op_ordered_end(op, i)->blocked_round = round;
}

void session_drop_unsent(struct session *s, struct chan_op *op, int status, const char *text)
{
	if (op->state == OP_HELD)
		unhold(s, op);
	if (op->sent < op->failed_index && op->sent < op->count) {
		op->failed_index = op->sent;
		failure_set(&op->failure, status, text);
	}
	op->count = op->sent;
	buf_fini(&op->payload);
	if (op->answered == op->count)
		op_finish(op);
}

void session_submit(struct session *s, struct chan_op *op)
{
	int rc = EMIT_HELD;

	if (s->end.status < 0) {
		op_fail(op, CHAN_EUNREACHABLE, s->end.text);
		return;
	}
	op->state = OP_FLYING;
	if (!must_stay(op, 0)) {
		rc = emit_op(s, op);
		if (rc == EMIT_HELD && op->try && op->sent == 0 &&
			s->greeted) /* it cannot wait for a place */
			rc = CHAN_ELIMIT;
	}
	if (rc == EMIT_HELD)
		hold(s, op);
	else if (rc == EMIT_SENT)
		has_left(s, op);
	else
		session_drop_unsent(s, op, rc,
			rc == CHAN_ELIMIT ? "as much as the broker allows is in flight already; "
					    "receive its answers first"
					  : NULL);
}

void session_run_backlog(struct session *s)
{
	uint64_t round = ++s->backlog_round;
	struct chan_op *op, *next;
	int rc;

	DL_FOREACH_SAFE (s->backlog, op, next) {
		rc = must_stay(op, round) ? EMIT_HELD : emit_op(s, op);
		if (rc == EMIT_SENT) {
			unhold(s, op);
			has_left(s, op);
		} else if (rc == EMIT_HELD) {
			stays(op, round);
			have_timed(s, op);
		} else {
			session_drop_unsent(s, op, rc, NULL);
		}
	}
}

/* A timer that ends may end the receive that it was for, but nothing else of the backlog. */
int64_t session_expire(struct session *s, int64_t now_ns)
{
	int64_t next_ns = DEADLINE_NONE;
	struct chan_op *op, *next;

	DL_FOREACH_SAFE (s->backlog, op, next) {
		if (op->sent > 0)
			continue;
		if (op->try)
			session_drop_unsent(s, op, CHAN_ETIMEDOUT,
				"there is no connection to the broker just now, and what may not "
				"wait was not sent; try again later");
		else if (op->deadline_ns <= now_ns)
			session_drop_unsent(s, op, CHAN_ETIMEDOUT, NULL);
		else if (op->deadline_ns < next_ns)
			next_ns = op->deadline_ns;
	}
	return next_ns;
}

/* ---- withdrawing -------------------------------------------------------------------------- */

static void cancel_one(struct session *s, struct chan_op *target, uint64_t seq)
{
	struct chan_op *op = op_new(target->client, OP_CANCEL, NULL, CHAN_FOREVER);

	if (!op) {
		s->doomed = CHAN_ENOMEM;
		return;
	}
	op->m.kind = MESSAGE_CANCEL;
	op->m.cancel.target = seq;
	session_submit(s, op);
}

/* The last first, so that no value overtakes one that was withdrawn. The runs are noted before, as
 * every cancel adds a run of its own. */
void session_cancel_sent(struct session *s, struct chan_op *op)
{
	size_t n = op->count - op->answered, noted = 0, i;
	uint64_t *seqs = calloc(n + 1, sizeof(*seqs));
	const struct flight_run *run;
	uint32_t k;

	if (!seqs) {
		s->doomed = CHAN_ENOMEM;
		return;
	}
	for (i = s->flight.end; i-- > s->flight.first && noted < n;) {
		run = &s->flight.runs[i];
		for (k = 0; run->op == op && k < run->left && noted < n; k++)
			seqs[noted++] = run->seq + run->count - 1 - k;
	}
	for (i = 0; i < noted; i++)
		cancel_one(s, op, seqs[i]);
	free(seqs);
}

void session_withdraw(struct session *s, struct chan_op *op, int status)
{
	if (op->state == OP_LOCAL) {
		DL_DELETE(op->chan->ahead->receivers, op);
		op_fail(op, status, NULL);
	} else if (op->state == OP_HELD) {
		session_drop_unsent(s, op, status, NULL);
	}
}

void session_cancel(struct session *s, struct chan_op *op)
{
	if (op->cancelled || op->state == OP_DONE || op->state == OP_NEW)
		return;
	op->cancelled = true;
	if (op->kind == OP_PING && op->state == OP_FLYING) {
		DL_DELETE(s->pings, op);
		op_fail(op, CHAN_ECANCELED, NULL);
		return;
	}
	op_ref(op); /* one of our own that was not sent ends with this */
	if (op->state != OP_FLYING)
		session_withdraw(s, op, CHAN_ECANCELED);
	if (op->state == OP_FLYING && op->transfers == 0)
		session_cancel_sent(s, op);
	op_unref(op);
}

void session_start_timer(struct session *s, struct chan_op *op)
{
	struct chan_op *timer = op_new(op->client, OP_TIMER, NULL, CHAN_FOREVER);

	if (!timer) {
		s->doomed = CHAN_ENOMEM;
		return;
	}
	timer->m.kind = MESSAGE_SELECT;
	timer->try = op->try;
	timer->deadline_ns = op->deadline_ns;
	timer->timed = op;
	op->timer = timer;
	session_submit(s, timer);
}
