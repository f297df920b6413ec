/*
 * judge.c - the judge of histories: history_check.
 *
 * One pass keeps, for every value, operation, channel and session, what is certain, and judges each
 * event by it. What needs the whole history comes last.
 *
 * What is certain and what is not:
 *   - A value is in a receiver's hands from `got` until that receiver says `returned` or is
 *     `lost`. The broker cannot know of either before it is entered, so a second `got` between is
 *     a second delivery, which nothing excuses but doubt.
 *   - While a session is in doubt the broker may take back what it holds, and what is on its way to
 *     it: it may come to others, with a higher attempt. What the session was handed before, it may
 *     enter late (it may have been stopped between the two); what it asks for after another has
 *     entered the value it must not be handed: its library drops what was taken back.
 *   - So it is with a lease that its holder lets run out.
 *   - Of a broker that was killed nothing is left: what was sent to its channels may never come,
 * and its sessions may be told for the rest of their lives that nobody knows. But no operation that
 *     was begun later can have happened there, and until it died every rule held.
 *   - A confirmation that was answered is final, doubt or not: nobody may have got the value as a
 *     later attempt, nor get it again.
 *   - A confirmation that was written by a session which was then lost may have arrived or not: the
 *     value may come again, or never.
 *   - A receive of an automatic channel whose session died in it may have taken a value that
 *     nobody saw: so many values, and no more, may be missing there.
 *   - `sent` proves that a value was accepted before; `taken`, or the receive that confirms by
 *     itself, that it had not left the channel before that.
 *   - Two deliveries are ordered for certain when one session saw both, or when the later
 *     one's receive was only asked for after the earlier one was seen. Where a session fetches
 *     ahead, nobody knows when it asked.
 */
#include "tests/history/judge.h"
#include "chan/status.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

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

void accuse(struct judge *j, enum history_rule rule, const struct event *e, const char *format, ...)
{
	va_list args;

	if (j->verdict.rule != RULE_NONE)
		return;
	j->verdict = (struct verdict){.rule = rule,
		.at = j->at - 1,
		.channel = e->channel,
		.value = e->value,
		.op = e->op};
	va_start(args, format);
	vsnprintf(j->verdict.text, sizeof(j->verdict.text), format, args);
	va_end(args);
}

size_t op_asked_at(const struct judge *j, const struct op *op)
{
	return j->channels[op->channel].ahead ? j->sessions[op->session].began_at : op->began_at;
}

/* ---- sessions ---- */

/* Whether the broker may have taken back what the session holds by this operation. */
static bool op_doubtful(const struct judge *j, const struct op *op)
{
	return j->sessions[op->session].doubt_end > op_asked_at(j, op);
}

static bool hold_doubtful(const struct judge *j, const struct hold *h)
{
	return h->may_end || op_doubtful(j, &j->ops[h->op]);
}

static void on_doubt(struct judge *j, const struct event *e)
{
	struct session *s = &j->sessions[e->session];

	s->doubt_end = NEVER;
	s->calm_at = 0;
	s->orphan |= e->number > 0;
	s->disturbed = j->any_lost = true;
}

static void on_calm(struct judge *j, const struct event *e)
{
	j->sessions[e->session].calm_at = j->at;
}

static void on_cut(struct judge *j, const struct event *e)
{
	j->sessions[e->session].disturbed = true;
}

static void on_lost(struct judge *j, const struct event *e)
{
	j->sessions[e->session].lost = j->any_lost = true;
}

/* The broker has answered what the session asked for at that moment: it knows that it lives. */
static void session_heard(struct judge *j, struct session *s, size_t asked_at)
{
	if (s->orphan || s->doubt_end != NEVER || !s->calm_at || asked_at < s->calm_at)
		return;
	s->doubt_end = j->at;
	s->calm_at = 0;
}

/* ---- holds ---- */

static struct hold *hold_new(struct judge *j, const struct event *e)
{
	struct hold *h = &j->holds[++j->holds_count];

	*h = (struct hold){.value = e->value,
		.session = e->session,
		.op = e->op,
		.attempt = e->number,
		.got_at = j->at,
		.next = j->values[e->value].hold};
	j->values[e->value].hold = j->holds_count;
	return h;
}

