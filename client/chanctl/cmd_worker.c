/*
 * cmd_worker.c - a command for every value of a channel.
 *
 * The worker has as many slots as commands may run at once. A free slot receives; a value that
 * comes is under a lease, and its command runs in the slot; how the command ends decides what
 * becomes of the value:
 *
 *	exit status 0                    acknowledged: gone from the channel
 *	anything else, attempts left     given back, to rest a while
 *	anything else, the last attempt  sent to the dead channel and then acknowledged; or dropped
 *	told to end by us                given back
 *
 * Each step is an operation of libchan, whose completion calls the next.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "client/chanctl/clock.h"
#include "client/chanctl/complain.h"
#include "client/chanctl/events.h"
#include "client/chanctl/exit_codes.h"
#include "client/chanctl/signals.h"
#include "client/chanctl/substitute.h"
#include "client/chanctl/worker.h"

#define BACKOFF_DEFAULT_NS INT64_C(100000000)

/* How long the broker may take to answer what is open when nothing runs any more. */
#define ENDING_NS INT64_C(5000000000)

/* ---- stopping -------------------------------------------------------------------------------- */

void worker_stop(struct worker *w, int code)
{
	if (w->stopping)
		return;
	w->stopping = true;
	w->code = code;
	for (size_t i = 0; i < w->slot_count; i++)
		if (w->slots[i].state == SLOT_RECEIVING || w->slots[i].state == SLOT_BURYING)
			chan_op_cancel(w->slots[i].op);
}

/* What runs is told to end, and its values go back. */
static void call_off(struct worker *w)
{
	for (size_t i = 0; i < w->slot_count; i++)
		if (w->slots[i].state == SLOT_RUNNING)
			job_call_off(&w->slots[i].job);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void received(struct slot *s, struct chan_completion *c)
{
	struct worker *w = s->worker;

	s->state = SLOT_FREE;
	if (c->closed)
		w->drained = true;
	else if (c->status >= 0)
		worker_value_came(s, &c->value);
	else if (c->status != CHAN_EGONE && !(w->stopping && c->status == CHAN_ECANCELED))
		/* Gone: we were silent for long, and the broker took the value back. */
		worker_stop(w, ctl_failed_with(c->error));
}

static void receive(struct slot *s)
{
	struct worker *w = s->worker;
	int rc;

	if (s->state != SLOT_FREE || w->stopping || w->drained)
		return;
	rc = chan_start_recv(w->ch, CHAN_FOREVER, &s->receiving, &s->op);
	if (rc == 0)
		s->state = SLOT_RECEIVING;
	else
		worker_stop(w, ctl_failed(rc));
}

/* ---- what happens ---------------------------------------------------------------------------- */

static const int watched_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCHLD, 0};

static void each_group(const struct worker *w, int number)
{
	for (size_t i = 0; i < w->slot_count; i++)
		if (w->slots[i].state == SLOT_RUNNING)
			kill(-w->slots[i].job.pid, number);
}

static void children_changed(struct worker *w)
{
	int code;

	for (size_t i = 0; i < w->slot_count; i++)
		if (w->slots[i].state == SLOT_RUNNING &&
			job_look(&w->slots[i].job, &code) == CHILD_ENDED)
			worker_command_ended(&w->slots[i], code);
	if (w->unguarded || child_look(w->guard.pid, &code) != CHILD_ENDED)
		return;
	w->unguarded = true;
	complain("worker %s: the process that guards the commands was ended (%d)", worker_name(w),
		code);
	each_group(w, SIGKILL);
	worker_stop(w, EXIT_OURS);
}

static size_t running(const struct worker *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->slot_count; i++)
		n += w->slots[i].state == SLOT_RUNNING;
	return n;
}

static void asked_to_end(struct worker *w, int number)
{
	if (w->stopping)
		call_off(w);
	else if (running(w) > 0)
		complain("worker %s: takes no more values and waits for what runs (%zu); a second "
			 "signal ends it",
			worker_name(w), running(w));
	worker_stop(w, EXIT_SIGNAL + number);
}

static void signalled(struct worker *w, int number)
{
	switch (number) {
	case SIGCHLD:
		children_changed(w);
		return;
	case SIGTSTP:
		each_group(w, SIGTSTP);
		signals_pause(false);
		each_group(w, SIGCONT);
		return;
	default:
		asked_to_end(w, number);
	}
}

/* Keeps the leases; returns when to do so again. */
static int64_t keep(struct worker *w)
{
	int64_t next_ns = EVENTS_FOREVER, slot_ns;

	for (size_t i = 0; i < w->slot_count; i++) {
		struct slot *s = &w->slots[i];

		if (s->state != SLOT_RUNNING && s->state != SLOT_BURYING)
			continue;
		slot_ns = job_tick(&s->job, &s->extending);
		next_ns = slot_ns < next_ns ? slot_ns : next_ns;
		if (s->job.lost && s->state == SLOT_BURYING)
			chan_op_cancel(s->op);
	}
	return next_ns;
}

static void take_completions(struct worker *w)
{
	struct chan_completion c;

	do
		for (size_t i = 0; i < w->slot_count; i++)
			receive(&w->slots[i]);
	while (chan_next_completion(w->ctl->client, &c) > 0 &&
		(((struct call *)c.tag)->completed(((struct call *)c.tag)->slot, &c), true));
}

