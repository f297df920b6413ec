/*
 * order.c - the rules that compare values with each other: order, room, and receives that gave up.
 *
 * Each asks whether among the values with a later (or earlier) one moment there is any with an
 * earlier (or later) other moment. Sorted by the first, with the extreme of the second so far
 * beside every entry, one bisection a value tells.
 */
#include "chan/status.h"
#include "tests/history/judge.h"
#include <stdlib.h>

/* A value as a pair of moments, among others of its group. */
struct pair {
	uint32_t channel, producer, receiver; /* the group; 0 where it is not divided so far */
	uint32_t value;
	size_t by;      /* sorted by this */
	size_t extreme; /* and of this the extreme so far, */
	uint32_t whose; /* which is that value's */
};

static int group_compare(const struct pair *a, const struct pair *b)
{
	if (a->channel != b->channel)
		return a->channel < b->channel ? -1 : 1;
	if (a->producer != b->producer)
		return a->producer < b->producer ? -1 : 1;
	if (a->receiver != b->receiver)
		return a->receiver < b->receiver ? -1 : 1;
	return 0;
}

static int pair_compare(const void *a, const void *b)
{
	const struct pair *one = a, *two = b;
	int order = group_compare(one, two);

	return order ? order : (one->by > two->by) - (one->by < two->by);
}

