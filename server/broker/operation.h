/*
 * operation.h - one record for each operation that is not answered yet, and its places in queues.
 *
 * An operation that is done at once has none. A record is reachable from its party (by sequence
 * number), from the engine (by id, for PS; by deadline) and from each channel it stands in (a
 * waiter in a queue), so that whoever has something to tell it finds it.
 *
 * The states of a record:
 *   standing   each of its waiters is in its channel's queue, or aside (a stream without credit,
 * and whatever receives for a party that is absent); an OPEN is on the list of the name that it
 * awaits out        the value of one waiter (op->out) is in a receiver's hands, on an unbuffered
 *              channel; no waiter is in a queue, that one is aside; TAKEN or RETURN decides.
 *              Of a SEND it is the value at its cursor: one after another is out, from one place
 *   ended      a stream whose deliveries are not all settled; nobody finds it any more
 * An orphan is an operation that is out and whose party has ended: party is NULL.
 */
#ifndef BROKER_OPERATION_H
#define BROKER_OPERATION_H

#include "server/base/list.h"
#include "server/broker/heap.h"
#include "server/broker/value.h"
#include <stdbool.h>
#include <stdint.h>

struct channel;
struct delivery;
struct engine;
struct operation;
struct party;

enum operation_kind { OP_SEND, OP_RECV, OP_SELECT, OP_OPEN };

enum waiter_place {
	PLACE_NONE,
	PLACE_QUEUE, /* link is on its queue's list */
	PLACE_BACK,  /* node is in its queue's heap */
	PLACE_ASIDE, /* link is on channel->aside: waits, but is not to be matched */
};

/* An operation on one channel: a select has one a case, the others have one. */
struct waiter {
	union {
		struct list link;
		struct heap_node node;
	};
	union {
		struct channel *channel; /* a counted reference */
		struct awaited *awaited; /* of an OPEN */
	};
	struct list by_end;  /* in the waiters of the end that it uses; while channel is set */
	union {
		struct value *value; /* of a select's send case, owned */
		uint64_t lease_ns;   /* of a receive: of the lease that it asks for, or 0 */
	};
	uint64_t ticket;     /* its turn: the lower, the earlier */
	uint32_t index;      /* in op->waiters */
	uint8_t direction;   /* CHAN_SEND or CHAN_RECV */
	uint8_t place;       /* enum waiter_place */
	uint16_t returned;   /* how often its value was out and came back */
};

/*
 * Waiters in the order of their tickets. Newcomers have the highest and stand at the end of the
 * list; those that come back to an old place go to the heap; the first is the lesser of both.
 */
struct waitq {
	struct list list;
	struct heap_node *back;
	uint32_t count;
};

void waitq_init(struct waitq *q);
struct waiter *waitq_first(const struct waitq *q);

/* The first that is of another operation: an unbuffered channel does not match a select with
 * itself. */
struct waiter *waitq_first_other(struct waitq *q, const struct operation *op);

void waitq_put(struct waitq *q, struct waiter *w); /* to the place of its ticket */
void waitq_remove(struct waitq *q, struct waiter *w);

struct operation {
	uint64_t id;  /* rising; what PS shows */
	uint64_t seq; /* of a SEND: its first value's */
	struct party *party;
	int64_t since_ns, deadline_ns; /* DEADLINE_NEVER: none; DEADLINE_TRY: ends with this step */
	struct heap_node deadline_node;
	struct waiter *out;             /* see the states above */
	struct delivery *delivery;      /* of out */
	struct pending_cancel *cancels; /* to be answered when out is settled */
	union {
		struct {
			uint32_t count, cursor; /* values; the first that is not answered */
		} send;
		struct {
			uint32_t credit; /* values that may still come */
			uint32_t out;    /* of a stream: delivered and not settled */
		} recv;
	};
	uint32_t participant;
	uint32_t waiter_count;
	int8_t doom;  /* what to end with when out is settled (CHAN_E...), or 0 */
	uint8_t kind; /* enum operation_kind */
	bool stream : 1,
	try:
		1;
	bool withdrawn : 1; /* of a SEND: its value that is out fails, if it comes back */
	bool timed : 1;     /* deadline_node is in the engine's heap */
	bool ended : 1;
	struct waiter waiters[]; /* a SEND's values stand behind its one waiter */
};

#define DEADLINE_TRY INT64_MIN

struct pending_cancel {
	struct pending_cancel *next;
	uint64_t seq;
};

