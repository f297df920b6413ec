/*
 * cmd_channel.c - make, close and rm: channels come and go.
 */
#include <stddef.h>

#include "client/chanctl/chanctl.h"
#include "client/chanctl/exit_codes.h"

static int run_make(struct ctl *ctl)
{
	const struct options *o = &ctl->options;
	const char *name = o->operands[0].text;
	const struct chan_make_options make = {.producers = o->producers,
		.attempts_max = (uint32_t)o->attempts,
		.dead_letter = o->dead};
	int rc = ctl_dial(ctl);

	if (rc != 0)
		return rc;
	rc = chan_make(ctl->client, name, o->type != 0 ? o->type : CHAN_TYPE_STRING, o->capacity,
		&make, NULL);
	return rc < 0 ? ctl_failed(rc) : EXIT_DONE;
}

static int run_close(struct ctl *ctl)
{
	const char *name = ctl->options.operands[0].text;
	struct chan *ch;
	int rc = ctl_open(ctl, name, CHAN_SEND, NULL, &ch);

	if (rc != 0)
		return rc;
	rc = ctl->options.abort ? chan_abort(ch, ctl->options.reason)
				: chan_close(ch, ctl->options.reason);
	return rc < 0 ? ctl_failed(rc) : EXIT_DONE;
}

/* Every name is tried; the first failure decides the exit code. */
static int run_rm(struct ctl *ctl)
{
	int rc, code = ctl_dial(ctl);

	if (code != 0)
		return code;
	for (size_t i = 0; i < ctl->options.operand_count; i++) {
		const char *name = ctl->options.operands[i].text;

		rc = chan_remove(ctl->client, name);
		if (rc < 0)
			rc = ctl_failed(rc);
		code = code != 0 ? code : rc;
	}
	return code;
}

static const enum option_key make_options[] = {
	OPTION_TYPE, OPTION_CAP, OPTION_PRODUCERS, OPTION_ATTEMPTS, OPTION_DEAD, 0};
static const enum option_key close_options[] = {OPTION_REASON, OPTION_ABORT, 0};
static const enum option_key no_options[] = {0};

const struct command command_make = {
	.name = "make",
	.brief = "make a channel",
	.usage = {"NAME",
		"Make a channel: unbuffered and of strings, if not told otherwise. One of that "
		"name with the same attributes is left as it is.",
		make_options, 1, 1},
	.run = run_make,
};

const struct command command_close = {
	.name = "close",
	.brief = "close a channel",
	.usage = {"NAME", "Close a channel: no more sends, and receivers get what is left.",
		close_options, 1, 1},
	.run = run_close,
};

const struct command command_rm = {
	.name = "rm",
	.brief = "remove channels",
	.usage = {"NAME...",
		"Remove channels. Whatever waits on them is told, what was buffered is dropped.",
		no_options, 1, OPERANDS_ANY},
	.run = run_rm,
};