/* The first entry that is beyond the group and moment of `key`. */
static size_t pairs_beyond(const struct pair *pairs, size_t count, const struct pair *key)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (pair_compare(&pairs[middle], key) > 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* ---- FIFO ---- */

/*
 * When `a` was certainly accepted before `b`: one session sent both, a first; or as one, a before b;
 * or a's send had ended before b was offered. When b was certainly delivered before a: one session
 * saw both, b first; or a's receive was only asked for after b had been seen. Each may be with each:
 * six sweeps.
 *
 * Of values that are sent as one to a channel without a buffer each is offered when the one before
 * it is taken: what the session sends afterwards may be accepted in between.
 */
struct sweep {
	enum { ANY_PRODUCER, SAME_PRODUCER, SENT_AS_ONE, PRODUCERS } producer;
	bool same_receiver;
};

static bool sweep_takes(const struct judge *j, struct sweep s, const struct value *v)
{
	return v->got_at && (s.producer == ANY_PRODUCER || j->ops[v->op].kind == EVENT_SEND);
}

static uint32_t sweep_producer(struct sweep s, const struct value *v, uint32_t value)
{
	switch (s.producer) {
	case SAME_PRODUCER:
		return v->session;
	case SENT_AS_ONE:
		return value - v->nth;
	default:
		return 0;
	}
}

/* From when on what is offered was accepted after v; 0: that is not known. */
static size_t sweep_accepted_by(const struct judge *j, struct sweep s, const struct value *v)
{
	bool in_turn = j->channels[v->channel].capacity == 0 && v->nth > 0;

	if (s.producer == ANY_PRODUCER)
		return v->sent_at;
	return s.producer == SAME_PRODUCER && in_turn ? 0 : v->offered_at;
}

static struct pair sweep_pair(struct sweep s, const struct judge *j, uint32_t value)
{
	const struct value *v = &j->values[value];

	return (struct pair){.channel = v->channel,
		.producer = sweep_producer(s, v, value),
		.receiver = s.same_receiver ? v->got_by : 0,
		.value = value,
		.by = v->offered_at,
		.extreme = v->got_at,
		.whose = value};
}

/* Beside every entry: the earliest delivery of those of its group that were offered later. */
static void pairs_earliest_from_behind(struct pair *pairs, size_t count)
{
	for (size_t i = count; i-- > 1;) {
		struct pair *one = &pairs[i - 1], *next = &pairs[i];

		if (group_compare(one, next) == 0 && next->extreme < one->extreme) {
			one->extreme = next->extreme;
			one->whose = next->whose;
		}
	}
}

static void sweep_judge(
	struct judge *j, struct sweep s, const struct pair *pairs, size_t count, uint32_t value)
{
	const struct value *v = &j->values[value];
	struct pair key = sweep_pair(s, j, value);
	size_t before = s.same_receiver ? v->got_at : op_asked_at(j, &j->ops[v->got_op]), at;

	/* One that comes again may have been out when the other overtook it. */
	key.by = sweep_accepted_by(j, s, v);
	if (v->got_attempt != 1 || !key.by)
		return;
	at = pairs_beyond(pairs, count, &key);
	if (at == count || group_compare(&pairs[at], &key) != 0 || pairs[at].extreme >= before)
		return;
	j->at = v->got_at;
	accuse(j, RULE_FIFO, &(struct event){.channel = v->channel, .value = value},
		"value %u was accepted before %u and came after it", value, pairs[at].whose);
	if (j->verdict.value == value)
		j->verdict.other = pairs[at].whose;
}

static void sweep_order(struct judge *j, struct sweep s, struct pair *pairs)
{
	size_t count = 0;

	for (uint32_t i = 1; i <= j->values_max; i++)
		if (sweep_takes(j, s, &j->values[i]))
			pairs[count++] = sweep_pair(s, j, i);
	qsort(pairs, count, sizeof(*pairs), pair_compare);
	pairs_earliest_from_behind(pairs, count);
	for (uint32_t i = 1; i <= j->values_max; i++)
		if (sweep_takes(j, s, &j->values[i]))
			sweep_judge(j, s, pairs, count, i);
}

void judge_order(struct judge *j)
{
	struct pair *pairs = table_new(j->values_max, sizeof(*pairs));

	for (int i = 0; i < PRODUCERS; i++) {
		sweep_order(j, (struct sweep){i, false}, pairs);
		sweep_order(j, (struct sweep){i, true}, pairs);
	}
	free(pairs);
}

/* ---- CAPACITY ---- */

/* A value's certain stay: it was in its channel from `sent` until it may first have been taken. */
struct step {
	size_t at;
	uint32_t channel, value;
	int change; /* +1, -1 */
};

static int step_compare(const void *a, const void *b)
{
	const struct step *one = a, *two = b;

	return (one->at > two->at) - (one->at < two->at);
}

void judge_capacity(struct judge *j)
{
	struct step *steps = table_new(2 * (size_t)j->values_max, sizeof(*steps));
	int64_t *held = table_new(j->channels_max, sizeof(*held));
	size_t count = 0;

	for (uint32_t i = 1; i <= j->values_max; i++) {
		const struct value *v = &j->values[i];

		if (!v->sent_at || j->channels[v->channel].capacity == 0 ||
			v->gone_min <= v->sent_at)
			continue;
		steps[count++] = (struct step){v->sent_at, v->channel, i, 1};
		if (v->gone_min != NEVER)
			steps[count++] = (struct step){v->gone_min, v->channel, i, -1};
	}
	qsort(steps, count, sizeof(*steps), step_compare);
	for (size_t i = 0; i < count; i++) {
		const struct step *s = &steps[i];

		held[s->channel] += s->change;
		if (held[s->channel] <= j->channels[s->channel].capacity)
			continue;
		j->at = s->at;
		accuse(j, RULE_CAPACITY, &(struct event){.channel = s->channel, .value = s->value},
			"channel %u of capacity %u holds %lld", s->channel,
			j->channels[s->channel].capacity, (long long)held[s->channel]);
	}
	free(held);
	free(steps);
}

/* ---- EMPTY ---- */

/* Values that lay in a buffered channel, in nobody's hands, from `sent` until they were asked for.
 */
static size_t lying_values(const struct judge *j, struct pair *pairs)
{
	size_t count = 0;

	for (uint32_t i = 1; i <= j->values_max; i++) {
		const struct value *v = &j->values[i];

		if (j->channels[v->channel].capacity > 0 && v->sent_at && v->got_attempt == 1)
			pairs[count++] = (struct pair){.channel = v->channel,
				.by = v->sent_at,
				.extreme = op_asked_at(j, &j->ops[v->got_op]),
				.whose = i};
	}
	qsort(pairs, count, sizeof(*pairs), pair_compare);
	for (size_t i = 1; i < count; i++) {
		struct pair *one = &pairs[i], *before = &pairs[i - 1];

		if (group_compare(one, before) == 0 && before->extreme > one->extreme) {
			one->extreme = before->extreme;
			one->whose = before->whose;
		}
	}
	return count;
}

/* A receive that waited in vain, undisturbed: without a connection a receiver gets nothing. */
static bool gave_up(const struct op *op)
{
	return op->kind == EVENT_RECV && op->ended_at && op->credit > 0 &&
	       (op->status == CHAN_EWOULDBLOCK || op->status == CHAN_ETIMEDOUT) && !op->disturbed;
}

void judge_empty(struct judge *j)
{
	struct pair *pairs = table_new(j->values_max, sizeof(*pairs));
	size_t count = lying_values(j, pairs);

	for (uint32_t i = 1; i <= j->ops_max; i++) {
		const struct op *op = &j->ops[i];
		struct pair key = {.channel = op->channel, .by = op->began_at};
		size_t beyond;

		if (!gave_up(op))
			continue;
		beyond = pairs_beyond(pairs, count, &key);
		if (beyond == 0 || group_compare(&pairs[beyond - 1], &key) != 0 ||
			pairs[beyond - 1].extreme <= op->ended_at)
			continue;
		j->at = op->ended_at;
		accuse(j, RULE_EMPTY, &(struct event){.op = i, .value = pairs[beyond - 1].whose},
			"operation %u gave up beside value %u", i, pairs[beyond - 1].whose);
	}
	free(pairs);
}
