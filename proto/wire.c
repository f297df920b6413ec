/*
 * wire.c - messages as plain structs, and their way to bytes and back.
 *
 * A header is protobuf, but no struct of protobuf-c's stands between the bytes and ours: the table
 * in wire_shape.c says for every kind which of its fields is which field of struct message and what
 * it looks like, and both directions read the same row, so they cannot disagree. A way through
 * protobuf-c takes four times the instructions, which were more than all else that is done for a
 * small message. protobuf-c makes the table's descriptors, writes and reads what is rare
 * (wire_value.c), and is what the tests hold this to (tests/support/wire_reference.c).
 *
 * As protobuf has it, what is absent is 0 or empty, of a field that comes twice the last counts,
 * and unknown fields are ignored. Of a message within a message that comes twice the last counts,
 * too, where protobuf would mix them.
 *
 * Decoded messages live in an arena. The widest ratio is a header of empty repeated messages, two
 * bytes each: of those that a client may send, a Case becomes 40 bytes, so FRAME_HEADER_BYTES_MAX
 * bounds a frame's memory by 330 kB. A HELLO is 144 bytes if it is empty, and comes once.
 */
#include "proto/wire.h"
#include "chan/status.h"
#include "proto/arena.h"
#include "proto/limits.h"
#include "proto/wire_shape.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

/* ---- scratch ------------------------------------------------------------------------------ */

/* Holds what hundreds of frames of the hot path decode to: most nothing, a TAKEN 16 bytes a range.
 */
#define SCRATCH_FIRST_BYTES (8u * 1024u)

struct wire_scratch {
	struct arena arena;
	_Alignas(max_align_t) uint8_t first[SCRATCH_FIRST_BYTES];
};

struct wire_scratch *wire_scratch_new(void)
{
	struct wire_scratch *s = malloc(sizeof(*s));

	if (s)
		arena_init(&s->arena, s->first, sizeof(s->first));
	return s;
}

void wire_scratch_reset(struct wire_scratch *s)
{
	arena_reset(&s->arena);
}

size_t wire_scratch_used(const struct wire_scratch *s)
{
	return s->arena.used;
}

void wire_scratch_free(struct wire_scratch *s)
{
	if (!s)
		return;
	arena_reset(&s->arena);
	free(s);
}

/* ---- numbers and tags ----------------------------------------------------------------------- */

/* The longest encodings: of a number, and of those that have 32 bits. */
#define NUMBER_BYTES_MAX 10u
#define SHORT_BYTES_MAX 5u

enum wire_type { NUMBER = 0, FIXED_64 = 1, BLOCK = 2, FIXED_32 = 5 };

/* How a field stands on the wire. */
static inline enum wire_type wire_type_of(const struct field *f)
{
	return f->how <= LAST_NUMBER ? NUMBER : BLOCK;
}

/* What is left of a header, or of a message within. */
struct input {
	const uint8_t *at, *end;
};

static bool take_long_number(struct input *in, unsigned bytes_max, uint64_t *ret_v)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes_max && in->at < in->end; i++) {
		uint8_t byte = *in->at++;

		v |= (uint64_t)(byte & 0x7f) << 7 * i;
		if (!(byte & 0x80)) {
			*ret_v = v;
			return true;
		}
	}
	return false;
}

/* Nearly all have one byte, and those that count operations and channels two. */
static inline bool take_number(struct input *in, unsigned bytes_max, uint64_t *ret_v)
{
	const uint8_t *at = in->at;

	if (at == in->end)
		return false;
	if (!(at[0] & 0x80)) {
		*ret_v = at[0];
		in->at = at + 1;
		return true;
	}
	if (in->end - at < 2 || at[1] & 0x80)
		return take_long_number(in, bytes_max, ret_v);
	*ret_v = (at[0] & 0x7fu) | (uint64_t)at[1] << 7;
	in->at = at + 2;
	return true;
}