/* The session's hold of a value, which it has not let go. */
static struct hold *hold_find(struct judge *j, const struct event *e)
{
	for (uint32_t i = j->values[e->value].hold; i; i = j->holds[i].next)
		if (j->holds[i].session == e->session && !j->holds[i].over)
			return &j->holds[i];
	accuse(j, RULE_NONSENSE, e, "session %u does not hold value %u", e->session, e->value);
	return NULL;
}

static bool hold_open(const struct judge *j, const struct hold *h)
{
	return !h->over && !j->sessions[h->session].lost;
}

/* Whether the value is surely out, or gone. */
static bool value_left(const struct judge *j, const struct value *v)
{
	for (uint32_t i = v->hold; i; i = j->holds[i].next) {
		const struct hold *h = &j->holds[i];

		if (h->settled || (hold_open(j, h) && !hold_doubtful(j, h)))
			return true;
	}
	return false;
}

/* ---- operations ---- */

static struct op *op_begin(struct judge *j, const struct event *e)
{
	struct op *op = &j->ops[e->op];

	if (op->session == 0)
		*op = (struct op){.kind = e->kind, .session = e->session, .began_at = j->at};
	op->channel = e->channel;
	return op;
}

/* Whether e can answer an operation; counts as its answer if `final`. */
static bool op_answer(struct judge *j, const struct event *e, bool final)
{
	struct op *op = &j->ops[e->op];

	if (op->session == 0 || j->sessions[op->session].lost) {
		accuse(j, RULE_NONSENSE, e, "operation %u was not asked for", e->op);
		return false;
	}
	if (op->ended_at) {
		accuse(j, op->kind == EVENT_SELECT ? RULE_ONE_CASE : RULE_ANSWERED, e,
			"operation %u has already ended", e->op);
		return false;
	}
	if (final) {
		op->ended_at = j->at;
		op->disturbed = j->sessions[op->session].disturbed;
	}
	return true;
}

/* The operation has ended without its values, but for one: none may have gone anywhere. */
static void op_abandon_values(
	struct judge *j, const struct event *e, uint32_t except, enum history_rule rule)
{
	for (uint32_t i = j->ops[e->op].value; i; i = j->values[i].next_of_op) {
		struct value *v = &j->values[i];

		if (i == except)
			continue;
		v->failed = true;
		if (value_left(j, v))
			accuse(j, rule,
				&(struct event){.channel = v->channel, .value = i, .op = e->op},
				"value %u of operation %u has left all the same", i, e->op);
	}
}

static void on_channel(struct judge *j, const struct event *e)
{
	j->channels[e->channel] = (struct channel){.exists = true, .capacity = e->number};
}

static void on_automatic(struct judge *j, const struct event *e)
{
	j->channels[e->channel].automatic = true;
}

static void on_ahead(struct judge *j, const struct event *e)
{
	j->channels[e->channel].ahead = true;
}

static void on_lends(struct judge *j, const struct event *e)
{
	j->channels[e->channel].lends = true;
}

static void on_counted(struct judge *j, const struct event *e)
{
	j->channels[e->channel].counted = true;
}

static void on_restart(struct judge *j, const struct event *e)
{
	(void)e;
	for (uint32_t i = 1; i <= j->channels_max; i++)
		if (j->channels[i].exists && !j->channels[i].killed_at)
			j->channels[i].killed_at = j->at;
}

/* An operation has happened on a channel. What was fetched ahead may be handed over later. */
static void judge_alive(
	struct judge *j, const struct event *e, const struct op *op, uint32_t channel)
{
	const struct channel *c = &j->channels[channel];

	if (c->killed_at && c->killed_at < op->began_at && !c->ahead)
		accuse(j, RULE_RESTARTED, e,
			"channel %u died with its broker, and session %u finds it alive", channel,
			op->session);
}

