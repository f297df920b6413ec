/*
 * check.c - engine_check: the invariants atop channel.c, and that all counts agree.
 */
#include "server/base/panic.h"
#include "server/broker/broken.h"
#include "server/broker/producers.h"
#include "server/broker/state.h"

struct census {
	uint64_t queued, deliveries_out, values_buffered, timers, leased, promised;
};

static void check_buffer(const struct channel *ch)
{
	const struct channel_traffic *t = ch->traffic;

	if (!BROKEN(over_capacity) && !BROKEN(select_two_cases)) {
		check(ch->ring_count <= ch->capacity);
		if (!t->lifted)
			check(channel_length(ch) <= ch->capacity);
	}
	check(t->borrowed <= ch->in_flight && (!ch->capacity || t->borrowed == 0));
	check((t->returned == NULL) == (t->returned_count == 0));
	check(ch->ring_count <= ch->ring_size);
}

/* What is out may come back. */
static void check_promise(const struct channel *ch)
{
	if (ch->traffic == &traffic_none)
		check(ch->promised == (ch->in_flight > 0));
	else
		check(!ch->promised);
}

static void check_queues(const struct channel *ch)
{
	const struct channel_traffic *t = ch->traffic;
	const struct waiter *s = waitq_first(&t->senders), *r = waitq_first(&t->receivers);

	check((s == NULL) == (t->senders.count == 0));
	check((r == NULL) == (t->receivers.count == 0));
	check(!r || !channel_has_value(ch));
	check(!s || channel_room(ch) == 0);
	if (s && r && channel_pairs(ch))
		check(waiter_operation(s) == waiter_operation(r));
	if (s)
		check(!producer_is_done(ch, waiter_operation(s)->party));
	if (ch->closing)
		check(!s && (!r || !channel_drained(ch)));
	if (r && channel_drained(ch))
		check(!channel_bereaved(ch, waiter_operation(r)->party, CHAN_RECV));
	check(!s || !channel_bereaved(ch, waiter_operation(s)->party, CHAN_SEND));
}

/* What waits for time is on its list and in the engine's heap, and counted. */
static void check_timed(const struct channel *ch, struct census *sum)
{
	uint32_t leased = 0, delayed = 0;
	const struct delivery *d;

	LIST_FOREACH (d, &ch->traffic->leased, link) {
		check(d->state == DELIVERY_LEASED && d->channel == ch);
		check(seqmap_get(&d->party->deliveries, d->id) == d);
		leased++;
	}
	LIST_FOREACH (d, &ch->traffic->delayed, link) {
		check(d->state == DELIVERY_DELAYED && d->channel == ch);
		delayed++;
	}
	check(leased == ch->traffic->leased_count && delayed == ch->traffic->delayed_count);
	sum->timers += leased + delayed;
	sum->leased += leased;
}

static void check_producers(const struct channel *ch)
{
	const struct producers *all;
	const struct producer *one;
	uint32_t live = 0, done = 0;

	if (!producers_counted(ch))
		return;
	all = producers_of(ch);
	LIST_FOREACH (one, &all->list, link) {
		check(producer_of(ch, one->party) == one);
		check(one->kept || (!one->done && one->claims > 0));
		live++;
		done += one->done;
	}
	check(done <= all->done && all->done <= all->came && live <= all->came);
}

/* Who is a producer on trial is so by values that it has, each of which is a claim. */
static void check_trials(const struct party *p)
{
	const struct seqmap_entry *entry;
	uint64_t claims = 0;

	for (uint64_t key = 0; p->producing && (entry = seqmap_from(p->producing, key));
		key = entry->key + 1) {
		const struct producer *one = entry->ptr;

		claims += one->kept || one->channel->closing ? 0 : one->claims;
	}
	for (uint64_t key = 0; (entry = seqmap_from(&p->deliveries, key)); key = entry->key + 1) {
		const struct delivery *d = entry->ptr;
		struct type_chan_ref ref;
		const struct producer *one;

		if (!reference_get(d->channel->type, d->value, &ref) ||
			!(ref.direction & CHAN_SEND))
			continue;
		one = p->producing ? seqmap_get(p->producing, ref.channel) : NULL;
		claims -= one && !one->kept && !one->channel->closing;
	}
	check(claims == 0);
}

