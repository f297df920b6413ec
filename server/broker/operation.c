#include "server/broker/operation.h"
#include "chan/status.h"
#include "chan/value.h"
#include "server/base/panic.h"
#include "server/broker/producers.h"
#include "server/broker/state.h"
#include <stdlib.h>
#include <string.h>

/* ---- queues of waiters -------------------------------------------------------------------- */

static bool waiter_earlier(const struct heap_node *a, const struct heap_node *b)
{
	return list_entry(a, struct waiter, node)->ticket <
	       list_entry(b, struct waiter, node)->ticket;
}

void waitq_init(struct waitq *q)
{
	*q = (struct waitq){0};
	list_init(&q->list);
}

struct waiter *waitq_first(const struct waitq *q)
{
	struct waiter *first = NULL, *back = NULL;

	if (!list_empty(&q->list))
		first = list_entry(q->list.next, struct waiter, link);
	if (!q->back)
		return first;
	back = list_entry(q->back, struct waiter, node);
	return first && first->ticket < back->ticket ? first : back;
}

struct waiter *waitq_first_other(struct waitq *q, const struct operation *op)
{
	struct list own, *link;
	struct waiter *first;

	list_init(&own);
	while ((first = waitq_first(q)) && waiter_operation(first) == op) {
		waitq_remove(q, first);
		list_push_back(&own, &first->link);
	}
	while ((link = list_pop_front(&own)))
		waitq_put(q, list_entry(link, struct waiter, link));
	return first;
}

void waitq_put(struct waitq *q, struct waiter *w)
{
	q->count++;
	if (list_empty(&q->list) ||
		list_entry(q->list.prev, struct waiter, link)->ticket <= w->ticket) {
		w->place = PLACE_QUEUE;
		list_push_back(&q->list, &w->link);
	} else {
		w->place = PLACE_BACK;
		heap_insert(&q->back, &w->node, waiter_earlier);
	}
}

void waitq_remove(struct waitq *q, struct waiter *w)
{
	q->count--;
	if (w->place == PLACE_BACK)
		heap_remove(&q->back, &w->node, waiter_earlier);
	else
		list_remove(&w->link);
	w->place = PLACE_NONE;
}

/* ---- waiters ------------------------------------------------------------------------------- */

struct operation *waiter_operation(const struct waiter *w)
{
	return list_entry(w - w->index, struct operation, waiters);
}

struct waitq *waiter_queue(const struct waiter *w)
{
	struct channel_traffic *t = w->channel->traffic;

	return w->direction == CHAN_SEND ? &t->senders : &t->receivers;
}

void waiter_bind(struct waiter *w, struct channel *ch, uint8_t direction)
{
	struct end *end = party_end_of(waiter_operation(w)->party, ch->id);

	w->channel = channel_ref(ch);
	w->direction = direction;
	list_push_back(&end->waiters, &w->by_end);
}

void waiter_stand(struct waiter *w)
{
	if (w->direction == CHAN_RECV && waiter_operation(w)->party->absent)
		waiter_set_aside(w);
	else
		waitq_put(waiter_queue(w), w);
}

void waiter_set_aside(struct waiter *w)
{
	w->place = PLACE_ASIDE;
	list_push_back(&w->channel->traffic->aside, &w->link);
}

void waiter_leave(struct waiter *w)
{
	if (w->place == PLACE_QUEUE || w->place == PLACE_BACK)
		waitq_remove(waiter_queue(w), w);
	else if (w->place == PLACE_ASIDE)
		list_remove(&w->link);
	w->place = PLACE_NONE;
}

void waiter_to_tail(struct engine *e, struct waiter *w)
{
	if (w->place == PLACE_QUEUE && waiter_queue(w)->count == 1) {
		w->ticket = e->next_ticket++;
		return;
	}
	waiter_leave(w);
	w->ticket = e->next_ticket++;
	waiter_stand(w);
}

/* ---- birth --------------------------------------------------------------------------------- */

struct value **operation_values(struct operation *op)
{
	return (struct value **)(op->waiters + op->waiter_count);
}

static int64_t deadline_of(const struct engine *e, const struct operation_request *r)
{
	if (r->try)
		return DEADLINE_TRY;
	if (r->timeout_ns == 0 || r->timeout_ns >= (uint64_t)(DEADLINE_NEVER - e->now_ns))
		return DEADLINE_NEVER;
	return e->now_ns + (int64_t)r->timeout_ns;
}

