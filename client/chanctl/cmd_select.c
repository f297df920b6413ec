/*
 * cmd_select.c - one of several operations, whichever can happen first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/chanctl/chanctl.h"
#include "client/chanctl/clock.h"
#include "client/chanctl/complain.h"
#include "client/chanctl/events.h"
#include "client/chanctl/exit_codes.h"
#include "client/chanctl/interrupt.h"
#include "client/chanctl/output.h"
#include "client/chanctl/text.h"

/* How long the broker may take to answer that the select was withdrawn, or a value settled. */
#define ENDING_NS INT64_C(5000000000)

struct selection {
	struct ctl *ctl;
	size_t count;
	struct chan_case *cases;
	char **names; /* of the cases' channels; each ours */
};

/* ---- the cases ---------------------------------------------------------------------------- */

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Takes recv:NAME or send:NAME=VALUE apart: the name is the caller's to free, the value stands in
 * the text and is NULL for a receive. Exits with 64 where it is neither. */
static char *case_parse(const char *text, const char **ret_value)
{
	const char *name = text + strlen("recv:"), *equals = strchr(name, '=');
	bool receives = has_prefix(text, "recv:");

	if (!receives && !(has_prefix(text, "send:") && equals != NULL))
		options_refuse("select: '%s' is no case: recv:NAME or send:NAME=VALUE", text);
	*ret_value = receives ? NULL : equals + 1;
	return receives ? strdup(name) : strndup(name, (size_t)(equals - name));
}

static int case_open(struct selection *s, size_t index)
{
	static const struct chan_end_options manual = {.manual = true};
	struct chan_case *c = &s->cases[index];
	char shown[TEXT_SHOWN_BYTES];
	const char *text, *why;
	int rc;

	s->names[index] = case_parse(s->ctl->options.operands[index].text, &text);
	c->direction = text != NULL ? CHAN_SEND : CHAN_RECV;
	rc = ctl_open(s->ctl, s->names[index], c->direction, &manual, &c->chan);
	if (rc != 0 || text == NULL)
		return rc;
	rc = text_parse(s->ctl->client, chan_type(c->chan), s->ctl->options.as, text, strlen(text),
		&c->value, &why);
	if (rc == 0)
		return 0;
	if (rc != CHAN_ETYPE)
		return ctl_failed(rc);
	complain("select send:%s: '%s' %s; the channel's type is %s", s->names[index],
		text_shown(shown, text, strlen(text)), why, chan_type_name(chan_type(c->chan)));
	return EXIT_DATA;
}

static int selection_init(struct selection *s, struct ctl *ctl)
{
	int code = 0;

	*s = (struct selection){.ctl = ctl, .count = ctl->options.operand_count};
	s->cases = calloc(s->count, sizeof(*s->cases));
	s->names = calloc(s->count, sizeof(*s->names));
	if (s->cases == NULL || s->names == NULL) {
		complain("select: out of memory");
		return EXIT_UNAVAILABLE;
	}
	for (size_t i = 0; i < s->count && code == 0; i++)
		code = case_open(s, i);
	return code;
}

static void selection_fini(struct selection *s)
{
	for (size_t i = 0; i < s->count && s->names != NULL; i++)
		free(s->names[i]);
	free(s->names);
	free(s->cases);
}

/* ---- what happened ------------------------------------------------------------------------ */

static int append_json(
	struct bytes *out, const char *verb, const char *name, const struct chan_value *value)
{
	size_t flags = JSON_COMPACT;
	json_t *json = value != NULL ? text_json(name, value, &flags)
				     : json_pack("{s:s}", "channel", name);
	char *text;
	int rc;

	if (json != NULL)
		json_object_set_new(json, "case", json_string(verb));
	text = json != NULL ? json_dumps(json, flags) : NULL;
	rc = text != NULL ? bytes_append_string(out, text) : -ENOMEM;
	free(text);
	json_decref(json);
	return rc;
}

static int append_words(
	struct bytes *out, const char *verb, const char *name, const struct chan_value *value)
{
	int rc = bytes_append_string(out, verb);

	rc = rc == 0 ? bytes_append(out, " ", 1) : rc;
	rc = rc == 0 ? bytes_append_string(out, name) : rc;
	if (value == NULL)
		return rc;
	rc = rc == 0 ? bytes_append(out, " ", 1) : rc;
	return rc == 0 ? text_append(out, value) : rc;
}

