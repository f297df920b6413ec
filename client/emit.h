/*
 * emit.h - operations become frames in session.out.
 */
#ifndef CLIENT_EMIT_H
#define CLIENT_EMIT_H

#include "client/session.h"

/* What sending an operation came to; below 0: a status with which what is left of it fails. */
enum {
	EMIT_HELD = 0, /* the rest has to wait */
	EMIT_SENT = 1, /* all of it is in session.out, or in a transfer */
};

/* Sends as much of the operation as may go now. */
int emit_op(struct session *s, struct chan_op *op);

/* One frame that is the whole operation, or all but the rest of its payload; counted_bytes count
 * against the limit of bytes in flight. 0 or a status. */
int emit_frame(struct session *s, struct chan_op *op, uint8_t flags, const void *payload, size_t n,
	size_t counted_bytes);

/* Appends a frame that counts. 0 or a status, and then nothing was appended. */
int frame_put(
	struct session *s, const struct message *m, uint8_t flags, const void *payload, size_t n);

/* Makes a frame of the sends that have gathered. */
void batch_seal(struct session *s);

/* Sends the first n bytes of op->payload as a first frame now and pieces later. 0 or a status. */
int transfer_begin(struct session *s, struct chan_op *op, size_t n);

#endif
