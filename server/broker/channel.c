/*
 * channel.c - what a channel does with values and with those who wait.
 *
 * Between two calls of the engine, for each channel that is not removed:
 *   - length = ring_count + returned_count + delayed_count + in_flight - borrowed is at most the
 *     capacity, unless values have come back from leases or as dead letters;
 *   - a value in the buffer that is not delayed implies that no receiver waits;
 *   - room implies that no sender waits;
 *   - values in `returned` are older than those in the ring, but for dead letters of other
 * channels, and each heap and queue is in order;
 *   - unbuffered: the ring is empty, and a sender and a receiver wait at the same time only if all
 *     of them belong to one and the same select, or if a value that came back is in the way;
 *   - closed implies that no sender waits; closed and drained, that no receiver does;
 *     drained is: no value, none out, none leased, none delayed;
 *   - a producer that is done implies that none of its sends waits;
 *   - bereaved (channel_bereaved) implies the same as closed, for the session that is;
 *   - temporary implies that somebody holds it.
 *
 * Every change is made in two steps: somebody alters a field (a value is returned, an end goes,
 * the channel is closed) and touches the channel; engine_step then calls channel_pump, which makes
 * the lines above true again. So each rule stands here once, whatever brought it into play, and
 * nothing recurses from one channel into another.
 *
 * Rejected: matching at the place of each change. It needs the same loops in six places, and a
 * chan value that is dropped while another channel is being dissolved calls back into it.
 */
#include "server/broker/channel.h"
#include "chan/status.h"
#include "server/base/panic.h"
#include "server/broker/attributes.h"
#include "server/broker/buffer.h"
#include "server/broker/handoff.h"
#include "server/broker/lease.h"
#include "server/broker/producers.h"
#include "server/broker/state.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- birth and death ------------------------------------------------------------------------ */

struct channel *channel_new(const char *name, uint8_t type, uint32_t capacity, bool temporary,
	struct attributes *attributes)
{
	size_t name_bytes = strlen(name) + 1;
	struct channel *ch = calloc(1, sizeof(*ch) + name_bytes);

	if (!ch)
		return NULL;
	if (attributes && producers_init(&attributes->producers, attributes->producers_max) < 0) {
		free(ch);
		return NULL;
	}
	ch->attributes = attributes;
	memcpy(ch->name, name, name_bytes);
	ch->type = type;
	ch->capacity = capacity;
	ch->temporary = temporary;
	ch->refs = 1;
	ch->traffic = &traffic_none;
	return ch;
}

struct channel *channel_ref(struct channel *ch)
{
	ch->refs++;
	return ch;
}

void channel_unref(struct channel *ch)
{
	if (--ch->refs > 0)
		return;
	traffic_fini(ch);
	free(ch->closing);
	if (ch->attributes)
		producers_fini(&ch->attributes->producers);
	free(ch->attributes);
	free(ch);
}

void channel_touch(struct engine *e, struct channel *ch)
{
	if (ch->touched || ch->removed)
		return;
	ch->touched = true;
	ch->next_dirty = NULL;
	*e->dirty_end = channel_ref(ch);
	e->dirty_end = &ch->next_dirty;
}

/* Without printf: operations that succeed have their label made, too. */
const char *name_label(const char *name, char label[CHANNEL_LABEL_MAX])
{
	label[0] = '\'';
	strcpy(stpcpy(label + 1, name), "'");
	return label;
}

const char *channel_label(const struct channel *ch, char label[CHANNEL_LABEL_MAX])
{
	if (ch->name[0])
		return name_label(ch->name, label);
	snprintf(label, CHANNEL_LABEL_MAX, "unnamed channel %llu", (unsigned long long)ch->id);
	return label;
}

/* ---- closing, bereavement, removal
 * ---------------------------------------------------------------- */

/* Memory for so much text; its producers' where there is no other and that is enough. */
static struct closing *closing_new(struct channel *ch, size_t text_bytes)
{
	struct closing *closing = malloc(sizeof(*closing) + text_bytes);

