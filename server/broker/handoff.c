/*
 * handoff.c - how values change hands: from senders into a buffer, from there to receivers, or from
 * a sender to a receiver where there is no buffer; and what happens when a receiver settles.
 */
#include "server/broker/handoff.h"
#include "chan/status.h"
#include "server/broker/broken.h"
#include "server/broker/buffer.h"
#include "server/broker/lease.h"
#include "server/broker/state.h"
#include <string.h>

/* ---- senders of a buffered channel ------------------------------------------------------------
 */

static void let_in_select(struct engine *e, struct channel *ch, struct waiter *w)
{
	struct operation *op = waiter_operation(w);

	if (buffer_accept(e, ch, &w->value, 1) == 0) {
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
	n = buffer_accept(e, ch, values, run);
	if (n == 0) {
		operation_fail(e, op, CHAN_ENOMEM, 0);
		return;
	}
	answer_done(op->party, op->seq + op->send.cursor, n, 0);
	operation_advance(e, op, n);
}

void handoff_let_in(struct engine *e, struct channel *ch)
{
	struct waiter *w;

	while (channel_room(ch) > 0 && (w = waitq_first(&ch->traffic->senders))) {
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
		if (op->waiters[i].direction == CHAN_SEND && op->waiters[i].value &&
			buffer_accept(e, op->waiters[i].channel, &op->waiters[i].value, 1)) {
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

/* Values that go to one receiver in one answer, at most. */
#define RUN_MAX 64u

/* A receive's DELIVER of all values of these deliveries, whose ids rise by 1. */
static void tell_deliveries(const struct waiter *w, struct delivery *const *list, uint32_t count)
{
	struct operation *op = waiter_operation(w);
	struct value *values[RUN_MAX];
	uint32_t attempts[RUN_MAX], n = 0;
	struct message m;

	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t k = 0; k < list[i]->count; k++) {
			attempts[n] = list[i]->attempt;
			values[n++] = list[i]->value + k;
		}
	}
	m.kind = MESSAGE_DELIVER;
	m.seq = op->seq;
	m.deliver.delivery = list[0]->id;
	m.deliver.token = list[0]->token;
	m.deliver.channel = w->channel->id;
	m.deliver.count = n;
	m.deliver.payload_bytes = 0; /* whoever writes the frame knows */
	m.deliver.case_index = w->index;
	op->party->engine->options.answer(op->party, &m, values, attempts, n);
}

/*
 * Whether the party may have one more lease: each delivery that is out may become one, so that none
 * needs be refused when it is taken.
 */
static bool may_lease(const struct party *p)
{
	return p->deliveries.live < LEASES_MAX;
}

/*
 * Tokens of leases rise, also from one channel of a name to the next: within a run of the broker
 * because none begins below where another has ended, and from run to run because they begin with
 * the time, in nanoseconds, faster than which nobody leases.
 */
static uint64_t next_token(const struct engine *e, const struct channel *ch)
{
	uint64_t *token = &ch->traffic->token;
	uint64_t made_ns = ch->made_unix_ns > 0 ? (uint64_t)ch->made_unix_ns : 0;

	if (!*token)
		*token = made_ns > e->token_floor ? made_ns : e->token_floor;
	return ++*token;
}

/*
 * What is in d is out to a receiver, who is to be told. 0, or the receiver cannot hold it and
 * nothing has changed: CHAN_ENOMEM, or CHAN_ELIMIT for a chan value that would open another end,
 * and for a lease too many.
 */
static int put_out(struct engine *e, struct channel *ch, struct waiter *w, struct delivery *d)
{
	struct operation *op = waiter_operation(w);
	struct party *p = op->party;
	int rc;

	if (w->lease_ns && !may_lease(p))
		return CHAN_ELIMIT;
	rc = seqmap_reserve(&p->deliveries, d->count);
	if (rc == 0 && type_may_refer(ch->type))
		rc = reference_open(e, p, ch->type, d->value);
	if (rc < 0)
		return rc;
	d->id = p->next_delivery;
	p->next_delivery += d->count;
	d->state = DELIVERY_OUT;
	d->lease_ns = (int64_t)w->lease_ns;
	d->token = w->lease_ns ? next_token(e, ch) : 0;
	d->channel = channel_ref(ch);
	d->stream = op->stream ? op : NULL;
	if (op->stream)
		op->recv.out += d->count;
	seqmap_put_run(&p->deliveries, d->id, d->count, d);
	ch->in_flight += d->count;
	e->deliveries_out += d->count;
	if (d->attempt > 1)
		ch->traffic->redelivered++;
	return 0;
}

/* Hands one value out. False: the receive has failed instead. */
static bool hand_out(struct engine *e, struct channel *ch, struct waiter *w, struct delivery *d)
{
	int rc = put_out(e, ch, w, d);

	if (rc < 0) {
		operation_fail(e, waiter_operation(w), rc, w->index);
		return false;
	}
	tell_deliveries(w, &d, 1);
	receiver_served(e, w);
	return true;
}

static void hand_out_returned(struct engine *e, struct channel *ch, struct waiter *w)
{
	if (hand_out(e, ch, w, buffer_returned(ch)))
		buffer_pop_returned(ch);
}

/* How many values, of max at most, can go out to the receiver as one delivery. */
static uint32_t run_of(const struct channel *ch, const struct waiter *w, uint32_t max)
{
	if (max == 1 || w->lease_ns || type_may_refer(ch->type) || BROKEN(deliver_twice))
		return 1;
	return buffer_run(ch, max);
}

/* Puts the oldest values of the ring out, max at most. As put_out. */
static int put_out_fresh(struct engine *e, struct channel *ch, struct waiter *w, uint32_t max,
	struct delivery **ret_delivery)
{
	uint32_t n = run_of(ch, w, max);
	struct delivery *d = delivery_new(&e->deliveries, n);
	int rc;

	if (!d)
		return CHAN_ENOMEM;
	d->value = buffer_peek(ch);
	d->order = buffer_order(ch);
	d->rank = 0;
	d->attempt = 1;
	d->tries = 0;
	d->sender = NULL;
	d->borrowed = false;
	rc = put_out(e, ch, w, d);
	if (rc < 0) {
		delivery_free(&e->deliveries, d);
		return rc;
	}
	buffer_pop(ch, n);
	*ret_delivery = d;
	return 0;
}

/* How many values the receiver gets before it is another's turn. */
static uint32_t turn_of(const struct channel *ch, const struct waiter *w)
{
	const struct operation *op = waiter_operation(w);

	if (op->kind != OP_RECV || ch->traffic->receivers.count > 1 || ch->traffic->returned)
		return 1;
	return op->recv.credit < RUN_MAX ? op->recv.credit : RUN_MAX;
}

/* Values that were never out, to the first receiver: as many as are its own, in one answer. */
static void hand_out_fresh(struct engine *e, struct channel *ch, struct waiter *w)
{
	struct operation *op = waiter_operation(w);
	struct delivery *list[RUN_MAX];
	uint32_t n = 0, count = 0, turn = turn_of(ch, w);
	int rc = 0;

	while (n < turn && ch->ring_count > 0 &&
		(rc = put_out_fresh(e, ch, w, turn - n, &list[count])) == 0)
		n += list[count++]->count;
	if (n == 0) {
		operation_fail(e, op, rc, w->index);
		return;
	}
	tell_deliveries(w, list, count);
	if (op->kind == OP_RECV)
		op->recv.credit -= n - 1;
	receiver_served(e, w);
}

void handoff_out(struct engine *e, struct channel *ch)
{
	struct waiter *w;

	while (channel_has_value(ch) && (w = waitq_first(&ch->traffic->receivers))) {
		if (ch->traffic->returned && buffer_returned_first(ch))
			hand_out_returned(e, ch, w);
		else
			hand_out_fresh(e, ch, w);
	}
}

/* Whether there is a value for who comes now. Where more is to be looked at the receive stands. */
static bool has_fresh(const struct channel *ch, const struct party *p)
{
	return ch->ring_count > 0 && !ch->traffic->returned && ch->traffic->receivers.count == 0 &&
	       !ch->touched && !p->absent && !type_may_refer(ch->type);
}

bool handoff_at_once(struct engine *e, struct party *p, const struct operation_request *r)
{
	union {
		struct operation op;
		uint8_t room[sizeof(struct operation) + sizeof(struct waiter)];
	} brief;
	struct waiter *w = brief.op.waiters;
	struct delivery *d;

	if (!has_fresh(r->channel, p) || !operation_fits(e, p, r) ||
		traffic_promise(&e->traffic, r->channel) < 0)
		return false;
	memset(&brief, 0, sizeof(brief));
	brief.op.party = p;
	brief.op.seq = r->seq;
	brief.op.kind = OP_RECV;
	w->channel = r->channel;
	if (put_out_fresh(e, r->channel, w, 1, &d) < 0) {
		if (r->channel->in_flight == 0)
			traffic_take_back(&e->traffic, r->channel);
		return false;
	}
	tell_deliveries(w, &d, 1);
	return true;
}

/* ---- the rendezvous of an unbuffered channel ----------------------------------------------------
 */

static struct value *offered_value(const struct waiter *w)
{
	struct operation *op = waiter_operation(w);

	return op->kind == OP_SELECT ? w->value : operation_values(op)[op->send.cursor];
}

static void rendezvous(struct engine *e, struct channel *ch, struct waiter *s, struct waiter *r)
{
	struct operation *op = waiter_operation(s);
	struct delivery *d = delivery_new(&e->deliveries, 1);

	if (!d) {
		operation_fail(e, waiter_operation(r), CHAN_ENOMEM, r->index);
		return;
	}
	d->value = value_ref(offered_value(s));
	d->order = 0;
	d->rank = 0;
	d->attempt = s->returned + 1u;
	d->tries = 0;
	d->sender = s;
	d->borrowed = true;
	ch->traffic->borrowed++;
	if (!hand_out(e, ch, r, d)) {
		ch->traffic->borrowed--;
		value_unref(d->value);
		delivery_free(&e->deliveries, d);
		return;
	}
	operation_go_out(e, s, d);
	if (BROKEN(send_before_taken) && op->kind == OP_SEND &&
		op->send.cursor + 1 == op->send.count) {
		answer_done(op->party, operation_offered_seq(op), 1, 0);
		operation_orphan(e, op);
	}
}

/* The longest waiting pair that are not one select: false when there is none. */
static bool find_pair(struct channel *ch, struct waiter **ret_sender, struct waiter **ret_receiver)
{
	struct channel_traffic *t = ch->traffic;
	struct waiter *s = waitq_first(&t->senders), *r = waitq_first(&t->receivers), *other;

	if (!s || !r)
		return false;
	if (waiter_operation(s) == waiter_operation(r)) {
		other = waitq_first_other(&t->receivers, waiter_operation(s));
		if (other)
			r = other;
		else
			s = waitq_first_other(&t->senders, waiter_operation(r));
	}
	*ret_sender = s;
	*ret_receiver = r;
	return s != NULL;
}

void handoff_pairs(struct engine *e, struct channel *ch)
{
	struct waiter *s, *r;

	while (channel_pairs(ch) && find_pair(ch, &s, &r))
		rendezvous(e, ch, s, r);
}

/* ---- settling ----------------------------------------------------------------------------------
 */

/* Its sender was told when the channel went; a buffered value was still counted. */
static void settle_removed(struct engine *e, struct delivery *d)
{
	if (d->borrowed)
		value_unref(d->value);
	else
		engine_drop_value(e, d->channel->type, d->value);
	channel_unref(d->channel);
	delivery_free(&e->deliveries, d);
}

/* The first n of its values are out no more. False: its channel is gone, and so is the delivery. */
static inline bool come_in(struct engine *e, struct delivery *d, uint32_t n)
{
	struct channel *ch = d->channel;

	if (d->stream)
		operation_deliveries_settled(d->stream, n);
	if (ch->removed) {
		settle_removed(e, d);
		return false;
	}
	ch->in_flight -= n;
	if (d->borrowed)
		ch->traffic->borrowed--;
	if (ch->in_flight == 0)
		traffic_take_back(&e->traffic, ch);
	e->deliveries_out -= n;
	channel_touch(e, ch);
	return true;
}

/* Separates a delivery from the send whose value it is. */
static struct waiter *part_from_sender(struct delivery *d)
{
	struct waiter *w = d->sender;
	struct operation *op = waiter_operation(w);

	waiter_leave(w);
	op->out = NULL;
	op->delivery = NULL;
	return w;
}

/* A value of an unbuffered channel that its sender keeps until here is gone, or its own again. */
static struct waiter *give_to_sender(struct engine *e, struct delivery *d)
{
	struct waiter *w = part_from_sender(d);

	value_unref(d->value);
	delivery_free(&e->deliveries, d);
	return w;
}

/* Behind a value of a SEND that was taken comes the next. */
static void send_next(struct engine *e, struct operation *op)
{
	struct value *v = operation_values(op)[op->send.cursor];
	uint32_t type = op->waiters[0].channel->type;

	if (operation_advance(e, op, 1))
		operation_go_on(e, op);
	engine_drop_value(e, type, v);
}

/* An orphan is told nothing; operation_end drops the value. */
static void send_taken(struct engine *e, struct waiter *w)
{
	struct operation *op = waiter_operation(w);

	w->channel->accepted++;
	if (op->party)
		answer_done(op->party, operation_offered_seq(op), 1, w->index);
	if (op->kind == OP_SEND && op->send.cursor + 1 < op->send.count)
		send_next(e, op);
	else
		operation_end(e, op);
}

static void send_returned(struct engine *e, struct waiter *w)
{
	struct operation *op = waiter_operation(w);

	if (!op->party) {
		operation_end(e, op);
	} else if (op->withdrawn) {
		if (operation_withdraw_value(e, op, op->send.cursor))
			operation_go_on(e, op);
	} else if (op->doom) {
		operation_fail(e, op, op->doom, w->index);
	} else {
		if (w->returned < UINT16_MAX)
			w->returned++;
		operation_stand(e, op);
	}
}

/* The first n values of the channel's own are gone. */
static void forget_taken(struct engine *e, struct channel *ch, struct delivery *d, uint32_t n)
{
	buffer_forget(e, ch, d->value, n);
	if (n < d->count) {
		delivery_shorten(&e->deliveries, d, n);
		return;
	}
	delivery_free(&e->deliveries, d);
	channel_unref(ch);
}

void handoff_taken(struct engine *e, struct delivery *d, uint32_t n)
{
	struct channel *ch = d->channel;

	if (BROKEN(deliver_twice) && ch->promised)
		traffic_need(&e->traffic, ch);
	if (!come_in(e, d, n))
		return;
	if (BROKEN(deliver_twice) && !d->borrowed && d->id % 16 == 0 && d->attempt == 1) {
		value_come_back(e, d, 0);
		channel_unref(ch);
		return;
	}
	if (!d->borrowed) {
		forget_taken(e, ch, d, n);
		return;
	}
	send_taken(e, give_to_sender(e, d));
	channel_unref(ch);
}

void handoff_returned(struct engine *e, struct delivery *d, uint64_t delay_ns)
{
	struct channel *ch = d->channel;

	if (ch->promised)
		traffic_need(&e->traffic, ch); /* which has its place there */
	if (!come_in(e, d, 1))
		return;
	if (d->borrowed) {
		send_returned(e, give_to_sender(e, d));
	} else if (BROKEN(lose_on_return)) {
		buffer_forget(e, ch, d->value, 1);
		delivery_free(&e->deliveries, d);
	} else {
		value_come_back(e, d, delay_ns);
	}
	channel_unref(ch);
}

/* The send has ended, and its value is the channel's. */
static void adopt(struct engine *e, struct channel *ch, struct delivery *d)
{
	engine_hold_value(e, value_pack(d->value)->account, ch->type, d->value);
	ch->bytes_buffered += d->value->len;
	e->values_buffered++;
	send_taken(e, part_from_sender(d));
	d->order = ch->accepted;
	d->borrowed = false;
}

void handoff_leased(struct engine *e, struct party *p, struct delivery *d)
{
	if (!come_in(e, d, 1))
		return;
	if (d->borrowed)
		adopt(e, d->channel, d);
	lease_begin(e, p, d);
}
