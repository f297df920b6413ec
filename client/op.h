/*
 * op.h - an operation, from the call that starts it until its outcome is taken.
 *
 * Everything in it is guarded by its client's lock. An operation of the asynchronous face or of a
 * blocking call belongs to whoever takes its outcome; one that the library starts for itself
 * (kinds from OP_STREAM on) frees itself when it is answered.
 */
#ifndef CLIENT_OP_H
#define CLIENT_OP_H

#include "chan/chan.h"
#include "client/error.h"
#include "proto/buf.h"
#include "proto/wire.h"
#include <stdbool.h>
#include <stdint.h>

struct chan_client;
struct delivery;
struct waiter;
struct word;

/* X(NAME, what it is called in errors) */
#define OP_KIND_LIST(X)                                                                            \
	X(MAKE, "make")                                                                            \
	X(OPEN, "open")                                                                            \
	X(SEND, "send to")                                                                         \
	X(RECV, "receive from")                                                                    \
	X(SELECT, "select")                                                                        \
	X(CONFIRM, "confirm values of")                                                            \
	X(RETURN, "return to")                                                                     \
	X(ACK, "acknowledge values of")                                                            \
	X(NACK, "give back to")                                                                    \
	X(EXTEND, "extend leases of")                                                              \
	X(CLOSE, "close")                                                                          \
	X(ABORT, "abort")                                                                          \
	X(REMOVE, "remove")                                                                        \
	X(STAT, "stat")                                                                            \
	X(LIST, "list")                                                                            \
	X(PS, "ps")                                                                                \
	X(PING, "ping")                                                                            \
	X(STREAM, "receive from") /* stands in the broker and feeds an end's inbox */              \
	X(RESOLVE, "open")        /* learns the type of an end that came as a value */             \
	X(TIMER, "timer")         /* a select of nothing: keeps a deadline for a local wait */     \
	X(RELEASE, "release")                                                                      \
	X(CANCEL, "cancel")

enum op_kind {
#define OP_KIND_CONSTANT(name, word) OP_##name,
	OP_KIND_LIST(OP_KIND_CONSTANT)
#undef OP_KIND_CONSTANT
};

enum op_state {
	OP_NEW,    /* being built by the thread that starts it; on no list */
	OP_HELD,   /* on the session's backlog: not sent, or not all of it */
	OP_FLYING, /* sent, in session.flight (an OP_PING: on session.pings) */
	OP_LOCAL,  /* on its end's receivers: waits for what its OP_STREAM brings */
	OP_DONE,   /* answered; on client.completions if async, else on client.done */
};

struct op_case {
	struct chan *chan; /* counted */
	enum chan_direction direction;
	uint32_t index; /* in the caller's cases */
};

struct chan_op {
	enum op_kind kind;
	enum op_state state;
	struct chan_client *client;
	struct chan *chan;           /* counted; NULL where none is meant */
	struct chan_op *prev, *next; /* of the list that its state names */
	unsigned refs;               /* its owner's, and one of a transfer */
	unsigned transfers;          /* payloads of it that leave in pieces */
	void *tag;                   /* the caller's */
	int64_t deadline_ns;         /* DEADLINE_NONE: none */
	struct waiter *waiter;       /* the thread that blocks for it, or NULL */
	uint32_t participant;        /* the thread that started it */
	bool async;                  /* ends on client.completions */
	bool cancelled;              /* chan_op_cancel was called */
	bool try;
	bool closed; /* of a receive, or a select's receive case: closed and drained */

	/* what is asked */
	struct message m;          /* strings point into words */
	struct word *words;        /* those strings */
	struct buf payload;        /* values, encoded, that were not sent yet */
	struct wire_range *ranges; /* of a CONFIRM, RETURN, ACK, NACK, EXTEND */
	size_t range_count;
	struct op_case *cases; /* of a SELECT: those with a channel */
	struct wire_case *wire_cases;
	uint32_t case_count;
	struct chan_op *timer; /* keeps the deadline of one that waits in the library, or NULL */
	struct chan_op *timed; /* of an OP_TIMER: that operation, or NULL when it is over */

	/* what was sent and answered: of values (SEND), or 1 */
	uint32_t count; /* in all; those that will not be sent any more are taken off */
	uint32_t sent;  /* in frames */
	uint32_t answered;
	uint32_t succeeded;

	/* what came of it */
	struct failure failure;    /* of the value with the lowest index that failed */
	uint32_t failed_index;     /* UINT32_MAX: none */
	uint32_t case_index;       /* of cases[]; UINT32_MAX: none was chosen */
	struct delivery *delivery; /* a value received and not handed over; owned */
	struct buf reply; /* the answer's frame, for those that want to read it (STAT, LIST, PS) */
	int64_t asked_ns; /* of a PING: when, which is its nonce; of an EXTEND: when it began */
};

/* A new operation of a channel or, with ch NULL, of the client. NULL: out of memory, with the
 * thread's error set. Needs the lock, as all below. */
struct chan_op *op_new(
	struct chan_client *c, enum op_kind kind, struct chan *ch, int64_t timeout_ns);
struct chan_op *op_ref(struct chan_op *op);
void op_unref(struct chan_op *op);        /* frees what of it was not taken */
void op_free_idle(struct chan_client *c); /* those that wait to be used again */

/* Gives it memory for a payload that waits to be used again, if there is any; and puts such memory
 * back that an operation has no more use for, as its payload is empty. */
void op_take_payload(struct chan_op *op);
void op_shed_payload(struct chan_op *op);

bool op_is_internal(const struct chan_op *op);
const char *op_kind_word(enum op_kind kind);
const char *op_word(const struct chan_op *op);

/* Whose failure it is: the channel's name, or what was asked for by name; "" where nobody's. */
const char *op_whom(const struct chan_op *op);

/* The i-th end, of so many, that the operation sends on or closes, which are to happen in the order
 * in which they were started; NULL: not the i-th. */
struct chan *op_ordered_end(const struct chan_op *op, uint32_t i);
uint32_t op_ordered_ends(const struct chan_op *op);

/* Keeps a copy of a string for m. NULL is taken for "". NULL: out of memory. */
const char *op_keep(struct chan_op *op, const char *string);

/* Memory of n bytes for m, aligned for pointers. NULL: out of memory. */
void *op_keep_bytes(struct chan_op *op, size_t n);

/* Ends it, once: leaves it to its waiter, to client.completions, or does what is to be done after
 * an internal one. op_fail sets the failure first. The op may be freed by it when internal. */
void op_finish(struct chan_op *op);
void op_fail(struct chan_op *op, int status, const char *text);

/* Whether it ended badly. A receive on a closed and drained channel did not. */
static inline bool op_failed(const struct chan_op *op)
{
	return op->failure.status < 0;
}

#endif