/* Only answers of the broker are still to come, or not even these. */
static bool nothing_runs(const struct worker *w)
{
	if (!w->stopping && !w->drained)
		return false;
	for (size_t i = 0; i < w->slot_count; i++)
		if (w->slots[i].state == SLOT_RUNNING || w->slots[i].state == SLOT_BURYING)
			return false;
	return true;
}

static bool all_free(const struct worker *w)
{
	for (size_t i = 0; i < w->slot_count; i++)
		if (w->slots[i].state != SLOT_FREE)
			return false;
	return true;
}

static void work(struct worker *w)
{
	struct pollfd fds[] = {{.fd = -1}, {.fd = w->signals, .events = POLLIN}};
	int64_t next_ns;
	int number;

	for (;;) {
		take_completions(w);
		next_ns = keep(w);
		if (nothing_runs(w)) {
			if (w->deadline_ns == 0)
				w->deadline_ns = clock_now_ns() + ENDING_NS;
			if (all_free(w) || clock_now_ns() >= w->deadline_ns)
				return;
			next_ns = w->deadline_ns;
		}
		events_poll(w->ctl->client, fds, 2, next_ns);
		while ((number = signals_next(w->signals)) != 0)
			signalled(w, number);
	}
}

/* ---- beginning and end ----------------------------------------------------------------------- */

/* Opens the dead channel, and sees that the values can go there. */
static int open_dead(struct worker *w)
{
	const char *name = w->ctl->options.dead;
	enum chan_type ours = chan_type(w->ch), theirs;
	int rc;

	if (name == NULL)
		return 0;
	rc = chan_open(w->ctl->client, name, CHAN_SEND, NULL, &w->dead);
	if (rc < 0)
		return ctl_failed(rc);
	theirs = chan_type(w->dead);
	if (theirs == ours || theirs == CHAN_TYPE_ANY)
		return 0;
	complain("worker %s: values of %s do not fit --dead %s, a channel of %s", worker_name(w),
		chan_type_name(ours), name, chan_type_name(theirs));
	return EXIT_DATA;
}

static int open_channels(struct worker *w)
{
	const struct chan_end_options end = {.lease_ns = w->rules.lease_ns};
	int code;

	/* It bounds the commands, not the wait for --wait-create. */
	w->ctl->options.timeout_ns = -1;
	ctl_linger_for_commands(w->ctl, w->rules.lease_ns);
	code = ctl_open(w->ctl, worker_name(w), CHAN_RECV, &end, &w->ch);
	return code != 0 ? code : open_dead(w);
}

static int make_slots(struct worker *w)
{
	w->slots = calloc(w->slot_count, sizeof(*w->slots));
	for (size_t i = 0; w->slots != NULL && i < w->slot_count; i++) {
		struct slot *s = &w->slots[i];

		s->worker = w;
		s->receiving = (struct call){s, received};
		s->extending = (struct call){s, worker_value_extended};
		s->burying = (struct call){s, worker_value_buried};
		s->settling = (struct call){s, worker_value_settled};
	}
	return w->slots != NULL ? 0 : -ENOMEM;
}

static int prepare(struct worker *w)
{
	int rc = make_slots(w);

	rc = rc == 0 ? guard_start(&w->guard) : rc;
	if (rc == 0) {
		w->signals = signals_open(watched_signals);
		rc = w->signals < 0 ? w->signals : 0;
	}
	if (rc < 0)
		complain("worker %s: %s", worker_name(w), strerror(-rc));
	return rc < 0 ? EXIT_OURS : 0;
}

static int run(struct ctl *ctl)
{
	const struct options *o = &ctl->options;
	struct worker w = {.ctl = ctl, .signals = -1};
	int code;

	options_require_command(o, 1);
	w.words = o->operands + 1;
	w.word_count = o->operand_count - 1;
	w.as_argument = substitute_wanted(w.words, w.word_count);
	job_rules_init(&w.rules, &w.guard, o);
	w.rules.timeout_ns = o->timeout_ns;
	w.backoff_ns = o->backoff_ns >= 0 ? o->backoff_ns : BACKOFF_DEFAULT_NS;
	w.attempts_max = o->retry > 0 || o->dead == NULL ? o->retry : 1;
	w.slot_count = o->jobs > 0 ? o->jobs : 1;
	code = open_channels(&w);
	code = code == 0 ? prepare(&w) : code;
	if (code == 0) {
		work(&w);
		code = w.code;
	}
	if (w.dropped > 0)
		complain("worker %s: %" PRIu64 " values were dropped", worker_name(&w), w.dropped);
	guard_stop(&w.guard);
	free(w.slots);
	return code;
}

static const enum option_key worker_options[] = {OPTION_JOBS, OPTION_RETRY, OPTION_DEAD,
	OPTION_TIMEOUT, OPTION_LEASE, OPTION_GRACE, OPTION_BACKOFF, OPTION_CREATE,
	OPTION_WAIT_CREATE, OPTION_TYPE, OPTION_CAP, 0};

const struct command command_worker = {
	.name = "worker",
	.brief = "run a command for every value",
	.usage = {"NAME -- COMMAND [ARGUMENT...]",
		"Run a command for every value, which stands for {} in its arguments, or is its "
		"stdin where no {} is. Exit status 0 acknowledges the value; after any other it is "
		"tried again. Ends when the channel is closed and all is done.",
		worker_options, 2, OPERANDS_ANY},
	.run = run,
};