static int within_limits(const struct engine *e, const struct party *p,
	const struct operation_request *r, const char **ret_limit, uint64_t *ret_max)
{
	const struct engine_limits *l = &e->options.limits;
	const struct quota_account *account = p->account;
	uint64_t count = r->value_count ? r->value_count : 1;

	if (account->ops_in_flight + count > account->limits.ops_in_flight) {
		*ret_limit = "operations in flight of all its identity's sessions together";
		*ret_max = account->limits.ops_in_flight;
		return CHAN_ELIMIT;
	}
	if ((uint64_t)p->ops_in_flight + count > l->ops_in_flight_max) {
		*ret_limit = "operations in flight";
		*ret_max = l->ops_in_flight_max;
		return CHAN_ELIMIT;
	}
	if (p->bytes_in_flight + r->value_bytes > l->bytes_in_flight_max) {
		*ret_limit = "bytes in flight";
		*ret_max = l->bytes_in_flight_max;
		return CHAN_ELIMIT;
	}
	return 0;
}

bool operation_fits(
	const struct engine *e, const struct party *p, const struct operation_request *r)
{
	const char *limit;
	uint64_t max;

	return within_limits(e, p, r, &limit, &max) == 0;
}

int operation_new(struct engine *e, struct party *p, const struct operation_request *r,
	struct operation **ret_op, const char **ret_limit, uint64_t *ret_max)
{
	struct operation *op;
	size_t bytes = sizeof(*op) + r->waiter_count * sizeof(struct waiter) +
		       r->value_count * sizeof(struct value *);
	int rc = within_limits(e, p, r, ret_limit, ret_max);

	if (rc < 0)
		return rc;
	if ((r->channel && traffic_need(&e->traffic, r->channel) < 0) ||
		seqmap_reserve(&p->operations, 1) < 0 || seqmap_reserve(&e->operations, 1) < 0)
		return CHAN_ENOMEM;
	op = malloc(bytes); /* not calloc: see outbox_new */
	if (!op)
		return CHAN_ENOMEM;
	memset(op, 0, bytes);
	op->id = e->next_operation++;
	op->seq = r->seq;
	op->party = p;
	op->kind = r->kind;
	op->participant = r->participant;
	op->try = r->try;
	op->since_ns = e->now_ns;
	op->deadline_ns = deadline_of(e, r);
	op->waiter_count = r->waiter_count;
	for (uint32_t i = 0; i < r->waiter_count; i++) {
		op->waiters[i].index = i;
		op->waiters[i].ticket = e->next_ticket;
	}
	e->next_ticket++;
	if (r->kind == OP_SEND)
		op->send.count = r->value_count;
	seqmap_put(&p->operations, op->seq, op);
	seqmap_put(&e->operations, op->id, op);
	party_add_ops(p, r->value_count ? r->value_count : 1);
	p->bytes_in_flight += r->value_bytes;
	*ret_op = op;
	return 0;
}

struct operation *operation_find(const struct party *p, uint64_t seq)
{
	struct operation *op = seqmap_floor(&p->operations, seq);

	if (op && op->kind == OP_SEND)
		return seq - op->seq < op->send.count ? op : NULL;
	return op && op->seq == seq ? op : NULL;
}

/* ---- standing and being out ----------------------------------------------------------------- */

bool operation_earlier(const struct heap_node *a, const struct heap_node *b)
{
	return list_entry(a, struct operation, deadline_node)->deadline_ns <
	       list_entry(b, struct operation, deadline_node)->deadline_ns;
}

void operation_time(struct engine *e, struct operation *op)
{
	if (op->timed || op->deadline_ns == DEADLINE_NEVER)
		return;
	op->timed = true;
	heap_insert(&e->deadlines, &op->deadline_node, operation_earlier);
}

static void operation_untime(struct engine *e, struct operation *op)
{
	if (!op->timed)
		return;
	op->timed = false;
	heap_remove(&e->deadlines, &op->deadline_node, operation_earlier);
}

/* A ready case, all of which are equally likely; NULL when none is ready. */
static struct waiter *choose_ready(struct engine *e, struct operation *op)
{
	struct waiter *chosen = NULL;
	uint32_t ready = 0;

	for (uint32_t i = 0; i < op->waiter_count; i++)
		if (channel_case_ready(&op->waiters[i]) && random_below(&e->random, ++ready) == 0)
			chosen = &op->waiters[i];
	return chosen;
}

