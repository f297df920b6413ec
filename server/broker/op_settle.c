/*
 * op_settle.c - TAKEN and RETURN: the second step of every receive; and ACK, NACK and EXTEND: what
 * follows the TAKEN of a leased value.
 */
#include "chan/status.h"
#include "proto/limits.h"
#include "server/broker/handoff.h"
#include "server/broker/lease.h"
#include "server/broker/state.h"
#include <inttypes.h>

/* What was named and is not out (not leased): settled before, taken back, or never delivered. */
struct gone {
	struct wire_range ranges[GONE_RANGES_MAX];
	size_t count;
	uint64_t first, total;
};

static void note_gone(struct call *c, struct gone *g, uint64_t first, uint64_t n)
{
	if (g->total == 0)
		g->first = first;
	g->total += n;
	if (c->message->seq == 0)
		gather_gone(c->party, g->ranges, &g->count, first, n);
}

/*
 * Each of the five: settles what is under the entry of the party's map. Returns how many deliveries
 * from there on are settled, max at most; 0: it was not there to be settled after all, as its channel
 * is gone. Only TAKEN ends several of a run in one step.
 */

/* The delivery under the entry, by itself. */
static struct delivery *alone(struct call *c, const struct seqmap_entry *entry)
{
	delivery_part(&c->engine->deliveries, entry->ptr, &c->party->deliveries);
	return entry->ptr;
}

static uint64_t settle_taken_alone(struct call *c, const struct seqmap_entry *entry)
{
	struct delivery *d = alone(c, entry);
	bool removed = d->channel->removed;

	if (d->lease_ns && !removed) {
		handoff_leased(c->engine, c->party, d);
		return 1;
	}
	seqmap_remove_entry(&c->party->deliveries, entry);
	if (removed)
		reference_release(c->engine, c->party, d->channel->type, d->value);
	else if (type_may_refer(d->channel->type))
		reference_keep(c->engine, c->party, d->channel->type, d->value);
	handoff_taken(c->engine, d, 1);
	return !removed;
}

static uint64_t settle_taken(struct call *c, const struct seqmap_entry *entry, uint64_t max)
{
	struct delivery *d = entry->ptr;
	uint32_t n = d->count < max ? d->count : (uint32_t)max;

	if (n == 1 || entry->key != d->id || d->channel->removed)
		return settle_taken_alone(c, entry);
	seqmap_remove_run(&c->party->deliveries, entry, n);
	handoff_taken(c->engine, d, n);
	return n;
}

static uint64_t settle_returned(struct call *c, const struct seqmap_entry *entry, uint64_t max)
{
	struct delivery *d = alone(c, entry);
	bool removed = d->channel->removed;

	(void)max;
	seqmap_remove_entry(&c->party->deliveries, entry);
	reference_release(c->engine, c->party, d->channel->type, d->value);
	handoff_returned(c->engine, d, c->message->settle.delay_ns);
	return !removed;
}

static uint64_t settle_ack(struct call *c, const struct seqmap_entry *entry, uint64_t max)
{
	(void)max;
	lease_finish(c->engine, entry->ptr);
	return 1;
}

static uint64_t settle_nack(struct call *c, const struct seqmap_entry *entry, uint64_t max)
{
	(void)max;
	lease_give_back(c->engine, entry->ptr, c->message->settle.delay_ns);
	return 1;
}

static uint64_t settle_extend(struct call *c, const struct seqmap_entry *entry, uint64_t max)
{
	(void)max;
	lease_extend(c->engine, entry->ptr, c->message->settle.lease_ns);
	return 1;
}

typedef uint64_t settle_some(struct call *c, const struct seqmap_entry *entry, uint64_t max);

/* Those of a range that are in the state to be settled so. */
static void settle_range(struct call *c, const struct wire_range *r, enum delivery_state state,
	settle_some *settle_from, struct gone *g)
{
	struct seqmap *deliveries = &c->party->deliveries;
	const struct seqmap_entry *entry;
	uint64_t next = r->first;

	while ((entry = seqmap_from(deliveries, next)) && entry->key - r->first < r->count) {
		const struct delivery *d = entry->ptr;
		uint64_t id = entry->key, left = r->first + r->count - id, n = 0;

		if (id > next)
			note_gone(c, g, next, id - next);
		if (d->state == state)
			n = settle_from(c, entry, left);
		if (n == 0)
			note_gone(c, g, id, n = 1);
		next = id + n;
	}
	if (next - r->first < r->count)
		note_gone(c, g, next, r->first + r->count - next);
}

static void answer_settled(struct call *c, struct gone *g)
{
	if (c->message->seq == 0) {
		if (g->count > 0)
			answer_gone(c->party, g->ranges, g->count);
	} else if (g->total > 0) {
		answer_fail(call_asked(c), CHAN_EGONE,
			"%s: %" PRIu64 " of the deliveries, the first is %" PRIu64
			", are not out any more; what they carried goes to others",
			message_kind_name(c->message->kind), g->total, g->first);
	} else {
		answer_done(c->party, c->message->seq, 1, 0);
	}
}

static int settle(struct call *c, enum delivery_state state, settle_some *settle_from)
{
	const struct wire_ranges *ranges = &c->message->settle.deliveries;
	struct gone g;

	g.count = 0;
	g.total = 0;
	for (size_t i = 0; i < ranges->count; i++)
		if (ranges->list[i].count > UINT64_MAX - ranges->list[i].first)
			return CHAN_EPROTOCOL;
	for (size_t i = 0; i < ranges->count; i++)
		settle_range(c, &ranges->list[i], state, settle_from, &g);
	answer_settled(c, &g);
	return 0;
}

/* Whether a time is within bounds: 0; CHAN_EINVAL, and it was answered; or CHAN_EPROTOCOL, as no
 * answer is wanted, and what was asked for does not come about. */
static int check_time(struct call *c, const char *what, uint64_t ns, uint64_t min_ns)
{
	if (ns >= min_ns && ns <= LEASE_NS_MAX)
		return 0;
	if (c->message->seq == 0)
		return CHAN_EPROTOCOL;
	return answer_fail(call_asked(c), CHAN_EINVAL,
		"%s: %s of %" PRIu64 " ns is not between %" PRIu64 " and the limit, %llu",
		message_kind_name(c->message->kind), what, ns, min_ns, LEASE_NS_MAX);
}

static int check_delay(struct call *c)
{
	return check_time(c, "a delay", c->message->settle.delay_ns, 0);
}

/* Those in the state, unless the time is out of bounds. */
static int settle_timed(struct call *c, int rc, enum delivery_state state, settle_some *settle_from)
{
	if (rc == 0)
		return settle(c, state, settle_from);
	return rc == CHAN_EPROTOCOL ? rc : 0;
}

int op_taken(struct call *c)
{
	return settle(c, DELIVERY_OUT, settle_taken);
}

int op_return(struct call *c)
{
	return settle_timed(c, check_delay(c), DELIVERY_OUT, settle_returned);
}

int op_ack(struct call *c)
{
	return settle(c, DELIVERY_LEASED, settle_ack);
}

int op_nack(struct call *c)
{
	return settle_timed(c, check_delay(c), DELIVERY_LEASED, settle_nack);
}

int op_extend(struct call *c)
{
	int rc = check_time(c, "a lease", c->message->settle.lease_ns, 1);

	return settle_timed(c, rc, DELIVERY_LEASED, settle_extend);
}
