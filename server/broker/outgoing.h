/*
 * outgoing.h - what a session that lingers has sent and has still to send, whichever connection it
 * has: it passes from one connection's writer to the broker, and to the writer of the next.
 */
#ifndef BROKER_OUTGOING_H
#define BROKER_OUTGOING_H

#include "server/broker/replay.h"
#include "server/broker/writer.h"
#include <stdbool.h>

struct outgoing {
	struct replay replay;
	struct writer_todo todo;
	uint32_t unseen_bytes_max; /* of frames kept: beyond it nothing new is written */
	bool failed;               /* for want of memory; the session cannot go on */
};

/* NULL: out of memory. */
struct outgoing *outgoing_new(uint32_t unseen_bytes_max);
void outgoing_free(struct outgoing *o); /* NULL is fine */

/* Whether new frames may be made: not before those that are to be sent again, nor while too many
 * have not been confirmed. */
bool outgoing_may_fill(const struct outgoing *o);

/* Bytes of memory that it holds, about. */
size_t outgoing_bytes(const struct outgoing *o);

#endif
