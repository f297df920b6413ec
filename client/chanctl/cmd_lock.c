/*
 * cmd_lock.c - lock and sem: a command that runs while a permit is held.
 *
 * The permits are the values of a channel that is made with them. One is received under a lease,
 * and given back when the command has ended; so the permit of a holder that dies comes back by
 * itself.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "client/chanctl/chanctl.h"
#include "client/chanctl/clock.h"
#include "client/chanctl/complain.h"
#include "client/chanctl/events.h"
#include "client/chanctl/exit_codes.h"
#include "client/chanctl/interrupt.h"
#include "client/chanctl/job.h"
#include "client/chanctl/signals.h"
#include "client/chanctl/terminal.h"

/* How long the broker may take to answer that a receive was withdrawn, or a permit given back. */
#define ENDING_NS INT64_C(5000000000)

struct holder {
	struct ctl *ctl;
	int64_t permits;
	struct chan *ch;
	struct guard guard;
	struct job_rules rules;
	struct job job;
	pid_t group;     /* the command's */
	int signals;     /* see signals.h; -1 */
	int terminal_fd; /* see terminal.h */
	bool ended;      /* the command has */
	bool unguarded;  /* the guard is gone */
	int code;        /* to exit with */
};

/* Tags of operations. */
static char acquiring, extending, releasing;

static const char *name_of(const struct holder *h)
{
	return h->ctl->options.operands[0].text;
}

/* ---- the permit ------------------------------------------------------------------------------ */

static int open_permits(struct holder *h)
{
	const struct chan_make_options make = {.direction = CHAN_RECV,
		.end = {.lease_ns = h->rules.lease_ns},
		.permits = (uint32_t)h->permits};
	int rc;

	ctl_linger_for_commands(h->ctl, h->rules.lease_ns);
	rc = ctl_dial(h->ctl);
	if (rc != 0)
		return rc;
	rc = chan_make(h->ctl->client, name_of(h), CHAN_TYPE_SIGNAL, h->permits, &make, &h->ch);
	return rc < 0 ? ctl_failed(rc) : 0;
}

/* Waits for the one operation in flight, whose result counts also after a signal: that withdraws
 * it. False: the broker did not answer. */
static bool await(struct holder *h, struct chan_op *op, struct chan_completion *ret_completion)
{
	int64_t deadline_ns = EVENTS_FOREVER;

	while (chan_next_completion(h->ctl->client, ret_completion) == 0) {
		if (clock_now_ns() >= deadline_ns)
			return false;
		if (events_wait(h->ctl->client, -1, 0, deadline_ns) & EVENT_SIGNAL &&
			deadline_ns == EVENTS_FOREVER) {
			chan_op_cancel(op);
			deadline_ns = clock_now_ns() + ENDING_NS;
		}
	}
	return true;
}

static int acquired(struct holder *h, const struct chan_completion *c)
{
	if (c->status < 0 && interrupt_signal() != 0)
		return EXIT_SIGNAL + interrupt_signal();
	/* Nothing went wrong with --try: no words are needed. */
	if (c->status == CHAN_EWOULDBLOCK)
		return EXIT_WOULD_BLOCK;
	if (c->status < 0)
		return ctl_failed_with(c->error);
	if (c->closed) {
		complain("%s %s: the channel is closed", h->ctl->command->name, name_of(h));
		return EXIT_CLOSED;
	}
	job_init(&h->job, &h->rules, h->ch, &c->value);
	return EXIT_DONE;
}

/* Waits for a permit. 0: it is in h->job; else the exit code. */
static int acquire(struct holder *h)
{
	struct chan_completion c;
	struct chan_op *op;
	int rc;

	do {
		rc = chan_start_recv(h->ch, ctl_timeout_ns(h->ctl), &acquiring, &op);
		if (rc < 0)
			return ctl_failed(rc);
		if (!await(h, op, &c))
			return EXIT_SIGNAL + interrupt_signal();
		/* Gone: we were silent for long, and the broker gave it to others. */
	} while (c.status == CHAN_EGONE && interrupt_signal() == 0);
	return acquired(h, &c);
}

/* Gives the permit back, where it is ours still, and waits for that. */
static void release(struct holder *h)
{
	int64_t deadline_ns = clock_now_ns() + ENDING_NS;
	struct chan_completion c = {0};
	int rc = CHAN_EGONE;

	if (!h->job.lost)
		rc = chan_start_nack(h->ch, &h->job.value, 1, 0, &releasing, NULL);
	while (rc == 0 && c.tag != &releasing && clock_now_ns() < deadline_ns) {
		if (chan_next_completion(h->ctl->client, &c) == 0)
			events_wait(h->ctl->client, -1, 0, deadline_ns);
	}
	job_fini(&h->job);
}

/* ---- the command ----------------------------------------------------------------------------- */

static int run_command(struct holder *h)
{
	const struct options *o = &h->ctl->options;
	struct child_spec spec = {.stdin_fd = -1, .terminal_fd = h->terminal_fd};
	int rc;

	spec.arguments = calloc(o->operand_count, sizeof(*spec.arguments));
	if (spec.arguments == NULL)
		return -ENOMEM;
	for (size_t i = 1; i < o->operand_count; i++)
		spec.arguments[i - 1] = (char *)o->operands[i].text;
	rc = job_run(&h->job, &spec);
	free(spec.arguments);
	return rc;
}

static void command_ended(struct holder *h, int code)
{
	h->ended = true;
	terminal_take(h->terminal_fd, h->group);
	if (h->code == EXIT_DONE)
		h->code = code;
	if (h->job.end != JOB_LEASE_LOST)
		return;
	complain("%s %s: %s ended with %d, having lost its lease", h->ctl->command->name,
		name_of(h), h->ctl->options.operands[1].text, code);
	h->code = EXIT_OURS;
}

