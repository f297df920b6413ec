/*
 * ride.h - answers that wait for company: those of a session that has said by SEND's `ride` that it
 * waits for something else.
 *
 * Such a DONE stays in session.answers until there is something else to say to the session, until
 * the client takes the leave back, until many wait, or the next look at sessions (watch.c). In a
 * round trip over two channels it spares each side a write, and the client a wake-up, of two.
 *
 * The leave is for the sends of one run of numbers, the last that came with it: so there is nothing
 * to keep for an operation. All of it is for who is at the helm (helm.h).
 */
#ifndef BROKER_RIDE_H
#define BROKER_RIDE_H

#include "proto/wire.h"
#include <stdbool.h>
#include <stdint.h>

/* Sends whose answers may wait: what a client has in flight meanwhile is a small part of what it
 * may have. */
#define RIDES_MAX 64u

struct ride {
	uint64_t first, end; /* the leave is for numbers from first to below end */
	uint32_t waiting;    /* sends whose answers wait */
	bool due;            /* what has gathered is to leave */
};

/* An operation has come; before its answer is noted. */
void ride_note_operation(struct ride *r, const struct message *m);

/* An answer has been added to those that gather. */
void ride_note_answer(struct ride *r, const struct message *m);

/* The client asks for nothing more, and so never takes the leave back. */
void ride_end(struct ride *r);

/* Whether what has gathered may stay; and that it has left. */
static inline bool ride_waits(const struct ride *r)
{
	return r->waiting > 0 && !r->due;
}

static inline void ride_left(struct ride *r)
{
	r->waiting = 0;
	r->due = false;
}

#endif
