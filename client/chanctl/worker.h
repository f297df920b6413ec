/*
 * worker.h - the parts of chanctl worker: its slots, and what becomes of the values in them.
 *
 * cmd_worker.c receives, waits for what happens, and ends; worker_value.c runs the command for a
 * value, and decides by its end what becomes of the value.
 */
#ifndef CHANCTL_WORKER_H
#define CHANCTL_WORKER_H

#include "client/chanctl/chanctl.h"
#include "client/chanctl/job.h"

struct slot;

/* What an operation's tag points to. */
struct call {
	struct slot *slot;
	void (*completed)(struct slot *s, struct chan_completion *c);
};

struct slot {
	struct worker *worker;
	enum {
		SLOT_FREE,
		SLOT_RECEIVING,
		SLOT_RUNNING,
		SLOT_BURYING,  /* its value is on its way to the dead channel */
		SLOT_SETTLING, /* acknowledged or given back, and that is not answered */
		SLOT_LEAVING,  /* done with; an extension is not answered */
	} state;
	struct job job;
	struct chan_op *op; /* the receive, or the send to the dead channel */
	struct call receiving, extending, burying, settling;
};

struct worker {
	struct ctl *ctl;
	const struct operand *words; /* of the command */
	size_t word_count;
	bool as_argument; /* {} occurs; else the value is the command's stdin */
	struct chan *ch;
	struct chan *dead; /* NULL: none */
	struct guard guard;
	struct job_rules rules;
	int64_t backoff_ns;
	uint64_t attempts_max; /* 0: no end */
	uint64_t dropped;
	int signals;         /* see signals.h */
	bool drained;        /* the channel is */
	bool stopping;       /* nothing is received any more */
	bool unguarded;      /* the guard is gone */
	int code;            /* to exit with */
	int64_t deadline_ns; /* for answers, once nothing runs */
	struct slot *slots;  /* ours */
	size_t slot_count;
};

/* The channel's. */
static inline const char *worker_name(const struct worker *w)
{
	return w->ctl->options.operands[0].text;
}

/* Nothing is received any more, and nothing waits for room in the dead channel; what runs goes on.
 * The first reason is the exit code. */
void worker_stop(struct worker *w, int code);

/* ---- worker_value.c ------------------------------------------------------------------------- */

/* A value came into the slot, which was free: its command runs, or what else becomes of it. */
void worker_value_came(struct slot *s, const struct chan_value *value);

/* The slot's command has ended. */
void worker_command_ended(struct slot *s, int code);

/* Completions of what was begun for the value: that it is settled, or in the dead channel; and of
 * its lease. */
void worker_value_settled(struct slot *s, struct chan_completion *c);
void worker_value_buried(struct slot *s, struct chan_completion *c);
void worker_value_extended(struct slot *s, struct chan_completion *c);

#endif