/* What an operation is made from. */
struct operation_request {
	enum operation_kind kind;
	struct channel *channel; /* of a SEND or RECV */
	uint64_t seq;
	uint32_t participant;
	bool try;
	uint64_t timeout_ns; /* 0: none */
	uint32_t waiter_count;
	uint32_t value_count; /* of a SEND */
	uint64_t value_bytes; /* of what it holds while it waits, without overhead */
};

/*
 * A record in the party's and the engine's tables, timed, standing nowhere yet; its waiters are
 * zeroed but for their index and ticket. 0, CHAN_ELIMIT (*ret_limit says which, with its number)
 * or CHAN_ENOMEM.
 */
int operation_new(struct engine *e, struct party *p, const struct operation_request *r,
	struct operation **ret_op, const char **ret_limit, uint64_t *ret_max);

/* Whether the party's bounds let there be one more. */
bool operation_fits(
	const struct engine *e, const struct party *p, const struct operation_request *r);

/* The values of a SEND; NULL where one was withdrawn. They are owned from the cursor on. */
struct value **operation_values(struct operation *op);

/* The number of what it offers, or has out. */
static inline uint64_t operation_offered_seq(const struct operation *op)
{
	return op->kind == OP_SEND ? op->seq + op->send.cursor : op->seq;
}

struct operation *waiter_operation(const struct waiter *w);

/* The queue in which the waiter stands or will stand. */
struct waitq *waiter_queue(const struct waiter *w);

/* Sets the channel and the direction of a waiter that is not used yet; its party has an end. */
void waiter_bind(struct waiter *w, struct channel *ch, uint8_t direction);

/* In its channel's queue, by its ticket; aside, where it receives and its party is absent. */
void waiter_stand(struct waiter *w);
void waiter_set_aside(struct waiter *w);
void waiter_leave(struct waiter *w); /* wherever it is */

/* A receiver was served: it goes to the tail. */
void waiter_to_tail(struct engine *e, struct waiter *w);

/* All waiters to their places by their tickets, its clock running again, and its channels touched
 * in an order in which a ready one, chosen at random, comes first. */
void operation_stand(struct engine *e, struct operation *op);

/* Its party is absent now: its waiters that receive go aside, with their tickets. */
void operation_pass_over(struct operation *op);

/* Its party is present again: they come back to their places, and their channels are touched. */
void operation_count_in(struct engine *e, struct operation *op);

/* Starts its clock, if it has a deadline. */
void operation_time(struct engine *e, struct operation *op);

/* Out of every queue, while one waiter's value is out. */
void operation_go_out(struct engine *e, struct waiter *w, struct delivery *d);

/* Ends it: its waiters leave, its remaining values are dropped, cancels that wait are answered, it
 * is freed (a stream with deliveries out: once those are settled). Answers nothing else. */
void operation_end(struct engine *e, struct operation *op);

/* The same with a FAIL for what is not answered, worded by the status; case_index of a select. */
void operation_fail(struct engine *e, struct operation *op, int status, uint32_t case_index);

/* Fails what only waits; dooms it while a value is out: what that value's receiver leaves of it
 * fails. */
void operation_withdraw(struct engine *e, struct operation *op, int status, uint32_t case_index);

/* Its party has ended: it ends without answers, or goes on as an orphan until out is settled. */
void operation_orphan(struct engine *e, struct operation *op);

/* n values of a SEND from its cursor on are answered; they are no longer its own, and alive until
 * this returns. Skips what was withdrawn. Ends it when nothing is left: false. */
bool operation_advance(struct engine *e, struct operation *op, uint32_t n);

/* Of a SEND with further values, when the one that was out is answered: the next is offered from
 * the old place, or all fail because it is doomed. */
void operation_go_on(struct engine *e, struct operation *op);

/* Takes one value that is not answered yet, and not out, off a SEND with FAIL ECANCELED. Ends it
 * when nothing is left: false. */
bool operation_withdraw_value(struct engine *e, struct operation *op, uint32_t index);

/* The deadline has come. */
void operation_expire(struct engine *e, struct operation *op);

/* Dooms what is out, of a SEND only the value that is; the CANCEL is answered once that is settled.
 * 0 or CHAN_ENOMEM. */
int operation_cancel_later(struct engine *e, struct operation *op, uint64_t seq);

/* So many values of a stream's deliveries were settled. */
void operation_deliveries_settled(struct operation *op, uint32_t n);

/* The operation of the party that uses this sequence number, or NULL. */
struct operation *operation_find(const struct party *p, uint64_t seq);

bool operation_earlier(const struct heap_node *a, const struct heap_node *b); /* by deadline */

#endif
