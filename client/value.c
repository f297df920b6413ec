/*
 * value.c - values of programs to their encodings and back.
 */
#include "client/channel.h"
#include "client/client.h"
#include "proto/type.h"
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* What of a value goes into a payload: up to TYPE_CHAN_BYTES_MAX bytes that were made for it, or
 * the program's own. */
struct encoded {
	const void *bytes;
	size_t len;
	uint8_t made[TYPE_CHAN_BYTES_MAX];
};

static void encode_chan(struct encoded *e, const struct chan *passed)
{
	struct type_chan_ref ref = {
		.incarnation = passed->client->session.incarnation,
		.channel = passed->id,
		.direction = (uint8_t)passed->direction,
		.name = passed->name,
		.name_bytes = strlen(passed->name),
	};

	e->len = type_put_chan(e->made, &ref);
}

/* False: there is no such type. */
static bool encode(struct encoded *e, const struct chan_value *v)
{
	e->bytes = e->made;
	switch ((int)v->type) {
	case CHAN_TYPE_INT:
		type_put_int(e->made, v->i);
		e->len = TYPE_INT_BYTES;
		return true;
	case CHAN_TYPE_FLOAT:
		type_put_float(e->made, v->f);
		e->len = TYPE_FLOAT_BYTES;
		return true;
	case CHAN_TYPE_BOOL:
		e->made[0] = v->b;
		e->len = TYPE_BOOL_BYTES;
		return true;
	case CHAN_TYPE_SIGNAL:
		e->len = 0;
		return true;
	case CHAN_TYPE_CHAN:
		if (!v->chan)
			return false;
		encode_chan(e, v->chan);
		return true;
	case CHAN_TYPE_STRING:
	case CHAN_TYPE_BYTES:
	case CHAN_TYPE_RAW:
		e->bytes = v->bytes;
		e->len = v->len;
		return true;
	default:
		return false;
	}
}

/* What was encoded here fits its type; text is the program's. */
static bool may_not_fit(const struct chan_value *v)
{
	return v->type == CHAN_TYPE_RAW || v->type == CHAN_TYPE_STRING;
}

static int check(const struct chan *ch, const struct chan_value *v, const struct encoded *e,
	size_t len, const char *asked)
{
	uint32_t max = ch->client->session.limits.value_bytes;

	if (v->type != CHAN_TYPE_RAW && v->type != ch->type && ch->type != CHAN_TYPE_ANY)
		return error_say(CHAN_ETYPE, "%s '%s': the channel's type is %s, the value's is %s",
			asked, ch->name, type_name(ch->type), type_name(v->type));
	if (len > max)
		return error_say(CHAN_ETOOLARGE,
			"%s '%s': the value has %zu bytes, the broker takes %u", asked, ch->name,
			len, max);
	if (may_not_fit(v) &&
		type_check(v->type == CHAN_TYPE_RAW ? ch->type : v->type, e->bytes, e->len) < 0)
		return error_say(CHAN_ETYPE, "%s '%s': the value does not fit: %s", asked, ch->name,
			type_rule(v->type == CHAN_TYPE_RAW ? ch->type : v->type));
	return 0;
}

/* Any value; the thread's error is set where it cannot be sent. */
static __attribute__((noinline)) int pack_any(
	struct buf *payload, const struct chan *ch, const struct chan_value *v, const char *asked)
{
	bool tagged = ch->type == CHAN_TYPE_ANY && v->type != CHAN_TYPE_RAW;
	struct encoded e;
	uint8_t *at;
	int rc;

	if (!encode(&e, v))
		return error_say(CHAN_EINVAL, "%s '%s': the value has no type that can be sent",
			asked, ch->name);
	rc = check(ch, v, &e, e.len + tagged, asked);
	if (rc < 0)
		return rc;
	if (buf_reserve(payload, VALUE_PREFIX_BYTES + tagged + e.len) < 0)
		return error_say(CHAN_ENOMEM, "%s '%s': out of memory", asked, ch->name);
	at = wire_value_prefix(payload->bytes + payload->end, e.len + tagged);
	if (tagged)
		*at++ = (uint8_t)v->type;
	if (e.len > 0)
		memcpy(at, e.bytes, e.len);
	payload->end = (size_t)(at + e.len - payload->bytes);
	return 0;
}

