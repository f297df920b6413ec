/*
 * cmd_top.c - the busiest channels, page after page.
 *
 * A page is compared with the one before: both list the channels by name. What has no page before
 * it is compared with its making.
 */
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "client/chanctl/chanctl.h"
#include "client/chanctl/clock.h"
#include "client/chanctl/events.h"
#include "client/chanctl/exit_codes.h"
#include "client/chanctl/interrupt.h"
#include "client/chanctl/stat_json.h"
#include "client/chanctl/table.h"

#define INTERVAL_DEFAULT_NS INT64_C(1000000000)

/* Lines of a screen that are no channels: what stands above the table, its titles, and the last. */
#define FRAME_LINES 4

/* What a terminal shows when it does not say. */
#define LINES_DEFAULT 24

struct row {
	struct chan_stat stat;
	double sent, received; /* a second */
};

struct page {
	struct row *rows; /* ours; by name */
	size_t count, size;
	int64_t taken_ns;
};

struct top {
	struct ctl *ctl;
	bool screen; /* stdout is a terminal, which is drawn anew */
	struct page before, now;
};

/* ---- a page ---------------------------------------------------------------------------------- */

static int add(const struct chan_stat *stat, void *arg)
{
	struct page *p = arg;
	size_t size = p->size > 0 ? 2 * p->size : 64;
	struct row *rows = p->rows;

	if (p->count == p->size) {
		rows = reallocarray(p->rows, size, sizeof(*rows));
		if (rows == NULL)
			return CHAN_ENOMEM;
		p->rows = rows;
		p->size = size;
	}
	rows[p->count++] = (struct row){.stat = *stat};
	return 0;
}

static double seconds(int64_t ns)
{
	return ns > 0 ? (double)ns / 1e9 : 1e-9;
}

static int64_t unix_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* earlier is NULL where the channel was not in the page before. */
static void rate(const struct top *t, struct row *row, const struct row *earlier)
{
	int64_t span_ns = earlier != NULL ? t->now.taken_ns - t->before.taken_ns
					  : unix_now_ns() - row->stat.made_unix_ns;
	uint64_t sent = earlier != NULL ? earlier->stat.sent : 0;
	uint64_t received = earlier != NULL ? earlier->stat.received : 0;

	row->sent = (double)(row->stat.sent - sent) / seconds(span_ns);
	row->received = (double)(row->stat.received - received) / seconds(span_ns);
}

static void rate_all(struct top *t)
{
	const struct page *before = &t->before;
	size_t at = 0;

	for (size_t i = 0; i < t->now.count; i++) {
		struct row *row = &t->now.rows[i];

		while (at < before->count && strcmp(before->rows[at].stat.name, row->stat.name) < 0)
			at++;
		rate(t, row,
			at < before->count && before->rows[at].stat.id == row->stat.id
				? &before->rows[at]
				: NULL);
	}
}

static int take_page(struct top *t)
{
	const struct options *o = &t->ctl->options;
	struct page old = t->before;

	t->before = t->now;
	t->now = old;
	t->now.count = 0;
	t->now.taken_ns = clock_now_ns();
	return chan_list(
		t->ctl->client, o->operand_count > 0 ? o->operands[0].text : NULL, add, &t->now);
}

/* ---- showing it ------------------------------------------------------------------------------ */

static const struct table_column columns[] = {
	{"NAME", false},
	{"TYPE", false},
	{"CAP", true},
	{"LEN", true},
	{"OUT", true},
	{"SENDERS", true},
	{"RECEIVERS", true},
	{"SENT/S", true},
	{"RECEIVED/S", true},
	{"STATE", false},
	{NULL, false},
};

static int add_line(struct table *t, const struct row *row)
{
	const struct chan_stat *s = &row->stat;
	int rc = 0;

	rc |= table_add(t, "%s", s->name);
	rc |= table_add(t, "%s", chan_type_name(s->type));
	rc |= table_add(t, "%" PRId64, s->capacity);
	rc |= table_add(t, "%" PRIu64, s->length);
	rc |= table_add(t, "%" PRIu64, s->in_flight + s->leased);
	rc |= table_add(t, "%" PRIu64, s->senders_waiting);
	rc |= table_add(t, "%" PRIu64, s->receivers_waiting);
	rc |= table_add(t, "%.0f", row->sent);
	rc |= table_add(t, "%.0f", row->received);
	rc |= table_add(t, "%s", s->aborted ? "aborted" : s->closed ? "closed" : "open");
	return rc;
}

