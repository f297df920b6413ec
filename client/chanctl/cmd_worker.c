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
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/chanctl/chanctl.h"
#include "client/chanctl/clock.h"
#include "client/chanctl/complain.h"
#include "client/chanctl/duration.h"
#include "client/chanctl/events.h"
#include "client/chanctl/exit_codes.h"
#include "client/chanctl/job.h"
#include "client/chanctl/signals.h"
#include "client/chanctl/substitute.h"
#include "client/chanctl/text.h"

#define BACKOFF_DEFAULT_NS INT64_C(100000000)

/* A value that fails again and again is tried no less often than this. */
#define BACKOFF_MAX_NS INT64_C(60000000000)

/* How long the broker may take to answer what is open when nothing runs any more. */
#define ENDING_NS INT64_C(5000000000)

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

static const char *name_of(const struct worker *w)
{
	return w->ctl->options.operands[0].text;
}

/* ---- stopping -------------------------------------------------------------------------------- */

/* Nothing is received any more, and nothing waits for room in the dead channel; what runs goes on.
 * The first reason is the exit code. */
static void stop(struct worker *w, int code)
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

/* ---- what becomes of a value ----------------------------------------------------------------- */

/* A value in a sentence. Returns shown, which has room for TEXT_SHOWN_BYTES. */
static const char *show(const struct slot *s, char *shown)
{
	struct bytes text = {0};

	if (text_append(&text, &s->job.value) < 0)
		text.used = 0;
	text_shown(shown, text.at, text.used);
	bytes_fini(&text);
	return shown;
}

/* The slot's next value must not get the answer to what was asked for this one. */
static void leave(struct slot *s)
{
	s->state = s->job.asked_ns != 0 ? SLOT_LEAVING : SLOT_FREE;
	if (s->state == SLOT_FREE)
		job_fini(&s->job);
}

static void settled(struct slot *s, struct chan_completion *c)
{
	char shown[TEXT_SHOWN_BYTES];

	if (c->status == CHAN_EGONE)
		complain("worker %s: '%s': the lease was over; somebody else gets the value",
			name_of(s->worker), show(s, shown));
	else if (c->status < 0)
		stop(s->worker, ctl_failed_with(c->error));
	leave(s);
}

/* The value's operation has begun, or could not. */
static void settling(struct slot *s, int rc)
{
	s->state = SLOT_SETTLING;
	if (rc == 0)
		return;
	stop(s->worker, ctl_failed(rc));
	leave(s);
}

static void acknowledge(struct slot *s)
{
	settling(s, chan_start_ack(s->worker->ch, &s->job.value, 1, &s->settling, NULL));
}

static void give_back(struct slot *s, int64_t delay_ns)
{
	settling(s, chan_start_nack(s->worker->ch, &s->job.value, 1, delay_ns, &s->settling, NULL));
}

static void buried(struct slot *s, struct chan_completion *c)
{
	if (c->status == 0) {
		acknowledge(s);
		return;
	}
	if (c->status != CHAN_ECANCELED && c->status != CHAN_EWOULDBLOCK)
		stop(s->worker, ctl_failed_with(c->error));
	give_back(s, 0);
}

/* The value is not tried again. It may be seen in the dead channel and once more here, if we die
 * between the two steps; never in neither. */
static void retire(struct slot *s)
{
	struct worker *w = s->worker;
	char shown[TEXT_SHOWN_BYTES];
	int rc;

	if (w->dead == NULL) {
		complain("worker %s: '%s' is dropped: it was tried %" PRIu32 " times", name_of(w),
			show(s, shown), s->job.value.attempt);
		w->dropped++;
		acknowledge(s);
		return;
	}
	rc = chan_start_send(w->dead, &s->job.value, 1, w->stopping ? CHAN_TRY : CHAN_FOREVER,
		&s->burying, &s->op);
	if (rc == 0) {
		s->state = SLOT_BURYING;
		return;
	}
	stop(w, ctl_failed(rc));
	give_back(s, 0);
}

/* ---- the command ----------------------------------------------------------------------------- */

static int64_t rest_ns(const struct slot *s)
{
	int64_t ns = s->worker->backoff_ns;

	for (uint32_t i = 1; i < s->job.value.attempt && ns < BACKOFF_MAX_NS; i++)
		ns *= 2;
	return ns < BACKOFF_MAX_NS ? ns : BACKOFF_MAX_NS;
}

/* What is said of a command that did not do its work. */
static void complain_of(const struct slot *s, int code)
{
	static const char *const why[] = {
		[JOB_GOES_ON] = "",
		[JOB_TIMED_OUT] = ", having run longer than --timeout",
		[JOB_LEASE_LOST] = ", having lost its lease",
		[JOB_CALLED_OFF] = ", called off",
	};
	char shown[TEXT_SHOWN_BYTES];

	complain("worker %s: '%s': %s ended with %d%s (attempt %" PRIu32 ")", name_of(s->worker),
		show(s, shown), s->worker->words[0].text, code, why[s->job.end],
		s->job.value.attempt);
}

static void command_ended(struct slot *s, int code)
{
	const struct worker *w = s->worker;

	if (code == 0 && s->job.end == JOB_GOES_ON) {
		acknowledge(s);
		return;
	}
	complain_of(s, code);
	if (s->job.lost)
		leave(s);
	else if (s->job.end == JOB_CALLED_OFF || s->job.end == JOB_LEASE_LOST)
		give_back(s, 0);
	else if (w->attempts_max > 0 && s->job.value.attempt >= w->attempts_max)
		retire(s);
	else
		give_back(s, rest_ns(s));
}

