/*
 * resend.h - frames on their way to the broker, and those that it is not known to have.
 *
 *	frames:  | written, and not known to have arrived | to be written | not yet |
 *
 * A session that can be resumed writes again, after a loss of its connection, what had not arrived:
 * whole frames, in order, from the first that the broker misses. So it keeps what it writes, and
 * writes no more than it may keep. Only frames that count (see PROTOCOL.md) enter. One that cannot
 * be resumed keeps nothing.
 *
 * Frames stand in pieces of memory (chunks), whole ones each, where they stay until they are
 * dropped: large ones enter with the buffer that they come in, and are not copied here.
 *
 * Guarded by the client's lock. The bytes to be written are read by a thread that writes them
 * without the lock: resend_take, resend_trim and resend_rewind belong to the writer's role.
 */
#ifndef CLIENT_RESEND_H
#define CLIENT_RESEND_H

#include "proto/buf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct resend_chunk;

struct resend {
	bool keeps;                        /* the session can be resumed */
	size_t bytes_max;                  /* of frames that are kept; one frame may be larger */
	struct resend_chunk *first, *last; /* oldest first */
	struct resend_chunk *writing;      /* the first that is not written wholly; NULL: all are */
	struct resend_chunk *entering; /* of which the first frame is that may not be written yet */
	struct buf spare;              /* memory to be used again */
	size_t bytes;                  /* of all frames */
	size_t kept;                   /* of them those that were, or may be, written */
	uint64_t gone;                 /* frames that were dropped */
	uint64_t taken;                /* frames that were, or may be, written, those included */
	uint64_t put;                  /* all that ever came */
	uint64_t seen;                 /* that the broker says it has */
};

void resend_fini(struct resend *r);

/*
 * Whether the next frame may be written, where none is here one as short as can be: if it fits, or if less
 * is kept than the broker has to confirm by itself (PROTOCOL.md part 4), for which nobody could wait. And
 * whether frames are here that may not yet.
 */
bool resend_has_room(const struct resend *r);
static inline bool resend_is_full(const struct resend *r)
{
	return r->entering != NULL;
}

/* Takes all of out, which keeps some memory, and lets as much be written as there is room for;
 * total is how many frames were ever put into out. 0 or CHAN_ENOMEM. */
int resend_take(struct resend *r, struct buf *out, uint64_t total);

/* What is to be written next; 0: nothing. And that n bytes of it were. */
size_t resend_unwritten(const struct resend *r, const uint8_t **ret_bytes);
void resend_wrote(struct resend *r, size_t n);

/* The broker says how many frames it has. 0, or CHAN_EPROTOCOL: more than there were. */
int resend_see(struct resend *r, uint64_t frames);

/* Drops what the broker has. */
void resend_trim(struct resend *r);

/* A new connection, whose broker has so many frames: all others are to be written. 0, or
 * CHAN_EPROTOCOL: that cannot be. */
int resend_rewind(struct resend *r, uint64_t frames);

#endif