/* Prints the line: 0, or -errno. */
static int print(
	const struct ctl *ctl, const char *verb, const char *name, const struct chan_value *value)
{
	struct bytes line = {0};
	struct output out;
	int rc;

	output_init(&out, &ctl->options, name);
	rc = (ctl->options.json ? append_json : append_words)(&line, verb, name, value);
	rc = rc == 0 ? bytes_append(&line, "\n", 1) : rc;
	rc = rc == 0 ? output_add_text(&out, line.at, line.used) : rc;
	rc = rc == 0 ? output_write(&out, ctl->client) : rc;
	bytes_fini(&line);
	output_fini(&out);
	if (rc < 0 && rc != -EINTR)
		complain("select: stdout: %s%s", strerror(-rc),
			value != NULL ? "; the value goes back" : "");
	return rc;
}

/* Waits for the one operation in flight; a signal withdraws it. 1 and its completion, or 0 where
 * the broker did not answer in time. */
static int await(struct ctl *ctl, struct chan_op *op, struct chan_completion *ret_completion)
{
	int64_t deadline_ns = EVENTS_FOREVER;

	while (chan_next_completion(ctl->client, ret_completion) == 0) {
		if (clock_now_ns() >= deadline_ns)
			return 0;
		if (events_wait(ctl->client, -1, 0, deadline_ns) & EVENT_SIGNAL &&
			deadline_ns == EVENTS_FOREVER) {
			chan_op_cancel(op);
			deadline_ns = clock_now_ns() + ENDING_NS;
		}
	}
	return 1;
}

/* Prints what was received, and confirms it, or gives it back where stdout refused it. */
static int happened_recv(struct selection *s, size_t index, struct chan_value *value)
{
	struct chan *ch = s->cases[index].chan;
	int rc, printed = print(s->ctl, "recv", s->names[index], value);

	rc = printed == 0 ? chan_confirm(ch, value, 1) : chan_return(ch, value, 1);
	chan_value_clear(value);
	if (printed == -EINTR)
		return EXIT_DONE;
	if (printed < 0)
		return EXIT_IO;
	return rc < 0 ? ctl_failed(rc) : EXIT_DONE;
}

static int happened(struct selection *s, struct chan_completion *c)
{
	size_t index = (size_t)c->case_index;

	if (c->case_index < 0) {
		if (c->status == CHAN_EWOULDBLOCK ||
			(c->status == CHAN_ECANCELED && interrupt_signal() != 0))
			return exit_code_of(c->status);
		return ctl_failed_with(c->error);
	}
	if (c->closed || c->status == CHAN_ECLOSED)
		return print(s->ctl, "closed", s->names[index], NULL) < 0 ? EXIT_IO : EXIT_DRAINED;
	if (c->status < 0)
		return ctl_failed_with(c->error);
	if (s->cases[index].direction == CHAN_RECV)
		return happened_recv(s, index, &c->value);
	return print(s->ctl, "send", s->names[index], NULL) < 0 ? EXIT_IO : EXIT_DONE;
}

static int select_one(struct selection *s)
{
	struct chan_completion completion;
	struct chan_op *op;
	int code, rc;

	rc = chan_start_select(
		s->ctl->client, s->cases, s->count, ctl_timeout_ns(s->ctl), NULL, &op);
	if (rc < 0)
		return ctl_failed(rc);
	code = await(s->ctl, op, &completion) > 0 ? happened(s, &completion) : EXIT_UNKNOWN;
	return interrupt_signal() != 0 ? EXIT_SIGNAL + interrupt_signal() : code;
}

static int run(struct ctl *ctl)
{
	struct selection s;
	int code = selection_init(&s, ctl);

	if (code == 0)
		code = select_one(&s);
	selection_fini(&s);
	return code;
}

static const enum option_key select_options[] = {OPTION_TIMEOUT, OPTION_TRY, OPTION_AS,
	OPTION_CREATE, OPTION_WAIT_CREATE, OPTION_TYPE, OPTION_CAP, 0};

const struct command command_select = {
	.name = "select",
	.brief = "do the one of several operations that can happen first",
	.usage = {"CASE...",
		"Wait until one of the cases can happen, do that one alone and print it: recv NAME "
		"VALUE, send NAME, or closed NAME (exit code 1). A case is recv:NAME or "
		"send:NAME=VALUE.",
		select_options, 1, OPERANDS_ANY},
	.run = run,
};
