/*
 * op_settle.c - TAKEN and RETURN: the second step of every receive.
 */
#include "chan/status.h"
#include "server/broker/handoff.h"
#include "server/broker/state.h"
#include <inttypes.h>

/* What a TAKEN or RETURN named that is not out: settled before, revoked, or never delivered. */
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

/* Whether the channel was still there to be told. */
static bool settle_one(struct call *c, struct delivery *d, bool taken)
{
	bool removed = d->channel->removed;

	if (!taken || removed)
		reference_release(c->engine, c->party, d->channel->type, d->value);
	handoff_settle(c->engine, d, taken);
	return !removed;
}

static void settle_range(struct call *c, const struct wire_range *r, bool taken, struct gone *g)
{
	struct seqmap *deliveries = &c->party->deliveries;
	const struct seqmap_entry *entry;
	uint64_t next = r->first;

	while ((entry = seqmap_from(deliveries, next)) && entry->key - r->first < r->count) {
		uint64_t id = entry->key;

		if (id > next)
			note_gone(c, g, next, id - next);
		if (!settle_one(c, seqmap_remove_entry(deliveries, entry), taken))
			note_gone(c, g, id, 1);
		next = id + 1;
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

static int settle(struct call *c, bool taken)
{
	const struct wire_ranges *ranges = &c->message->settle.deliveries;
	struct gone g;

	g.count = 0;
	g.total = 0;
	for (size_t i = 0; i < ranges->count; i++)
		if (ranges->list[i].count > UINT64_MAX - ranges->list[i].first)
			return CHAN_EPROTOCOL;
	for (size_t i = 0; i < ranges->count; i++)
		settle_range(c, &ranges->list[i], taken, &g);
	answer_settled(c, &g);
	return 0;
}

int op_taken(struct call *c)
{
	return settle(c, true);
}

int op_return(struct call *c)
{
	if (c->message->settle.delay_ns) {
		answer_fail(call_asked(c), CHAN_ENOTSUP,
			"return: a delay (delay_ns) is not supported by this broker");
		return 0;
	}
	return settle(c, false);
}

int op_lease(struct call *c)
{
	if (c->message->seq)
		answer_fail(call_asked(c), CHAN_ENOTSUP, "%s: leases are not supported yet",
			message_kind_name(c->message->kind));
	return 0;
}
