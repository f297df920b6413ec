#include "server/broker/outbox.h"

#include "chan/status.h"
#include "proto/limits.h"
#include "server/broker/stock.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The most that one entry's bit field counts. */
#define ENTRY_COUNT_MAX ((1u << 30) - 1)

/*
 * Outboxes that are kept for reuse: as many as the readers of one poll leave to their writers, 14 KiB on
 * each processor and for all. glibc's thread cache has room for seven of a size; where fifty connections
 * are answered at once each of the others cost 300 instructions more.
 */
#define KEPT_OWN_MAX 64
#define KEPT_SHARED_MAX 64

_Static_assert(offsetof(struct outbox, next) == 0, "a piece's first bytes are the stock's");

static struct stock stock = STOCK_INIT(KEPT_OWN_MAX, KEPT_SHARED_MAX);

void outbox_stock_fini(void)
{
	struct outbox *o;

	while ((o = stock_take_shared(&stock)))
		free(o);
}

struct outbox *outbox_new(void)
{
	struct outbox *o = stock_take(&stock);

	if (!o)
		o = malloc(sizeof(*o)); /* not calloc, which passes glibc's thread cache by */
	if (!o)
		return NULL;
	memset(o, 0, offsetof(struct outbox, first_entries));
	o->entries = o->first_entries;
	o->runs = o->first_runs;
	o->entry_size = o->run_size = OUTBOX_FIRST;
	return o;
}

void outbox_free(struct outbox *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->run_count; i++)
		value_unref(o->runs[i].first);
	if (o->runs != o->first_runs)
		free(o->runs);
	if (o->entries != o->first_entries)
		free(o->entries);
	buf_fini(&o->encoded);
	if (!stock_give(&stock, o))
		free(o);
}

void outbox_free_list(struct outbox *list)
{
	while (list) {
		struct outbox *o = list;

		list = o->next;
		outbox_free(o);
	}
}

/* A full array with twice the room; first is the one that lies in the outbox. NULL: out of memory. */
static void *grow(void *array, void *first, size_t *size, size_t elem_bytes)
{
	size_t n = 2 * *size;
	void *p = realloc(array == first ? NULL : array, n * elem_bytes);

	if (!p)
		return NULL;
	if (array == first)
		memcpy(p, first, *size * elem_bytes);
	*size = n;
	return p;
}

static struct outbox_entry *add_entry(struct outbox *o)
{
	struct outbox_entry *p;

	if (o->entry_count == o->entry_size) {
		p = grow(o->entries, o->first_entries, &o->entry_size, sizeof(*p));
		if (!p)
			return NULL;
		o->entries = p;
	}
	o->bytes += sizeof(*o->entries);
	return &o->entries[o->entry_count++];
}

static struct outbox_entry *last_entry(struct outbox *o, enum outbox_kind kind)
{
	struct outbox_entry *e = o->entry_count ? &o->entries[o->entry_count - 1] : NULL;

	return e && e->kind == kind && e->count < ENTRY_COUNT_MAX - BATCH_VALUES_MAX ? e : NULL;
}

static int add_done(struct outbox *o, const struct message *m)
{
	struct outbox_entry *e = last_entry(o, OUTBOX_DONE);

	if (e && e->seq + e->count == m->seq && e->case_index == 0 && m->done.case_index == 0) {
		e->count += m->done.count;
		return 0;
	}
	e = add_entry(o);
	if (!e)
		return CHAN_ENOMEM;
	*e = (struct outbox_entry){.kind = OUTBOX_DONE,
		.seq = m->seq,
		.count = m->done.count,
		.case_index = m->done.case_index};
	return 0;
}

/* Counts a pack when the first run of it comes: who confirms what he has not read has the engine let
 * go of it, and one small value of each of many packs would hold them all, uncounted. */
static void count_pack(struct outbox *o, const struct value *first, uint32_t count)
{
	const struct outbox_run *last = o->run_count ? &o->runs[o->run_count - 1] : NULL;

	if (first->count == 1 || (last && value_pack(last->first) == value_pack(first)))
		return;
	o->pinned += value_pack_bytes(first) - value_run_bytes(first, count);
}

static int add_run(struct outbox *o, struct value *first, uint32_t count, uint32_t attempt)
{
	struct outbox_run *p;

	if (o->run_count == o->run_size) {
		p = grow(o->runs, o->first_runs, &o->run_size, sizeof(*p));
		if (!p)
			return CHAN_ENOMEM;
		o->runs = p;
	}
	count_pack(o, first, count);
	o->runs[o->run_count++] = (struct outbox_run){value_ref(first), count, attempt};
	o->bytes += sizeof(*o->runs) + value_run_bytes(first, count);
	return 0;
}

/* How many of the values, from the first on, are one run. */
static uint32_t run_of(struct value *const *values, const uint32_t *attempts, size_t count)
{
	uint32_t n = 1;

	if (attempts[0] > 1)
		return 1;
	while (n < count && value_follows(values[n - 1], values[n]) && attempts[n] <= 1)
		n++;
	return n;
}

/* Whether the values of m are the next ones of the entry. */
static bool continues(const struct outbox_entry *e, const struct message *m)
{
	return e->seq == m->seq && e->delivery + e->count == m->deliver.delivery &&
	       e->channel == m->deliver.channel && e->case_index == m->deliver.case_index &&
	       (e->token ? e->token + e->count : 0) == m->deliver.token;
}

static int add_deliver(struct outbox *o, const struct message *m, struct value *const *values,
	const uint32_t *attempts, size_t value_count)
{
	struct outbox_entry *e = last_entry(o, OUTBOX_DELIVER);

	if (!e || !continues(e, m)) {
		e = add_entry(o);
		if (!e)
			return CHAN_ENOMEM;
		*e = (struct outbox_entry){.kind = OUTBOX_DELIVER,
			.seq = m->seq,
			.delivery = m->deliver.delivery,
			.channel = m->deliver.channel,
			.token = m->deliver.token,
			.case_index = m->deliver.case_index};
	}
	for (size_t i = 0; i < value_count;) {
		uint32_t n = e->token ? 1 : run_of(values + i, attempts + i, value_count - i);

		if (add_run(o, values[i], n, attempts[i]) < 0)
			return CHAN_ENOMEM;
		e->count += n;
		i += n;
	}
	return 0;
}

static int add_encoded(struct outbox *o, const struct message *m)
{
	size_t before = buf_len(&o->encoded);
	struct outbox_entry *e;
	int rc;

	rc = wire_encode(&o->encoded, m, 0, 0);
	if (rc < 0)
		return rc;
	e = add_entry(o);
	if (!e)
		return CHAN_ENOMEM;
	*e = (struct outbox_entry){
		.kind = m->kind == MESSAGE_PONG ? OUTBOX_CONTROL : OUTBOX_ENCODED,
		.seq = m->seq,
		.count = (uint32_t)(buf_len(&o->encoded) - before)};
	o->bytes += e->count;
	return 0;
}

int outbox_add(struct outbox *o, const struct message *m, struct value *const *values,
	const uint32_t *attempts, size_t value_count)
{
	switch (m->kind) {
	case MESSAGE_DONE:
		return add_done(o, m);
	case MESSAGE_DELIVER:
		return add_deliver(o, m, values, attempts, value_count);
	default:
		return add_encoded(o, m);
	}
}