static void on_send(struct judge *j, const struct event *e)
{
	struct op *op = op_begin(j, e);

	j->values[e->value] = (struct value){.op = e->op,
		.channel = e->channel,
		.session = e->session,
		.next_of_op = op->value,
		.nth = e->number,
		.offered_at = j->at,
		.gone_min = NEVER};
	op->value = e->value;
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

static void on_abort(struct judge *j, const struct event *e)
{
	on_close(j, e);
	if (!j->channels[e->channel].abort_at)
		j->channels[e->channel].abort_at = j->at;
}

static void on_sent(struct judge *j, const struct event *e)
{
	struct value *v = &j->values[e->value];
	struct channel *c = &j->channels[v->channel];
	struct op *op = &j->ops[e->op];

	if (v->op != e->op)
		return accuse(
			j, RULE_NONSENSE, e, "value %u is not operation %u's", e->value, e->op);
	if (!op_answer(j, e, true))
		return;
	session_heard(j, &j->sessions[op->session], op->began_at);
	v->sent_at = j->at;
	judge_alive(j, e, op, v->channel);
	if (op->kind == EVENT_SELECT)
		op_abandon_values(j, e, e->value, RULE_ONE_CASE);
	if (c->shut_at && c->shut_at < v->offered_at)
		accuse(j, RULE_AFTER_CLOSE, e, "value %u was sent after the close", e->value);
}

/* A hold of the same value, beside the delivery that e says. */
static void judge_beside(struct judge *j, const struct event *e, const struct hold *h)
{
	const struct op *op = &j->ops[e->op];

	if (h->attempt == e->number)
		return accuse(j, hold_open(j, h) || h->settled ? RULE_TWICE : RULE_ATTEMPT, e,
			"value %u came as attempt %u before, to session %u", e->value, e->number,
			h->session);
	if (h->attempt > e->number) {
		if (!op_doubtful(j, op) || op->began_at > h->got_at)
			accuse(j, RULE_TWICE, e,
				"value %u was taken back from session %u, since session %u had it "
				"as attempt %u, and was handed over all the same",
				e->value, e->session, h->session, h->attempt);
		return;
	}
	if (h->settled)
		accuse(j, RULE_TWICE, e, "value %u is long confirmed; now it comes to session %u",
			e->value, e->session);
	if (hold_open(j, h) && !hold_doubtful(j, h))
		accuse(j, RULE_TWICE, e, "value %u is still in the hands of session %u", e->value,
			h->session);
}

/* Values of one select: only one at a time is out, and only one goes. */
static void judge_other_cases(struct judge *j, const struct event *e, const struct value *v)
{
	for (uint32_t i = j->ops[v->op].value; i; i = j->values[i].next_of_op)
		if (i != e->value && value_left(j, &j->values[i]))
			accuse(j, RULE_ONE_CASE, e,
				"value %u comes, and so did %u of the same select", e->value, i);
}

/* What holds of a delivery by what was known of the value before. */
static void judge_delivery(struct judge *j, const struct event *e, const struct value *v)
{
	const struct channel *c = &j->channels[v->channel];

	if (v->op == 0 || v->channel != e->channel)
		return accuse(j, RULE_NONSENSE, e, "value %u was never offered to channel %u",
			e->value, e->channel);
	if (v->failed)
		accuse(j, j->ops[v->op].kind == EVENT_SELECT ? RULE_ONE_CASE : RULE_NO_EFFECT, e,
			"value %u belongs to operation %u, which ended without it", e->value,
			v->op);
	if (j->ops[v->op].kind == EVENT_SELECT)
		judge_other_cases(j, e, v);
	for (uint32_t i = v->hold; i; i = j->holds[i].next)
		judge_beside(j, e, &j->holds[i]);
	if (e->number == 0 || (e->number > 1 && !v->returned && !j->any_lost && !c->ahead))
		accuse(j, RULE_ATTEMPT, e, "value %u comes as attempt %u, for no reason", e->value,
			e->number);
	if (c->drained_at && c->drained_at < j->ops[e->op].began_at)
		accuse(j, RULE_AFTER_CLOSE, e, "value %u comes out of a drained channel", e->value);
}

static void value_may_be_gone(struct value *v, size_t at)
{
	v->gone_min = at < v->gone_min ? at : v->gone_min;
}

static void on_got(struct judge *j, const struct event *e)
{
	struct value *v = &j->values[e->value];
	struct op *op = &j->ops[e->op];
	struct hold *hold;

	if (!op_answer(j, e, op->kind == EVENT_SELECT))
		return;
	if (op->kind == EVENT_SELECT) {
		op->channel = e->channel;
		op_abandon_values(j, e, 0, RULE_ONE_CASE);
	} else if (op->credit == 0) {
		return accuse(j, RULE_NONSENSE, e, "operation %u asked for no more values", e->op);
	} else if (--op->credit == 0) {
		op->ended_at = j->at;
	}
	judge_alive(j, e, op, e->channel);
	judge_delivery(j, e, v);
	if (!v->hold) {
		v->got_at = j->at;
		v->got_by = e->session;
		v->got_op = e->op;
		v->got_attempt = e->number;
	}
	hold = hold_new(j, e);
	hold->taken = j->channels[e->channel].automatic;
	if (j->channels[e->channel].automatic)
		value_may_be_gone(v, op->began_at);
	/* Before one that comes again there was a lease that nobody has seen, of a session that
	 * died. */
	if (j->channels[e->channel].lends)
		value_may_be_gone(v, e->number > 1 ? v->offered_at : op->began_at);
}

static void told_shut(const struct judge *j, struct channel *c)
{
	if (!c->shut_at)
		c->shut_at = j->at;
}

static void on_closed(struct judge *j, const struct event *e)
{
	struct op *op = &j->ops[e->op];
	struct channel *c = &j->channels[op->channel];

	if (!op_answer(j, e, true))
		return;
	session_heard(j, &j->sessions[op->session], op->began_at);
	judge_alive(j, e, op, op->channel);
	if (c->counted && op->kind == EVENT_CLOSE)
		return;
	if (c->closed_at)
		accuse(j, RULE_CLOSED, e, "the channel was closed already");
	c->closed_at = j->at;
	told_shut(j, c);
	if (op->kind == EVENT_ABORT)
		c->aborted_at = j->at;
}

/* Whether a channel that is no more may be called so. */
static void judge_ending(
	struct judge *j, const struct event *e, const struct op *op, const struct channel *c)
{
	if (op->status == CHAN_EABORTED && !c->abort_at && !c->counted)
		accuse(j, RULE_ABORTED, e, "nobody has aborted the channel");
	if (op->status == CHAN_ECLOSED && c->aborted_at && c->aborted_at < op->began_at &&
		(op->kind == EVENT_RECV || !c->counted))
		accuse(j, RULE_ABORTED, e, "operation %u was told that the channel is closed",
			e->op);
	if (!c->close_at && (op->status == CHAN_ECLOSED || !c->counted))
		accuse(j, RULE_CLOSED, e, "nobody has closed the channel");
}

static void on_failed(struct judge *j, const struct event *e)
{
	struct op *op = &j->ops[e->op];
	uint32_t channel = e->channel ? e->channel : op->channel;
	bool receives = op->kind == EVENT_RECV || (op->kind == EVENT_SELECT && !e->value);
	struct channel *c = &j->channels[channel];

	if (!op_answer(j, e, true))
		return;
	session_heard(j, &j->sessions[op->session], op->began_at);
	op->status = -(int)e->number;
	op_abandon_values(j, e, 0, RULE_NO_EFFECT);
	if (op->status != CHAN_ECLOSED && op->status != CHAN_EABORTED)
		return;
	judge_alive(j, e, op, channel);
	judge_ending(j, e, op, c);
	/* A producer that is done is told so while others go on. */
	if (receives || op->status == CHAN_EABORTED || !c->counted)
		told_shut(j, c);
	if (receives && !c->drained_at)
		c->drained_at = j->at;
}

static void judge_unknown(struct judge *j, const struct event *e, const struct op *op, bool excused)
{
	if (!excused)
		accuse(j, RULE_ANSWERED, e,
			"session %u was told that nobody knows, and nothing had happened to it",
			op->session);
}

/* Of an operation, or of a confirmation. */
static void on_unknown(struct judge *j, const struct event *e)
{
	struct hold *h;

	if (e->op) {
		if (op_answer(j, e, true))
			judge_unknown(j, e, &j->ops[e->op], op_doubtful(j, &j->ops[e->op]));
		return;
	}
	h = hold_find(j, e);
	if (!h)
		return;
	judge_unknown(j, e, &j->ops[h->op], hold_doubtful(j, h));
	h->over = true;
}

static void on_taken(struct judge *j, const struct event *e)
{
	struct hold *h = hold_find(j, e);

	if (!h)
		return;
	h->taken = true;
	value_may_be_gone(&j->values[e->value], j->at);
}

static void on_leased(struct judge *j, const struct event *e)
{
	struct hold *h = hold_find(j, e);

	if (!h)
		return;
	h->may_end = e->number > 0;
	j->values[e->value].returned |= h->may_end;
	value_may_be_gone(&j->values[e->value], j->at);
}

static void on_settled(struct judge *j, const struct event *e)
{
	struct hold *h = hold_find(j, e);

	if (!h)
		return;
	session_heard(j, &j->sessions[e->session], j->at);
	for (uint32_t i = j->values[e->value].hold; i; i = j->holds[i].next)
		if (j->holds[i].attempt > h->attempt || j->holds[i].settled)
			accuse(j, RULE_TWICE, e,
				"session %u has confirmed value %u, which session %u had as "
				"attempt %u",
				e->session, e->value, j->holds[i].session, j->holds[i].attempt);
	h->settled = h->over = j->values[e->value].settled = true;
}

static void on_returned(struct judge *j, const struct event *e)
{
	struct hold *h = hold_find(j, e);

	if (!h)
		return;
	h->over = true;
	j->values[e->value].returned = true;
}

static void on_gone(struct judge *j, const struct event *e)
{
	struct hold *h = hold_find(j, e);

	if (!h)
		return;
	if (!hold_doubtful(j, h))
		accuse(j, RULE_TAKEN_BACK, e, "value %u was taken back from session %u", e->value,
			e->session);
	h->over = true;
	h->taken = false;
}

static void on_end(struct judge *j, const struct event *e)
{
	(void)e;
	j->ended = true;
}

static void (*const on_event[EVENT_KINDS])(struct judge *, const struct event *) = {
	[EVENT_CHANNEL] = on_channel,
	[EVENT_AUTOMATIC] = on_automatic,
	[EVENT_AHEAD] = on_ahead,
	[EVENT_LENDS] = on_lends,
	[EVENT_COUNTED] = on_counted,
	[EVENT_SEND] = on_send,
	[EVENT_RECV] = on_recv,
	[EVENT_SELECT] = on_select,
	[EVENT_CLOSE] = on_close,
	[EVENT_SENT] = on_sent,
	[EVENT_GOT] = on_got,
	[EVENT_CLOSED] = on_closed,
	[EVENT_FAILED] = on_failed,
	[EVENT_UNKNOWN] = on_unknown,
	[EVENT_TAKEN] = on_taken,
	[EVENT_SETTLED] = on_settled,
	[EVENT_RETURNED] = on_returned,
	[EVENT_GONE] = on_gone,
	[EVENT_LEASED] = on_leased,
	[EVENT_ABORT] = on_abort,
	[EVENT_RESTART] = on_restart,
	[EVENT_CUT] = on_cut,
	[EVENT_DOUBT] = on_doubt,
	[EVENT_CALM] = on_calm,
	[EVENT_LOST] = on_lost,
	[EVENT_END] = on_end,
};

/* ---- what the whole history tells ---- */

static void judge_answered(struct judge *j)
{
	for (uint32_t i = 1; j->ended && i <= j->ops_max; i++)
		if (j->ops[i].session && !j->ops[i].ended_at &&
			!j->sessions[j->ops[i].session].lost)
			accuse(j, RULE_ANSWERED, &(struct event){.op = i},
				"operation %u of session %u was never answered", i,
				j->ops[i].session);
}

/* Whether a holder has the value, or had it and may have confirmed it. */
static bool value_arrived(const struct judge *j, const struct value *v)
{
	for (uint32_t i = v->hold; i; i = j->holds[i].next)
		if (j->holds[i].settled || j->holds[i].taken || hold_open(j, &j->holds[i]))
			return true;
	return false;
}

/* Receives of automatic channels whose sessions died in them: each may have taken a value. */
static void count_what_may_vanish(struct judge *j)
{
	for (size_t i = 0; i < j->h->count; i++) {
		const struct event *e = &j->h->events[i];
		const struct op *op = &j->ops[e->op];

		if (e->kind == EVENT_RECV && !op->ended_at && j->sessions[op->session].lost)
			j->channels[e->channel].may_vanish += e->number ? e->number : 1;
	}
}

static void judge_received(struct judge *j)
{
	if (j->ended)
		count_what_may_vanish(j);
	for (uint32_t i = 1; j->ended && i <= j->values_max; i++) {
		const struct value *v = &j->values[i];
		struct channel *c = &j->channels[v->channel];

		if (!v->sent_at || c->killed_at || value_arrived(j, v))
			continue;
		if (c->automatic && ++c->missing <= c->may_vanish)
			continue;
		accuse(j, RULE_LOST, &(struct event){.channel = v->channel, .value = i},
			"value %u was sent, and %s", i,
			v->hold ? "has not come again" : "nobody has received it");
	}
}

static void judge_rendezvous(struct judge *j)
{
	for (uint32_t i = 1; i <= j->values_max; i++) {
		const struct value *v = &j->values[i];
		const struct channel *c = &j->channels[v->channel];

		if (!v->sent_at || c->capacity > 0 || v->gone_min < v->sent_at ||
			(c->automatic && !v->hold)) /* it may have vanished */
			continue;
		j->at = v->sent_at;
		accuse(j, RULE_RENDEZVOUS,
			&(struct event){.channel = v->channel, .value = i, .op = v->op},
			"nobody had taken value %u when its send ended", i);
	}
}

/* ---- */

void *table_new(size_t max, size_t size)
{
	void *table = calloc(max + 1, size);

	if (!table)
		abort();
	return table;
}

static void raise_to(uint32_t *max, uint32_t number)
{
	*max = number > *max ? number : *max;
}

static void judge_init(struct judge *j, const struct history *h)
{
	size_t holds = 0;

	*j = (struct judge){.h = h};
	for (size_t i = 0; i < h->count; i++) {
		const struct event *e = &h->events[i];

		raise_to(&j->values_max, e->value);
		raise_to(&j->ops_max, e->op);
		raise_to(&j->channels_max, e->channel);
		raise_to(&j->sessions_max, e->session);
		holds += e->kind == EVENT_GOT;
	}
	j->values = table_new(j->values_max, sizeof(*j->values));
	j->holds = table_new(holds, sizeof(*j->holds));
	j->ops = table_new(j->ops_max, sizeof(*j->ops));
	j->channels = table_new(j->channels_max, sizeof(*j->channels));
	j->sessions = table_new(j->sessions_max, sizeof(*j->sessions));
}

static void judge_fini(struct judge *j)
{
	free(j->values);
	free(j->holds);
	free(j->ops);
	free(j->channels);
	free(j->sessions);
}

static void judge_event(struct judge *j, const struct event *e)
{
	struct session *s = &j->sessions[e->session];

	if (e->session && !s->began_at)
		s->began_at = j->at;
	on_event[e->kind](j, e);
}

struct verdict history_check(const struct history *h)
{
	static void (*const judge_whole[])(struct judge *) = {judge_answered, judge_rendezvous,
		judge_received, judge_capacity, judge_order, judge_empty};
	struct judge j;

	judge_init(&j, h);
	for (j.at = 1; j.at <= h->count && j.verdict.rule == RULE_NONE; j.at++)
		judge_event(&j, &h->events[j.at - 1]);
	for (size_t i = 0; i < sizeof(judge_whole) / sizeof(judge_whole[0]); i++)
		if (j.verdict.rule == RULE_NONE)
			judge_whole[i](&j);
	judge_fini(&j);
	return j.verdict;
}
