/*
 * resend.h - frames that were written, kept until the broker is known to have them.
 *
 *	frames:  | written, and not known to have arrived | to be written |
 *
 * A session that can be resumed writes again, after a loss of its connection, what had not arrived:
 * whole frames, in order, from the first that the broker misses. Only frames that count (see
 * PROTOCOL.md) enter. One that cannot be resumed keeps nothing.
 *
 * Guarded by the client's lock. The bytes to be written stay where they are while a thread writes
 * them without the lock: resend_take, resend_trim and resend_rewind belong to the writer's role.
 */
#ifndef CLIENT_RESEND_H
#define CLIENT_RESEND_H

#include "proto/buf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct resend {
	bool keeps;        /* the session can be resumed */
	size_t bytes_max;  /* of frames that are kept; one frame may be larger */
	struct buf frames; /* whole ones */
	size_t written;    /* bytes of them that have left by this connection */
	uint64_t gone;     /* frames that were taken in and dropped since */
	uint64_t taken;    /* frames that were ever taken in */
	uint64_t seen;     /* frames that the broker says it has */
};

void resend_fini(struct resend *r);

/* Whether resend_take would take something. */
bool resend_has_room(const struct resend *r);

/* Takes the first frames off out, as many as there is room for; total is how many were ever put
 * into out. 0 or CHAN_ENOMEM. */
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
