/*
 * cmd_list.c - ls and stat: channels as they are now.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "client/chanctl/chanctl.h"
#include "client/chanctl/exit_codes.h"
#include "client/chanctl/json_list.h"
#include "client/chanctl/printable.h"
#include "client/chanctl/stat_json.h"
#include "client/chanctl/table.h"

/* ---- ls ----------------------------------------------------------------------------------- */

static const struct table_column ls_columns[] = {
	{"NAME", false},
	{"TYPE", false},
	{"CAP", true},
	{"LEN", true},
	{"SENDERS", true},
	{"RECEIVERS", true},
	{"STATE", false},
	{NULL, false},
};

static int add_row(const struct chan_stat *s, void *arg)
{
	struct table *t = arg;
	int rc = 0;

	rc |= table_add(t, "%s", s->name);
	rc |= table_add(t, "%s", chan_type_name(s->type));
	rc |= table_add(t, "%" PRId64, s->capacity);
	rc |= table_add(t, "%" PRIu64, s->length);
	rc |= table_add(t, "%" PRIu64, s->senders_waiting);
	rc |= table_add(t, "%" PRIu64, s->receivers_waiting);
	rc |= table_add(t, "%s", s->aborted ? "aborted" : s->closed ? "closed" : "open");
	return rc < 0 ? CHAN_ENOMEM : 0;
}

static int add_json(const struct chan_stat *s, void *arg)
{
	return json_array_append_new(arg, stat_json(s)) < 0 ? CHAN_ENOMEM : 0;
}

static int ls_table(struct ctl *ctl, const char *prefix)
{
	struct table t;
	int rc;

	table_init(&t, ls_columns);
	rc = chan_list(ctl->client, prefix, add_row, &t);
	if (rc == 0)
		table_print(&t, stdout);
	table_fini(&t);
	return rc;
}

static int ls_json(struct ctl *ctl, const char *prefix)
{
	json_t *list = json_array();
	int rc = chan_list(ctl->client, prefix, add_json, list);

	if (rc == 0)
		json_list_print(list);
	json_decref(list);
	return rc;
}

static int run_ls(struct ctl *ctl)
{
	const char *prefix = ctl->options.operand_count > 0 ? ctl->options.operands[0].text : NULL;
	int rc = ctl_dial(ctl);

	if (rc != 0)
		return rc;
	rc = ctl->options.json ? ls_json(ctl, prefix) : ls_table(ctl, prefix);
	return rc < 0 ? ctl_failed(rc) : ctl_flush(ctl);
}

/* ---- stat --------------------------------------------------------------------------------- */

static void print_time(const char *title, int64_t unix_ns)
{
	time_t seconds = (time_t)(unix_ns / 1000000000);
	char text[64];
	struct tm tm;

	if (unix_ns > 0 && localtime_r(&seconds, &tm) != NULL &&
		strftime(text, sizeof(text), "%F %T %z", &tm) > 0)
		printf("%-18s %s\n", title, text);
}

/* What only some channels have. */
static void print_attributes(const struct chan_stat *s)
{
	if (s->leased > 0 || s->delayed > 0)
		printf("%-18s %" PRIu64 " leased, %" PRIu64 " delayed\n", "under way", s->leased,
			s->delayed);
	if (s->permits > 0)
		printf("%-18s %" PRIu32 "\n", "permits", s->permits);
	if (s->producers == CHAN_PRODUCERS_AUTO)
		printf("%-18s %" PRIu64 " open, as many as come\n", "producers", s->producers_open);
	else if (s->producers > 0)
		printf("%-18s %" PRIu64 " open, of %d\n", "producers", s->producers_open,
			s->producers);
	if (s->attempts_max > 0)
		printf("%-18s %" PRIu64 " in %s, after %" PRIu32 " attempts each\n", "dead letters",
			s->dead_lettered, s->dead_letter, s->attempts_max);
	if (s->dead_letter_failures > 0)
		printf("%-18s %" PRIu64 " could not go there: %s\n", "", s->dead_letter_failures,
			s->dead_letter_problem);
}

static void print_stat(struct chan_stat *s)
{
	printf("%-18s %s\n", "name", s->name);
	printf("%-18s %s\n", "type", chan_type_name(s->type));
	printf("%-18s %" PRId64 "\n", "capacity", s->capacity);
	printf("%-18s %" PRIu64 " values, %" PRIu64 " bytes\n", "length", s->length,
		s->bytes_buffered);
	printf("%-18s %" PRIu64 "\n", "out, not taken", s->in_flight);
	printf("%-18s %" PRIu64 "\n", "senders waiting", s->senders_waiting);
	printf("%-18s %" PRIu64 "\n", "receivers waiting", s->receivers_waiting);
	print_attributes(s);
	printf("%-18s %" PRIu64 " sent, %" PRIu64 " received, %" PRIu64 " redelivered\n",
		"values so far", s->sent, s->received, s->redelivered);
	printf("%-18s %" PRIu64 "%s\n", "ends open", s->ends_open,
		s->temporary ? " (goes with the last)" : "");
	printf("%-18s %" PRIu64 "\n", "id", s->id);
	print_time("made", s->made_unix_ns);
	printf("%-18s %s\n", "closed", s->aborted ? "aborted" : s->closed ? "yes" : "no");
	print_time("closed at", s->closed_unix_ns);
	printable(s->closed_by);
	printable(s->reason);
	if (s->closed_by[0] != '\0')
		printf("%-18s %s\n", "closed by", s->closed_by);
	if (s->reason[0] != '\0')
		printf("%-18s %s\n", "reason", s->reason);
}

static int run_stat(struct ctl *ctl)
{
	const char *name = ctl->options.operands[0].text;
	struct chan_stat stat;
	json_t *json;
	int rc = ctl_dial(ctl);

	if (rc != 0)
		return rc;
	rc = chan_stat(ctl->client, name, &stat);
	if (rc < 0)
		return ctl_failed(rc);
	if (!ctl->options.json) {
		print_stat(&stat);
		return ctl_flush(ctl);
	}
	json = stat_json(&stat);
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
	return ctl_flush(ctl);
}

static const enum option_key no_options[] = {0};

const struct command command_ls = {
	.name = "ls",
	.brief = "list channels",
	.usage = {"[PREFIX]", "List the channels, or those whose names begin so.", no_options, 0,
		1},
	.run = run_ls,
};

const struct command command_stat = {
	.name = "stat",
	.brief = "show a channel",
	.usage = {"NAME", "Show a channel: what it is, what is in it, who waits.", no_options, 1,
		1},
	.run = run_stat,
};