static inline bool take_tag(struct input *in, uint32_t *ret_number, unsigned *ret_type)
{
	uint64_t tag;

	if (!take_number(in, SHORT_BYTES_MAX, &tag) || tag > UINT32_MAX || tag < 8)
		return false;
	*ret_number = (uint32_t)(tag >> 3);
	*ret_type = tag & 7;
	return true;
}

/* The bytes of a field that are not a number. False: they are not all there, or of no known type.
 */
static bool take_block(struct input *in, unsigned type, struct input *ret_block)
{
	uint64_t length;

	if (type == FIXED_64)
		length = 8;
	else if (type == FIXED_32)
		length = 4;
	else if (type != BLOCK || !take_number(in, SHORT_BYTES_MAX, &length))
		return false;
	if (length > (uint64_t)(in->end - in->at))
		return false;
	*ret_block = (struct input){in->at, in->at + length};
	in->at += length;
	return true;
}

static bool skip_field(struct input *in, unsigned type)
{
	struct input block;
	uint64_t v;

	return type == NUMBER ? take_number(in, NUMBER_BYTES_MAX, &v)
			      : take_block(in, type, &block);
}

/* How many fields of that number there are, up to the first that is malformed. */
static size_t count_fields(struct input in, uint32_t number)
{
	uint32_t found;
	size_t count = 0;
	unsigned type;

	while (take_tag(&in, &found, &type) && skip_field(&in, type))
		count += found == number;
	return count;
}

/* ---- decoding -------------------------------------------------------------------------------- */

static int decode_fields(const struct shape *s, struct input in, uint8_t *plain, struct arena *a);
static int decode_element(const struct shape *s, struct input in, uint8_t *plain, struct arena *a);

/* A number that is too long for its field is cut, as protobuf has it; of a bool each bit counts. */
static bool any_bit(const uint8_t *at, const uint8_t *end)
{
	for (; at < end; at++)
		if (*at & 0x7f)
			return true;
	return false;
}

static inline void set_number(const struct field *f, uint8_t *plain, uint64_t v)
{
	uint8_t *to = plain + f->plain;

	if (f->bytes == sizeof(uint64_t))
		*(uint64_t *)to = v;
	else if (f->bytes == sizeof(uint32_t))
		*(uint32_t *)to = (uint32_t)v;
	else
		*(bool *)to = v;
}

static int get_number(const struct field *f, struct input *in, uint8_t *plain)
{
	const uint8_t *from = in->at;
	uint64_t v;

	if (!take_number(in, NUMBER_BYTES_MAX, &v))
		return CHAN_EPROTOCOL;
	set_number(f, plain, f->bytes == sizeof(bool) ? any_bit(from, in->at) : v);
	return 0;
}

/*
 * The fields in front that are as nearly all are: known numbers below 16, with values of one or two
 * bytes. What is different is where this ends. Nothing here has an address, so that it stays in
 * registers: 20 instructions a field instead of 50.
 */
static const uint8_t *get_short_numbers(
	const struct shape *s, const uint8_t *at, const uint8_t *end, uint8_t *plain)
{
	while (end - at >= 2) {
		unsigned tag = at[0], number = tag >> 3;
		uint64_t v = at[1];

		if (tag & (0x80 | 7) || number == 0 || number > s->field_count ||
			wire_type_of(&s->fields[number - 1]) != NUMBER)
			break;
		if (!(v & 0x80)) {
			at += 2;
		} else if (end - at >= 3 && !(at[2] & 0x80)) {
			v = (v & 0x7f) | (uint64_t)at[2] << 7;
			at += 3;
		} else {
			break;
		}
		set_number(&s->fields[number - 1], plain, v);
	}
	return at;
}

/* Whether all of it is ASCII and nothing NUL, as names are: four times as fast as to look closer.
 */
static bool is_plain(const uint8_t *at, size_t n)
{
	const uint64_t high = UINT64_C(0x8080808080808080), ones = UINT64_C(0x0101010101010101);
	uint64_t eight, odd = 0;

	for (; n >= sizeof(eight); at += sizeof(eight), n -= sizeof(eight)) {
		memcpy(&eight, at, sizeof(eight));
		odd |= (eight | (eight - ones)) & high; /* a NUL borrows from its high bit */
	}
	for (; n > 0; at++, n--)
		odd |= (*at | (*at - 1u)) & 0x80u;
	return odd == 0;
}