static inline void stand_in(struct engine *e, struct operation *op, struct waiter *w)
{
	waiter_stand(w);
	channel_touch(e, w->channel);
	if (channel_bereaved(w->channel, op->party, w->direction))
		w->channel->loss = true;
	if (w->direction == CHAN_SEND && producer_is_done(w->channel, op->party))
		producers_note_fewer(w->channel);
}

void operation_stand(struct engine *e, struct operation *op)
{
	struct waiter *first = NULL;

	for (uint32_t i = 0; i < op->waiter_count; i++) {
		if (op->waiters[i].channel->removed) {
			operation_fail(e, op, CHAN_EREMOVED, i);
			return;
		}
	}
	if (op->kind == OP_SELECT && (first = choose_ready(e, op)))
		stand_in(e, op, first);
	for (uint32_t i = 0; i < op->waiter_count; i++)
		if (&op->waiters[i] != first)
			stand_in(e, op, &op->waiters[i]);
	operation_time(e, op);
}

void operation_pass_over(struct operation *op)
{
	for (uint32_t i = 0; op->kind != OP_OPEN && i < op->waiter_count; i++) {
		struct waiter *w = &op->waiters[i];

		if (w->direction != CHAN_RECV || w->place == PLACE_NONE || w->place == PLACE_ASIDE)
			continue;
		waiter_leave(w);
		waiter_set_aside(w);
	}
}

static void come_back(struct engine *e, struct operation *op, struct waiter *w)
{
	waiter_leave(w);
	stand_in(e, op, w);
}

void operation_count_in(struct engine *e, struct operation *op)
{
	struct waiter *first = NULL;

	if (op->kind == OP_SEND || op->kind == OP_OPEN || op->out ||
		(op->kind == OP_RECV && op->recv.credit == 0))
		return;
	if (op->kind == OP_SELECT && (first = choose_ready(e, op)) && first->place == PLACE_ASIDE)
		come_back(e, op, first);
	for (uint32_t i = 0; i < op->waiter_count; i++)
		if (op->waiters[i].place == PLACE_ASIDE)
			come_back(e, op, &op->waiters[i]);
}

void operation_go_out(struct engine *e, struct waiter *w, struct delivery *d)
{
	struct operation *op = waiter_operation(w);

	for (uint32_t i = 0; i < op->waiter_count; i++)
		waiter_leave(&op->waiters[i]);
	if (op->try)
		operation_untime(e, op);
	waiter_set_aside(w);
	op->out = w;
	op->delivery = d;
}

void operation_expire(struct engine *e, struct operation *op)
{
	operation_untime(e, op);
	operation_withdraw(e, op, op->try ? CHAN_EWOULDBLOCK : CHAN_ETIMEDOUT, 0);
}

/* ---- cancels ------------------------------------------------------------------------------- */

int operation_cancel_later(struct engine *e, struct operation *op, uint64_t seq)
{
	struct pending_cancel *c = malloc(sizeof(*c));

	if (!c)
		return CHAN_ENOMEM;
	*c = (struct pending_cancel){.next = op->cancels, .seq = seq};
	op->cancels = c;
	party_add_ops(op->party, 1);
	if (op->kind == OP_SEND)
		op->withdrawn |= !op->doom; /* what came first counts */
	else
		operation_withdraw(e, op, CHAN_ECANCELED, 0);
	return 0;
}

static void flush_cancels(struct operation *op)
{
	struct pending_cancel *c;

	while ((c = op->cancels)) {
		op->cancels = c->next;
		if (op->party) {
			party_drop_ops(op->party, 1);
			answer_done(op->party, c->seq, 1, 0);
		}
		free(c);
	}
}

/* ---- the end ------------------------------------------------------------------------------- */

/* n values are answered or dropped: the party no longer has them in flight. */
static void forget_values(struct operation *op, uint32_t n, uint64_t bytes)
{
	if (!op->party)
		return;
	party_drop_ops(op->party, n);
	op->party->bytes_in_flight -= bytes;
}

static void forget_value(struct operation *op, const struct value *v)
{
	forget_values(op, 1, v->len);
}

static void drop_values(struct engine *e, struct operation *op, uint32_t from)
{
	struct value **values = operation_values(op);

	for (uint32_t i = from; i < op->send.count; i++) {
		if (!values[i])
			continue;
		forget_value(op, values[i]);
		engine_drop_value(e, op->waiters[0].channel->type, values[i]);
		values[i] = NULL;
	}
}