/* Bytes for a channel of bytes need no encoding and fit: most values are such, and take a third of what
 * they would by pack_any. */
int value_pack(
	struct buf *payload, const struct chan *ch, const struct chan_value *v, const char *asked)
{
	uint8_t *at;

	if (v->type != CHAN_TYPE_BYTES || ch->type != CHAN_TYPE_BYTES || v->len == 0 ||
		v->len > ch->client->session.limits.value_bytes ||
		buf_reserve(payload, VALUE_PREFIX_BYTES + v->len) < 0)
		return pack_any(payload, ch, v, asked);
	at = wire_value_prefix(payload->bytes + payload->end, v->len);
	payload->end += VALUE_PREFIX_BYTES + v->len;
	memcpy(at, v->bytes, v->len);
	return 0;
}

/* ---- back --------------------------------------------------------------------------------- */

/* The value of a delivery, decoded; text types point into it. */
static int decode(struct chan *ch, enum chan_type type, const uint8_t *bytes, size_t len,
	struct chan_value *v)
{
	v->type = type;
	switch (type) {
	case CHAN_TYPE_INT:
		v->i = type_get_int(bytes);
		return 0;
	case CHAN_TYPE_FLOAT:
		v->f = type_get_float(bytes);
		return 0;
	case CHAN_TYPE_BOOL:
		v->b = bytes[0];
		return 0;
	case CHAN_TYPE_CHAN:
		v->chan = end_from_reference(ch->client, bytes, len, NULL);
		return v->chan ? 0 : CHAN_ENOMEM;
	default:
		v->bytes = bytes;
		v->len = len;
		return 0;
	}
}

static bool points_into_memory(enum chan_type type)
{
	return type == CHAN_TYPE_STRING || type == CHAN_TYPE_BYTES || type == CHAN_TYPE_RAW;
}

static __attribute__((noinline)) int unpack_any(
	struct chan *ch, struct delivery *d, struct chan_value *ret_value)
{
	enum chan_type type = ch->options.raw ? CHAN_TYPE_RAW : ch->type;
	const uint8_t *bytes = d->bytes;
	size_t len = d->len;
	int rc = type_check(ch->type, bytes, len);

	if (rc == 0 && type == CHAN_TYPE_ANY)
		rc = type_any_split(bytes, len, &type, &bytes, &len);
	if (rc < 0)
		return CHAN_EPROTOCOL;
	*ret_value = (struct chan_value){.attempt = d->attempt, .token = d->token};
	rc = decode(ch, type, bytes, len, ret_value);
	if (rc < 0)
		return rc;
	if (points_into_memory(type))
		ret_value->memory = d;
	else
		delivery_free(d);
	return 0;
}

/* Bytes are the program's as they came. */
int value_unpack(struct chan *ch, struct delivery *d, struct chan_value *ret_value)
{
	if (ch->type != CHAN_TYPE_BYTES)
		return unpack_any(ch, d, ret_value);
	*ret_value = (struct chan_value){.type = ch->options.raw ? CHAN_TYPE_RAW : CHAN_TYPE_BYTES,
		.attempt = d->attempt,
		.bytes = d->bytes,
		.len = d->len,
		.token = d->token,
		.memory = d};
	return 0;
}

void chan_value_clear(struct chan_value *v)
{
	if (v->type == CHAN_TYPE_CHAN)
		chan_release(v->chan);
	delivery_free(v->memory);
	*v = chan_value_of(CHAN_TYPE_RAW);
}

const char *chan_type_name(enum chan_type type)
{
	return type_name(type);
}

enum chan_type chan_type_parse(const char *word)
{
	enum chan_type type;

	return type_parse(word, &type) == 0 ? type : CHAN_TYPE_RAW;
}