/* The value as a file to read; it needs nobody to feed it. -errno. */
static int value_file(const struct bytes *text)
{
	size_t written = 0;
	int fd = memfd_create("value", MFD_CLOEXEC);
	ssize_t bytes;

	while (fd >= 0 && written < text->used) {
		bytes = write(fd, text->at + written, text->used - written);
		if (bytes < 0 && errno != EINTR) {
			close(fd);
			return -errno;
		}
		written += bytes > 0 ? (size_t)bytes : 0;
	}
	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	return fd < 0 ? -errno : fd;
}

static int run_command(struct slot *s, const struct bytes *text)
{
	const struct worker *w = s->worker;
	struct child_spec spec = {.terminal_fd = -1};
	int rc = substitute(w->words, w->word_count, text->at, text->used, &spec.arguments);

	if (rc < 0)
		return rc;
	spec.stdin_fd = w->as_argument ? open("/dev/null", O_RDONLY | O_CLOEXEC) : value_file(text);
	rc = spec.stdin_fd < 0 ? -errno : job_run(&s->job, &spec);
	if (spec.stdin_fd >= 0)
		close(spec.stdin_fd);
	substitute_free(spec.arguments);
	return rc;
}

/* A value that no command can get as an argument, now or ever. */
static bool unfit(const struct worker *w, int rc)
{
	return w->as_argument && (rc == -EINVAL || rc == -E2BIG);
}

static void could_not_run(struct slot *s, int rc)
{
	struct worker *w = s->worker;
	char shown[TEXT_SHOWN_BYTES];

	if (!unfit(w, rc)) {
		complain("worker %s: %s: %s; the value goes back", name_of(w), w->words[0].text,
			strerror(-rc));
		stop(w, child_exit_code(rc));
		give_back(s, 0);
		return;
	}
	complain("worker %s: '%s' cannot be an argument: %s; without {} it would be on stdin",
		name_of(w), show(s, shown), rc == -EINVAL ? "it holds a zero byte" : strerror(-rc));
	if (w->dead != NULL || w->attempts_max > 0) {
		retire(s);
		return;
	}
	stop(w, EXIT_DATA);
	give_back(s, 0);
}

static void got_value(struct slot *s, const struct chan_value *value)
{
	struct worker *w = s->worker;
	struct bytes text = {0};
	int rc;

	job_init(&s->job, &w->rules, w->ch, value);
	/* A signal came first: it was too late to withdraw the receive. */
	if (w->stopping) {
		give_back(s, 0);
		return;
	}
	/* Its last attempt was not seen to end: it may be what ended us, or the machine. */
	if (w->attempts_max > 0 && value->attempt > w->attempts_max) {
		retire(s);
		return;
	}
	rc = text_append(&text, value);
	rc = rc == 0 ? run_command(s, &text) : rc;
	bytes_fini(&text);
	s->state = SLOT_RUNNING;
	if (rc < 0)
		could_not_run(s, rc);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void received(struct slot *s, struct chan_completion *c)
{
	struct worker *w = s->worker;

	s->state = SLOT_FREE;
	if (c->closed)
		w->drained = true;
	else if (c->status >= 0)
		got_value(s, &c->value);
	else if (c->status != CHAN_EGONE && !(w->stopping && c->status == CHAN_ECANCELED))
		/* Gone: we were silent for long, and the broker took the value back. */
		stop(w, ctl_failed_with(c->error));
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
		stop(w, ctl_failed(rc));
}

static void extended(struct slot *s, struct chan_completion *c)
{
	job_extended(&s->job, c);
	if (s->state == SLOT_LEAVING)
		leave(s);
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
			command_ended(&w->slots[i], code);
	if (w->unguarded || child_look(w->guard.pid, &code) != CHILD_ENDED)
		return;
	w->unguarded = true;
	complain(
		"worker %s: the process that guards the commands was ended (%d)", name_of(w), code);
	each_group(w, SIGKILL);
	stop(w, EXIT_OURS);
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
			name_of(w), running(w));
	stop(w, EXIT_SIGNAL + number);
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
	complain("worker %s: values of %s do not fit --dead %s, a channel of %s", name_of(w),
		chan_type_name(ours), name, chan_type_name(theirs));
	return EXIT_DATA;
}

static int open_channels(struct worker *w)
{
	const struct chan_end_options end = {.lease_ns = w->rules.lease_ns};
	int code;

	/* It bounds the commands, not the wait for --wait-create. */
	w->ctl->options.timeout_ns = -1;
	ctl_linger(w->ctl, w->rules.lease_ns);
	code = ctl_open(w->ctl, name_of(w), CHAN_RECV, &end, &w->ch);
	return code != 0 ? code : open_dead(w);
}

static int make_slots(struct worker *w)
{
	w->slots = calloc(w->slot_count, sizeof(*w->slots));
	for (size_t i = 0; w->slots != NULL && i < w->slot_count; i++) {
		struct slot *s = &w->slots[i];

		s->worker = w;
		s->receiving = (struct call){s, received};
		s->extending = (struct call){s, extended};
		s->burying = (struct call){s, buried};
		s->settling = (struct call){s, settled};
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
		complain("worker %s: %s", name_of(w), strerror(-rc));
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
		complain("worker %s: %" PRIu64 " values were dropped", name_of(&w), w.dropped);
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
