/*
 * op_inspect.c - STAT, LIST and PS: what people look at. Lists come in pages that fit one frame.
 */
#include "chan/status.h"
#include "proto/limits.h"
#include "server/broker/attributes.h"
#include "server/broker/permit.h"
#include "server/broker/producers.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_ROWS_MAX 64u
#define PAGE_LOOKS_MAX 1024u /* also at what may not be shown */
#define PAGE_BYTES_MAX (FRAME_HEADER_BYTES_MAX - 1024u)

/* Numbers of one row as varints with their tags, at most. */
#define STAT_NUMBERS_BYTES 280u
#define STAT_ATTRIBUTE_BYTES 12u
#define WAITER_NUMBERS_BYTES 80u

static uint32_t page_rows(uint32_t asked)
{
	return asked == 0 || asked > PAGE_ROWS_MAX ? PAGE_ROWS_MAX : asked;
}

/* ---- channels ----------------------------------------------------------------------------------
 */

/* Senders that wait, also those whose value is out. */
static uint64_t senders_waiting(const struct channel *ch)
{
	return ch->traffic->senders.count + ch->traffic->borrowed;
}

static struct wire_channel_stat stat_of(const struct channel *ch)
{
	const struct closing *c = ch->closing;

	return (struct wire_channel_stat){
		.name = ch->name,
		.channel = ch->id,
		.type = ch->type,
		.capacity = ch->capacity,
		.length = channel_length(ch),
		.closed = c != NULL,
		.temporary = ch->temporary,
		.senders_waiting = senders_waiting(ch),
		.receivers_waiting = ch->traffic->receivers.count,
		.in_flight = ch->in_flight,
		.sent = ch->accepted + ch->traffic->moved_in,
		.received = channel_taken(ch),
		.redelivered = ch->traffic->redelivered,
		.bytes_buffered = ch->bytes_buffered,
		.ends_open = ch->ends,
		.made_unix_ns = ch->made_unix_ns,
		.closed_by = c ? c->by : "",
		.closed_unix_ns = c ? c->unix_ns : 0,
		.reason = c ? c->reason : "",
		.epoch = CHANNEL_EPOCH,
		.leased = ch->traffic->leased_count,
		.delayed = ch->traffic->delayed_count,
		.aborted = c && c->aborted,
		.producers = producers_open(ch),
		.attributes = ch->attributes ? ch->attributes->list : NULL,
		.attribute_count = ch->attributes ? ch->attributes->count : 0,
		.dead_lettered = ch->traffic->dead_lettered,
		.dead_letter_failures = ch->traffic->dead_letter_failures,
		.dead_letter_problem = ch->traffic->dead_letter_problem,
	};
}

/* A page of channels, and where the next one begins: NULL, there is none. */
struct stats_page {
	const struct wire_channel_stat *list;
	size_t count;
	const char *after;
};

static void answer_stats(struct call *c, const struct stats_page *page)
{
	struct message m = {
		.kind = MESSAGE_STATS,
		.seq = c->message->seq,
		.stats = {.channels = page->list,
			.count = page->count,
			.more = page->after != NULL,
			.after = page->after ? page->after : ""},
	};

	c->engine->options.answer(c->party, &m, NULL, NULL, 0);
}

int op_stat(struct call *c)
{
	struct channel *ch = call_named(c, ACCESS_LIST, "stat");
	struct wire_channel_stat stat;

	if (!ch)
		return 0;
	stat = stat_of(ch);
	answer_stats(c, &(struct stats_page){.list = &stat, .count = 1});
	return 0;
}

static size_t stat_bytes(const struct wire_channel_stat *s)
{
	size_t bytes = STAT_NUMBERS_BYTES + strlen(s->name) + strlen(s->closed_by) +
		       strlen(s->reason) + strlen(s->dead_letter_problem);

	for (size_t i = 0; i < s->attribute_count; i++)
		bytes += STAT_ATTRIBUTE_BYTES + strlen(s->attributes[i].name) +
			 s->attributes[i].value.len;
	return bytes;
}

