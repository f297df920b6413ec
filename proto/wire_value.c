/*
 * wire_value.c - values as they stand in a payload, one after another.
 */
#include "chan/status.h"
#include "proto/arena.h"
#include "proto/chand.pb-c.h"
#include "proto/endian.h"
#include "proto/limits.h"
#include "proto/wire.h"
#include "proto/wire_shape.h"

/* Before an envelope, its length. */
#define ENVELOPE_PREFIX_BYTES 2u

/* Room on the stack for one that is read: all of those that the broker sends. */
#define ENVELOPE_FIRST_BYTES 512u

static bool read_envelope(const uint8_t *bytes, size_t len, struct wire_value *v)
{
	_Alignas(max_align_t) uint8_t first[ENVELOPE_FIRST_BYTES];
	struct arena arena;
	ProtobufCAllocator allocator = wire_allocator(&arena);
	Chand__Envelope *envelope;

	arena_init(&arena, first, sizeof(first));
	envelope = chand__envelope__unpack(&allocator, len, bytes);
	if (envelope) {
		v->attempt = envelope->attempt ? envelope->attempt : 1;
		v->token = envelope->token;
	}
	arena_reset(&arena);
	return envelope;
}

int wire_value_next_any(const uint8_t **at, size_t *left, struct wire_value *ret_value)
{
	const uint8_t *bytes = *at;
	struct wire_value v = {.attempt = 1};
	size_t len, envelope_bytes;

	if (*left == 0)
		return 0;
	if (*left < VALUE_PREFIX_BYTES || (bytes[0] & ~VALUE_ENVELOPE))
		return CHAN_EPROTOCOL;
	len = get_be32(bytes + 1);
	if (len > *left - VALUE_PREFIX_BYTES)
		return CHAN_EPROTOCOL;
	v.bytes = bytes + VALUE_PREFIX_BYTES;
	v.len = len;
	if (bytes[0] & VALUE_ENVELOPE) {
		if (len < ENVELOPE_PREFIX_BYTES)
			return CHAN_EPROTOCOL;
		envelope_bytes = get_be16(v.bytes);
		if (envelope_bytes > len - ENVELOPE_PREFIX_BYTES ||
			!read_envelope(v.bytes + ENVELOPE_PREFIX_BYTES, envelope_bytes, &v))
			return CHAN_EPROTOCOL;
		v.enveloped = true;
		v.bytes += ENVELOPE_PREFIX_BYTES + envelope_bytes;
		v.len -= ENVELOPE_PREFIX_BYTES + envelope_bytes;
	}
	*at += VALUE_PREFIX_BYTES + len;
	*left -= VALUE_PREFIX_BYTES + len;
	*ret_value = v;
	return 1;
}

int wire_values_next(
	const uint8_t **at, size_t *left, uint32_t *lens, uint32_t count_max, size_t bytes_max)
{
	const uint8_t *bytes = *at, *end = bytes + *left;
	uint32_t n = 0;

	while (n < count_max && bytes < end && bytes[0] == 0) {
		uint32_t len;

		if (end - bytes < (ptrdiff_t)VALUE_PREFIX_BYTES)
			return CHAN_EPROTOCOL;
		len = get_be32(bytes + 1);
		if (len > (size_t)(end - bytes) - VALUE_PREFIX_BYTES)
			return CHAN_EPROTOCOL;
		if (n > 0 && (size_t)(bytes - *at) + VALUE_PREFIX_BYTES + len > bytes_max)
			break;
		lens[n++] = len;
		bytes += VALUE_PREFIX_BYTES + len;
	}
	*at = bytes;
	*left = (size_t)(end - bytes);
	return (int)n;
}

static Chand__Envelope envelope_of(uint32_t attempt, uint64_t token)
{
	Chand__Envelope envelope = CHAND__ENVELOPE__INIT;

	envelope.attempt = attempt;
	envelope.token = token;
	return envelope;
}

/* What stands between the value's length and its bytes: nothing for all but a few. */
static size_t envelope_room(uint32_t attempt, uint64_t token)
{
	Chand__Envelope envelope;

	if (attempt <= 1 && token == 0)
		return 0;
	envelope = envelope_of(attempt, token);
	return ENVELOPE_PREFIX_BYTES + chand__envelope__get_packed_size(&envelope);
}

static void put_envelope(uint8_t *at, size_t room, uint32_t attempt, uint64_t token)
{
	Chand__Envelope envelope = envelope_of(attempt, token);

	put_be16(at, (uint16_t)(room - ENVELOPE_PREFIX_BYTES));
	chand__envelope__pack(&envelope, at + ENVELOPE_PREFIX_BYTES);
}

size_t wire_value_bytes(size_t len, uint32_t attempt, uint64_t token)
{
	return VALUE_PREFIX_BYTES + envelope_room(attempt, token) + len;
}

int wire_value_put_prefix(struct buf *out, size_t len, uint32_t attempt, uint64_t token)
{
	size_t room = envelope_room(attempt, token);
	uint8_t *at;

	if (len > UINT32_MAX - room)
		return CHAN_ETOOLARGE;
	if (buf_reserve(out, VALUE_PREFIX_BYTES + room) < 0)
		return CHAN_ENOMEM;
	at = out->bytes + out->end;
	at[0] = room ? VALUE_ENVELOPE : 0;
	put_be32(at + 1, (uint32_t)(room + len));
	if (room)
		put_envelope(at + VALUE_PREFIX_BYTES, room, attempt, token);
	out->end += VALUE_PREFIX_BYTES + room;
	return 0;
}
