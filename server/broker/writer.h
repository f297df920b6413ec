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
 * copied into the round, larger ones are written from where they are. What it has not made frames
 * of stands apart (writer_todo): it outlives the writer, which is made anew for each run of rounds,
 * and where the session lingers its connection.
 */
#ifndef BROKER_WRITER_H
#define BROKER_WRITER_H

#include "server/broker/outbox.h"
#include "server/broker/replay.h"
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

/* Answers that are to become frames. Zeroed: none. */
struct writer_todo {
	struct outbox *head, *tail;                /* not encoded wholly yet; head is at work */
	uint32_t entry, run, encoded;              /* in head: what comes next */
	uint32_t in_run;                           /* of the run's values: the next */
	struct writer_bulk *bulk_head, *bulk_tail; /* large values that have begun, in order */
};

/* A run of the round: bytes of ours (the buffer moves, an offset stays) or of a value. */
struct writer_segment {
	struct value *value; /* NULL: ours */
	uint32_t offset, len;
	bool counted; /* part of frames that PROTOCOL.md numbers; all but PONG and the like */
};

struct writer {
	struct writer_todo *todo;
	struct outbox *spent; /* encoded; kept until the round is written */
	struct writer_bulk *bulk_spent;

	struct buf round;
	int segment_count;
	size_t round_bytes;
	uint64_t frames;                                /* counted ones in the round */
	struct writer_segment segments[WRITER_IOV_MAX]; /* from here on not set by writer_init */
	struct iovec iov[WRITER_IOV_MAX];
};

/* Adds a list of outboxes (linked by next) behind what there is. */
void writer_todo_add(struct writer_todo *t, struct outbox *list);

/* Bytes of it, as outbox_cost counts them. */
size_t writer_todo_bytes(const struct writer_todo *t);

/* Frees what was not written. */
void writer_todo_fini(struct writer_todo *t);

void writer_init(struct writer *w, struct writer_todo *todo);
void writer_fini(struct writer *w);

/* Puts bytes of whole frames at the head of the round that is about to be filled. 0 or CHAN_ENOMEM.
 */
int writer_put_control(struct writer *w, const struct buf *frames);

/* Fills a round: w->iov with the number of elements returned. 0: nothing to write. CHAN_ENOMEM:
 * what there is to do has lost something, and is good for nothing any more. */
int writer_fill(struct writer *w);

/* The same with what is in the round already (control frames). */
int writer_round(struct writer *w);

/* Keeps the round's counted frames. Before it is written. 0 or CHAN_ENOMEM. */
int writer_keep(struct writer *w, struct replay *r);

/* The round was written; frees what it held. Returns how much of what the outboxes counted
 * (outbox_cost) is done with. */
size_t writer_written(struct writer *w);

/* Whether nothing is left to fill a round with. */
static inline bool writer_idle(const struct writer *w)
{
	return !w->todo->head && !w->todo->bulk_head;
}

#endif
