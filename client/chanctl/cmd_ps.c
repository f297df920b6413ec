/*
 * cmd_ps.c - who waits on what, and since when.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "client/chanctl/bytes.h"
#include "client/chanctl/chanctl.h"
#include "client/chanctl/duration.h"
#include "client/chanctl/json_list.h"
#include "client/chanctl/table.h"

static const struct table_column columns[] = {
	{"ID", true},
	{"WHO", false},
	{"THREAD", true},
	{"OPERATION", false},
	{"WAITS", true},
	{"LEFT", true},
	{"CHANNELS", false},
	{NULL, false},
};

/* "recv:jobs send:results"; 0 or -ENOMEM. */
static int join_channels(struct bytes *out, const struct chan_waiter *w)
{
	int rc = 0;

	for (size_t i = 0; i < w->channel_count && rc == 0; i++) {
		rc = i > 0 ? bytes_append_string(out, " ") : 0;
		rc = rc == 0 ? bytes_append_string(out, w->channels[i]) : rc;
	}
	return rc == 0 ? bytes_append(out, "", 1) : rc;
}

static int add_row(const struct chan_waiter *w, void *arg)
{
	char waits[DURATION_TEXT_BYTES], left[DURATION_TEXT_BYTES];
	struct bytes channels = {0};
	struct table *t = arg;
	int rc = join_channels(&channels, w);

	if (rc == 0) {
		rc |= table_add(t, "%" PRIu64, w->id);
		rc |= table_add(t, "%s[%" PRIu64 "]@%s", w->program, w->pid, w->host);
		rc |= table_add(t, "%" PRIu32, w->participant);
		rc |= table_add(t, "%s", w->operation);
		rc |= table_add(t, "%s", duration_format(waits, w->waiting_ns));
		rc |= table_add(t, "%s",
			w->remaining_ns < 0 ? "-" : duration_format(left, w->remaining_ns));
		rc |= table_add(t, "%s", channels.at);
	}
	bytes_fini(&channels);
	return rc < 0 ? CHAN_ENOMEM : 0;
}

static int add_json(const struct chan_waiter *w, void *arg)
{
	json_t *channels = json_array(), *waiter;

	for (size_t i = 0; i < w->channel_count; i++)
		json_array_append_new(channels, json_string(w->channels[i]));
	waiter = json_pack("{s:I, s:s, s:s, s:s, s:I, s:I, s:s, s:o, s:I}", "id", (json_int_t)w->id,
		"host", w->host, "program", w->program, "group", w->group, "pid",
		(json_int_t)w->pid, "participant", (json_int_t)w->participant, "operation",
		w->operation, "channels", channels, "waiting_ns", (json_int_t)w->waiting_ns);
	if (waiter != NULL && w->remaining_ns >= 0)
		json_object_set_new(waiter, "remaining_ns", json_integer(w->remaining_ns));
	return json_array_append_new(arg, waiter) < 0 ? CHAN_ENOMEM : 0;
}

static int ps_table(struct ctl *ctl)
{
	struct table t;
	int rc;

	table_init(&t, columns);
	rc = chan_ps(ctl->client, add_row, &t);
	if (rc == 0)
		table_print(&t, stdout);
	table_fini(&t);
	return rc;
}

static int ps_json(struct ctl *ctl)
{
	json_t *list = json_array();
	int rc = chan_ps(ctl->client, add_json, list);

	if (rc == 0)
		json_list_print(list);
	json_decref(list);
	return rc;
}

static int run(struct ctl *ctl)
{
	int rc = ctl_dial(ctl);

	if (rc != 0)
		return rc;
	rc = ctl->options.json ? ps_json(ctl) : ps_table(ctl);
	return rc < 0 ? ctl_failed(rc) : ctl_flush(ctl);
}

static const enum option_key no_options[] = {0};

const struct command command_ps = {
	.name = "ps",
	.brief = "show who waits on what",
	.usage = {"", "Show who waits on what, and since when.", no_options, 0, 0},
	.run = run,
};
