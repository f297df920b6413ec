/*
 * cmd_recv.c - recv and range: values out of a channel, onto stdout.
 *
 * One receive waits at a time. What it brings is written, and only then confirmed; what stdout
 * refuses is given back. On a buffered channel libchan fetches ahead, and then all that is at hand
 * is written by one write and confirmed together. On an unbuffered channel the next receive
 * begins when the value before is written: a sender must not end because somebody may write it
 * some day.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client/chanctl/chanctl.h"
#include "client/chanctl/clock.h"
#include "client/chanctl/complain.h"
#include "client/chanctl/events.h"
#include "client/chanctl/exit_codes.h"
#include "client/chanctl/interrupt.h"
#include "client/chanctl/output.h"
#include "client/chanctl/progress.h"

/* Values fetched ahead: what others see again if we are killed. Enough that a round trip is shared
 * by many. */
#define CREDIT OUTPUT_VALUES_MAX

/* How long the broker may take to answer that a receive was withdrawn, or a value given back. */
#define ENDING_NS INT64_C(5000000000)

struct receiver {
	struct ctl *ctl;
	const char *name;
	struct chan *ch;
	struct output out;
	struct progress progress;
	uint64_t left;       /* values still wanted */
	struct chan_op *op;  /* the receive that waits, or NULL */
	size_t settling;     /* confirmations and returns that are not answered */
	bool ending;         /* no receive begins any more */
	bool refused;        /* stdout takes nothing more */
	int code;            /* to exit with */
	int64_t deadline_ns; /* for what is still open once it is ending */

	struct chan_value values[OUTPUT_VALUES_MAX]; /* received and not yet settled, in order */
	size_t count;
};

/* Tags of operations. */
static char receiving, settling;

/* No receive begins any more; one that waits is withdrawn. The first reason is the exit code. */
static void end(struct receiver *r, int code)
{
	if (r->code == EXIT_DONE)
		r->code = code;
	if (r->ending)
		return;
	r->ending = true;
	r->deadline_ns = clock_now_ns() + ENDING_NS;
	if (r->op != NULL)
		chan_op_cancel(r->op);
}

static void start(struct receiver *r)
{
	bool ahead = chan_cap(r->ch) > 0;
	int rc;

	if (r->ending || r->op != NULL || r->left == 0 || (r->count > 0 && !ahead))
		return;
	rc = chan_start_recv(r->ch, ctl_timeout_ns(r->ctl), &receiving, &r->op);
	if (rc < 0)
		end(r, ctl_failed(rc));
}

static void received(struct receiver *r, struct chan_completion *c)
{
	r->values[r->count++] = c->value;
	r->left--;
	if (output_add(&r->out, &c->value) < 0) {
		complain("%s %s: out of memory", r->ctl->command->name, r->name);
		r->refused = true;
		end(r, EXIT_UNAVAILABLE);
	}
	if (r->left == 0)
		end(r, EXIT_DONE);
}

static void receive_failed(struct receiver *r, const struct chan_error *error)
{
	/* Withdrawn, as we asked: whoever asked has set the exit code. */
	if (r->ending && error->status == CHAN_ECANCELED)
		return;
	progress_end(&r->progress);
	/* Nothing went wrong with --try: no words are needed. */
	if (error->status == CHAN_EWOULDBLOCK)
		end(r, EXIT_WOULD_BLOCK);
	else
		end(r, ctl_failed_with(error));
}

static void completed(struct receiver *r, struct chan_completion *c)
{
	if (c->tag == &settling) {
		r->settling--;
		if (c->status < 0 && r->code == EXIT_DONE)
			r->code = ctl_failed_with(c->error);
		return;
	}
	r->op = NULL;
	if (c->status < 0)
		receive_failed(r, c->error);
	else if (c->closed)
		end(r, r->ctl->command == &command_range ? EXIT_DONE : EXIT_DRAINED);
	else
		received(r, c);
}

/* Takes what has completed, while there is room for values. */
static void collect(struct receiver *r)
{
	struct chan_completion c;

	do
		start(r);
	while (r->count < OUTPUT_VALUES_MAX && output_has_room(&r->out) &&
		chan_next_completion(r->ctl->client, &c) > 0 && (completed(r, &c), true));
}

typedef int start_settle(
	struct chan *ch, struct chan_value *values, size_t n, void *tag, struct chan_op **ret_op);