	if (closing || !producers_counted(ch) || text_bytes > PRODUCERS_SPARE_TEXT_BYTES)
		return closing;
	closing = producers_of(ch)->spare;
	producers_of(ch)->spare = NULL;
	return closing;
}

int channel_close(struct engine *e, struct channel *ch, const struct party *by, const char *reason,
	bool abort)
{
	char label[PARTY_LABEL_MAX];
	size_t by_bytes = strlen(party_label(by, label)) + 1, reason_bytes = strlen(reason) + 1;
	struct closing *closing = closing_new(ch, by_bytes + reason_bytes);
	struct waiter *w;

	if (!closing)
		return CHAN_ENOMEM;
	closing->unix_ns = e->now_ns + e->options.unix_offset_ns;
	closing->aborted = abort;
	memcpy(closing->by, label, by_bytes);
	closing->reason = memcpy(closing->by + by_bytes, reason, reason_bytes);
	ch->closing = closing;
	channel_touch(e, ch);
	LIST_FOREACH (w, &ch->traffic->aside, link)
		if (w->direction == CHAN_SEND)
			operation_withdraw(
				e, waiter_operation(w), channel_closed_status(ch), w->index);
	return 0;
}

static void fail_queue(struct engine *e, struct waitq *q, int status)
{
	struct waiter *w;

	while ((w = waitq_first(q)))
		operation_fail(e, waiter_operation(w), status, w->index);
}

/* Streams without credit, and receivers of absent parties: for them alone with bereaved. (A select
 * that fails takes other waiters along, which may be the next.) */
static void fail_receivers_aside(struct engine *e, struct channel *ch, int status, bool bereaved)
{
	struct list rest, *link;

	list_init(&rest);
	while ((link = list_pop_front(&ch->traffic->aside))) {
		struct waiter *w = list_entry(link, struct waiter, link);
		struct operation *op = waiter_operation(w);

		list_push_back(&rest, link);
		if (w->direction == CHAN_RECV &&
			(!bereaved || channel_bereaved(ch, op->party, CHAN_RECV)))
			operation_fail(e, op, status, w->index);
	}
	list_splice_back(&ch->traffic->aside, &rest);
}

bool channel_bereaved(const struct channel *ch, const struct party *p, uint8_t direction)
{
	uint8_t other = direction == CHAN_SEND ? CHAN_RECV : CHAN_SEND;
	const struct end *own;
	uint32_t held;

	if (!ch->temporary || !ch->shared)
		return false;
	held = ch->held[other == CHAN_RECV];
	if (held > 1)
		return false;
	own = party_end_of((struct party *)p, ch->id);
	return held == (own && own->direction & other ? 1u : 0u);
}

static bool waits_for_nobody(const struct waiter *w)
{
	return channel_bereaved(w->channel, waiter_operation(w)->party, w->direction);
}

static bool sends_no_more(const struct waiter *w)
{
	return producer_is_done(w->channel, waiter_operation(w)->party);
}

/* Fails those of a queue of whom that is true; the others keep their order. */
static void fail_some(
	struct engine *e, struct waitq *q, bool (*fails)(const struct waiter *w), int status)
{
	struct list rest;
	struct waiter *w;

	list_init(&rest);
	while ((w = waitq_first(q))) {
		if (fails(w)) {
			operation_fail(e, waiter_operation(w), status, w->index);
		} else {
			waitq_remove(q, w);
			w->place = PLACE_QUEUE; /* a select that fails meanwhile takes it off */
			q->count++;
			list_push_back(&rest, &w->link);
		}
	}
	list_splice_back(&q->list, &rest);
}

