/*
 * wire_reference.c - the same by protobuf-c, by way of its own structs: it says what the bytes of a
 * header mean, and which bytes a message has.
 */
#include "tests/support/wire_reference.h"
#include "chan/status.h"
#include "proto/limits.h"
#include "proto/wire_shape.h"
#include <string.h>
#include <unistr.h>

/* ---- the ways of becoming ----------------------------------------------------------------- */

/* get: from protobuf-c's struct to ours; put: back. 0 or a status. Memory is the arena's. */
struct conversion {
	int (*get)(const struct field *f, const uint8_t *pb, uint8_t *plain, struct arena *a);
	int (*put)(const struct field *f, uint8_t *pb, const uint8_t *plain, struct arena *a);
};
static const struct conversion conversions[];

static int get_fields(
	const struct shape *s, const void *pb, void *plain, size_t plain_at, struct arena *a)
{
	int rc = 0;

	for (size_t i = 0; i < s->field_count && rc == 0; i++) {
		const struct field *f = &s->fields[i];

		rc = conversions[f->how].get(f, pb, (uint8_t *)plain + plain_at, a);
	}
	return rc;
}

static int put_fields(
	const struct shape *s, void *pb, const void *plain, size_t plain_at, struct arena *a)
{
	int rc = 0;

	protobuf_c_message_init(s->descriptor, pb);
	for (size_t i = 0; i < s->field_count && rc == 0; i++) {
		const struct field *f = &s->fields[i];

		rc = conversions[f->how].put(f, pb, (const uint8_t *)plain + plain_at, a);
	}
	return rc;
}

static void copy_scalar(uint8_t *to, const uint8_t *from, uint8_t bytes)
{
	if (bytes == sizeof(uint32_t))
		memcpy(to, from, sizeof(uint32_t));
	else
		memcpy(to, from, sizeof(uint64_t));
}

static int get_scalar(const struct field *f, const uint8_t *pb, uint8_t *plain, struct arena *a)
{
	(void)a;
	copy_scalar(plain + f->plain, pb + f->pb, f->bytes);
	return 0;
}

static int put_scalar(const struct field *f, uint8_t *pb, const uint8_t *plain, struct arena *a)
{
	(void)a;
	copy_scalar(pb + f->pb, plain + f->plain, f->bytes);
	return 0;
}

static int get_seq(const struct field *f, const uint8_t *pb, uint8_t *plain, struct arena *a)
{
	uint64_t seq;

	(void)a;
	memcpy(&seq, pb + f->pb, sizeof(seq));
	memcpy(plain + f->plain, &seq, sizeof(seq));
	return seq == 0 ? CHAN_EPROTOCOL : 0;
}

static int put_seq(const struct field *f, uint8_t *pb, const uint8_t *plain, struct arena *a)
{
	(void)a;
	memcpy(pb + f->pb, plain + f->plain, sizeof(uint64_t));
	return 0;
}

static int get_count(const struct field *f, const uint8_t *pb, uint8_t *plain, struct arena *a)
{
	uint32_t count;

	(void)a;
	memcpy(&count, pb + f->pb, sizeof(count));
	count = count ? count : 1;
	memcpy(plain + f->plain, &count, sizeof(count));
	return 0;
}

static int put_count(const struct field *f, uint8_t *pb, const uint8_t *plain, struct arena *a)
{
	(void)a;
	memcpy(pb + f->pb, plain + f->plain, sizeof(uint32_t));
	return 0;
}

static int get_status(const struct field *f, const uint8_t *pb, uint8_t *plain, struct arena *a)
{
	uint32_t number;
	int status;

	(void)a;
	memcpy(&number, pb + f->pb, sizeof(number));
	if (number > INT32_MAX)
		return CHAN_EPROTOCOL;
	status = -(int)number;
	memcpy(plain + f->plain, &status, sizeof(status));
	return 0;
}

static int put_status(const struct field *f, uint8_t *pb, const uint8_t *plain, struct arena *a)
{
	uint32_t number;
	int status;

	(void)a;
	memcpy(&status, plain + f->plain, sizeof(status));
	number = (uint32_t)-status;
	memcpy(pb + f->pb, &number, sizeof(number));
	return 0;
}

static int get_bool(const struct field *f, const uint8_t *pb, uint8_t *plain, struct arena *a)
{
	protobuf_c_boolean from;
	bool to;

	(void)a;
	memcpy(&from, pb + f->pb, sizeof(from));
	to = from != 0;
	memcpy(plain + f->plain, &to, sizeof(to));
	return 0;
}

static int put_bool(const struct field *f, uint8_t *pb, const uint8_t *plain, struct arena *a)
{
	protobuf_c_boolean to;
	bool from;

	(void)a;
	memcpy(&from, plain + f->plain, sizeof(from));
	to = from;
	memcpy(pb + f->pb, &to, sizeof(to));
	return 0;
}