/* A string is UTF-8 without NUL, at which a name would silently end; "" where it is empty. */
static int copy_text(struct input block, const char **ret_text, struct arena *a)
{
	size_t n = (size_t)(block.end - block.at);
	char *text;

	*ret_text = "";
	if (n == 0)
		return 0;
	if (!is_plain(block.at, n) && (memchr(block.at, 0, n) || u8_check(block.at, n)))
		return CHAN_EPROTOCOL;
	text = arena_alloc(a, n + 1);
	if (!text)
		return CHAN_ENOMEM;
	memcpy(text, block.at, n);
	text[n] = '\0';
	*ret_text = text;
	return 0;
}

static int copy_bytes(struct input block, struct wire_bytes *ret_bytes, struct arena *a)
{
	size_t n = (size_t)(block.end - block.at);
	uint8_t *bytes = n ? arena_alloc(a, n) : NULL;

	if (n && !bytes)
		return CHAN_ENOMEM;
	if (n)
		memcpy(bytes, block.at, n);
	*ret_bytes = (struct wire_bytes){bytes, n};
	return 0;
}

/* Room for one more element of a repeated field: all that are still to come are counted with the
 * first. NULL: out of memory. */
static void *next_element(const struct field *f, uint32_t number, struct input rest, uint8_t *plain,
	size_t element_bytes, struct arena *a)
{
	size_t *count = (size_t *)(plain + f->plain_count);
	uint8_t *list;

	if (*count == 0) {
		list = arena_alloc(a, (1 + count_fields(rest, number)) * element_bytes);
		memcpy(plain + f->plain, &list, sizeof(list));
	}
	memcpy(&list, plain + f->plain, sizeof(list));
	return list ? list + element_bytes * (*count)++ : NULL;
}

/* A message within one: of two of the same field the last counts. */
static int get_sub(const struct field *f, struct input block, uint8_t *plain, struct arena *a)
{
	const struct shape *s = f->of;

	for (size_t i = 0; i < s->field_count; i++) {
		const struct field *g = &s->fields[i];

		memset(plain + f->plain + g->plain, 0, g->bytes);
	}
	return decode_fields(s, block, plain + f->plain, a);
}

static int get_block(const struct field *f, uint32_t number, struct input block, struct input rest,
	uint8_t *plain, struct arena *a)
{
	void *element;

	switch (f->how) {
	case TEXT:
		return copy_text(block, (const char **)(plain + f->plain), a);
	case BYTES:
		return copy_bytes(block, (struct wire_bytes *)(plain + f->plain), a);
	case SUB:
		return get_sub(f, block, plain, a);
	case TEXTS:
		element = next_element(f, number, rest, plain, sizeof(char *), a);
		return element ? copy_text(block, element, a) : CHAN_ENOMEM;
	default: /* LIST */
		element = next_element(f, number, rest, plain, f->of->plain_bytes, a);
		if (!element)
			return CHAN_ENOMEM;
		memset(element, 0, f->of->plain_bytes);
		return decode_element(f->of, block, element, a);
	}
}

/* One field, whose tag was taken. */
static inline int get_field(const struct shape *s, uint32_t number, unsigned type, struct input *in,
	uint8_t *plain, struct arena *a)
{
	const struct field *f = number <= s->field_count ? &s->fields[number - 1] : NULL;
	struct input block;

	if (!f)
		return skip_field(in, type) ? 0 : CHAN_EPROTOCOL;
	if (type != wire_type_of(f))
		return CHAN_EPROTOCOL;
	if (type == NUMBER)
		return get_number(f, in, plain);
	if (!take_block(in, type, &block))
		return CHAN_EPROTOCOL;
	return get_block(f, number, block, *in, plain, a);
}

