/*
 * wire.c - messages as plain structs, and their way to bytes and back.
 *
 * A table says for every kind which field of protobuf-c's struct is which field of struct message
 * and how one becomes the other; both directions read the same row, so they cannot disagree.
 * Every way of becoming (enum how) is a pair of functions. To add a field, add its row; to add a
 * kind, add a shape.
 *
 * Decoded messages live in an arena. The widest ratio is a header of empty repeated messages, two
 * bytes each: of those that a client may send, Case and Attribute become under 160 bytes (what
 * protobuf-c scans, its struct, ours), so FRAME_HEADER_BYTES_MAX bounds a frame's memory by 1.3 MB.
 */
#include "proto/wire.h"
#include "chan/status.h"
#include "proto/arena.h"
#include "proto/chand.pb-c.h"
#include "proto/endian.h"
#include "proto/limits.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

enum how {
	SCALAR, /* the same integer on both sides */
	SEQ,    /* u64 that must not be 0 */
	COUNT,  /* u32 where 0 counts as 1 */
	STATUS, /* u32 number <-> negative int */
	BOOL,
	TEXT,
	TEXTS, /* repeated string <-> pointer and count */
	BYTES,
	SUB,  /* one message within */
	LIST, /* repeated message <-> pointer and count */
};

struct shape;

struct field {
	uint8_t how;
	uint8_t bytes;               /* of a SCALAR */
	uint16_t pb, pb_count;       /* offsets in protobuf-c's struct */
	uint16_t plain, plain_count; /* offsets in ours */
	const struct shape *of;      /* of SUB and LIST */
};

struct shape {
	const ProtobufCMessageDescriptor *descriptor;
	const struct field *fields;
	size_t field_count;
	size_t plain_bytes; /* of an element of a LIST */
};

/* ---- the table ---------------------------------------------------------------------------- */

#define MEMBER_BYTES(Type, member) sizeof(((Type *)0)->member)
#define SAME_BYTES(a, b) ((a) + 0 * sizeof(char[(a) == (b) ? 1 : -1]))

/* A field between protobuf-c's struct and a plain one. */
#define FIELD(how_, Pb, pb_, Plain, plain_)                                                        \
	{                                                                                          \
		.how = (how_), .pb = offsetof(Pb, pb_), .plain = offsetof(Plain, plain_)           \
	}
#define FIELD_SCALAR(Pb, pb_, Plain, plain_)                                                       \
	{                                                                                          \
		.how = SCALAR,                                                                     \
		.bytes = SAME_BYTES(MEMBER_BYTES(Pb, pb_), MEMBER_BYTES(Plain, plain_)),           \
		.pb = offsetof(Pb, pb_), .plain = offsetof(Plain, plain_)                          \
	}
