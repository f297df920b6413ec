/*
 * cmd_send.c - values from the arguments or stdin, into a channel.
 *
 * Values travel in batches of which several are on their way, in a ring in the order of the
 * values. Where an operation has a deadline or may not wait, one value is on its way at a time,
 * so that the clock of each begins when the one before has ended, and none overtakes one that
 * failed. Without a buffer it is one batch, within which the broker keeps the order. On a failure
 * or a signal the batches are withdrawn from the last to the first, for the same reason.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/chanctl/chanctl.h"
#include "client/chanctl/clock.h"
#include "client/chanctl/complain.h"
#include "client/chanctl/events.h"
#include "client/chanctl/exit_codes.h"
#include "client/chanctl/interrupt.h"
#include "client/chanctl/progress.h"
#include "client/chanctl/source.h"
#include "client/chanctl/text.h"

#define BATCH_VALUES 64
#define RING_BATCHES 16

/* On their way at most, beside the batch that crosses it. */
#define BYTES_MAX ((size_t)1024 * 1024)

/* How long the broker may take to answer that the values were withdrawn. */
#define ENDING_NS INT64_C(5000000000)

struct batch {
	struct chan_op *op;
	size_t values, bytes;
	size_t sent; /* once it is done */
	bool done;
	struct chan *ends[BATCH_VALUES]; /* channels that are values: ours until they were sent */
	size_t end_count;
};

struct sender {
	struct ctl *ctl;
	const char *name;
	struct chan *ch;
	struct source source;
	struct progress progress;

	struct batch ring[RING_BATCHES];
	size_t first, batches; /* on their way: ring[first], and so many from there */
	size_t batches_max, batch_values_max;
	size_t bytes; /* on their way */

	uint64_t confirmed;  /* values, without a gap from the first */
	uint64_t beyond_gap; /* confirmed although one before them was not */
	bool gap;

	bool stopped;        /* no more values are read */
	bool withdrawn;      /* what is on its way was withdrawn */
	int64_t deadline_ns; /* for the answers, once withdrawn */
	int code;
	char why[2048]; /* of code; a name has 255 bytes at most, checked by then */
};

static struct batch *batch_at(struct sender *s, size_t index)
{
	return &s->ring[(s->first + index) % RING_BATCHES];
}

/* Reads no more, and remembers the first reason for it, which is told when all is settled. */
static void stop_because(struct sender *s, int code, const char *why)
{
	s->stopped = true;
	if (s->code != EXIT_DONE)
		return;
	s->code = code;
	snprintf(s->why, sizeof(s->why), "%s", why);
}

static void stop(struct sender *s, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void stop(struct sender *s, int code, const char *format, ...)
{
	char why[sizeof(s->why)];
	size_t length = (size_t)snprintf(why, sizeof(why), "send %s: ", s->name);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why + length, sizeof(why) - length, format, arguments);
	va_end(arguments);
	stop_because(s, code, why);
}

static void withdraw(struct sender *s)
{
	if (s->withdrawn)
		return;
	s->withdrawn = true;
	s->deadline_ns = clock_now_ns() + ENDING_NS;
	for (size_t i = s->batches; i-- > 0;)
		if (!batch_at(s, i)->done)
			chan_op_cancel(batch_at(s, i)->op);
}

/* ---- out ---------------------------------------------------------------------------------- */

/* A value that must not be what a shell puts behind everything: a number and its newline. */
static size_t without_newline(const struct sender *s, const char *text, size_t length)
{
	enum chan_type type = chan_type(s->ch);
	bool whole = type == CHAN_TYPE_STRING || type == CHAN_TYPE_BYTES || type == CHAN_TYPE_ANY;

	if (s->source.reader.framing == FRAMING_RAW && !whole && length > 0 &&
		text[length - 1] == '\n')
		return length - 1;
	return length;
}