/* The busiest first; among those that are not, those where somebody waits. */
static int compare(const void *a, const void *b)
{
	const struct row *left = *(struct row *const *)a, *right = *(struct row *const *)b;
	double left_rate = left->sent + left->received, right_rate = right->sent + right->received;
	uint64_t left_waits = left->stat.senders_waiting + left->stat.receivers_waiting;
	uint64_t right_waits = right->stat.senders_waiting + right->stat.receivers_waiting;

	if (left_rate != right_rate)
		return left_rate < right_rate ? 1 : -1;
	if (left_waits != right_waits)
		return left_waits < right_waits ? 1 : -1;
	return strcmp(left->stat.name, right->stat.name);
}

static size_t lines_max(const struct top *t)
{
	struct winsize size = {0};

	if (!t->screen)
		return SIZE_MAX;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0)
		size.ws_row = LINES_DEFAULT;
	return size.ws_row > FRAME_LINES ? size.ws_row - FRAME_LINES : 1;
}

/* The cursor goes home and long lines are cut; what stood there before is wiped off. */
static void begin_screen(const struct top *t)
{
	char time_text[16] = "";
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm) != NULL)
		strftime(time_text, sizeof(time_text), "%T", &tm);
	printf("\033[H\033[J\033[?7l%s  %s  %zu channels\n\n", chan_url(t->ctl->client), time_text,
		t->now.count);
}

static void end_screen(size_t hidden)
{
	if (hidden > 0)
		printf("and %zu more", hidden);
	fputs("\033[?7h", stdout);
}

static int print_table(struct top *t)
{
	struct row **rows = calloc(t->now.count + 1, sizeof(struct row *));
	size_t shown = lines_max(t);
	struct table table;
	int rc = rows != NULL ? 0 : -1;

	if (shown > t->now.count)
		shown = t->now.count;
	for (size_t i = 0; rc == 0 && i < t->now.count; i++)
		rows[i] = &t->now.rows[i];
	if (rc == 0)
		qsort(rows, t->now.count, sizeof(struct row *), compare);
	table_init(&table, columns);
	for (size_t i = 0; rc == 0 && i < shown; i++)
		rc = add_line(&table, rows[i]);
	if (t->screen)
		begin_screen(t);
	table_print(&table, stdout);
	if (t->screen)
		end_screen(t->now.count - shown);
	table_fini(&table);
	free(rows);
	return rc;
}

static int print_json(const struct top *t)
{
	json_t *list = json_array(), *channel;
	int rc = 0;

	for (size_t i = 0; i < t->now.count; i++) {
		channel = stat_json(&t->now.rows[i].stat);
		rc |= json_object_set_new(
			channel, "sent_per_second", json_real(t->now.rows[i].sent));
		rc |= json_object_set_new(
			channel, "received_per_second", json_real(t->now.rows[i].received));
		rc |= json_array_append_new(list, channel);
	}
	rc |= json_dumpf(list, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(list);
	return rc;
}

/* ---- page after page ------------------------------------------------------------------------- */

static int show_page(struct top *t)
{
	int rc = take_page(t);

	if (rc < 0)
		return ctl_failed(rc);
	rate_all(t);
	rc = t->ctl->options.json ? print_json(t) : print_table(t);
	return rc < 0 ? EXIT_UNAVAILABLE : ctl_flush(t->ctl);
}

/* Until the next page is due. False: a signal came first. */
static bool pause_page(const struct top *t)
{
	const struct options *o = &t->ctl->options;
	int64_t next_ns =
		t->now.taken_ns + (o->interval_ns >= 0 ? o->interval_ns : INTERVAL_DEFAULT_NS);

	while (clock_now_ns() < next_ns)
		if (events_wait(t->ctl->client, -1, 0, next_ns) & EVENT_SIGNAL)
			return false;
	return true;
}

static int run(struct ctl *ctl)
{
	struct top t = {.ctl = ctl, .screen = isatty(STDOUT_FILENO) && !ctl->options.json};
	uint64_t left = t.screen ? UINT64_MAX : 1;
	int code = ctl_dial(ctl);

	if (ctl->options.count > 0)
		left = ctl->options.count;
	while (code == 0 && left-- > 0) {
		code = show_page(&t);
		if (code == 0 && left > 0 && !pause_page(&t))
			code = EXIT_SIGNAL + interrupt_signal();
	}
	free(t.before.rows);
	free(t.now.rows);
	/* ^C is how one leaves a screen. */
	return t.screen && code == EXIT_SIGNAL + SIGINT ? EXIT_DONE : code;
}

static const enum option_key top_options[] = {OPTION_COUNT, OPTION_INTERVAL, 0};

const struct command command_top = {
	.name = "top",
	.brief = "show the busiest channels, again and again",
	.usage = {"[PREFIX]",
		"Show the channels, or those whose names begin so, the busiest first: anew every "
		"second on a terminal, else once. -n: so many pages.",
		top_options, 0, 1},
	.run = run,
};
