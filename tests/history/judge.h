/*
 * judge.h - what the judge knows of a history while it reads it; for judge.c and order.c only.
 *
 * Moments are places in the history, counted from 1; 0 means never, and NEVER later than all.
 * One pass (judge.c) fills the tables and judges each event by what is certain at that moment. What
 * needs the whole history comes last: what was sent was received (judge.c), and the rules of order
 * and room, which compare every value with every other and so are sweeps over sorted tables
 * (order.c): a history may have a million events.
 */
#ifndef TESTS_HISTORY_JUDGE_H
#define TESTS_HISTORY_JUDGE_H

#include "tests/history/history.h"

#define NEVER SIZE_MAX

struct value {
	uint32_t op, channel, session; /* that offered it; op 0: nobody has */
	uint32_t next_of_op;           /* another value that the same operation offers */
	uint32_t nth;                  /* how many values one sending offers before it */
	size_t offered_at, sent_at;
	size_t gone_min; /* the earliest moment at which it may have left the channel for good */
	uint32_t hold;   /* the latest of its holds, which are a list */
	uint32_t got_attempt; /* of its first hold */
	size_t got_at;        /* the first hold: when, */
	uint32_t got_by;      /* by whom, */
	uint32_t got_op;      /* in answer to what */
	bool settled;         /* some holder's confirmation was answered */
	bool returned;        /* given back at least once */
	bool failed;          /* its operation ended without it */
};

/* A value in the hands of a session. */
struct hold {
	uint32_t value, session, op, attempt;
	uint32_t next; /* the hold before, of the same value */
	size_t got_at;
	bool taken;   /* a confirmation was written */
	bool settled; /* and answered */
	bool over;    /* settled, returned, or known to have been taken back */
	bool may_end; /* a lease whose time may be up */
};

struct op {
	enum event_kind kind; /* SEND, RECV, SELECT, CLOSE, ABORT */
	uint32_t session;     /* 0: there is no such operation */
	uint32_t channel;     /* of a select: of its last case */
	uint32_t credit;      /* values that may come */
	uint32_t value;       /* the first that it offers */
	size_t began_at, ended_at;
	int status;     /* of its failure */
	bool disturbed; /* its session had been, before it ended */
};

struct channel {
	bool exists;
	bool automatic; /* receiving a value from it confirms it */
	bool ahead;     /* receivers may fetch ahead */
	bool counted;   /* each producer closes for itself */
	bool lends;     /* receiving a value takes it out, under a lease */
	uint32_t capacity;
	uint32_t may_vanish, missing; /* of an automatic one, see judge_received */
	size_t close_at, closed_at;   /* somebody first asked; the one who did it was told */
	size_t shut_at, drained_at;   /* somebody was told that it is closed; and drained */
	size_t abort_at, aborted_at;  /* the same of an abort */
	size_t killed_at;             /* its broker was dead; 0: that lives */
};

struct session {
	size_t began_at;  /* its first event */
	size_t doubt_end; /* it may have been thought lost up to here; NEVER: the doubt lasts */
	size_t calm_at;   /* the reason for the doubt has gone; 0: it has not, or there is none */
	bool disturbed;   /* its connection was cut, or it was in doubt */
	bool orphan;      /* its broker was killed */
	bool lost;
};

struct judge {
	const struct history *h;
	size_t at; /* the event under judgement */
	struct value *values;
	struct hold *holds;
	struct op *ops;
	struct channel *channels;
	struct session *sessions;
	uint32_t values_max, holds_count, ops_max, channels_max, sessions_max;
	bool any_lost, ended;
	struct verdict verdict;
};

/* Enters the first offence, as one of the moment j->at; what comes after it is not judged. */
void accuse(struct judge *j, enum history_rule rule, const struct event *e, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Since when the broker may have matched a value with this operation: since it was asked for, or,
 * where the session fetches ahead, since there is a session. */
size_t op_asked_at(const struct judge *j, const struct op *op);

/* A table of max + 1 zeroed entries, counted from 1. Aborts the program when memory is out. */
void *table_new(size_t max, size_t size);

/* FIFO, CAPACITY and EMPTY (order.c). */
void judge_order(struct judge *j);
void judge_capacity(struct judge *j);
void judge_empty(struct judge *j);

#endif
