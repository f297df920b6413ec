/*
 * op_value.c - what every operation on an open channel checks first: the end, and the values.
 */
#include "chan/status.h"
#include "proto/limits.h"
#include "server/broker/collect.h"
#include "server/broker/permit.h"
#include "server/broker/semaphore.h"
#include <inttypes.h>
#include <string.h>

static void refuse_unknown(const struct call *c, struct asked a, const char *verb, uint64_t channel)
{
	struct engine *e = c->engine;
	const struct channel *ch = seqmap_get(&e->channels, channel);
	char label[CHANNEL_LABEL_MAX];

	if (ch)
		answer_fail(a, CHAN_EWRONGEND,
			"%s %s: it is not open in this session; open it first", verb,
			channel_label(ch, label));
	else if (channel > 0 && channel < e->next_channel)
		answer_fail(a, CHAN_ESTALE,
			"%s channel %" PRIu64 ": it was removed; open it again by name", verb,
			channel);
	else
		answer_fail(a, CHAN_EINVAL, "%s channel %" PRIu64 ": there never was one", verb,
			channel);
}

struct end *call_end(struct call *c, struct asked a, const char *verb, uint64_t channel)
{
	struct end *end = party_end_of(c->party, channel);

	if (!end)
		refuse_unknown(c, a, verb, channel);
	return end;
}

struct channel *call_channel(struct call *c, struct asked a, const char *verb, uint64_t channel,
	uint8_t direction, uint64_t epoch)
{
	struct end *end = call_end(c, a, verb, channel);
	char label[CHANNEL_LABEL_MAX]; /* made for those alone that are refused, as everywhere here
					*/

	if (!end)
		return NULL;
	if (end->channel->removed || (epoch != 0 && epoch != CHANNEL_EPOCH))
		answer_fail(a, CHAN_ESTALE,
			"%s %s: channel %" PRIu64 " is no more; open it again by its name", verb,
			channel_label(end->channel, label), channel);
	else if ((end_allowed(c->engine, c->party, end) & direction) == direction)
		return end->channel;
	else if ((end->direction & direction) == direction)
		permit_refuse_end(c, a, end->channel, direction, verb);
	else
		answer_fail(a, CHAN_EWRONGEND, "%s %s: the end is %s only", verb,
			channel_label(end->channel, label),
			end->direction == CHAN_SEND ? "for sending" : "for receiving");
	return NULL;
}

static int check_reference(
	struct call *c, struct asked a, const struct channel *ch, const struct type_chan_ref *ref)
{
	char label[CHANNEL_LABEL_MAX];
	struct end *end = party_end_of(c->party, ref->channel);

	channel_label(ch, label);
	if (ref->incarnation != c->engine->options.incarnation ||
		!seqmap_get(&c->engine->channels, ref->channel))
		return answer_fail(a, CHAN_ESTALE,
			"send to %s: the value refers to channel %" PRIu64 ", which is no more",
			label, ref->channel);
	if (!end || (end_allowed(c->engine, c->party, end) & ref->direction) != ref->direction)
		return answer_fail(a, CHAN_EWRONGEND,
			"send to %s: the value hands over an end of channel %" PRIu64
			" that this session does not hold, or may not use",
			label, ref->channel);
	return 0;
}

int call_check_type(struct asked a, const struct channel *ch, uint32_t type)
{
	char label[CHANNEL_LABEL_MAX];

	if (type == 0 || type == ch->type)
		return 0;
	return answer_fail(a, CHAN_ETYPE,
		"send to %s: the channel has type %s, the value has type %s",
		channel_label(ch, label), type_name(ch->type), type_name(type));
}

int call_check_lease(struct asked a, const struct channel *ch, const char *verb, uint64_t lease_ns)
{
	char label[CHANNEL_LABEL_MAX];

	if (lease_ns == 0 && permits_of(ch) > 0)
		return answer_fail(a, CHAN_EINVAL,
			"%s %s: its values are permits, which are held by leases: without one, "
			"nobody could have the permit again; use chanctl lock or sem",
			verb, channel_label(ch, label));
	if (lease_ns == 0)
		return 0;
	if (lease_ns > LEASE_NS_MAX)
		return answer_fail(a, CHAN_EINVAL,
			"%s %s: a lease of %" PRIu64 " ns, the limit is %llu", verb,
			channel_label(ch, label), lease_ns, LEASE_NS_MAX);
	if (a.party->leased >= LEASES_MAX)
		return answer_fail(a, CHAN_ELIMIT,
			"%s %s: the session holds %u leases, the limit; acknowledge some first",
			verb, channel_label(ch, label), a.party->leased);
	return 0;
}

/* What it takes to hold one more value: its pack, unless that is held already. */
static uint64_t cost_of(const struct value *v)
{
	const struct value_pack *pack = value_pack(v);

	return pack->held ? 0 : pack_cost(pack);
}