/* The command has the terminal and got its ^Z, or does not have it and wanted to read. We stop as
 * it did, for the shell to see, and it goes on with us. */
static void command_stopped(struct holder *h)
{
	bool ours = terminal_is_ours(h->terminal_fd);

	if (h->terminal_fd < 0)
		return;
	terminal_take(h->terminal_fd, h->group);
	if (!ours && !signals_pause(true) && !terminal_is_ours(h->terminal_fd))
		return;
	terminal_give(h->terminal_fd, h->group);
	kill(-h->group, SIGCONT);
}

/* We are to stop: the command first. */
static void stop_both(struct holder *h)
{
	kill(-h->group, SIGTSTP);
	terminal_take(h->terminal_fd, h->group);
	signals_pause(false);
	terminal_give(h->terminal_fd, h->group);
	kill(-h->group, SIGCONT);
}

static void children_changed(struct holder *h)
{
	int code;

	switch (job_look(&h->job, &code)) {
	case CHILD_ENDED:
		command_ended(h, code);
		return;
	case CHILD_STOPPED:
		command_stopped(h);
		break;
	case CHILD_RUNS:
		break;
	}
	if (h->unguarded || child_look(h->guard.pid, &code) != CHILD_ENDED)
		return;
	h->unguarded = true;
	complain("%s %s: the process that guards the command was ended (%d)", h->ctl->command->name,
		name_of(h), code);
	h->code = EXIT_OURS;
	kill(-h->group, SIGKILL);
}

/* ---- signals --------------------------------------------------------------------------------- */

static const int watched[] = {
	SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGTSTP, SIGCHLD, 0};

/* Those that mean the end are for the whole group, as if a terminal had sent them; of the others
 * only the command itself knows what they mean. */
static bool for_the_group(int number)
{
	return number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT;
}

static void signalled(struct holder *h, int number)
{
	if (number == SIGCHLD)
		children_changed(h);
	else if (number == SIGTSTP)
		stop_both(h);
	else
		kill(for_the_group(number) ? -h->group : h->group, number);
}

static void hold(struct holder *h)
{
	struct pollfd fds[] = {{.fd = -1}, {.fd = h->signals, .events = POLLIN}};
	struct chan_completion c;
	int64_t next_ns;
	int number;

	while (!h->ended) {
		while (chan_next_completion(h->ctl->client, &c) > 0)
			job_extended(&h->job, &c);
		next_ns = job_tick(&h->job, &extending);
		events_poll(h->ctl->client, fds, 2, next_ns);
		while (!h->ended && (number = signals_next(h->signals)) != 0)
			signalled(h, number);
	}
}

/* ---- beginning and end ----------------------------------------------------------------------- */

/* Runs the command with the permit in h->job, and gives that back. */
static void run_holding(struct holder *h)
{
	int rc = guard_start(&h->guard);

	if (rc == 0)
		h->signals = rc = signals_open(watched);
	h->terminal_fd = terminal_open();
	rc = rc >= 0 ? run_command(h) : rc;
	if (rc == 0) {
		h->group = h->job.pid;
		hold(h);
	} else {
		complain("%s %s: %s: %s", h->ctl->command->name, name_of(h),
			h->ctl->options.operands[1].text, strerror(-rc));
		h->code = child_exit_code(rc);
	}
	release(h);
	guard_stop(&h->guard);
}

static int run(struct ctl *ctl, int64_t permits)
{
	struct holder h = {.ctl = ctl, .permits = permits, .signals = -1, .terminal_fd = -1};
	int code;

	options_require_command(&ctl->options, 1);
	job_rules_init(&h.rules, &h.guard, &ctl->options);
	code = open_permits(&h);
	code = code == 0 ? acquire(&h) : code;
	if (code != 0)
		return code;
	/* It came before the signal that was to withdraw it. */
	if (interrupt_signal() != 0) {
		release(&h);
		return EXIT_SIGNAL + interrupt_signal();
	}
	run_holding(&h);
	return h.code;
}

static int run_lock(struct ctl *ctl)
{
	return run(ctl, 1);
}

static int run_sem(struct ctl *ctl)
{
	if (ctl->options.count == 0)
		options_refuse("sem: -n says how many may run at once");
	if (ctl->options.count > INT32_MAX)
		options_refuse("sem: -n %" PRIu64 " is too many", ctl->options.count);
	return run(ctl, (int64_t)ctl->options.count);
}

static const enum option_key lock_options[] = {
	OPTION_TIMEOUT, OPTION_TRY, OPTION_LEASE, OPTION_GRACE, 0};

static const enum option_key sem_options[] = {
	OPTION_COUNT, OPTION_TIMEOUT, OPTION_TRY, OPTION_LEASE, OPTION_GRACE, 0};

const struct command command_lock = {
	.name = "lock",
	.brief = "run a command that no other runs beside",
	.usage = {"NAME -- COMMAND [ARGUMENT...]",
		"Run a command while holding the lock NAME, which is a channel, made where it is "
		"missing. Ends with the command's exit status.",
		lock_options, 2, OPERANDS_ANY},
	.run = run_lock,
};

const struct command command_sem = {
	.name = "sem",
	.brief = "run a command beside no more than so many others",
	.usage = {"NAME -n N -- COMMAND [ARGUMENT...]",
		"Run a command while holding one of the N permits of NAME, which is a channel, "
		"made where it is missing. Ends with the command's exit status.",
		sem_options, 2, OPERANDS_ANY},
	.run = run_sem,
};