static int get_text(const struct field *f, const uint8_t *pb, uint8_t *plain, struct arena *a)
{
	(void)a;
	memcpy(plain + f->plain, pb + f->pb, sizeof(char *));
	return 0;
}

static int put_text(const struct field *f, uint8_t *pb, const uint8_t *plain, struct arena *a)
{
	const char *text;

	(void)a;
	memcpy(&text, plain + f->plain, sizeof(text));
	if (text)
		memcpy(pb + f->pb, &text, sizeof(text));
	return 0;
}

static int get_texts(const struct field *f, const uint8_t *pb, uint8_t *plain, struct arena *a)
{
	(void)a;
	memcpy(plain + f->plain, pb + f->pb, sizeof(char **));
	memcpy(plain + f->plain_count, pb + f->pb_count, sizeof(size_t));
	return 0;
}

static int put_texts(const struct field *f, uint8_t *pb, const uint8_t *plain, struct arena *a)
{
	(void)a;
	memcpy(pb + f->pb, plain + f->plain, sizeof(char **));
	memcpy(pb + f->pb_count, plain + f->plain_count, sizeof(size_t));
	return 0;
}

static int get_bytes(const struct field *f, const uint8_t *pb, uint8_t *plain, struct arena *a)
{
	ProtobufCBinaryData from;
	struct wire_bytes to;

	(void)a;
	memcpy(&from, pb + f->pb, sizeof(from));
	to = (struct wire_bytes){.bytes = from.data, .len = from.len};
	memcpy(plain + f->plain, &to, sizeof(to));
	return 0;
}

static int put_bytes(const struct field *f, uint8_t *pb, const uint8_t *plain, struct arena *a)
{
	struct wire_bytes from;
	ProtobufCBinaryData to;

	(void)a;
	memcpy(&from, plain + f->plain, sizeof(from));
	to = (ProtobufCBinaryData){.data = (uint8_t *)from.bytes, .len = from.len};
	memcpy(pb + f->pb, &to, sizeof(to));
	return 0;
}

static int get_sub(const struct field *f, const uint8_t *pb, uint8_t *plain, struct arena *a)
{
	void *sub;

	memcpy(&sub, pb + f->pb, sizeof(sub));
	if (!sub) {
		sub = arena_alloc(a, f->of->descriptor->sizeof_message);
		if (!sub)
			return CHAN_ENOMEM;
		protobuf_c_message_init(f->of->descriptor, sub);
	}
	return get_fields(f->of, sub, plain, f->plain, a);
}

static int put_sub(const struct field *f, uint8_t *pb, const uint8_t *plain, struct arena *a)
{
	void *sub = arena_alloc(a, f->of->descriptor->sizeof_message);

	if (!sub)
		return CHAN_ENOMEM;
	memcpy(pb + f->pb, &sub, sizeof(sub));
	return put_fields(f->of, sub, plain, f->plain, a);
}

static int get_list(const struct field *f, const uint8_t *pb, uint8_t *plain, struct arena *a)
{
	size_t count, element_bytes = f->of->plain_bytes;
	void **from;
	uint8_t *to;
	int rc = 0;

	memcpy(&count, pb + f->pb_count, sizeof(count));
	memcpy(&from, pb + f->pb, sizeof(from));
	to = arena_alloc(a, count * element_bytes);
	if (!to)
		return CHAN_ENOMEM;
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = get_fields(f->of, from[i], to, i * element_bytes, a);
	memcpy(plain + f->plain, &to, sizeof(to));
	memcpy(plain + f->plain_count, &count, sizeof(count));
	return rc;
}

static int put_list(const struct field *f, uint8_t *pb, const uint8_t *plain, struct arena *a)
{
	size_t count, element_bytes = f->of->plain_bytes;
	size_t pb_bytes = f->of->descriptor->sizeof_message;
	const uint8_t *from;
	void **to;
	int rc = 0;

	memcpy(&count, plain + f->plain_count, sizeof(count));
	memcpy(&from, plain + f->plain, sizeof(from));
	/* Two bytes of header is the least that an element takes. */
	if (count > FRAME_HEADER_BYTES_MAX / 2)
		return CHAN_ETOOLARGE;
	to = arena_alloc(a, count * sizeof(*to));
	if (!to)
		return CHAN_ENOMEM;
	for (size_t i = 0; i < count && rc == 0; i++) {
		to[i] = arena_alloc(a, pb_bytes);
		rc = to[i] ? put_fields(f->of, to[i], from, i * element_bytes, a) : CHAN_ENOMEM;
	}
	memcpy(pb + f->pb, &to, sizeof(to));
	memcpy(pb + f->pb_count, &count, sizeof(count));
	return rc;
}

static const struct conversion conversions[] = {
	[SCALAR] = {get_scalar, put_scalar},
	[SEQ] = {get_seq, put_seq},
	[COUNT] = {get_count, put_count},
	[STATUS] = {get_status, put_status},
	[BOOL] = {get_bool, put_bool},
	[TEXT] = {get_text, put_text},
	[TEXTS] = {get_texts, put_texts},
	[BYTES] = {get_bytes, put_bytes},
	[SUB] = {get_sub, put_sub},
	[LIST] = {get_list, put_list},
};

