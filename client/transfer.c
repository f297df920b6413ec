/*
 * transfer.c - payloads that leave in pieces.
 *
 * Transfers take turns, a piece each, and at most one piece stands in session.out: what is
 * appended behind it waits for one frame only. While a transfer is under way nothing else is sent
 * on its channel (backlog.c), as the broker takes an operation for arrived with its last piece.
 */
#include "client/emit.h"
#include "client/op.h"
#include <stdlib.h>
#include <utlist.h>

int transfer_begin(struct session *s, struct chan_op *op, size_t n)
{
	size_t first = s->limits.frame_payload_bytes;
	struct transfer *t = calloc(1, sizeof(*t));
	uint32_t i;
	int rc = t ? buf_append(&t->bytes, buf_data(&op->payload) + first, n - first) : CHAN_ENOMEM;

	if (rc == 0)
		rc = emit_frame(s, op, FRAME_MORE, buf_data(&op->payload), first, n);
	if (rc < 0) {
		if (t)
			buf_fini(&t->bytes);
		free(t);
		return rc;
	}
	buf_consume(&op->payload, n);
	t->op = op_ref(op);
	t->seq = op->m.seq;
	DL_APPEND(s->transfers, t);
	op->transfers++;
	for (i = 0; i < op_ordered_ends(op); i++)
		if (op_ordered_end(op, i))
			op_ordered_end(op, i)->transfers++;
	return 0;
}

static void end_transfer(struct session *s, struct transfer *t)
{
	struct chan_op *op = t->op;
	uint32_t i;

	for (i = 0; i < op_ordered_ends(op); i++)
		if (op_ordered_end(op, i))
			op_ordered_end(op, i)->transfers--;
	op->transfers--;
	if (op->cancelled && op->transfers == 0)
		session_cancel_sent(s, op);
	DL_DELETE(s->transfers, t);
	buf_fini(&t->bytes);
	free(t);
	op_unref(op);
}

/* True: that was the last. */
static bool put_piece(struct session *s, struct transfer *t)
{
	struct message m = {.kind = MESSAGE_PIECE, .seq = t->seq};
	size_t left = buf_len(&t->bytes);
	size_t n = left < s->limits.frame_payload_bytes ? left : s->limits.frame_payload_bytes;

	if (frame_put(s, &m, n < left ? FRAME_MORE : 0, buf_data(&t->bytes), n) < 0) {
		s->doomed = CHAN_ENOMEM;
		return false;
	}
	buf_consume(&t->bytes, n);
	DL_DELETE(s->transfers, t);
	DL_APPEND(s->transfers, t); /* the next piece is another payload's */
	if (n == left)
		end_transfer(s, t);
	return n == left;
}

void session_fill(struct session *s)
{
	batch_seal(s);
	while (s->transfers && buf_len(&s->out) < s->limits.frame_payload_bytes && !s->doomed) {
		if (put_piece(s, s->transfers))
			session_run_backlog(s);
		batch_seal(s);
	}
}
