/*
 * outbox.h - answers of one session on their way to its connection.
 *
 * Who is at the helm appends what the engine answers, in compact records: runs of DONE and
 * neighbouring values of one receive are joined as they come. At the end of its turn it hands the
 * outbox to the connection, whose writing goroutine makes frames of it (writer.h). An outbox has
 * one owner at a time and no lock.
 */
#ifndef BROKER_OUTBOX_H
#define BROKER_OUTBOX_H

#include "proto/buf.h"
#include "proto/wire.h"
#include "server/broker/value.h"
#include <stddef.h>
#include <stdint.h>

enum outbox_kind {
	OUTBOX_DONE,    /* operations seq .. seq+count-1 succeeded */
	OUTBOX_DELIVER, /* count values, the next ones of outbox.runs */
	OUTBOX_ENCODED, /* a frame of count bytes, the next ones of outbox.encoded */
	OUTBOX_CONTROL, /* the same, one that has no number: a PONG */
};

struct outbox_entry {
	uint64_t seq;
	uint64_t delivery; /* id of the first value */
	uint64_t channel;
	uint64_t token; /* of the first value, rising by 1; 0: without leases */
	uint32_t case_index;
	uint32_t count : 30;
	enum outbox_kind kind : 2;
};

/* Neighbours of one pack that leave for the first time without leases, so that in a payload they are
 * as they lie there; or one value. */
struct outbox_run {
	struct value *first; /* one reference for all of them */
	uint32_t count;
	uint32_t attempt;
};

/* Entries and runs that an outbox has room for in itself: what answers one operation. With them it is
 * one piece of memory and not three. */
#define OUTBOX_FIRST 2

struct outbox {
	struct outbox *next; /* in the connection's queue */
	struct outbox_entry *entries;
	size_t entry_count, entry_size;
	struct outbox_run *runs;
	size_t run_count, run_size;
	struct buf encoded;
	size_t bytes;  /* of frames and values, about */
	size_t pinned; /* of packs of which it has a part, the rest: it stays in memory as well */
	struct outbox_entry first_entries[OUTBOX_FIRST];
	struct outbox_run first_runs[OUTBOX_FIRST];
};

/* What backpressure counts. */
static inline size_t outbox_cost(const struct outbox *o)
{
	return o->bytes + o->pinned;
}

/* An empty one, from the stock where it has one. Any goroutine. NULL: out of memory. */
struct outbox *outbox_new(void);

/* Gives up what it holds, and returns it to the stock. NULL is fine. Any goroutine. */
void outbox_free(struct outbox *o);

/* Frees what is kept for all. */
void outbox_stock_fini(void);

/* The same for all of a list, linked by next. */
void outbox_free_list(struct outbox *list);

/*
 * Appends an answer as the engine gives it (engine.h); takes references to values. 0, or
 * CHAN_ENOMEM: the session then cannot go on, since an answer is missing.
 */
int outbox_add(struct outbox *o, const struct message *m, struct value *const *values,
	const uint32_t *attempts, size_t value_count);

#endif