/* What a field is that did not come, and what is not allowed. */
static int finish_field(const struct field *f, uint8_t *plain)
{
	uint8_t *to = plain + f->plain;

	switch (f->how) {
	case SEQ:
		return *(uint64_t *)to ? 0 : CHAN_EPROTOCOL;
	case COUNT:
		*(uint32_t *)to += *(uint32_t *)to == 0;
		return 0;
	case STATUS:
		if (*(uint32_t *)to > INT32_MAX)
			return CHAN_EPROTOCOL;
		*(int *)to = -*(int *)to;
		return 0;
	case TEXT:
		if (!*(const char **)to)
			*(const char **)to = "";
		return 0;
	default:
		return 0;
	}
}

static int finish_fields(const struct shape *s, uint8_t *plain)
{
	int rc = 0;

	if (s->numbers_only) {
		if (s->count_number)
			finish_field(&s->fields[s->count_number - 1], plain);
		return finish_field(&s->fields[0], plain);
	}
	for (size_t i = 0; i < s->field_count && rc == 0; i++) {
		const struct field *f = &s->fields[i];

		if (f->how < FIRST_TO_FINISH || f->how > LAST_TO_FINISH)
			continue;
		rc = f->how == SUB ? finish_fields(f->of, plain + f->plain)
				   : finish_field(f, plain);
	}
	return rc;
}

/* plain is zeroed, or at least those of its fields that the shape has. */
static int decode_fields(const struct shape *s, struct input in, uint8_t *plain, struct arena *a)
{
	uint32_t number;
	unsigned type;
	int rc = 0;

	while (rc == 0 && (in.at = get_short_numbers(s, in.at, in.end, plain)) < in.end) {
		if (!take_tag(&in, &number, &type))
			return CHAN_EPROTOCOL;
		rc = get_field(s, number, type, &in, plain, a);
	}
	return rc;
}

static int decode_element(const struct shape *s, struct input in, uint8_t *plain, struct arena *a)
{
	int rc = decode_fields(s, in, plain, a);

	return rc < 0 ? rc : finish_fields(s, plain);
}

static int decode_apart(const struct shape *s, struct input in, struct message *m, struct arena *a)
{
	uint8_t *plain = arena_alloc(a, s->plain_bytes);

	if (!plain)
		return CHAN_ENOMEM;
	memset(plain, 0, s->plain_bytes);
	m->apart = plain;
	return decode_element(s, in, plain, a);
}

int wire_decode(const struct frame *f, struct wire_scratch *s, struct message *ret_message)
{
	const struct shape *shape = wire_shape_of(f->kind);
	struct input in = {f->header, f->header + f->header_bytes};

	if (!shape)
		return CHAN_EPROTOCOL;
	memset(ret_message, 0, sizeof(*ret_message));
	ret_message->kind = f->kind;
	if (shape->apart)
		return decode_apart(shape, in, ret_message, &s->arena);
	return decode_element(shape, in, (uint8_t *)ret_message, &s->arena);
}

void wire_explain(const struct frame *f, char *text, size_t text_size)
{
	if (!wire_shape_of(f->kind))
		snprintf(text, text_size, "there is no message of kind %u in version %u", f->kind,
			PROTOCOL_VERSION);
	else
		snprintf(text, text_size,
			"the header of a %s does not parse as one (protobuf, with strings of UTF-8 "
			"without NUL), or lacks its number (seq, id)",
			message_kind_name(f->kind));
}

/* ---- encoding -------------------------------------------------------------------------------- */

static size_t number_bytes(uint64_t v)
{
	return (size_t)(70 - __builtin_clzll(v | 1)) / 7; /* seven bits a byte */
}

static inline uint8_t *put_number(uint8_t *at, uint64_t v)
{
	for (; v > 0x7f; v >>= 7)
		*at++ = (uint8_t)(v | 0x80);
	*at++ = (uint8_t)v;
	return at;
}

static inline uint64_t tag_of(const struct shape *s, const struct field *f)
{
	return (uint64_t)(f - s->fields + 1) << 3 | wire_type_of(f);
}

