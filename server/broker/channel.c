/*
 * channel.c - what a channel does with values and with those who wait.
 *
 * Between two calls of the engine, for each channel that is not removed:
 *   - length = ring_count + returned_count + in_flight is at most the capacity (buffered);
 *   - a value in the buffer implies that no receiver waits;
 *   - room implies that no sender waits;
 *   - values in `returned` are older than those in the ring, and each heap and queue is in order;
 *   - unbuffered: ring and returned are empty, and a sender and a receiver wait at the same time
 *     only if all of them belong to one and the same select;
 *   - closed implies that no sender waits; closed and drained, that no receiver does;
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
#include "server/broker/broken.h"
#include "server/broker/state.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING_MIN 4u
#define RING_KEEP 128u /* an empty ring above it is given back */

/* ---- birth and death ------------------------------------------------------------------------ */

struct channel *channel_new(const char *name, uint32_t type, int64_t capacity, bool temporary)
{
	size_t name_bytes = strlen(name) + 1;
	struct channel *ch = calloc(1, sizeof(*ch) + name_bytes);

	if (!ch)
		return NULL;
	memcpy(ch->name, name, name_bytes);
	ch->type = type;
	ch->capacity = capacity;
	ch->temporary = temporary;
	ch->refs = 1;
	waitq_init(&ch->senders);
	waitq_init(&ch->receivers);
	list_init(&ch->aside);
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
	free(ch->closing);
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

const char *channel_label(const struct channel *ch, char label[CHANNEL_LABEL_MAX])
{
	if (ch->name[0])
		snprintf(label, CHANNEL_LABEL_MAX, "'%s'", ch->name);
	else
		snprintf(label, CHANNEL_LABEL_MAX, "unnamed channel %llu",
			(unsigned long long)ch->id);
	return label;
}

/* ---- the buffer ------------------------------------------------------------------------------ */

uint64_t channel_length(const struct channel *ch)
{
	return ch->capacity ? (uint64_t)ch->ring_count + ch->returned_count + ch->in_flight : 0;
}

uint64_t channel_room(const struct channel *ch)
{
	uint64_t capacity = (uint64_t)ch->capacity, length = channel_length(ch);

	if (capacity && BROKEN(over_capacity))
		capacity++;
	return capacity > length ? capacity - length : 0;
}

bool channel_has_value(const struct channel *ch)
{
	return ch->returned || ch->ring_count > 0;
}

bool channel_drained(const struct channel *ch)
{
	return !channel_has_value(ch) && ch->in_flight == 0;
}

static uint32_t ring_at(const struct channel *ch, uint32_t i)
{
	return (ch->ring_first + i) & (ch->ring_size - 1);
}

/* Room for one more value in the ring's memory. */
static bool ring_grow(struct channel *ch)
{
	uint32_t size = ch->ring_size ? ch->ring_size * 2 : RING_MIN;
	struct value **ring;

	if (ch->ring_count < ch->ring_size)
		return true;
	ring = malloc(size * sizeof(*ring));
	if (!ring)
		return false;
	for (uint32_t i = 0; i < ch->ring_count; i++)
		ring[i] = ch->ring[ring_at(ch, i)];
	free(ch->ring);
	ch->ring = ring;
	ch->ring_size = size;
	ch->ring_first = 0;
	return true;
}

static void ring_free(struct channel *ch)
{
	free(ch->ring);
	ch->ring = NULL;
	ch->ring_size = ch->ring_first = ch->ring_count = 0;
}

/* The value that is next to leave the ring. */
static struct value *ring_peek(const struct channel *ch)
{
	return ch->ring[ring_at(ch, BROKEN(lifo) ? ch->ring_count - 1 : 0)];
}

static void ring_pop(struct channel *ch)
{
	ch->ring_count--;
	if (!BROKEN(lifo))
		ch->ring_first = ring_at(ch, 1);
	if (ch->ring_count == 0 && ch->ring_size > RING_KEEP)
		ring_free(ch);
}

uint32_t channel_accept(struct engine *e, struct channel *ch, struct value *const *values,
	uint32_t count)
{
	uint64_t room = channel_room(ch);
	uint32_t n = 0;

	while (n < count && n < room && ring_grow(ch)) {
		ch->ring[ring_at(ch, ch->ring_count++)] = values[n];
		ch->bytes_buffered += values[n]->len;
		n++;
	}
	ch->accepted += n;
	e->values_buffered += n;
	return n;
}

/* A value leaves the buffer's accounts: it was taken, or is dropped. */
static void buffer_forget(struct engine *e, struct channel *ch, struct value *v)
{
	ch->bytes_buffered -= v->len;
	e->values_buffered--;
	engine_drop_value(e, ch->type, v);
}

/* ---- senders of a buffered channel ------------------------------------------------------------ */

static void let_in_select(struct engine *e, struct channel *ch, struct waiter *w)
{
	struct operation *op = waiter_operation(w);

	if (channel_accept(e, ch, &w->value, 1) == 0) {
		operation_fail(e, op, CHAN_ENOMEM, w->index);
		return;
	}
	op->party->bytes_in_flight -= w->value->len;
	w->value = NULL;
	answer_done(op->party, op->seq, 1, w->index);
	operation_end(e, op);
}

/* As many values of one SEND as there is room for, answered together. */
static void let_in_send(struct engine *e, struct channel *ch, struct operation *op)
{
	struct value **values = operation_values(op) + op->send.cursor;
	uint64_t room = channel_room(ch);
	uint32_t run = 1, n;

	while (op->send.cursor + run < op->send.count && run < room && values[run])
		run++;
	n = channel_accept(e, ch, values, run);
	if (n == 0) {
		operation_fail(e, op, CHAN_ENOMEM, 0);
		return;
	}
	answer_done(op->party, op->seq + op->send.cursor, n, 0);
	operation_advance(e, op, n);
}

static void let_senders_in(struct engine *e, struct channel *ch)
{
	struct waiter *w;

	while (channel_room(ch) > 0 && (w = waitq_first(&ch->senders))) {
		if (waiter_operation(w)->kind == OP_SELECT)
			let_in_select(e, ch, w);
		else
			let_in_send(e, ch, waiter_operation(w));
	}
}

/* ---- handing out ----------------------------------------------------------------------------- */

/* BROKEN(select_two_cases): sends what it can on its other cases. */
static void send_other_cases(struct engine *e, struct operation *op)
{
	for (uint32_t i = 0; i < op->waiter_count; i++)
		if (op->waiters[i].value &&
			channel_accept(e, op->waiters[i].channel, &op->waiters[i].value, 1)) {
			op->party->bytes_in_flight -= op->waiters[i].value->len;
			op->waiters[i].value = NULL;
		}
}

static void receiver_served(struct engine *e, struct waiter *w)
{
	struct operation *op = waiter_operation(w);

	if (op->kind == OP_SELECT) {
		if (BROKEN(select_two_cases))
			send_other_cases(e, op);
		operation_end(e, op);
	} else if (--op->recv.credit > 0) {
		waiter_to_tail(e, w);
	} else if (op->stream) {
		waiter_leave(w);
		waiter_set_aside(w);
	} else {
		operation_end(e, op);
	}
}

static void tell_delivery(const struct operation *op, uint32_t case_index, struct delivery *d)
{
	struct message m;

	m.kind = MESSAGE_DELIVER;
	m.seq = op->seq;
	m.deliver.delivery = d->id;
	m.deliver.channel = d->channel->id;
	m.deliver.count = 1;
	m.deliver.payload_bytes = wire_value_bytes(d->value->len, d->attempt);
	m.deliver.case_index = case_index;
	op->party->engine->options.answer(op->party, &m, &d->value, &d->attempt, 1);
}

/*
 * Hands the value in d to a receiver. Where the receiver cannot hold it (no memory; a chan value
 * for which it may not open another end) the receive fails, nothing else has changed, and the
 * answer is false.
 */
static bool hand_out(struct engine *e, struct channel *ch, struct waiter *w, struct delivery *d)
{
	struct operation *op = waiter_operation(w);
	struct party *p = op->party;
	int rc = seqmap_reserve(&p->deliveries);

	if (rc == 0)
		rc = reference_open(e, p, ch->type, d->value);
	if (rc < 0) {
		operation_fail(e, op, rc, w->index);
		return false;
	}
	d->id = p->next_delivery++;
	d->channel = channel_ref(ch);
	d->stream = op->stream ? op : NULL;
	if (op->stream)
		op->recv.out++;
	seqmap_put(&p->deliveries, d->id, d);
	ch->in_flight++;
	e->deliveries_out++;
	if (d->attempt > 1)
		ch->redelivered++;
	tell_delivery(op, w->index, d);
	receiver_served(e, w);
	return true;
}

static void hand_out_returned(struct engine *e, struct channel *ch, struct waiter *w)
{
	struct delivery *d = list_entry(ch->returned, struct delivery, node);

	if (!hand_out(e, ch, w, d))
		return;
	heap_remove(&ch->returned, &d->node, delivery_older);
	ch->returned_count--;
}

static void hand_out_fresh(struct engine *e, struct channel *ch, struct waiter *w)
{
	struct delivery *d = delivery_new(&e->deliveries);

	if (!d) {
		operation_fail(e, waiter_operation(w), CHAN_ENOMEM, w->index);
		return;
	}
	d->value = ring_peek(ch);
	d->order = ch->accepted - ch->ring_count;
	d->attempt = 1;
	d->sender = NULL;
	if (hand_out(e, ch, w, d))
		ring_pop(ch);
	else
		delivery_free(&e->deliveries, d);
}

static void hand_out_buffer(struct engine *e, struct channel *ch)
{
	struct waiter *w;

	while (channel_has_value(ch) && (w = waitq_first(&ch->receivers))) {
		if (ch->returned)
			hand_out_returned(e, ch, w);
		else
			hand_out_fresh(e, ch, w);
	}
}

/* ---- the rendezvous of an unbuffered channel ---------------------------------------------------- */

static struct value *offered_value(const struct waiter *w)
{
	struct operation *op = waiter_operation(w);