/*
 * What it costs to look at a name: the way to it has as many steps as it has bits, at worst (names.h). Of
 * 1,500 names of 255 bytes that were chosen so each took 4 us, and a page that passed over 1,024 of them 4 ms
 * at the helm; now it passes over 64.
 */
static uint32_t looks_of(const struct name_node *n)
{
	return 1 + (uint32_t)strlen(name_of(n)) / 16;
}

/* The first channel of the listing: behind `after`, and not before the prefix. */
static struct name_node *list_start(const struct engine *e, const struct message *m)
{
	if (strcmp(m->list.after, m->list.prefix) < 0)
		return names_after(e->names, m->list.prefix, true);
	return names_after(e->names, m->list.after, m->list.after[0] == '\0');
}

/* Fills a page. Of channels that the party may not see so many are passed over at most, so that no
 * question keeps the broker busy; the page then ends early. */
static void fill_list(struct call *c, struct wire_channel_stat *list, struct stats_page *page)
{
	const struct message *m = c->message;
	uint32_t rows = page_rows(m->list.count_max), looks = 0;
	size_t prefix_bytes = strlen(m->list.prefix), bytes = 0;
	struct name_node *at = list_start(c->engine, m);

	for (; at && strncmp(name_of(at), m->list.prefix, prefix_bytes) == 0;
		at = names_after(c->engine->names, name_of(at), false)) {
		if (page->count == rows || looks >= PAGE_LOOKS_MAX)
			return;
		looks += looks_of(at);
		if (permit_check(c->engine, c->party, ACCESS_LIST, name_of(at)) == 0) {
			list[page->count] = stat_of(list_entry(at, struct channel, named));
			bytes += stat_bytes(&list[page->count]);
			if (bytes > PAGE_BYTES_MAX)
				return;
			page->count++;
		}
		page->after = name_of(at);
	}
	page->after = NULL;
}

int op_list(struct call *c)
{
	struct wire_channel_stat list[PAGE_ROWS_MAX];
	struct stats_page page = {.list = list};

	if (permit_somewhere(c, call_asked(c), ACCESS_LIST, "list", "channels") < 0)
		return 0;
	fill_list(c, list, &page);
	answer_stats(c, &page);
	return 0;
}

/* ---- waiting operations
 * -------------------------------------------------------------------------- */

/* A select of many cases shows the first ones. */
#define SHOWN_CASES_MAX 8u
#define SHOWN_NAME_BYTES_MAX (CHANNEL_LABEL_MAX + 8u)

/* One row of PS with what it points to: too much for a stack. */
struct ps_row {
	const char *channels[SHOWN_CASES_MAX];
	char names[SHOWN_CASES_MAX][SHOWN_NAME_BYTES_MAX];
};

struct ps_page {
	struct wire_waiter list[PAGE_ROWS_MAX];
	struct ps_row rows[PAGE_ROWS_MAX];
	size_t count, bytes;
	uint64_t after; /* the last operation that was looked at */
};

static const char *const operation_words[] = {
	[OP_SEND] = "send",
	[OP_RECV] = "recv",
	[OP_SELECT] = "select",
	[OP_OPEN] = "open",
};

static void show_channel(
	const struct operation *op, const struct waiter *w, char name[SHOWN_NAME_BYTES_MAX])
{
	const char *direction = w->direction == CHAN_SEND ? "send:" : "recv:";

	if (op->kind != OP_SELECT)
		direction = "";
	if (op->kind == OP_OPEN)
		snprintf(name, SHOWN_NAME_BYTES_MAX, "%s", awaited_name(op));
	else if (w->channel->name[0])
		snprintf(name, SHOWN_NAME_BYTES_MAX, "%s%s", direction, w->channel->name);
	else
		snprintf(name, SHOWN_NAME_BYTES_MAX, "%s#%llu", direction,
			(unsigned long long)w->channel->id);
}

static size_t speaker_bytes(const struct party *p)
{
	struct wire_speaker s = party_speaker(p);

	return strlen(s.host) + strlen(s.program) + strlen(s.group) + strlen(s.library);
}