static inline uint64_t plain_number(const struct field *f, const uint8_t *plain)
{
	const uint8_t *from = plain + f->plain;

	if (f->bytes == sizeof(uint64_t))
		return *(const uint64_t *)from;
	if (f->bytes == sizeof(uint32_t))
		return *(const uint32_t *)from;
	return *(const bool *)from;
}

/* What a field of a number is on the wire; 0 is left out, as most are. */
static inline uint64_t number_of(const struct field *f, const uint8_t *plain)
{
	uint64_t v = plain_number(f, plain);

	return v && f->how == STATUS ? (uint32_t)-v : v;
}

/* The bytes of a TEXT or BYTES. */
static struct wire_bytes bytes_of(uint8_t how, const uint8_t *from)
{
	const char *text;

	if (how == BYTES)
		return *(const struct wire_bytes *)from;
	text = *(const char *const *)from;
	return (struct wire_bytes){(const uint8_t *)text, text ? strlen(text) : 0};
}

/* The elements of a TEXTS or LIST, or the one of a SUB. */
struct elements {
	const uint8_t *list;
	size_t count, bytes;
};

static struct elements elements_of(const struct field *f, const uint8_t *plain)
{
	struct elements e = {plain + f->plain, 1, 0};

	if (f->how == SUB)
		return e;
	e.bytes = f->how == LIST ? f->of->plain_bytes : sizeof(char *);
	memcpy(&e.list, plain + f->plain, sizeof(e.list));
	memcpy(&e.count, plain + f->plain_count, sizeof(e.count));
	return e;
}

static size_t size_of_fields(const struct shape *s, const uint8_t *plain);

static size_t size_of_element(const struct field *f, const uint8_t *element)
{
	return f->how == TEXTS ? bytes_of(TEXT, element).len : size_of_fields(f->of, element);
}

static size_t size_of_field(const struct field *f, size_t tag_bytes, const uint8_t *plain)
{
	struct elements e;
	size_t n, bytes = 0;
	uint64_t v;

	if (wire_type_of(f) == NUMBER) {
		v = number_of(f, plain);
		return v ? tag_bytes + number_bytes(v) : 0;
	}
	if (f->how == TEXT || f->how == BYTES) {
		n = bytes_of(f->how, plain + f->plain).len;
		return n ? tag_bytes + number_bytes(n) + n : 0;
	}
	e = elements_of(f, plain);
	for (size_t i = 0; i < e.count; i++) {
		n = size_of_element(f, e.list + i * e.bytes);
		bytes += tag_bytes + number_bytes(n) + n;
	}
	return bytes;
}

static size_t size_of_fields(const struct shape *s, const uint8_t *plain)
{
	size_t n = 0;

	for (const struct field *f = s->fields; f < s->fields + s->field_count; f++)
		n += size_of_field(f, number_bytes(tag_of(s, f)), plain);
	return n;
}

static uint8_t *put_bytes(uint8_t *at, struct wire_bytes b)
{
	at = put_number(at, b.len);
	return b.len ? (uint8_t *)memcpy(at, b.bytes, b.len) + b.len : at;
}

/* The most that a number takes, with its tag: of fields below 16, of which all messages of the hot
 * path are. */
#define FIELD_BYTES_MAX (1 + NUMBER_BYTES_MAX)

/* A length below this is one byte. */
#define SHORT_LENGTH 128u

static uint8_t *put_fields(uint8_t *at, const struct shape *s, const uint8_t *plain);

/* A message within, behind its length; where that is one byte in any case it is put there
 * afterwards, and nothing need be measured. */
static uint8_t *put_message(uint8_t *at, const struct shape *s, const uint8_t *plain)
{
	uint8_t *end;

	if (!s->numbers_only || s->field_count * FIELD_BYTES_MAX >= SHORT_LENGTH) {
		at = put_number(at, size_of_fields(s, plain));
		return put_fields(at, s, plain);
	}
	end = put_fields(at + 1, s, plain);
	*at = (uint8_t)(end - at - 1);
	return end;
}