	return op->kind == OP_SELECT ? w->value : operation_values(op)[0];
}

static void rendezvous(struct engine *e, struct channel *ch, struct waiter *s, struct waiter *r)
{
	struct operation *op = waiter_operation(s);
	struct delivery *d = delivery_new(&e->deliveries);

	if (!d) {
		operation_fail(e, waiter_operation(r), CHAN_ENOMEM, r->index);
		return;
	}
	d->value = value_ref(offered_value(s));
	d->order = 0;
	d->attempt = s->returned + 1u;
	d->sender = s;
	if (!hand_out(e, ch, r, d)) {
		value_unref(d->value);
		delivery_free(&e->deliveries, d);
		return;
	}
	operation_go_out(e, s, d);
	if (BROKEN(send_before_taken) && op->kind == OP_SEND) {
		answer_done(op->party, op->seq, 1, 0);
		operation_orphan(e, op);
	}
}

/* The longest waiting pair that are not one select: false when there is none. */
static bool find_pair(struct channel *ch, struct waiter **ret_sender, struct waiter **ret_receiver)
{
	struct waiter *s = waitq_first(&ch->senders), *r = waitq_first(&ch->receivers), *other;

	if (!s || !r)
		return false;
	if (waiter_operation(s) == waiter_operation(r)) {
		other = waitq_first_other(&ch->receivers, waiter_operation(s));
		if (other)
			r = other;
		else
			s = waitq_first_other(&ch->senders, waiter_operation(r));
	}
	*ret_sender = s;
	*ret_receiver = r;
	return s != NULL;
}

static void match_pairs(struct engine *e, struct channel *ch)
{
	struct waiter *s, *r;

	while (find_pair(ch, &s, &r))
		rendezvous(e, ch, s, r);
}

/* ---- settling ---------------------------------------------------------------------------------- */

/* An orphan is told nothing; operation_end drops the value. */
static void send_taken(struct engine *e, struct waiter *w)
{
	struct operation *op = waiter_operation(w);

	w->channel->accepted++;
	w->channel->taken++;
	if (op->party)
		answer_done(op->party, op->seq, 1, w->index);
	operation_end(e, op);
}

static void send_returned(struct engine *e, struct waiter *w)
{
	struct operation *op = waiter_operation(w);

	if (!op->party) {
		operation_end(e, op);
	} else if (op->doom) {
		operation_fail(e, op, op->doom, w->index);
	} else {
		if (w->returned < UINT16_MAX)
			w->returned++;
		operation_stand(e, op);
	}
}

/* A delivery of an unbuffered channel: the value is its sender's again. */
static void settle_sender(struct engine *e, struct delivery *d, bool taken)
{
	struct waiter *w = d->sender;
	struct operation *op = waiter_operation(w);

	waiter_leave(w);
	op->out = NULL;
	op->delivery = NULL;
	value_unref(d->value);
	delivery_free(&e->deliveries, d);
	if (taken)
		send_taken(e, w);
	else
		send_returned(e, w);
}

static void settle_buffered(struct engine *e, struct channel *ch, struct delivery *d, bool taken)
{
	if (taken && BROKEN(deliver_twice) && d->id % 16 == 0 && d->attempt == 1)
		taken = false;
	if (taken || BROKEN(lose_on_return)) {
		ch->taken++;
		buffer_forget(e, ch, d->value);
		delivery_free(&e->deliveries, d);
		return;
	}
	d->attempt++;
	ch->returned_count++;
	heap_insert(&ch->returned, &d->node, delivery_older);
}

/* Its sender was told when the channel went; a buffered value was still counted. */
static void settle_removed(struct engine *e, struct delivery *d)
{
	if (d->channel->capacity)
		engine_drop_value(e, d->channel->type, d->value);
	else
		value_unref(d->value);
	channel_unref(d->channel);
	delivery_free(&e->deliveries, d);
}

void channel_settle(struct engine *e, struct delivery *d, bool taken)
{
	struct channel *ch = d->channel;

	if (d->stream)
		operation_delivery_settled(d->stream);
	if (ch->removed) {
		settle_removed(e, d);
		return;
	}
	ch->in_flight--;
	e->deliveries_out--;
	channel_touch(e, ch);
	if (d->sender)
		settle_sender(e, d, taken);
	else
		settle_buffered(e, ch, d, taken);
	channel_unref(ch);
}

/* ---- closing, bereavement, removal ---------------------------------------------------------------- */

int channel_close(struct engine *e, struct channel *ch, const struct party *by, const char *reason)
{
	char label[PARTY_LABEL_MAX];
	size_t by_bytes = strlen(party_label(by, label)) + 1, reason_bytes = strlen(reason) + 1;
	struct closing *closing = malloc(sizeof(*closing) + by_bytes + reason_bytes);
	struct waiter *w;

	if (!closing)
		return CHAN_ENOMEM;
	closing->unix_ns = e->now_ns + e->options.unix_offset_ns;
	memcpy(closing->by, label, by_bytes);
	closing->reason = memcpy(closing->by + by_bytes, reason, reason_bytes);
	ch->closing = closing;
	channel_touch(e, ch);
	LIST_FOREACH(w, &ch->aside, link)
		if (w->direction == CHAN_SEND)
			operation_withdraw(e, waiter_operation(w), CHAN_ECLOSED, w->index);
	return 0;
}

static void fail_queue(struct engine *e, struct waitq *q, int status)
{
	struct waiter *w;

	while ((w = waitq_first(q)))
		operation_fail(e, waiter_operation(w), status, w->index);
}

/* Streams without credit. */
static void fail_streams(struct engine *e, struct channel *ch, int status)
{
	struct waiter *w, *next;

	LIST_FOREACH_SAFE(w, next, &ch->aside, link)
		if (w->direction == CHAN_RECV)
			operation_fail(e, waiter_operation(w), status, w->index);
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

/* Fails those of a queue who wait for nobody; the others keep their order. */
static void fail_bereaved(struct engine *e, struct channel *ch, struct waitq *q)
{
	struct list rest;
	struct waiter *w;

	list_init(&rest);
	while ((w = waitq_first(q))) {
		if (channel_bereaved(ch, waiter_operation(w)->party, w->direction)) {
			operation_fail(e, waiter_operation(w), CHAN_EABORTED, w->index);
		} else {
			waitq_remove(q, w);
			w->place = PLACE_QUEUE; /* a select that fails meanwhile takes it off */
			q->count++;
			list_push_back(&rest, &w->link);
		}
	}
	list_splice_back(&q->list, &rest);
}

static void fail_bereaved_streams(struct engine *e, struct channel *ch)
{
	struct waiter *w, *next;

	LIST_FOREACH_SAFE(w, next, &ch->aside, link)
		if (w->direction == CHAN_RECV &&
			channel_bereaved(ch, waiter_operation(w)->party, CHAN_RECV))
			operation_fail(e, waiter_operation(w), CHAN_EABORTED, w->index);
}

/* What is left is received first, and what is out may come back: receivers are told after it. */
static void tell_bereaved(struct engine *e, struct channel *ch)
{
	if (ch->held[0] > 1 && ch->held[1] > 1) {
		ch->loss = false;
		return;
	}
	fail_bereaved(e, ch, &ch->senders);
	if (!channel_drained(ch))
		return;
	ch->loss = false;
	fail_bereaved(e, ch, &ch->receivers);
	fail_bereaved_streams(e, ch);
}

static void drop_buffer(struct engine *e, struct channel *ch)
{
	while (ch->returned) {
		struct delivery *d = list_entry(ch->returned, struct delivery, node);

		heap_remove(&ch->returned, &d->node, delivery_older);
		buffer_forget(e, ch, d->value);
		delivery_free(&e->deliveries, d);
	}
	ch->returned_count = 0;
	for (uint32_t i = 0; i < ch->ring_count; i++)
		buffer_forget(e, ch, ch->ring[ring_at(ch, i)]);
	ring_free(ch);
}

/* Senders whose value is out, and streams. The delivery goes on without its sender. */
static void fail_aside(struct engine *e, struct channel *ch, int status)
{
	struct waiter *w, *next;

	LIST_FOREACH_SAFE(w, next, &ch->aside, link) {
		struct operation *op = waiter_operation(w);

		if (op->delivery) {
			op->delivery->sender = NULL;
			op->delivery = NULL;
			op->out = NULL;
		}
		operation_fail(e, op, status, w->index);
	}
}

void channel_remove(struct engine *e, struct channel *ch)
{
	ch->removed = true;
	seqmap_remove(&e->channels, ch->id);
	if (ch->name[0])
		names_remove(&e->names, &ch->named);
	fail_queue(e, &ch->senders, CHAN_EREMOVED);
	fail_queue(e, &ch->receivers, CHAN_EREMOVED);
	fail_aside(e, ch, CHAN_EREMOVED);
	drop_buffer(e, ch);
	e->deliveries_out -= ch->in_flight;
	if (ch->capacity)
		e->values_buffered -= ch->in_flight;
	ch->in_flight = 0;
	channel_unref(ch);
}

/* ---- the rules, once ---------------------------------------------------------------------------- */

bool channel_case_ready(struct waiter *w)
{
	struct channel *ch = w->channel;
	struct operation *op = waiter_operation(w);

	if (channel_bereaved(ch, op->party, w->direction) &&
		(w->direction == CHAN_SEND || channel_drained(ch)))
		return true;
	if (w->direction == CHAN_SEND)
		return ch->closing || channel_room(ch) > 0 ||
		       (!ch->capacity && waitq_first_other(&ch->receivers, op));
	return channel_has_value(ch) || (ch->closing && channel_drained(ch)) ||
	       (!ch->capacity && waitq_first_other(&ch->senders, op));
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
		fail_queue(e, &ch->senders, CHAN_ECLOSED);
	if (ch->capacity) {
		let_senders_in(e, ch);
		hand_out_buffer(e, ch);
	} else {
		match_pairs(e, ch);
	}
	if (ch->closing && channel_drained(ch)) {
		fail_queue(e, &ch->receivers, CHAN_ECLOSED);
		fail_streams(e, ch, CHAN_ECLOSED);
	}
	if (ch->loss)
		tell_bereaved(e, ch);
}