/* ---- headers ------------------------------------------------------------------------------ */

static bool take_varint(const uint8_t **at, size_t *left, uint64_t *ret_v)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && *left > 0; shift += 7) {
		uint8_t byte = *(*at)++;

		--*left;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret_v = v;
			return true;
		}
	}
	return false;
}

/* How many bytes follow a tag, for those wire types whose bytes can be skipped. */
static bool take_length(unsigned wire_type, const uint8_t **at, size_t *left, uint64_t *ret_length)
{
	uint64_t ignored;

	switch (wire_type) {
	case PROTOBUF_C_WIRE_TYPE_VARINT:
		*ret_length = 0;
		return take_varint(at, left, &ignored);
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		*ret_length = 8;
		return true;
	case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
		return take_varint(at, left, ret_length);
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		*ret_length = 4;
		return true;
	default:
		return false;
	}
}

/*
 * Whether every string in a header is UTF-8 without NUL, every bool a number, and no field's number 0
 * in a longer form: protobuf-c does not look. Messages nest as deep as chand.proto does, two levels.
 */
static bool texts_valid(const ProtobufCMessageDescriptor *d, const uint8_t *at, size_t left)
{
	while (left > 0) {
		const ProtobufCFieldDescriptor *field;
		uint64_t tag, length;

		if (!take_varint(&at, &left, &tag) || tag > UINT32_MAX || tag < 8 ||
			!take_length(tag & 7, &at, &left, &length) || length > left)
			return false;
		field = protobuf_c_message_descriptor_get_field(d, (unsigned)tag >> 3);
		if (field && field->type == PROTOBUF_C_TYPE_BOOL && (tag & 7) != 0)
			return false;
		if ((tag & 7) != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
			field = NULL;
		if (field && field->type == PROTOBUF_C_TYPE_STRING && length > 0 &&
			(memchr(at, 0, length) || u8_check(at, length)))
			return false;
		if (field && field->type == PROTOBUF_C_TYPE_MESSAGE &&
			!texts_valid(field->descriptor, at, length))
			return false;
		at += length;
		left -= length;
	}
	return true;
}

int reference_decode(const struct frame *f, struct arena *a, struct message *ret_message)
{
	const struct shape *shape = wire_shape_of(f->kind);
	ProtobufCAllocator allocator = wire_allocator(a);
	ProtobufCMessage *pb;
	struct message m;
	void *plain;
	int rc;

	if (!shape || !texts_valid(shape->descriptor, f->header, f->header_bytes))
		return CHAN_EPROTOCOL;
	memset(&m, 0, sizeof(m));
	m.kind = f->kind;
	plain = &m;
	if (shape->apart && !(m.apart = plain = arena_alloc(a, shape->plain_bytes)))
		return CHAN_ENOMEM;
	pb = protobuf_c_message_unpack(shape->descriptor, &allocator, f->header_bytes, f->header);
	if (!pb)
		return a->failed ? CHAN_ENOMEM : CHAN_EPROTOCOL;
	rc = get_fields(shape, pb, plain, 0, a);
	if (rc == 0)
		*ret_message = m;
	return rc;
}

#define ENCODE_FIRST_BYTES 768u

int reference_encode(struct buf *out, const struct message *m, uint8_t flags, uint32_t payload_bytes)
{
	const struct shape *shape = wire_shape_of(m->kind);
	_Alignas(max_align_t) uint8_t first[ENCODE_FIRST_BYTES];
	struct arena arena;
	ProtobufCMessage *pb;
	size_t header_bytes;
	int rc;

	if (!shape)
		return CHAN_EPROTOCOL;
	arena_init(&arena, first, sizeof(first));
	pb = arena_alloc(&arena, shape->descriptor->sizeof_message);
	rc = pb ? put_fields(shape, pb, shape->apart ? m->apart : m, 0, &arena) : CHAN_ENOMEM;
	if (rc < 0)
		goto out;
	header_bytes = protobuf_c_message_get_packed_size(pb);
	rc = CHAN_ETOOLARGE;
	if (header_bytes > FRAME_HEADER_BYTES_MAX || payload_bytes > FRAME_PAYLOAD_BYTES_MAX)
		goto out;
	rc = buf_reserve(out, FRAME_PREFIX_BYTES + header_bytes);
	if (rc < 0)
		goto out;
	frame_put_prefix(
		out->bytes + out->end, m->kind, flags, (uint16_t)header_bytes, payload_bytes);
	protobuf_c_message_pack(pb, out->bytes + out->end + FRAME_PREFIX_BYTES);
	out->end += FRAME_PREFIX_BYTES + header_bytes;
out:
	arena_reset(&arena);
	return rc;
}