static void check_channel(const struct channel *ch, struct census *sum)
{
	check(!ch->removed && !ch->touched && ch->refs > 0);
	check(!ch->temporary || ch->ends + ch->carried > 0);
	check_buffer(ch);
	check_promise(ch);
	check_queues(ch);
	check_timed(ch, sum);
	check_producers(ch);
	sum->queued += ch->traffic->senders.count + ch->traffic->receivers.count;
	sum->deliveries_out += ch->in_flight;
	sum->promised += ch->promised;
	sum->values_buffered += channel_length(ch) + ch->traffic->leased_count;
}

static void check_operation(const struct operation *op, struct census *sum)
{
	check(op->party && !op->ended);
	check(!op->try || op->out);
	check((op->out != NULL) == (op->delivery != NULL));
	if (op->out)
		check(op->out->place == PLACE_ASIDE && op->delivery->sender == op->out);
	if (op->out && op->kind == OP_SEND)
		check(operation_values((struct operation *)op)[op->send.cursor] ==
			op->delivery->value);
	check(op->out || !(op->doom || op->withdrawn || op->cancels));
	for (uint32_t i = 0; op->kind != OP_OPEN && i < op->waiter_count; i++) {
		const struct waiter *w = &op->waiters[i];
		bool queued = w->place == PLACE_QUEUE || w->place == PLACE_BACK;

		check(!w->channel->removed || op->out);
		check(queued || op->out || (op->stream && op->recv.credit == 0) ||
			(w->direction == CHAN_RECV && op->party->absent));
		check(!queued || w->direction == CHAN_SEND || !op->party->absent);
		sum->queued -= queued;
	}
}

/* The accounts together hold what the engine holds. */
static void check_accounts(const struct engine *e)
{
	uint64_t channels = 0, bytes = 0, ops = 0;
	const struct name_node *n;
	const struct party *p;

	for (n = names_after(e->accounts.accounts, "", true); n;
		n = names_after(e->accounts.accounts, name_of(n), false)) {
		const struct quota_account *a = list_entry(n, struct quota_account, node);

		check(a->holds >= a->channels && (a->holds > 0 || a->buffered_bytes > 0));
		channels += a->channels;
		bytes += a->buffered_bytes;
		ops += a->ops_in_flight;
	}
	LIST_FOREACH (p, &e->parties, link)
		ops -= p->ops_in_flight;
	check(channels == e->channels.live && bytes == e->bytes && ops == 0);
}

void engine_check(const struct engine *e)
{
	const struct seqmap_entry *entry;
	const struct party *p;
	struct census sum = {0};
	uint64_t operations = 0;

	check(!e->dirty);
	for (uint64_t key = 0; (entry = seqmap_from(&e->channels, key)); key = entry->key + 1)
		check_channel(entry->ptr, &sum);
	for (uint64_t key = 0; (entry = seqmap_from(&e->operations, key)); key = entry->key + 1)
		check_operation(entry->ptr, &sum);
	LIST_FOREACH (p, &e->parties, link) {
		check_trials(p);
		operations += p->operations.live;
		sum.leased -= p->leased;
	}
	for (const struct heap_node *n = e->timers; n; n = heap_next(n))
		sum.timers--;
	check(sum.leased == 0 && sum.timers == 0);
	check(sum.promised == e->traffic.promised && sum.promised <= e->traffic.free_count);
	check_accounts(e);
	check(sum.queued == 0);
	check(operations == e->operations.live);
	check(BROKEN_RULE != BROKEN_none || sum.deliveries_out == e->deliveries_out);
	check(BROKEN_RULE != BROKEN_none || sum.values_buffered == e->values_buffered);
}