/* Whether the party that asks may see the other's place in line: its own, that on a channel which
 * it may list, on an unnamed one which it holds. */
static bool may_see(struct call *c, const struct operation *op, const struct waiter *w)
{
	struct engine *e = c->engine;
	const char *name = op->kind == OP_OPEN ? awaited_name(op) : w->channel->name;

	if (op->party == c->party || !c->party->grants)
		return true;
	if (!*name)
		return party_end_of(c->party, w->channel->id) != NULL;
	return permit_check(e, c->party, ACCESS_LIST, name) == 0;
}

/* Puts the names that the party may see into the row; returns how many. *looks counts. */
static uint32_t show_channels(
	struct call *c, const struct operation *op, struct ps_row *row, uint32_t *looks)
{
	uint32_t shown = 0;

	for (uint32_t i = 0; i < op->waiter_count && shown < SHOWN_CASES_MAX; i++, ++*looks)
		if (may_see(c, op, &op->waiters[i])) {
			show_channel(op, &op->waiters[i], row->names[shown]);
			row->channels[shown] = row->names[shown];
			shown++;
		}
	return shown;
}

static struct wire_waiter waiter_of(const struct engine *e, const struct operation *op)
{
	return (struct wire_waiter){
		.id = op->id,
		.speaker = party_speaker(op->party),
		.participant = op->participant,
		.operation = operation_words[op->kind],
		.waiting_ns = (uint64_t)(e->now_ns - op->since_ns),
		.remaining_ns = op->deadline_ns == DEADLINE_NEVER || op->deadline_ns <= e->now_ns
					? 0
					: (uint64_t)(op->deadline_ns - e->now_ns),
	};
}

/* Adds a row, or passes over an operation that the party may not see; false when the page is full
 * without it. */
static bool add_waiter(
	struct call *c, struct ps_page *page, const struct operation *op, uint32_t *looks)
{
	struct wire_waiter *w = &page->list[page->count];
	struct ps_row *row = &page->rows[page->count];
	size_t bytes = WAITER_NUMBERS_BYTES + speaker_bytes(op->party);
	uint32_t shown = show_channels(c, op, row, looks);

	if (shown == 0 && op->party != c->party && c->party->grants)
		return true;
	for (uint32_t i = 0; i < shown; i++)
		bytes += strlen(row->names[i]) + 4;
	if (page->bytes + bytes > PAGE_BYTES_MAX)
		return false;
	*w = waiter_of(c->engine, op);
	w->channels = row->channels;
	w->channel_count = shown;
	page->count++;
	page->bytes += bytes;
	return true;
}

/* Fills a page, as fill_list does. True: there is more behind page->after. */
static bool fill_ps(struct call *c, struct ps_page *page)
{
	uint32_t rows = page_rows(c->message->ps.count_max), looks = 0;
	const struct seqmap_entry *entry;
	uint64_t key = c->message->ps.after + 1;

	page->after = c->message->ps.after;
	for (; (entry = seqmap_from(&c->engine->operations, key)); key = entry->key + 1) {
		if (page->count == rows || looks >= PAGE_LOOKS_MAX ||
			!add_waiter(c, page, entry->ptr, &looks))
			return true;
		page->after = entry->key;
	}
	return false;
}

int op_ps(struct call *c)
{
	struct message m = {.kind = MESSAGE_WAITERS, .seq = c->message->seq};
	struct ps_page *page;

	if (permit_somewhere(c, call_asked(c), ACCESS_LIST, "list", "who waits") < 0)
		return 0;
	page = malloc(sizeof(*page));
	if (!page) {
		answer_fail(call_asked(c), CHAN_ENOMEM, "ps: the broker is out of memory");
		return 0;
	}
	page->count = page->bytes = 0;
	m.waiters.more = fill_ps(c, page);
	m.waiters.waiters = page->list;
	m.waiters.count = page->count;
	m.waiters.after = page->after;
	c->engine->options.answer(c->party, &m, NULL, NULL, 0);
	free(page);
	return 0;
}