/* Takes the next value from the source: 1, or 0 where there is none now or it stopped us. */
static int next_value(struct sender *s, struct chan_value *ret_value, size_t *ret_bytes)
{
	char shown[TEXT_SHOWN_BYTES];
	const char *text, *why;
	size_t length;
	int rc = source_next(&s->source, &text, &length);

	if (rc == -EMSGSIZE)
		stop(s, EXIT_DATA, "a value has more than %" PRIu32 " bytes, the broker's limit",
			chan_value_bytes_max(s->ctl->client));
	else if (rc < 0)
		stop(s, EXIT_DATA, "stdin ends within a value");
	if (rc <= 0)
		return 0;
	length = without_newline(s, text, length);
	rc = text_parse(s->ctl->client, chan_type(s->ch), s->ctl->options.as, text, length,
		ret_value, &why);
	*ret_bytes = length;
	if (rc == 0)
		return 1;
	if (rc == CHAN_ETYPE)
		stop(s, EXIT_DATA, "'%s' %s; the channel's type is %s",
			text_shown(shown, text, length), why, chan_type_name(chan_type(s->ch)));
	else
		stop_because(s, exit_code_of(rc), why);
	return 0;
}

/* Sends the values that are at hand, as one batch. False where there is none. */
static bool send_batch(struct sender *s)
{
	struct chan_value values[BATCH_VALUES];
	struct batch *b = batch_at(s, s->batches);
	size_t bytes;
	int rc;

	*b = (struct batch){0};
	while (b->values < s->batch_values_max && b->bytes < BYTES_MAX && !s->stopped &&
		next_value(s, &values[b->values], &bytes) > 0) {
		if (values[b->values].type == CHAN_TYPE_CHAN)
			b->ends[b->end_count++] = values[b->values].chan;
		b->bytes += bytes;
		b->values++;
	}
	if (b->values == 0)
		return false;
	rc = chan_start_send(s->ch, values, b->values, ctl_timeout_ns(s->ctl), b, &b->op);
	s->batches++;
	s->bytes += b->bytes;
	if (rc == 0)
		return true;
	b->done = true;
	stop_because(s, exit_code_of(rc), chan_error_text());
	withdraw(s);
	return false;
}

/* ---- answers ------------------------------------------------------------------------------ */

static void batch_settled(struct sender *s, struct batch *b)
{
	for (size_t i = 0; i < b->end_count; i++)
		chan_release(b->ends[i]);
	s->bytes -= b->bytes;
	if (s->gap)
		s->beyond_gap += b->sent;
	else
		s->confirmed += b->sent;
	s->gap = s->gap || b->sent < b->values;
	progress_add(&s->progress, b->sent);
}

static void completed(struct sender *s, const struct chan_completion *c)
{
	struct batch *b = c->tag;

	b->done = true;
	b->sent = c->count;
	if (c->status < 0 && !s->withdrawn) {
		stop_because(s, exit_code_of(c->status), c->error->text);
		withdraw(s);
	}
}

static void collect(struct sender *s)
{
	struct chan_completion c;

	while (chan_next_completion(s->ctl->client, &c) > 0)
		completed(s, &c);
	while (s->batches > 0 && batch_at(s, 0)->done) {
		batch_settled(s, batch_at(s, 0));
		s->first = (s->first + 1) % RING_BATCHES;
		s->batches--;
	}
}

static bool has_room(const struct sender *s)
{
	return !s->stopped && s->batches < s->batches_max && s->bytes < BYTES_MAX;
}

/* The source has none at hand: it must be read, or has ended. */
static void read_more(struct sender *s)
{
	int rc = source_fill(&s->source);

	if (rc == -EMSGSIZE)
		stop(s, EXIT_DATA, "a value has more than %" PRIu32 " bytes, the broker's limit",
			chan_value_bytes_max(s->ctl->client));
	else if (rc < 0)
		stop(s, EXIT_IO, "stdin: %s", strerror(-rc));
}

