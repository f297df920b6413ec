/*
 * check.c - the judge of histories: history_check.
 *
 * One pass keeps, for every value, operation, channel and session, what the observer can be sure
 * of, and judges each event by it. Three rules need the whole history and come last: what was
 * sent was received, the order, and receives that gave up beside a value.
 *
 * What is certain and what is not:
 *   - A value is in a receiver's hands from `got` until that receiver says `returned` or is
 *     `lost`. The broker cannot know of either before it is entered, so a second `got` between
 *     is a second delivery.
 *   - A confirmation that was written on a connection which was then lost may have arrived or
 *     not: the value may come again, or never.
 *   - `sent` proves that a value was accepted before; `taken` that it had not left the channel
 *     before that. So sent minus taken is at most what the channel held at that moment.
 *   - Two deliveries are ordered for certain when one session saw both, or when the later
 *     one's receive was only asked for after the earlier one was seen.
 */
#include "chan/status.h"
#include "tests/stress/history.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct value {
	uint32_t op, channel, session; /* that offered it; op 0: nobody has */
	size_t offered_at, sent_at;
	uint32_t holder;  /* session in whose hands it is, 0: nobody's */
	bool taken;       /* its holder has written a confirmation */
	bool taken_ever;  /* some holder had */
	bool settled;     /* and was answered */
	bool returned;    /* given back at least once */
	bool failed;      /* its operation ended without it */
	uint32_t got;     /* deliveries seen */
	size_t got_at;    /* the first of them: when, */
	uint32_t got_by;  /* to whom, */
	uint32_t got_op;  /* in answer to what, */
	uint32_t attempt; /* and as which attempt */
};

struct op {
	enum event_kind kind; /* SEND, RECV, SELECT, CLOSE */
	uint32_t session;     /* 0: there is no such operation */
	uint32_t channel;     /* of a select: of its last case */
	uint32_t credit;      /* values that may come */
	size_t began_at, ended_at; /* ended_at 0: not yet */
	int status;           /* of its failure */
};

struct channel {
	bool exists;
	uint32_t capacity;
	int64_t held_min; /* values that it surely holds */
	size_t close_at, closed_at, drained_at; /* 0: not yet */
};

struct judge {
	const struct history *h;
	size_t at; /* the event under judgement, counted from 1 */
	struct value *values;
	struct op *ops;
	struct channel *channels;
	bool *lost; /* sessions */
	bool any_lost, ended;
	uint32_t values_max, ops_max, channels_max, sessions_max;
	struct verdict verdict;
};

static const char *const rule_names[] = {
#define RULE_NAME(name, sentence) #name,
	RULE_LIST(RULE_NAME)
#undef RULE_NAME
};

static const char *const rule_sentences[] = {
#define RULE_SENTENCE(name, sentence) (sentence),
	RULE_LIST(RULE_SENTENCE)
#undef RULE_SENTENCE
};

const char *history_rule_name(enum history_rule rule)
{
	return rule_names[rule];
}

const char *history_rule_sentence(enum history_rule rule)
{
	return rule_sentences[rule];
}

/* Enters the first offence; what comes after it is not judged. */
__attribute__((format(printf, 4, 5))) static void
accuse(struct judge *j, enum history_rule rule, const struct event *e, const char *format, ...)
{
	va_list args;

	if (j->verdict.rule != RULE_NONE)
		return;
	j->verdict = (struct verdict){
		.rule = rule, .at = j->at - 1, .channel = e->channel, .value = e->value, .op = e->op};
	va_start(args, format);
	vsnprintf(j->verdict.text, sizeof(j->verdict.text), format, args);
	va_end(args);
}

static struct op *op_begin(struct judge *j, const struct event *e)
{
	struct op *op = &j->ops[e->op];

	if (op->session == 0)
		*op = (struct op){.kind = e->kind, .session = e->session, .began_at = j->at};
	op->channel = e->channel;
	return op;
}

/* Whether e can answer an operation of one of these kinds; counts as its answer if `final`. */
static bool op_answer(struct judge *j, const struct event *e, bool final)
{
	struct op *op = &j->ops[e->op];

	if (op->session == 0 || j->lost[op->session]) {
		accuse(j, RULE_NONSENSE, e, "operation %u was not asked for", e->op);
		return false;
	}
	if (op->ended_at) {
		accuse(j, op->kind == EVENT_SELECT ? RULE_ONE_CASE : RULE_ANSWERED, e,
			"operation %u has already ended", e->op);
		return false;
	}
	if (final)
		op->ended_at = j->at;
	return true;
}

