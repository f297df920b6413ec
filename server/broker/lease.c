#include "server/broker/lease.h"
#include "server/broker/attributes.h"
#include "server/broker/broken.h"
#include "server/broker/buffer.h"
#include "server/broker/dead_letter.h"
#include "server/broker/state.h"

/* ---- timers -------------------------------------------------------------------------------- */

static void start_timer(struct engine *e, struct delivery *d, uint64_t ns)
{
	d->due_ns = e->now_ns + (int64_t)ns; /* both far from the end of their range */
	heap_insert(&e->timers, &d->node, delivery_due);
}

static void stop_timer(struct engine *e, struct delivery *d)
{
	heap_remove(&e->timers, &d->node, delivery_due);
}

static struct delivery *first_due(const struct engine *e)
{
	return e->timers ? list_entry(e->timers, struct delivery, node) : NULL;
}

int64_t leases_deadline_ns(const struct engine *e)
{
	const struct delivery *d = first_due(e);

	return d ? d->due_ns : DEADLINE_NEVER;
}

/* ---- leases -------------------------------------------------------------------------------- */

void lease_begin(struct engine *e, struct party *p, struct delivery *d)
{
	struct channel *ch = d->channel;

	d->state = DELIVERY_LEASED;
	d->party = p;
	p->leased++;
	list_push_back(&ch->traffic->leased, &d->link);
	ch->traffic->leased_count++;
	ch->traffic->lifted = true;
	start_timer(e, d, (uint64_t)d->lease_ns);
}

static void lease_end(struct engine *e, struct delivery *d)
{
	struct channel *ch = d->channel;

	stop_timer(e, d);
	list_remove(&d->link);
	ch->traffic->leased_count--;
	d->party->leased--;
	seqmap_remove(&d->party->deliveries, d->id);
	channel_touch(e, ch);
}

/* The value is gone from the channel, and what it made of its holder stays. */
static void forget(struct engine *e, struct delivery *d)
{
	struct channel *ch = d->channel;

	if (type_may_refer(ch->type))
		reference_keep(e, d->party, ch->type, d->value);
	buffer_forget(e, ch, d->value, 1);
	delivery_free(&e->deliveries, d);
	channel_unref(ch);
}

void lease_finish(struct engine *e, struct delivery *d)
{
	lease_end(e, d);
	if (BROKEN(ack_ignored) && d->id % 16 == 0) {
		value_come_back(e, d, 0);
		channel_unref(d->channel);
		return;
	}
	forget(e, d);
}

/* Whether its channel wants to see it no more. */
static bool is_spent(const struct delivery *d)
{
	const struct attributes *a = d->channel->attributes;

	return a && a->attempts_max && d->tries >= a->attempts_max;
}

void lease_give_back(struct engine *e, struct delivery *d, uint64_t delay_ns)
{
	struct channel *ch = d->channel;

	lease_end(e, d);
	if (type_may_refer(ch->type))
		reference_lapse(e, d->party, ch->type, d->value);
	if (d->tries < UINT32_MAX)
		d->tries++;
	if (!is_spent(d) || !dead_letter_send(e, d))
		value_come_back(e, d, delay_ns);
	channel_unref(ch);
}

void lease_extend(struct engine *e, struct delivery *d, uint64_t lease_ns)
{
	stop_timer(e, d);
	start_timer(e, d, lease_ns);
}

/* ---- coming back ---------------------------------------------------------------------------- */

void value_come_back(struct engine *e, struct delivery *d, uint64_t delay_ns)
{
	struct channel *ch = d->channel;

	if (d->attempt < UINT32_MAX && !BROKEN(unmarked))
		d->attempt++;
	if (delay_ns == 0) {
		buffer_return(ch, d);
		return;
	}
	d->state = DELIVERY_DELAYED;
	list_push_back(&ch->traffic->delayed, &d->link);
	ch->traffic->delayed_count++;
	start_timer(e, d, delay_ns);
}

static void delay_end(struct engine *e, struct delivery *d)
{
	stop_timer(e, d);
	list_remove(&d->link);
	d->channel->traffic->delayed_count--;
	channel_touch(e, d->channel);
}

/* ---- time, and the end ---------------------------------------------------------------------- */

/* GONE for leases that end one after another: one message as long as they are one party's. */
struct notice {
	struct party *party;
	struct wire_range ranges[GONE_RANGES_MAX];
	size_t count;
};

static void notice_send(struct notice *n)
{
	if (n->count > 0)
		answer_gone(n->party, n->ranges, n->count);
	n->count = 0;
}

static void notice_add(struct notice *n, const struct delivery *d)
{
	if (n->party != d->party)
		notice_send(n);
	n->party = d->party;
	gather_gone(n->party, n->ranges, &n->count, d->id, 1);
}

static void lease_expire(struct engine *e, struct delivery *d)
{
	if (BROKEN(lease_forgotten)) {
		lease_end(e, d);
		forget(e, d);
		return;
	}
	lease_give_back(e, d, 0);
}

void leases_expire(struct engine *e, int64_t ns)
{
	struct notice gone;
	struct delivery *d;

	gone.party = NULL;
	gone.count = 0;
	while ((d = first_due(e)) && d->due_ns <= ns) {
		if (d->state == DELIVERY_LEASED) {
			notice_add(&gone, d);
			lease_expire(e, d);
		} else {
			delay_end(e, d);
			buffer_return(d->channel, d);
		}
	}
	notice_send(&gone);
}

void leases_drop(struct engine *e, struct channel *ch)
{
	struct delivery *d, *next;
	struct notice gone;

	gone.party = NULL;
	gone.count = 0;
	LIST_FOREACH_SAFE (d, next, &ch->traffic->leased, link) {
		notice_add(&gone, d);
		lease_end(e, d);
		forget(e, d);
	}
	notice_send(&gone);
	LIST_FOREACH_SAFE (d, next, &ch->traffic->delayed, link) {
		delay_end(e, d);
		buffer_forget(e, ch, d->value, 1);
		delivery_free(&e->deliveries, d);
	}
}