static void send_all(struct sender *s)
{
	int events;

	for (;;) {
		collect(s);
		if (has_room(s) && send_batch(s))
			continue;
		s->stopped = s->stopped || source_drained(&s->source);
		if (s->stopped && s->batches == 0)
			return;
		if (s->withdrawn && clock_now_ns() >= s->deadline_ns)
			return;
		events = events_wait(s->ctl->client, has_room(s) ? STDIN_FILENO : -1, POLLIN,
			s->withdrawn ? s->deadline_ns : EVENTS_FOREVER);
		if (events & EVENT_FD && !(events & EVENT_SIGNAL))
			read_more(s);
		if (events & EVENT_SIGNAL) {
			stop(s, EXIT_SIGNAL + interrupt_signal(), "%s",
				strsignal(interrupt_signal()));
			withdraw(s);
		}
	}
}

/* ---- the end ------------------------------------------------------------------------------ */

static bool one_value(const struct options *o)
{
	return o->framing == FRAMING_NONE && o->operand_count <= 2;
}

static const char *values_were(uint64_t n)
{
	return n == 1 ? "value was" : "values were";
}

/* What stopped us, how far we got, and where to go on. */
static void report(const struct sender *s)
{
	if (one_value(&s->ctl->options)) {
		if (s->code != EXIT_WOULD_BLOCK)
			complain("%s", s->why);
		return;
	}
	if (s->gap || !source_drained(&s->source))
		complain("%s; %" PRIu64 " %s confirmed, value %" PRIu64
			 " was the first that was not",
			s->why, s->confirmed, values_were(s->confirmed), s->confirmed + 1);
	else
		complain("%s; %s%" PRIu64 " %s confirmed", s->why, s->confirmed > 1 ? "all " : "",
			s->confirmed, values_were(s->confirmed));
	if (s->beyond_gap > 0)
		complain("of those after it %" PRIu64 " %s confirmed, too", s->beyond_gap,
			values_were(s->beyond_gap));
}

static int finish(struct sender *s)
{
	int rc;

	progress_end(&s->progress);
	if (s->code != EXIT_DONE) {
		report(s);
		return s->code;
	}
	if (!s->ctl->options.close)
		return EXIT_DONE;
	rc = chan_close(s->ch, s->ctl->options.reason);
	return rc < 0 ? ctl_failed(rc) : EXIT_DONE;
}

static int run(struct ctl *ctl)
{
	static const struct operand nothing = {.text = ""};
	const struct options *o = &ctl->options;
	bool one_at_a_time = o->try || o->timeout_ns >= 0;
	struct sender s = {
		.ctl = ctl,
		.name = o->operands[0].text,
		.batches_max = one_at_a_time ? 1 : RING_BATCHES,
		.batch_values_max = one_at_a_time ? 1 : BATCH_VALUES,
	};
	int code;

	source_init(&s.source, o);
	if (o->framing != FRAMING_NONE)
		ctl_linger(ctl, CTL_LINGER_NS);
	code = ctl_open(ctl, s.name, CHAN_SEND, NULL, &s.ch);
	if (code != 0)
		return code;
	if (chan_cap(s.ch) == 0)
		s.batches_max = 1;
	s.source.reader.value_bytes_max = chan_value_bytes_max(ctl->client);
	if (!s.source.from_stdin && s.source.operand_count == 0) {
		if (chan_type(s.ch) != CHAN_TYPE_SIGNAL)
			options_refuse(
				"send %s: no value: only a channel of type signal needs none",
				s.name);
		s.source.operands = &nothing;
		s.source.operand_count = 1;
	}
	progress_init(&s.progress, "send", s.name);
	send_all(&s);
	code = finish(&s);
	source_fini(&s.source);
	return code;
}

static const enum option_key send_options[] = {OPTION_LINES, OPTION_NULL, OPTION_FRAME, OPTION_AS,
	OPTION_CLOSE, OPTION_REASON, OPTION_TIMEOUT, OPTION_TRY, OPTION_CREATE, OPTION_WAIT_CREATE,
	OPTION_TYPE, OPTION_CAP, 0};

const struct command command_send = {
	.name = "send",
	.brief = "send values: arguments, or from stdin",
	.usage = {"NAME [VALUE...]\nNAME -",
		"Send values, in order: the arguments, or all of stdin as one value (`-'), or many "
		"from stdin (--lines, --null, --frame=len). A value that begins with `-' comes "
		"after `--'.",
		send_options, 1, OPERANDS_ANY},
	.run = run,
};