/* The operation has ended without its values, but for one: none may have gone anywhere. */
static void op_abandon_values(struct judge *j, const struct event *e, uint32_t except,
	enum history_rule rule)
{
	for (uint32_t i = 1; i <= j->values_max; i++) {
		struct value *v = &j->values[i];

		if (v->op != e->op || i == except)
			continue;
		v->failed = true;
		if (v->holder || v->settled)
			accuse(j, rule, e, "value %u of operation %u has left all the same", i, e->op);
	}
}

static void on_channel(struct judge *j, const struct event *e)
{
	j->channels[e->channel] = (struct channel){.exists = true, .capacity = e->number};
}

static void on_send(struct judge *j, const struct event *e)
{
	op_begin(j, e);
	j->values[e->value] = (struct value){.op = e->op,
		.channel = e->channel,
		.session = e->session,
		.offered_at = j->at};
}

static void on_recv(struct judge *j, const struct event *e)
{
	op_begin(j, e)->credit += e->number ? e->number : 1;
}

static void on_select(struct judge *j, const struct event *e)
{
	op_begin(j, e);
}

static void on_close(struct judge *j, const struct event *e)
{
	op_begin(j, e);
	if (!j->channels[e->channel].close_at)
		j->channels[e->channel].close_at = j->at;
}

static void on_sent(struct judge *j, const struct event *e)
{
	struct value *v = &j->values[e->value];
	struct channel *c = &j->channels[v->channel];

	if (v->op != e->op)
		return accuse(j, RULE_NONSENSE, e, "value %u is not operation %u's", e->value, e->op);
	if (!op_answer(j, e, true))
		return;
	v->sent_at = j->at;
	if (j->ops[e->op].kind == EVENT_SELECT)
		op_abandon_values(j, e, e->value, RULE_ONE_CASE);
	if (c->closed_at && c->closed_at < v->offered_at)
		accuse(j, RULE_AFTER_CLOSE, e, "value %u was sent after the close", e->value);
	if (c->capacity == 0 && !v->taken_ever)
		accuse(j, RULE_RENDEZVOUS, e, "nobody has taken value %u", e->value);
	if (c->capacity > 0 && !v->taken_ever && ++c->held_min > c->capacity)
		accuse(j, RULE_CAPACITY, e, "channel %u of capacity %u holds %lld", v->channel,
			c->capacity, (long long)c->held_min);
}

/* What holds of a delivery by what was known of the value before. */
static void judge_delivery(struct judge *j, const struct event *e, const struct value *v)
{
	const struct channel *c = &j->channels[v->channel];
	const struct op *op = &j->ops[e->op];

	if (v->op == 0 || v->channel != e->channel)
		accuse(j, RULE_NONSENSE, e, "value %u was never offered to channel %u", e->value,
			e->channel);
	if (v->failed)
		accuse(j, j->ops[v->op].kind == EVENT_SELECT ? RULE_ONE_CASE : RULE_NO_EFFECT, e,
			"value %u belongs to operation %u, which ended without it", e->value, v->op);
	if (v->settled || v->holder)
		accuse(j, RULE_TWICE, e, "value %u is %s session %u", e->value,
			v->settled ? "long confirmed; now it comes to" : "still in the hands of",
			v->settled ? e->session : v->holder);
	if (e->number < v->got + 1 || (e->number > 1 && !v->returned && !j->any_lost))
		accuse(j, RULE_ATTEMPT, e, "value %u comes as attempt %u; %u were seen", e->value,
			e->number, v->got);
	if (c->drained_at && c->drained_at < op->began_at)
		accuse(j, RULE_AFTER_CLOSE, e, "value %u comes out of a drained channel", e->value);
}