static void leave_party(struct engine *e, struct operation *op)
{
	if (!op->party)
		return;
	seqmap_remove(&op->party->operations, op->seq);
	seqmap_remove(&e->operations, op->id);
}

static void end_waiter(struct engine *e, struct operation *op, struct waiter *w)
{
	if (op->kind == OP_OPEN) {
		awaited_leave(e, op);
		return;
	}
	waiter_leave(w);
	if (!w->channel)
		return;
	list_remove(&w->by_end);
	if (w->direction == CHAN_SEND && w->value) {
		if (op->party)
			op->party->bytes_in_flight -= w->value->len;
		engine_drop_value(e, w->channel->type, w->value);
	}
	channel_unref(w->channel);
	w->channel = NULL;
}

void operation_end(struct engine *e, struct operation *op)
{
	debug_check(!op->delivery);
	operation_untime(e, op);
	if (op->kind == OP_SEND)
		drop_values(e, op, op->send.cursor);
	else if (op->party)
		party_drop_ops(op->party, 1);
	for (uint32_t i = 0; i < op->waiter_count; i++)
		end_waiter(e, op, &op->waiters[i]);
	flush_cancels(op);
	leave_party(e, op);
	op->party = NULL;
	op->ended = true;
	if (op->kind != OP_RECV || op->recv.out == 0)
		free(op);
}

void operation_deliveries_settled(struct operation *op, uint32_t n)
{
	op->recv.out -= n;
	if (op->ended && op->recv.out == 0)
		free(op);
}

/* FAIL for each run of values that are not answered. */
static void fail_values(struct operation *op, int status)
{
	struct value **values = operation_values(op);
	uint32_t at = op->send.cursor;

	while (at < op->send.count) {
		uint32_t from = at;

		while (at < op->send.count && values[at])
			at++;
		if (at > from)
			answer_operation_failed(op,
				(struct asked){op->party, op->seq + from, at - from, 0}, status);
		else
			at++;
	}
}

void operation_fail(struct engine *e, struct operation *op, int status, uint32_t case_index)
{
	if (op->kind == OP_SEND)
		fail_values(op, status);
	else
		answer_operation_failed(
			op, (struct asked){op->party, op->seq, 1, case_index}, status);
	operation_end(e, op);
}

void operation_withdraw(struct engine *e, struct operation *op, int status, uint32_t case_index)
{
	if (!op->out)
		operation_fail(e, op, status, case_index);
	else if (!op->doom && !(op->try && status == CHAN_EWOULDBLOCK))
		op->doom = (int8_t)status;
}

void operation_orphan(struct engine *e, struct operation *op)
{
	if (op->kind != OP_SEND) {
		party_drop_ops(op->party, 1);
	} else {
		if (op->out)
			forget_value(op, operation_values(op)[op->send.cursor]);
		drop_values(e, op, op->send.cursor + (op->out != NULL));
	}
	leave_party(e, op);
	op->party = NULL;
	if (op->out) {
		operation_untime(e, op);
		flush_cancels(op);
	} else {
		operation_end(e, op);
	}
}

bool operation_advance(struct engine *e, struct operation *op, uint32_t n)
{
	struct value **values = operation_values(op);
	uint32_t from = op->send.cursor;
	uint64_t bytes = 0;

	for (uint32_t i = from; i < from + n; i++) {
		bytes += values[i]->len;
		values[i] = NULL;
	}
	forget_values(op, n, bytes);
	op->send.cursor += n;
	while (op->send.cursor < op->send.count && !values[op->send.cursor])
		op->send.cursor++;
	if (op->send.cursor > from)
		op->waiters[0].returned = 0; /* the next one's count begins */
	if (op->send.cursor < op->send.count)
		return true;
	operation_end(e, op);
	return false;
}

void operation_go_on(struct engine *e, struct operation *op)
{
	flush_cancels(op);
	op->withdrawn = false;
	if (op->doom)
		operation_fail(e, op, op->doom, 0);
	else
		operation_stand(e, op);
}

bool operation_withdraw_value(struct engine *e, struct operation *op, uint32_t index)
{
	struct value **values = operation_values(op), *v = values[index];

	answer_operation_failed(
		op, (struct asked){op->party, op->seq + index, 1, 0}, CHAN_ECANCELED);
	forget_value(op, v);
	values[index] = NULL;
	engine_drop_value(e, op->waiters[0].channel->type, v);
	return operation_advance(e, op, 0);
}
