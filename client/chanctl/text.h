/*
 * text.h - values as the shell writes and reads them.
 *
 * The forms are the contract's: decimal numbers (a float as the shortest that reads back the
 * same), true and false, strings and bytes as they are, a signal as nothing, a channel by its
 * name.
 */
#ifndef CHANCTL_TEXT_H
#define CHANCTL_TEXT_H

#include <jansson.h>

#include "chan/chan.h"
#include "client/chanctl/bytes.h"

/*
 * Reads a value for a channel of type `type`, which for any counts as `as`, or as a string where
 * that is 0. Strings and bytes stay in the caller's text. A channel is opened by its name, for
 * sending and receiving; the end in *ret_value is the caller's, to be released after the send.
 *
 * 0; CHAN_ETYPE where the text is no such value, or what opening the channel failed with. *ret_why
 * is set then: a sentence's end, which lives until the next call.
 */
int text_parse(struct chan_client *client, enum chan_type type, enum chan_type as, const char *text,
	size_t length, struct chan_value *ret_value, const char **ret_why);

/* A refused value as an error may show it: its beginning, with ? for what a terminal might take
 * for a command. Returns shown, which has room for TEXT_SHOWN_BYTES. */
char *text_shown(char *shown, const char *text, size_t length);

#define TEXT_SHOWN_BYTES 80

/* Appends the value's text. 0 or -ENOMEM. */
int text_append(struct bytes *out, const struct chan_value *value);

/* Appends {"channel": ..., "type": ..., "value": ...} without a line's end. 0 or -ENOMEM. */
int text_append_json(struct bytes *out, const char *channel, const struct chan_value *value);

/* The same as an object of the caller's; NULL: out of memory. *ret_flags: what to dump it with, so
 * that a float is as short as it can be. */
json_t *text_json(const char *channel, const struct chan_value *value, size_t *ret_flags);

/* Whether a --format is one, and appending a value by it. 0 or -ENOMEM. */
bool text_format_valid(const char *format);
int text_append_format(
	struct bytes *out, const char *format, const char *channel, const struct chan_value *value);

#endif