/* What is left is received first, and what is out may come back: receivers are told after it. */
static void tell_bereaved(struct engine *e, struct channel *ch)
{
	if (ch->held[0] > 1 && ch->held[1] > 1) {
		ch->loss = false;
		return;
	}
	fail_some(e, &ch->traffic->senders, waits_for_nobody, CHAN_EABORTED);
	if (!channel_drained(ch))
		return;
	ch->loss = false;
	fail_some(e, &ch->traffic->receivers, waits_for_nobody, CHAN_EABORTED);
	fail_receivers_aside(e, ch, CHAN_EABORTED, true);
}

/* Everybody aside. The delivery of a sender whose value is out goes on without it. */
static void fail_aside(struct engine *e, struct channel *ch, int status)
{
	while (!list_empty(&ch->traffic->aside)) {
		struct waiter *w = list_entry(ch->traffic->aside.next, struct waiter, link);
		struct operation *op = waiter_operation(w);

		if (op->delivery) {
			op->delivery->sender = NULL;
			op->delivery = NULL;
			op->out = NULL;
		}
		operation_fail(e, op, status, w->index);
	}
}

/* What is out of it is not the engine's any more: whoever has it settles it in vain. */
static void forget_out(struct engine *e, struct channel *ch)
{
	struct channel_traffic *t = ch->traffic;

	if (!ch->in_flight)
		return;
	e->deliveries_out -= ch->in_flight;
	e->values_buffered -= ch->in_flight - t->borrowed;
	ch->in_flight = 0;
	if (t->borrowed)
		t->borrowed = 0;
	traffic_take_back(&e->traffic, ch);
}

void channel_remove(struct engine *e, struct channel *ch)
{
	ch->removed = true;
	ch->account->channels--;
	quota_put(&e->accounts, ch->account, e->now_ns);
	seqmap_remove(&e->channels, ch->id);
	if (ch->name[0])
		names_remove(&e->names, &ch->named);
	fail_queue(e, &ch->traffic->senders, CHAN_EREMOVED);
	fail_queue(e, &ch->traffic->receivers, CHAN_EREMOVED);
	fail_aside(e, ch, CHAN_EREMOVED);
	buffer_drop(e, ch);
	leases_drop(e, ch);
	producers_drop(ch);
	if (ch->traffic->token > e->token_floor)
		e->token_floor = ch->traffic->token;
	forget_out(e, ch);
	channel_unref(ch);
}

/* ---- the rules, once ----------------------------------------------------------------------------
 */

bool channel_case_ready(struct waiter *w)
{
	struct channel *ch = w->channel;
	struct operation *op = waiter_operation(w);

	if (channel_bereaved(ch, op->party, w->direction) &&
		(w->direction == CHAN_SEND || channel_drained(ch)))
		return true;
	if (w->direction == CHAN_SEND)
		return ch->closing || channel_room(ch) > 0 || producer_is_done(ch, op->party) ||
		       (channel_pairs(ch) && waitq_first_other(&ch->traffic->receivers, op));
	return channel_has_value(ch) || (ch->closing && channel_drained(ch)) ||
	       (channel_pairs(ch) && waitq_first_other(&ch->traffic->senders, op));
}

void channel_pump(struct engine *e, struct channel *ch)
{
	if (ch->removed)
		return;
	if (ch->temporary && ch->ends == 0 && ch->carried == 0) {
		channel_remove(e, ch);
		return;
	}
	if (ch->closing)
		fail_queue(e, &ch->traffic->senders, channel_closed_status(ch));
	if (producers_were_lost(ch)) {
		fail_some(e, &ch->traffic->senders, sends_no_more, CHAN_ECLOSED);
	}
	if (ch->capacity)
		handoff_let_in(e, ch);
	if (ch->capacity || ch->traffic->returned)
		handoff_out(e, ch);
	if (!ch->capacity)
		handoff_pairs(e, ch);
	if (ch->closing && channel_drained(ch)) {
		fail_queue(e, &ch->traffic->receivers, channel_closed_status(ch));
		fail_receivers_aside(e, ch, channel_closed_status(ch), false);
	}
	if (ch->loss)
		tell_bereaved(e, ch);
}