static void settle(struct receiver *r, start_settle *how, struct chan_value *values, size_t n)
{
	int rc = n > 0 ? how(r->ch, values, n, &settling, NULL) : 0;

	if (rc < 0)
		r->code = ctl_failed(rc);
	r->settling += n > 0 && rc == 0;
	for (size_t i = 0; i < n; i++)
		chan_value_clear(&values[i]);
}

/* Writes the values, confirms those that stdout has taken whole, and gives the others back. */
static void deliver(struct receiver *r)
{
	int rc = r->refused ? 0 : output_write(&r->out, r->ctl->client);
	size_t taken = r->refused ? 0 : output_taken(&r->out);

	settle(r, chan_start_confirm, r->values, taken);
	settle(r, chan_start_return, r->values + taken, r->count - taken);
	progress_add(&r->progress, taken);
	r->count = 0;
	output_clear(&r->out);
	if (rc == 0)
		return;
	r->refused = true;
	progress_end(&r->progress);
	if (rc != -EINTR)
		complain("%s %s: stdout: %s; what it did not take goes back", r->ctl->command->name,
			r->name, strerror(-rc));
	end(r, rc == -EINTR ? EXIT_SIGNAL + interrupt_signal() : EXIT_IO);
}

static bool open_matters(const struct receiver *r)
{
	return !r->ending || r->op != NULL || r->settling > 0;
}

/* Waits, and notices that a signal has come or that nobody reads stdout any more. */
static void wait_for_more(struct receiver *r)
{
	int events = events_wait(r->ctl->client, r->ending ? -1 : STDOUT_FILENO, 0,
		r->ending ? r->deadline_ns : EVENTS_FOREVER);

	if (r->ending)
		return;
	if (events & EVENT_SIGNAL)
		end(r, EXIT_SIGNAL + interrupt_signal());
	if (events & EVENT_FD) {
		progress_end(&r->progress);
		complain("%s %s: nobody reads stdout", r->ctl->command->name, r->name);
		end(r, EXIT_IO);
	}
}

static void receive_all(struct receiver *r)
{
	for (;;) {
		collect(r);
		if (r->count > 0)
			deliver(r);
		else if (!open_matters(r))
			return;
		else if (r->ending && clock_now_ns() >= r->deadline_ns)
			return;
		else
			wait_for_more(r);
	}
}

static int run(struct ctl *ctl, uint64_t count)
{
	const struct options *o = &ctl->options;
	struct chan_end_options options = {.manual = true, .credit = CREDIT};
	struct receiver r = {.ctl = ctl, .name = o->operands[0].text, .left = count};
	int code;

	/* A receive with a deadline or a try is one that waits now; so is one of a few. */
	if (count < CREDIT)
		options.credit = (uint32_t)count;
	if (o->try || o->timeout_ns >= 0)
		options.credit = 1;
	code = ctl_open(ctl, r.name, CHAN_RECV, &options, &r.ch);
	if (code != 0)
		return code;
	output_init(&r.out, o, r.name);
	progress_init(&r.progress, ctl->command->name, r.name);
	receive_all(&r);
	progress_end(&r.progress);
	output_fini(&r.out);
	return r.code;
}

static int run_recv(struct ctl *ctl)
{
	return run(ctl, ctl->options.count > 0 ? ctl->options.count : 1);
}

static int run_range(struct ctl *ctl)
{
	ctl_linger(ctl, CTL_LINGER_NS);
	return run(ctl, UINT64_MAX);
}

static const enum option_key range_options[] = {OPTION_NULL, OPTION_FRAME, OPTION_RAW,
	OPTION_FORMAT, OPTION_TIMEOUT, OPTION_TRY, OPTION_CREATE, OPTION_WAIT_CREATE, OPTION_TYPE,
	OPTION_CAP, 0};

static const enum option_key recv_options[] = {OPTION_COUNT, OPTION_NULL, OPTION_FRAME, OPTION_RAW,
	OPTION_FORMAT, OPTION_TIMEOUT, OPTION_TRY, OPTION_CREATE, OPTION_WAIT_CREATE, OPTION_TYPE,
	OPTION_CAP, 0};

const struct command command_recv = {
	.name = "recv",
	.brief = "receive and print a value, or several",
	.usage = {"NAME",
		"Receive a value, or so many as -n says, and print them, a value a line. Exit code "
		"1 "
		"where the channel is closed and drained before.",
		recv_options, 1, 1},
	.run = run_recv,
};

const struct command command_range = {
	.name = "range",
	.brief = "receive and print until the channel is closed",
	.usage = {"NAME", "Receive and print values until the channel is closed and drained.",
		range_options, 1, 1},
	.run = run_range,
};
