/*
 * output.h - received values on their way to stdout.
 *
 * Values gather as text in the form that was asked for, each whole and with where it ends, so that
 * it is known which of them stdout has taken when it refuses the rest. Nothing waits here that
 * could be written: whoever adds values writes them before it waits for more.
 */
#ifndef CHANCTL_OUTPUT_H
#define CHANCTL_OUTPUT_H

#include "client/chanctl/bytes.h"
#include "client/chanctl/chanctl.h"

/* Values that gather, at most. */
#define OUTPUT_VALUES_MAX 64

struct output {
	const struct options *options; /* framing, format, json */
	const char *channel;           /* its name, for --json and --format */
	struct bytes text;
	size_t ends[OUTPUT_VALUES_MAX]; /* where each value ends in text */
	size_t count;                   /* of values */
	size_t written;                 /* bytes of text that stdout has taken */
};

/* options and channel must outlive it. */
void output_init(struct output *out, const struct options *options, const char *channel);
void output_fini(struct output *out);

/* Whether another value should gather: fewer than OUTPUT_VALUES_MAX, and less than one write. */
bool output_has_room(const struct output *out);

/* Appends a value, with what frames it, where there is room. 0 or -ENOMEM. */
int output_add(struct output *out, const struct chan_value *value);

/* The same for a text of the caller's, as it is. */
int output_add_text(struct output *out, const char *text, size_t length);

/*
 * Writes all of it, and lets libchan work meanwhile: stdout may be a pipe that nobody reads for
 * long, and a broker must not take us for lost. A value that fits PIPE_BUF is written at once,
 * so that several programs may share a pipe.
 *
 * 0; -errno where stdout refused; -EINTR where a signal came and stdout is not ready.
 * output_taken says how far it got.
 */
int output_write(struct output *out, struct chan_client *client);

/* How many of the values stdout has taken whole. */
size_t output_taken(const struct output *out);

/* Forgets what was added, for the next values. */
void output_clear(struct output *out);

#endif
