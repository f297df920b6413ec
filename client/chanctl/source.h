/*
 * source.h - where send takes its values from: the arguments, or stdin.
 */
#ifndef CHANCTL_SOURCE_H
#define CHANCTL_SOURCE_H

#include "client/chanctl/options.h"
#include "client/chanctl/reader.h"

struct source {
	const struct operand *operands; /* the values that are arguments */
	size_t operand_count;
	bool from_stdin; /* all values come from there */
	struct reader reader;
};

/* Decides by the options and the operands behind the channel's name. Exits with 64 where they do
 * not fit together. */
void source_init(struct source *s, const struct options *options);
void source_fini(struct source *s);

/* As reader_next; the text stands until the next source_fill. */
int source_next(struct source *s, const char **ret_text, size_t *ret_length);

/* As reader_fill. */
int source_fill(struct source *s);

/* There is no value any more. */
bool source_drained(const struct source *s);

#endif