static void on_got(struct judge *j, const struct event *e)
{
	struct value *v = &j->values[e->value];
	struct op *op = &j->ops[e->op];

	if (!op_answer(j, e, op->kind == EVENT_SELECT))
		return;
	if (op->kind == EVENT_SELECT)
		op_abandon_values(j, e, 0, RULE_ONE_CASE);
	if (op->credit == 0)
		return accuse(j, RULE_NONSENSE, e, "operation %u asked for no more values", e->op);
	if (op->kind == EVENT_RECV && --op->credit == 0)
		op->ended_at = j->at;
	judge_delivery(j, e, v);
	if (v->got++ == 0) {
		v->got_at = j->at;
		v->got_by = e->session;
		v->got_op = e->op;
		v->attempt = e->number;
	}
	v->holder = e->session;
	v->taken = false;
}

static void on_closed(struct judge *j, const struct event *e)
{
	struct channel *c = &j->channels[j->ops[e->op].channel];

	if (!op_answer(j, e, true))
		return;
	if (c->closed_at)
		accuse(j, RULE_CLOSED, e, "the channel was closed already");
	c->closed_at = j->at;
}

static void on_failed(struct judge *j, const struct event *e)
{
	struct op *op = &j->ops[e->op];
	uint32_t channel = e->channel ? e->channel : op->channel;
	bool receives = op->kind == EVENT_RECV || (op->kind == EVENT_SELECT && !e->value);
	struct channel *c = &j->channels[channel];

	if (!op_answer(j, e, true))
		return;
	op->status = -(int)e->number;
	op_abandon_values(j, e, 0, RULE_NO_EFFECT);
	if (op->status != CHAN_ECLOSED)
		return;
	if (!c->close_at)
		accuse(j, RULE_CLOSED, e, "nobody has closed channel %u", channel);
	if (receives && !c->drained_at)
		c->drained_at = j->at;
}

static bool holds(struct judge *j, const struct event *e)
{
	if (j->values[e->value].holder == e->session)
		return true;
	accuse(j, RULE_NONSENSE, e, "session %u does not hold value %u", e->session, e->value);
	return false;
}

static void on_taken(struct judge *j, const struct event *e)
{
	struct value *v = &j->values[e->value];

	if (!holds(j, e))
		return;
	if (v->sent_at && !v->taken_ever)
		j->channels[v->channel].held_min--;
	v->taken = v->taken_ever = true;
}

static void on_settled(struct judge *j, const struct event *e)
{
	if (!holds(j, e))
		return;
	j->values[e->value].settled = true;
	j->values[e->value].holder = 0;
}

static void on_returned(struct judge *j, const struct event *e)
{
	if (!holds(j, e))
		return;
	j->values[e->value].holder = 0;
	j->values[e->value].returned = true;
}

static void on_lost(struct judge *j, const struct event *e)
{
	j->lost[e->session] = j->any_lost = true;
	for (uint32_t i = 1; i <= j->values_max; i++)
		if (j->values[i].holder == e->session)
			j->values[i].holder = 0;
}

static void on_end(struct judge *j, const struct event *e)
{
	(void)e;
	j->ended = true;
}

static void (*const on_event[])(struct judge *, const struct event *) = {
	[EVENT_CHANNEL] = on_channel,
	[EVENT_SEND] = on_send,
	[EVENT_RECV] = on_recv,
	[EVENT_SELECT] = on_select,
	[EVENT_CLOSE] = on_close,
	[EVENT_SENT] = on_sent,
	[EVENT_GOT] = on_got,
	[EVENT_CLOSED] = on_closed,
	[EVENT_FAILED] = on_failed,
	[EVENT_TAKEN] = on_taken,
	[EVENT_SETTLED] = on_settled,
	[EVENT_RETURNED] = on_returned,
	[EVENT_LOST] = on_lost,
	[EVENT_END] = on_end,
};

/* ---- what the whole history tells ---- */

static void judge_answered(struct judge *j)
{
	for (uint32_t i = 1; j->ended && i <= j->ops_max; i++)
		if (j->ops[i].session && !j->ops[i].ended_at && !j->lost[j->ops[i].session])
			accuse(j, RULE_ANSWERED, &(struct event){.op = i},
				"operation %u of session %u was never answered", i, j->ops[i].session);
}

static void judge_received(struct judge *j)
{
	for (uint32_t i = 1; j->ended && i <= j->values_max; i++) {
		const struct value *v = &j->values[i];

		/* One that was taken may be gone though its receiver was lost before the answer. */
		if (v->sent_at && !v->settled && !v->taken && !v->holder)
			accuse(j, RULE_LOST, &(struct event){.channel = v->channel, .value = i},
				"value %u was sent, and %s", i,
				v->got ? "has not come again" : "nobody has received it");
	}
}