/* Whether one more value may be held, of all and of those of its sender. */
static bool has_room(const struct call *c, const struct value *v)
{
	const struct quota_account *account = c->party->account;
	uint64_t cost = cost_of(v);

	return cost == 0 ||
	       (c->engine->bytes + cost <= c->engine->options.limits.buffered_bytes_max &&
		       account->buffered_bytes + cost <= account->limits.buffered_bytes);
}

static int check_reference_of(
	struct call *c, struct asked a, struct channel *ch, const struct value *v)
{
	struct type_chan_ref ref;

	return reference_get(ch->type, v, &ref) ? check_reference(c, a, ch, &ref) : 0;
}

/* What may be wrong with a value, one after another; where nothing is, 0. */
static int refuse_value(struct call *c, struct asked a, struct channel *ch, const struct value *v)
{
	const struct engine_limits *l = &c->engine->options.limits;
	const struct quota_account *account = c->party->account;
	char label[CHANNEL_LABEL_MAX];

	channel_label(ch, label);
	if (v->len > l->value_bytes_max)
		return answer_fail(a, CHAN_ETOOLARGE,
			"send to %s: the value has %u bytes, the limit is %u", label, v->len,
			l->value_bytes_max);
	if (type_check(ch->type, v->bytes, v->len) < 0)
		return answer_fail(a, CHAN_ETYPE,
			"send to %s: the channel has type %s (%s); the value has %u bytes and does "
			"not fit",
			label, type_name(ch->type), type_rule(ch->type), v->len);
	if (!has_room(c, v) && c->engine->suspects > 0)
		engine_collect(c->engine);
	if (has_room(c, v))
		return check_reference_of(c, a, ch, v);
	if (c->engine->bytes + cost_of(v) > l->buffered_bytes_max)
		return answer_fail(a, CHAN_ELIMIT,
			"send to %s: the broker holds all the values it may, %" PRIu64
			" bytes; try again when some were received",
			label, l->buffered_bytes_max);
	return answer_fail(a, CHAN_ELIMIT,
		"send to %s: the broker holds all the values of %.200s that it may, "
		"%" PRIu64 " bytes (buffered_bytes of its quota); try again when some were "
		"received",
		label, identity_label(c->party->identity), account->limits.buffered_bytes);
}

int call_check_value(struct call *c, struct asked a, struct channel *ch, const struct value *v)
{
	const struct engine_limits *l = &c->engine->options.limits;

	if (v->len <= l->value_bytes_max && !type_may_refer(ch->type) && has_room(c, v) &&
		type_check(ch->type, v->bytes, v->len) == 0)
		return 0;
	return refuse_value(c, a, ch, v);
}

/* How many values from that index on are those of one pack, in their order. */
static uint32_t neighbours(const struct call *c, uint32_t index)
{
	const struct value *v = c->values[index];
	uint32_t n = v->count - v->index, left = c->value_count - index;

	if (n > left)
		n = left;
	return c->values[index + n - 1] == v + n - 1 ? n : 1;
}

uint32_t call_sound_run(const struct call *c, const struct channel *ch, uint32_t index)
{
	uint32_t bytes_max = c->engine->options.limits.value_bytes_max, n = 0;
	const struct value *v = c->values[index];
	uint32_t count = neighbours(c, index);

	if (type_may_refer(ch->type) || !has_room(c, v))
		return 0;
	if (ch->type == CHAN_TYPE_BYTES && value_run_bytes(v, count) <= bytes_max)
		return count; /* not one of them need be looked at */
	while (n < count && v[n].len <= bytes_max &&
		type_check(ch->type, v[n].bytes, v[n].len) == 0)
		n++;
	return n;
}

bool call_unpack(struct call *c, uint32_t index)
{
	const struct value_pack *pack = value_pack(c->values[index]);
	struct value *lone;

	if (c->values[index]->count == 1 || has_room(c, c->values[index]))
		return false;
	for (uint32_t i = index; i < c->value_count && value_pack(c->values[i]) == pack; i++) {
		lone = value_new(c->values[i]->len);
		if (!lone)
			return i > index;
		memcpy(lone->bytes, c->values[i]->bytes, lone->len);
		value_unref(c->values[i]);
		c->values[i] = lone;
	}
	return true;
}

int call_operation(struct call *c, struct asked a, const char *verb, const char *label,
	const struct operation_request *r, struct operation **ret_op)
{
	char text[CHANNEL_LABEL_MAX];
	const char *limit = NULL;
	uint64_t max = 0;
	int rc = operation_new(c->engine, c->party, r, ret_op, &limit, &max);

	if (rc == 0)
		return 0;
	if (r->channel)
		label = channel_label(r->channel, text);
	if (rc == CHAN_ELIMIT)
		answer_fail(a, rc,
			"%s%s%s: the session has %" PRIu64 " %s, the limit; wait for answers first",
			verb, *label ? " " : "", label, max, limit);
	else
		answer_fail(a, rc, "%s%s%s: the broker is out of memory; try again later", verb,
			*label ? " " : "", label);
	return rc;
}