/* By itself, or its needs would slow down the loop over numbers. */
static __attribute__((noinline)) uint8_t *put_block(
	uint8_t *at, const struct field *f, uint64_t tag, const uint8_t *plain)
{
	struct wire_bytes b;
	struct elements e;

	if (f->how == TEXT || f->how == BYTES) {
		b = bytes_of(f->how, plain + f->plain);
		return b.len ? put_bytes(put_number(at, tag), b) : at;
	}
	e = elements_of(f, plain);
	for (size_t i = 0; i < e.count; i++) {
		const uint8_t *element = e.list + i * e.bytes;

		at = put_number(at, tag);
		at = f->how == TEXTS ? put_bytes(at, bytes_of(TEXT, element))
				     : put_message(at, f->of, element);
	}
	return at;
}

/* Of a shape that has nothing else: tags have one byte. */
static uint8_t *put_numbers(uint8_t *at, const struct shape *s, const uint8_t *plain)
{
	const struct field *f = s->fields, *end = f + s->field_count;
	uint8_t tag = 1 << 3;

	for (; f < end; f++, tag += 1 << 3) {
		uint64_t v = plain_number(f, plain);

		if (v == 0)
			continue;
		*at++ = tag;
		at = put_number(at, v);
	}
	return at;
}

static uint8_t *put_fields(uint8_t *at, const struct shape *s, const uint8_t *plain)
{
	const struct field *f = s->fields, *end = f + s->field_count;
	uint64_t v, tag = 1 << 3; /* tag_of, of a number */

	if (s->numbers_only)
		return put_numbers(at, s, plain);
	for (; f < end; f++, tag += 1 << 3) {
		if (wire_type_of(f) == BLOCK)
			at = put_block(at, f, tag | BLOCK, plain);
		else if ((v = number_of(f, plain)) != 0)
			at = put_number(put_number(at, tag), v);
	}
	return at;
}

/* What a field that is no number takes at most, beside FIELD_BYTES_MAX; if it is to be measured,
 * more than there may be. */
static size_t bound_of_block(const struct field *f, const uint8_t *plain)
{
	struct elements e;

	if (f->how == TEXT)
		return bytes_of(TEXT, plain + f->plain).len;
	if (f->how != LIST)
		return FRAME_HEADER_BYTES_MAX;
	e = elements_of(f, plain);
	if (e.count > 0 && !f->of->numbers_only)
		return FRAME_HEADER_BYTES_MAX;
	return e.count * (1u + f->of->field_count) * FIELD_BYTES_MAX;
}

/* Room for all that the fields may be, where that is not too much; else what they are. */
static size_t room_for_fields(const struct shape *s, const uint8_t *plain)
{
	size_t room = s->field_count * FIELD_BYTES_MAX;

	if (s->numbers_only)
		return room;
	for (size_t i = 0; i < s->field_count && room < FRAME_HEADER_BYTES_MAX; i++)
		if (wire_type_of(&s->fields[i]) == BLOCK)
			room += bound_of_block(&s->fields[i], plain);
	return room < FRAME_HEADER_BYTES_MAX ? room : size_of_fields(s, plain);
}

int wire_encode(struct buf *out, const struct message *m, uint8_t flags, uint32_t payload_bytes)
{
	const struct shape *shape = wire_shape_of(m->kind);
	const uint8_t *plain;
	size_t room, header_bytes;
	uint8_t *prefix, *header;

	if (!shape)
		return CHAN_EPROTOCOL;
	plain = shape->apart ? m->apart : (const uint8_t *)m;
	room = room_for_fields(shape, plain);
	if (room > FRAME_HEADER_BYTES_MAX || payload_bytes > FRAME_PAYLOAD_BYTES_MAX)
		return CHAN_ETOOLARGE;
	if (buf_reserve(out, FRAME_PREFIX_BYTES + room) < 0)
		return CHAN_ENOMEM;
	prefix = out->bytes + out->end;
	header = prefix + FRAME_PREFIX_BYTES;
	header_bytes = (size_t)(put_fields(header, shape, plain) - header);
	frame_put_prefix(prefix, m->kind, flags, (uint16_t)header_bytes, payload_bytes);
	out->end += FRAME_PREFIX_BYTES + header_bytes;
	return 0;
}
