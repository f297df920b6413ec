/*
 * writer.h - makes frames of a session's answers, a round of about 64 KiB at a time.
 *
 * Order. Frames leave in the order of the answers, with two liberties that PROTOCOL.md allows.
 * Control frames (PONG) go ahead of everything that is not in the round yet. And of a value that
 * is too large for one frame only the beginning leaves in its place: the rest follows in PIECE
 * frames, one in each round, between the frames of whatever else there is; so a small answer waits
 * behind one data frame and not behind a large value. While pieces of a receive's value are to
 * come, later values of that receive queue behind them in the same way (their order stays), and an
 * answer that ends the receive waits, with all behind it, until they are written.
 *
 * A writer has one owner, does no I/O and takes no lock. Values up to WRITER_COPY_BYTES_MAX are
 * copied into the round, larger ones are written from where they are.
 */
#ifndef BROKER_WRITER_H
#define BROKER_WRITER_H

#include "server/broker/outbox.h"
#include <stdbool.h>
#include <sys/uio.h>

/* Bytes after which a round is full (by at most a frame): a control frame that comes now waits for
 * so many, and a system call is worth far fewer. */
#define WRITER_ROUND_BYTES (64u * 1024u)

/* Below this a copy costs less than another element of the iovec. */
#define WRITER_COPY_BYTES_MAX 4096u

/* A round has at most a value of its own for each 4 KiB, bytes of ours between, and a piece. */
#define WRITER_IOV_MAX 64

struct writer_bulk;

/* A run of the round: bytes of ours (at an offset, since the buffer moves) or of a value. */
struct writer_segment {
	const uint8_t *bytes; /* NULL: ours */
	size_t offset, len;
};

struct writer {
	struct outbox *head, *tail;                /* not encoded wholly yet; head is at work */
	struct outbox *spent;                      /* encoded; kept until the round is written */
	size_t entry, value, encoded;              /* in head: what comes next */
	struct writer_bulk *bulk_head, *bulk_tail; /* large values that have begun, in order */
	struct writer_bulk *bulk_spent;

	struct buf round;
	int segment_count;
	size_t round_bytes;
	struct writer_segment segments[WRITER_IOV_MAX]; /* from here on not set by writer_init */
	struct iovec iov[WRITER_IOV_MAX];
};

void writer_init(struct writer *w);

/* Frees everything that was not written, too. */
void writer_fini(struct writer *w);

/* Takes over a list of outboxes (linked by next), behind what it has. */
void writer_add(struct writer *w, struct outbox *list);

/* Puts bytes of whole frames at the head of the round that is about to be filled. 0 or CHAN_ENOMEM.
 */
int writer_put_control(struct writer *w, const struct buf *frames);

/* Fills a round: w->iov with the number of elements returned. 0: nothing to write. CHAN_ENOMEM. */
int writer_fill(struct writer *w);

/* The round was written; frees what it held. Returns how much of what the outboxes counted
 * (outbox.bytes) is done with. */
size_t writer_written(struct writer *w);

/* Whether nothing is left to fill a round with. */
static inline bool writer_idle(const struct writer *w)
{
	return !w->head && !w->bulk_head;
}

#endif
