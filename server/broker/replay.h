/*
 * replay.h - frames that were sent and may not have arrived: kept until the client says by SEEN
 * that it has them, and sent again when its session resumes.
 *
 * Frames lie one behind the other as the bytes that travelled, and of a value that was not copied
 * on its way lies a reference between them. A frame has no record of its own: whoever drops frames
 * walks them by their lengths, so keeping one costs no more than the copy of its bytes.
 *
 * It has one owner at a time, the writer of the session's connection or, while there is none, the
 * broker; replay_seen is for the connection's reader beside it.
 */
#ifndef BROKER_REPLAY_H
#define BROKER_REPLAY_H

#include "proto/buf.h"
#include "server/broker/value.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct replay_value;

/* Zeroed: no frame was sent yet. */
struct replay {
	struct buf own;              /* bytes of the kept frames, but for those in values */
	struct replay_value *values; /* in the order of the frames */
	uint32_t value_first, value_end, value_size;

	/* What is to be sent again begins here. */
	uint32_t again_value;
	uint64_t again_at; /* counted as own_at */
	bool again;

	uint64_t own_at; /* how many bytes of own were dropped before */
	size_t bytes;    /* of all kept frames */

	uint64_t dropped;      /* so many frames, the first ones, are not kept any more */
	_Atomic uint64_t sent; /* so many were sent, all together */
	_Atomic uint64_t seen; /* so many have arrived, as the client says */
};

void replay_fini(struct replay *r);

/* Keeps bytes that go out next, or a part of a value (a reference is taken). 0 or CHAN_ENOMEM.
 * Not while something is to be sent again: that goes first. */
int replay_keep(struct replay *r, const void *bytes, size_t n);
int replay_keep_value(struct replay *r, struct value *v, size_t offset, size_t n);

/* What was kept since the last call was so many frames, whole ones. To be told before they leave.
 */
void replay_sent(struct replay *r, uint64_t frames);

/* The client has so many frames; fewer than it said before is no news. 0; or CHAN_EPROTOCOL: it was
 * not sent so many. Any goroutine while the replay lives. */
int replay_seen(struct replay *r, uint64_t frames);

/* Drops what has arrived; nothing while something is to be sent again. */
void replay_drop_seen(struct replay *r);

/* The client has so many frames and comes back: what follows them is to be sent again. 0; or
 * CHAN_EPROTOCOL: it was not sent so many, or has had more, which are gone. */
int replay_resume(struct replay *r, uint64_t frames);

/* Whether something is to be sent again. */
static inline bool replay_behind(const struct replay *r)
{
	return r->again;
}

/* The next bytes to be sent again, about bytes_max of them in count elements at most; they live
 * until the next call of anything but replay_seen. Returns the number of elements. */
int replay_fill(struct replay *r, struct iovec *iov, int count, size_t bytes_max);

#endif