#define FIELD_REPEATED(how_, Pb, pb_, Plain, list_, count_, of_)                                   \
	{                                                                                          \
		.how = (how_), .pb = offsetof(Pb, pb_), .pb_count = offsetof(Pb, n_##pb_),         \
		.plain = offsetof(Plain, list_), .plain_count = offsetof(Plain, count_),           \
		.of = (of_)                                                                        \
	}

/* The same for the kind K: struct message's member m, field f. */
#define ANY_OF(how_, K, m, f) FIELD(how_, Chand__##K, f, struct message, m.f)
#define NUMBER(K, m, f) FIELD_SCALAR(Chand__##K, f, struct message, m.f)
#define SEQ_OF(K) FIELD(SEQ, Chand__##K, seq, struct message, seq)
#define TRY_OF(K, m) FIELD(BOOL, Chand__##K, try_, struct message, m.try)

#define SHAPE_OF(descriptor_, fields_, Plain)                                                      \
	{                                                                                          \
		.descriptor = &(descriptor_), .fields = (fields_),                                 \
		.field_count = sizeof(fields_) / sizeof((fields_)[0]),                             \
		.plain_bytes = sizeof(Plain)                                                       \
	}
#define KIND_SHAPE(K, k) SHAPE_OF(chand__##k##__descriptor, k##_fields, struct message)

/* Messages within messages. */
#define SPEAKER(how_, f) FIELD(how_, Chand__Speaker, f, struct wire_speaker, f)
static const struct field speaker_fields[] = {SPEAKER(TEXT, host), SPEAKER(TEXT, program),
	SPEAKER(TEXT, group), SPEAKER(TEXT, library),
	FIELD_SCALAR(Chand__Speaker, pid, struct wire_speaker, pid)};
static const struct shape speaker_shape =
	SHAPE_OF(chand__speaker__descriptor, speaker_fields, struct wire_speaker);

static const struct field credentials_fields[] = {
	FIELD(TEXT, Chand__Credentials, mechanism, struct message, hello.mechanism),
	FIELD(BYTES, Chand__Credentials, token, struct message, hello.token)};
static const struct shape credentials_shape =
	SHAPE_OF(chand__credentials__descriptor, credentials_fields, struct message);

#define LIMIT(f) FIELD_SCALAR(Chand__Limits, f, struct wire_limits, f)
static const struct field limits_fields[] = {LIMIT(frame_header_bytes), LIMIT(frame_payload_bytes),
	LIMIT(value_bytes), LIMIT(capacity), LIMIT(select_cases), LIMIT(credit),
	LIMIT(batch_values), LIMIT(ops_in_flight), LIMIT(bytes_in_flight)};
static const struct shape limits_shape =
	SHAPE_OF(chand__limits__descriptor, limits_fields, struct wire_limits);

static const struct field attribute_fields[] = {
	FIELD(TEXT, Chand__Attribute, name, struct wire_attribute, name),
	FIELD(BYTES, Chand__Attribute, value, struct wire_attribute, value)};
static const struct shape attribute_shape =
	SHAPE_OF(chand__attribute__descriptor, attribute_fields, struct wire_attribute);

static const struct field range_fields[] = {
	FIELD_SCALAR(Chand__Range, first, struct wire_range, first),
	FIELD_SCALAR(Chand__Range, count, struct wire_range, count)};
static const struct shape range_shape =
	SHAPE_OF(chand__range__descriptor, range_fields, struct wire_range);

#define CASE(f) FIELD_SCALAR(Chand__Case, f, struct wire_case, f)
static const struct field case_fields[] = {CASE(channel), CASE(direction), CASE(epoch), CASE(type)};
static const struct shape case_shape =
	SHAPE_OF(chand__case__descriptor, case_fields, struct wire_case);

#define STAT_NUMBER(f) FIELD_SCALAR(Chand__ChannelStat, f, struct wire_channel_stat, f)
#define STAT_ANY(how_, f) FIELD(how_, Chand__ChannelStat, f, struct wire_channel_stat, f)
static const struct field channel_stat_fields[] = {STAT_ANY(TEXT, name), STAT_NUMBER(channel),
	STAT_NUMBER(type), STAT_NUMBER(capacity), STAT_NUMBER(length), STAT_ANY(BOOL, closed),
	STAT_ANY(BOOL, temporary), STAT_NUMBER(senders_waiting), STAT_NUMBER(receivers_waiting),
	STAT_NUMBER(in_flight), STAT_NUMBER(sent), STAT_NUMBER(received), STAT_NUMBER(redelivered),
	STAT_NUMBER(bytes_buffered), STAT_NUMBER(ends_open), STAT_NUMBER(made_unix_ns),
	STAT_ANY(TEXT, closed_by), STAT_NUMBER(closed_unix_ns), STAT_ANY(TEXT, reason),
	STAT_NUMBER(epoch)};
static const struct shape channel_stat_shape =
	SHAPE_OF(chand__channel_stat__descriptor, channel_stat_fields, struct wire_channel_stat);

#define WAITER_NUMBER(f) FIELD_SCALAR(Chand__Waiter, f, struct wire_waiter, f)
static const struct field waiter_fields[] = {WAITER_NUMBER(id), WAITER_NUMBER(participant),
	{.how = SUB,
		.pb = offsetof(Chand__Waiter, speaker),
		.plain = offsetof(struct wire_waiter, speaker),
		.of = &speaker_shape},
	FIELD(TEXT, Chand__Waiter, operation, struct wire_waiter, operation),
	FIELD_REPEATED(
		TEXTS, Chand__Waiter, channels, struct wire_waiter, channels, channel_count, NULL),
	WAITER_NUMBER(waiting_ns), WAITER_NUMBER(remaining_ns)};
static const struct shape waiter_shape =
	SHAPE_OF(chand__waiter__descriptor, waiter_fields, struct wire_waiter);

/* The session. */
#define HELLO(how_, f) ANY_OF(how_, Hello, hello, f)
#define HELLO_NUMBER(f) NUMBER(Hello, hello, f)
static const struct field hello_fields[] = {HELLO_NUMBER(version_min), HELLO_NUMBER(version_max),
	HELLO_NUMBER(features),
	{.how = SUB,
		.pb = offsetof(Chand__Hello, speaker),
		.plain = offsetof(struct message, hello.speaker),
		.of = &speaker_shape},
	{.how = SUB,
		.pb = offsetof(Chand__Hello, credentials),
		.plain = 0,
		.of = &credentials_shape},
	HELLO_NUMBER(linger_ms), HELLO(BYTES, session_id), HELLO(BYTES, session_secret),
	HELLO_NUMBER(connection_epoch), HELLO_NUMBER(incarnation), HELLO_NUMBER(frames_received)};

#define WELCOME(how_, f) ANY_OF(how_, Welcome, welcome, f)
#define WELCOME_NUMBER(f) NUMBER(Welcome, welcome, f)
static const struct field welcome_fields[] = {WELCOME_NUMBER(version), WELCOME_NUMBER(features),
	WELCOME(TEXT, broker), WELCOME_NUMBER(incarnation), WELCOME(BYTES, session_id),
	WELCOME(BYTES, session_secret), WELCOME_NUMBER(connection_epoch), WELCOME(BOOL, resumed),
	WELCOME_NUMBER(frames_received), WELCOME_NUMBER(linger_ms), WELCOME_NUMBER(heartbeat_ms),
	{.how = SUB,
		.pb = offsetof(Chand__Welcome, limits),
		.plain = offsetof(struct message, welcome.limits),
		.of = &limits_shape}};

static const struct field ping_fields[] = {
	NUMBER(Ping, ping, nonce), NUMBER(Ping, ping, frames_received)};
static const struct field pong_fields[] = {
	NUMBER(Pong, ping, nonce), NUMBER(Pong, ping, frames_received)};
static const struct field goaway_fields[] = {ANY_OF(STATUS, GoAway, goaway, status),
	ANY_OF(TEXT, GoAway, goaway, message), ANY_OF(TEXT, GoAway, goaway, redirect_url)};

/* Operations. */
static const struct field make_fields[] = {SEQ_OF(Make), ANY_OF(TEXT, Make, make, name),
	NUMBER(Make, make, type), ANY_OF(TEXT, Make, make, type_name), NUMBER(Make, make, capacity),
	ANY_OF(BOOL, Make, make, temporary), NUMBER(Make, make, direction),
	FIELD_REPEATED(LIST, Chand__Make, attributes, struct message, make.attributes,
		make.attribute_count, &attribute_shape),
	NUMBER(Make, make, participant)};
static const struct field open_fields[] = {SEQ_OF(Open), ANY_OF(TEXT, Open, open, name),
	NUMBER(Open, open, channel), NUMBER(Open, open, incarnation), NUMBER(Open, open, direction),
	ANY_OF(BOOL, Open, open, wait_create), NUMBER(Open, open, timeout_ns),
	NUMBER(Open, open, participant)};
static const struct field release_fields[] = {SEQ_OF(Release), NUMBER(Release, release, channel)};
static const struct field send_fields[] = {SEQ_OF(Send), NUMBER(Send, send, channel),
	NUMBER(Send, send, count), NUMBER(Send, send, payload_bytes), TRY_OF(Send, send),
	NUMBER(Send, send, timeout_ns), NUMBER(Send, send, participant), NUMBER(Send, send, epoch),
	NUMBER(Send, send, type)};
static const struct field piece_fields[] = {FIELD(SEQ, Chand__Piece, id, struct message, seq)};
static const struct field recv_fields[] = {SEQ_OF(Recv), NUMBER(Recv, recv, channel),
	ANY_OF(COUNT, Recv, recv, credit), ANY_OF(BOOL, Recv, recv, stream), TRY_OF(Recv, recv),
	NUMBER(Recv, recv, timeout_ns), NUMBER(Recv, recv, participant), NUMBER(Recv, recv, epoch),
	NUMBER(Recv, recv, lease_ns)};
static const struct field grant_fields[] = {SEQ_OF(Grant), NUMBER(Grant, grant, credit)};

#define DELIVERIES(K)                                                                              \
	FIELD_REPEATED(LIST, Chand__##K, deliveries, struct message, settle.deliveries.list,       \
		settle.deliveries.count, &range_shape)
static const struct field taken_fields[] = {
	FIELD_SCALAR(Chand__Taken, seq, struct message, seq), DELIVERIES(Taken)};
static const struct field return_fields[] = {FIELD_SCALAR(Chand__Return, seq, struct message, seq),
	DELIVERIES(Return), NUMBER(Return, settle, delay_ns)};
static const struct field gone_fields[] = {DELIVERIES(Gone)};

static const struct field select_fields[] = {SEQ_OF(Select),
	FIELD_REPEATED(LIST, Chand__Select, cases, struct message, select.cases, select.case_count,
		&case_shape),
	NUMBER(Select, select, payload_bytes), TRY_OF(Select, select),
	NUMBER(Select, select, timeout_ns), NUMBER(Select, select, participant)};
static const struct field cancel_fields[] = {SEQ_OF(Cancel), NUMBER(Cancel, cancel, target)};
static const struct field close_fields[] = {SEQ_OF(Close), NUMBER(Close, close, channel),
	ANY_OF(TEXT, Close, close, reason), ANY_OF(BOOL, Close, close, abort),
	NUMBER(Close, close, participant), NUMBER(Close, close, epoch)};
static const struct field remove_fields[] = {SEQ_OF(Remove),
	ANY_OF(TEXT, Remove, channel_ref, name), NUMBER(Remove, channel_ref, channel)};
static const struct field stat_fields[] = {
	SEQ_OF(Stat), ANY_OF(TEXT, Stat, channel_ref, name), NUMBER(Stat, channel_ref, channel)};
static const struct field list_fields[] = {SEQ_OF(List), ANY_OF(TEXT, List, list, prefix),
	ANY_OF(TEXT, List, list, after), NUMBER(List, list, count_max)};
static const struct field ps_fields[] = {
	SEQ_OF(Ps), NUMBER(Ps, ps, after), NUMBER(Ps, ps, count_max)};

/* Answers. */
static const struct field opened_fields[] = {SEQ_OF(Opened), NUMBER(Opened, opened, channel),
	ANY_OF(TEXT, Opened, opened, name), NUMBER(Opened, opened, type),
	NUMBER(Opened, opened, capacity), NUMBER(Opened, opened, direction),
	ANY_OF(BOOL, Opened, opened, created), NUMBER(Opened, opened, epoch)};
static const struct field done_fields[] = {
	SEQ_OF(Done), ANY_OF(COUNT, Done, done, count), NUMBER(Done, done, case_index)};
static const struct field fail_fields[] = {SEQ_OF(Fail), ANY_OF(COUNT, Fail, fail, count),
	ANY_OF(STATUS, Fail, fail, status), ANY_OF(TEXT, Fail, fail, message),
	NUMBER(Fail, fail, case_index), ANY_OF(TEXT, Fail, fail, closed_by),
	NUMBER(Fail, fail, closed_unix_ns), ANY_OF(TEXT, Fail, fail, reason),
	ANY_OF(TEXT, Fail, fail, redirect_url)};
static const struct field deliver_fields[] = {SEQ_OF(Deliver), NUMBER(Deliver, deliver, delivery),
	NUMBER(Deliver, deliver, channel), NUMBER(Deliver, deliver, count),
	NUMBER(Deliver, deliver, payload_bytes), NUMBER(Deliver, deliver, case_index)};
static const struct field stats_fields[] = {SEQ_OF(Stats),
	FIELD_REPEATED(LIST, Chand__Stats, channels, struct message, stats.channels, stats.count,
		&channel_stat_shape),
	ANY_OF(BOOL, Stats, stats, more)};
static const struct field waiters_fields[] = {SEQ_OF(Waiters),
	FIELD_REPEATED(LIST, Chand__Waiters, waiters, struct message, waiters.waiters,
		waiters.count, &waiter_shape),
	ANY_OF(BOOL, Waiters, waiters, more)};

static const struct shape shapes[] = {
	[MESSAGE_HELLO] = KIND_SHAPE(Hello, hello),
	[MESSAGE_BYE] = {.descriptor = &chand__bye__descriptor},
	[MESSAGE_PING] = KIND_SHAPE(Ping, ping),
	[MESSAGE_PONG] = KIND_SHAPE(Pong, pong),
	[MESSAGE_MAKE] = KIND_SHAPE(Make, make),
	[MESSAGE_OPEN] = KIND_SHAPE(Open, open),
	[MESSAGE_RELEASE] = KIND_SHAPE(Release, release),
	[MESSAGE_SEND] = KIND_SHAPE(Send, send),
	[MESSAGE_PIECE] = KIND_SHAPE(Piece, piece),
	[MESSAGE_RECV] = KIND_SHAPE(Recv, recv),
	[MESSAGE_GRANT] = KIND_SHAPE(Grant, grant),
	[MESSAGE_TAKEN] = KIND_SHAPE(Taken, taken),
	[MESSAGE_RETURN] = KIND_SHAPE(Return, return ),
	[MESSAGE_SELECT] = KIND_SHAPE(Select, select),
	[MESSAGE_CANCEL] = KIND_SHAPE(Cancel, cancel),
	[MESSAGE_CLOSE] = KIND_SHAPE(Close, close),
	[MESSAGE_REMOVE] = KIND_SHAPE(Remove, remove),
	[MESSAGE_STAT] = KIND_SHAPE(Stat, stat),
	[MESSAGE_LIST] = KIND_SHAPE(List, list),
	[MESSAGE_PS] = KIND_SHAPE(Ps, ps),
	[MESSAGE_WELCOME] = KIND_SHAPE(Welcome, welcome),
	[MESSAGE_OPENED] = KIND_SHAPE(Opened, opened),
	[MESSAGE_DONE] = KIND_SHAPE(Done, done),
	[MESSAGE_FAIL] = KIND_SHAPE(Fail, fail),
	[MESSAGE_DELIVER] = KIND_SHAPE(Deliver, deliver),
	[MESSAGE_GONE] = KIND_SHAPE(Gone, gone),
	[MESSAGE_STATS] = KIND_SHAPE(Stats, stats),
	[MESSAGE_WAITERS] = KIND_SHAPE(Waiters, waiters),
	[MESSAGE_GOAWAY] = SHAPE_OF(chand__go_away__descriptor, goaway_fields, struct message),
};

static const struct shape *kind_shape(int kind)
{
	if (kind < 0 || (size_t)kind >= sizeof(shapes) / sizeof(shapes[0]))
		return NULL;
	return shapes[kind].descriptor ? &shapes[kind] : NULL;
}

/* ---- kinds -------------------------------------------------------------------------------- */

const char *message_kind_name(int kind)
{
#define KIND_NAME(name, number, by) [number] = #name,
	static const char *const names[] = {MESSAGE_KIND_LIST(KIND_NAME)};
#undef KIND_NAME

	return kind_shape(kind) ? names[kind] : "?";
}

bool message_kind_allowed(int kind, bool by_client)
{
	enum { C = 1, B = 2, E = C | B };
#define KIND_SENDER(name, number, by) [number] = (by),
	static const uint8_t senders[] = {MESSAGE_KIND_LIST(KIND_SENDER)};
#undef KIND_SENDER

	return kind_shape(kind) && (senders[kind] & (by_client ? C : B));
}

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

/* ---- scratch ------------------------------------------------------------------------------ */

/* Holds what some forty frames of the hot path decode to. */
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

static void *arena_pb_alloc(void *arena, size_t bytes)
{
	return arena_alloc(arena, bytes);
}

static void arena_pb_free(void *arena, void *piece)
{
	(void)arena;
	(void)piece;
}

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
 * Whether every string in a header is UTF-8 without NUL. protobuf-c checks neither, and what it
 * hands out is NUL-terminated: a name would silently end at its NUL. Messages nest as deep as
 * chand.proto does, two levels.
 */
static bool texts_valid(const ProtobufCMessageDescriptor *d, const uint8_t *at, size_t left)
{
	while (left > 0) {
		const ProtobufCFieldDescriptor *field;
		uint64_t tag, length;

		if (!take_varint(&at, &left, &tag) || tag > UINT32_MAX ||
			!take_length(tag & 7, &at, &left, &length) || length > left)
			return false;
		field = (tag & 7) == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED
				? protobuf_c_message_descriptor_get_field(d, (unsigned)tag >> 3)
				: NULL;
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

int wire_decode(const struct frame *f, struct wire_scratch *s, struct message *ret_message)
{
	const struct shape *shape = kind_shape(f->kind);
	ProtobufCAllocator allocator = {arena_pb_alloc, arena_pb_free, &s->arena};
	ProtobufCMessage *pb;
	struct message m;
	int rc;

	if (!shape || !texts_valid(shape->descriptor, f->header, f->header_bytes))
		return CHAN_EPROTOCOL;
	pb = protobuf_c_message_unpack(shape->descriptor, &allocator, f->header_bytes, f->header);
	if (!pb)
		return s->arena.failed ? CHAN_ENOMEM : CHAN_EPROTOCOL;
	memset(&m, 0, sizeof(m));
	m.kind = f->kind;
	rc = get_fields(shape, pb, &m, 0, &s->arena);
	if (rc == 0)
		*ret_message = m;
	return rc;
}

void wire_explain(const struct frame *f, char *text, size_t text_size)
{
	const struct shape *shape = kind_shape(f->kind);

	if (!shape)
		snprintf(text, text_size, "there is no message of kind %u in version %u", f->kind,
			PROTOCOL_VERSION);
	else if (!texts_valid(shape->descriptor, f->header, f->header_bytes))
		snprintf(text, text_size,
			"the header of a %s is not protobuf with strings of UTF-8 without NUL",
			message_kind_name(f->kind));
	else
		snprintf(text, text_size,
			"the header of a %s does not parse as one, or lacks its number (seq, id)",
			message_kind_name(f->kind));
}

/* Any message as protobuf-c has it. */
union any_pb {
	ProtobufCMessage base;
	Chand__Hello hello;
	Chand__Welcome welcome;
	Chand__Make make;
	Chand__Opened opened;
	Chand__Fail fail;
	Chand__Recv recv;
	Chand__Send send;
};

/* Room on the stack for the messages within a message; a SELECT or list that needs more takes a
 * block of the arena's. A goroutine's first page must hold this. */
#define ENCODE_FIRST_BYTES 512u

int wire_encode(struct buf *out, const struct message *m, uint8_t flags, uint32_t payload_bytes)
{
	const struct shape *shape = kind_shape(m->kind);
	_Alignas(max_align_t) uint8_t first[ENCODE_FIRST_BYTES];
	struct arena arena;
	union any_pb pb;
	size_t header_bytes;
	int rc = CHAN_EPROTOCOL;

	arena_init(&arena, first, sizeof(first));
	if (!shape || shape->descriptor->sizeof_message > sizeof(pb))
		goto out;
	rc = put_fields(shape, &pb, m, 0, &arena);
	if (rc < 0)
		goto out;
	header_bytes = protobuf_c_message_get_packed_size(&pb.base);
	rc = CHAN_ETOOLARGE;
	if (header_bytes > FRAME_HEADER_BYTES_MAX || payload_bytes > FRAME_PAYLOAD_BYTES_MAX)
		goto out;
	rc = buf_reserve(out, FRAME_PREFIX_BYTES + header_bytes);
	if (rc < 0)
		goto out;
	frame_put_prefix(
		out->bytes + out->end, m->kind, flags, (uint16_t)header_bytes, payload_bytes);
	protobuf_c_message_pack(&pb.base, out->bytes + out->end + FRAME_PREFIX_BYTES);
	out->end += FRAME_PREFIX_BYTES + header_bytes;
out:
	arena_reset(&arena);
	return rc;
}

/* ---- values ------------------------------------------------------------------------------- */

/* Before an envelope, its length. */
#define ENVELOPE_PREFIX_BYTES 2u

static bool read_envelope(const uint8_t *bytes, size_t len, uint32_t *ret_attempt)
{
	_Alignas(max_align_t) uint8_t first[ENCODE_FIRST_BYTES];
	struct arena arena;
	ProtobufCAllocator allocator = {arena_pb_alloc, arena_pb_free, &arena};
	Chand__Envelope *envelope;

	arena_init(&arena, first, sizeof(first));
	envelope = chand__envelope__unpack(&allocator, len, bytes);
	if (envelope)
		*ret_attempt = envelope->attempt ? envelope->attempt : 1;
	arena_reset(&arena);
	return envelope;
}

int wire_value_next(const uint8_t **at, size_t *left, struct wire_value *ret_value)
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
			!read_envelope(v.bytes + ENVELOPE_PREFIX_BYTES, envelope_bytes, &v.attempt))
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

static Chand__Envelope envelope_of(uint32_t attempt)
{
	Chand__Envelope envelope = CHAND__ENVELOPE__INIT;

	envelope.attempt = attempt;
	return envelope;
}

/* What stands between the value's length and its bytes. */
static size_t envelope_room(uint32_t attempt)
{
	Chand__Envelope envelope = envelope_of(attempt);

	return attempt > 1 ? ENVELOPE_PREFIX_BYTES + chand__envelope__get_packed_size(&envelope)
			   : 0;
}

size_t wire_value_bytes(size_t len, uint32_t attempt)
{
	return VALUE_PREFIX_BYTES + envelope_room(attempt) + len;
}

int wire_value_put_prefix(struct buf *out, size_t len, uint32_t attempt)
{
	size_t room = envelope_room(attempt);
	Chand__Envelope envelope = envelope_of(attempt);
	uint8_t *at;

	if (len > UINT32_MAX - room)
		return CHAN_ETOOLARGE;
	if (buf_reserve(out, VALUE_PREFIX_BYTES + room) < 0)
		return CHAN_ENOMEM;
	at = out->bytes + out->end;
	at[0] = room ? VALUE_ENVELOPE : 0;
	put_be32(at + 1, (uint32_t)(room + len));
	if (room) {
		put_be16(at + VALUE_PREFIX_BYTES, (uint16_t)(room - ENVELOPE_PREFIX_BYTES));
		chand__envelope__pack(&envelope, at + VALUE_PREFIX_BYTES + ENVELOPE_PREFIX_BYTES);
	}
	out->end += VALUE_PREFIX_BYTES + room;
	return 0;
}