static bool accepted_before(const struct judge *j, const struct value *a, const struct value *b)
{
	bool program_order = a->session == b->session && a->offered_at < b->offered_at &&
			     j->ops[a->op].kind == EVENT_SEND && j->ops[b->op].kind == EVENT_SEND;

	return program_order || (a->sent_at && a->sent_at < b->offered_at);
}

static bool delivered_before(const struct judge *j, const struct value *a, const struct value *b)
{
	return (a->got_by == b->got_by && a->got_at < b->got_at) ||
	       a->got_at < j->ops[b->got_op].began_at;
}

static void judge_order(struct judge *j)
{
	for (uint32_t a = 1; a <= j->values_max; a++) {
		const struct value *va = &j->values[a];

		/* One that comes again may have been out when the other overtook it. */
		if (!va->got || va->attempt != 1)
			continue;
		for (uint32_t b = 1; b <= j->values_max; b++) {
			const struct value *vb = &j->values[b];

			if (vb->channel != va->channel || !vb->got)
				continue;
			if (accepted_before(j, va, vb) && delivered_before(j, vb, va)) {
				j->at = va->got_at;
				accuse(j, RULE_FIFO,
					&(struct event){.channel = va->channel, .value = a},
					"value %u was accepted before %u and came after it", a, b);
			}
		}
	}
}

/* Whether the value lay in its buffered channel, in nobody's hands, from one moment to another. */
static bool lay_there(const struct judge *j, const struct value *v, size_t from, size_t to)
{
	return j->channels[v->channel].capacity > 0 && v->sent_at && v->sent_at < from && v->got &&
	       v->attempt == 1 && j->ops[v->got_op].began_at > to;
}

static void judge_empty(struct judge *j)
{
	for (uint32_t i = 1; i <= j->ops_max; i++) {
		const struct op *op = &j->ops[i];

		if (op->kind != EVENT_RECV || !op->ended_at || op->credit == 0 ||
			(op->status != CHAN_EWOULDBLOCK && op->status != CHAN_ETIMEDOUT))
			continue;
		for (uint32_t k = 1; k <= j->values_max; k++) {
			const struct value *v = &j->values[k];

			if (v->channel == op->channel && lay_there(j, v, op->began_at, op->ended_at)) {
				j->at = op->ended_at;
				accuse(j, RULE_EMPTY, &(struct event){.op = i, .value = k},
					"operation %u gave up beside value %u", i, k);
			}
		}
	}
}

/* ---- */

static void *table_new(uint32_t max, size_t size)
{
	void *table = calloc((size_t)max + 1, size);

	if (!table)
		abort();
	return table;
}

static void judge_init(struct judge *j, const struct history *h)
{
	*j = (struct judge){.h = h};
	for (size_t i = 0; i < h->count; i++) {
		const struct event *e = &h->events[i];

		j->values_max = e->value > j->values_max ? e->value : j->values_max;
		j->ops_max = e->op > j->ops_max ? e->op : j->ops_max;
		j->channels_max = e->channel > j->channels_max ? e->channel : j->channels_max;
		j->sessions_max = e->session > j->sessions_max ? e->session : j->sessions_max;
	}
	j->values = table_new(j->values_max, sizeof(*j->values));
	j->ops = table_new(j->ops_max, sizeof(*j->ops));
	j->channels = table_new(j->channels_max, sizeof(*j->channels));
	j->lost = table_new(j->sessions_max, sizeof(*j->lost));
}

static void judge_fini(struct judge *j)
{
	free(j->values);
	free(j->ops);
	free(j->channels);
	free(j->lost);
}

struct verdict history_check(const struct history *h)
{
	struct judge j;

	judge_init(&j, h);
	for (j.at = 1; j.at <= h->count && j.verdict.rule == RULE_NONE; j.at++)
		on_event[h->events[j.at - 1].kind](&j, &h->events[j.at - 1]);
	if (j.verdict.rule == RULE_NONE) {
		judge_answered(&j);
		judge_received(&j);
		judge_order(&j);
		judge_empty(&j);
	}
	judge_fini(&j);
	return j.verdict;
}
