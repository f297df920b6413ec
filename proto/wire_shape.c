/*
 * wire_shape.c - which field of a message in chand.proto is which field of struct message.
 *
 * A row's place is its field's number: those of chand.proto have no gaps.
 */
#include "proto/wire_shape.h"
#include "proto/chand.pb-c.h"
#include "proto/wire.h"

#define MEMBER_BYTES(Type, member) sizeof(((Type *)0)->member)
#define SAME_BYTES(a, b) ((a) + 0 * sizeof(char[(a) == (b) ? 1 : -1]))

/* A field between protobuf-c's struct and a plain one. */
#define FIELD(how_, Pb, pb_, Plain, plain_)                                                        \
	{                                                                                          \
		.how = (how_), .bytes = MEMBER_BYTES(Plain, plain_), .pb = offsetof(Pb, pb_),      \
		.plain = offsetof(Plain, plain_)                                                   \
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

#define SHAPE_OF(descriptor_, fields_, Plain, ...)                                                 \
	{                                                                                          \
		.descriptor = &(descriptor_), .fields = (fields_),                                 \
		.field_count = sizeof(fields_) / sizeof((fields_)[0]),                             \
		.plain_bytes = sizeof(Plain), __VA_ARGS__                                          \
	}
#define KIND_SHAPE(K, k, ...)                                                                      \
	SHAPE_OF(chand__##k##__descriptor, k##_fields, struct message, __VA_ARGS__)
#define APART_SHAPE(K, k)                                                                          \
	SHAPE_OF(chand__##k##__descriptor, k##_fields, struct wire_##k, .apart = true)
#define NUMBERS_ONLY .numbers_only = true

/* Messages within messages. */
#define SPEAKER(how_, f) FIELD(how_, Chand__Speaker, f, struct wire_speaker, f)
static const struct field speaker_fields[] = {SPEAKER(TEXT, host),
	FIELD_SCALAR(Chand__Speaker, pid, struct wire_speaker, pid), SPEAKER(TEXT, program),
	SPEAKER(TEXT, group), SPEAKER(TEXT, library)};
static const struct shape speaker_shape =
	SHAPE_OF(chand__speaker__descriptor, speaker_fields, struct wire_speaker);

static const struct field credentials_fields[] = {
	FIELD(TEXT, Chand__Credentials, mechanism, struct wire_hello, mechanism),
	FIELD(BYTES, Chand__Credentials, token, struct wire_hello, token)};
static const struct shape credentials_shape =
	SHAPE_OF(chand__credentials__descriptor, credentials_fields, struct wire_hello);

#define LIMIT(f) FIELD_SCALAR(Chand__Limits, f, struct wire_limits, f)
static const struct field limits_fields[] = {LIMIT(frame_header_bytes), LIMIT(frame_payload_bytes),
	LIMIT(value_bytes), LIMIT(capacity), LIMIT(select_cases), LIMIT(credit),
	LIMIT(batch_values), LIMIT(ops_in_flight), LIMIT(bytes_in_flight), LIMIT(unseen_bytes),
	LIMIT(lease_ns)};
static const struct shape limits_shape =
	SHAPE_OF(chand__limits__descriptor, limits_fields, struct wire_limits, NUMBERS_ONLY);

static const struct field attribute_fields[] = {
	FIELD(TEXT, Chand__Attribute, name, struct wire_attribute, name),
	FIELD(BYTES, Chand__Attribute, value, struct wire_attribute, value)};
static const struct shape attribute_shape =
	SHAPE_OF(chand__attribute__descriptor, attribute_fields, struct wire_attribute);

static const struct field range_fields[] = {
	FIELD_SCALAR(Chand__Range, first, struct wire_range, first),
	FIELD_SCALAR(Chand__Range, count, struct wire_range, count)};
static const struct shape range_shape =
	SHAPE_OF(chand__range__descriptor, range_fields, struct wire_range, NUMBERS_ONLY);

#define CASE(f) FIELD_SCALAR(Chand__Case, f, struct wire_case, f)
static const struct field case_fields[] = {
	CASE(channel), CASE(direction), CASE(epoch), CASE(type), CASE(lease_ns)};
static const struct shape case_shape =
	SHAPE_OF(chand__case__descriptor, case_fields, struct wire_case, NUMBERS_ONLY);

#define STAT_NUMBER(f) FIELD_SCALAR(Chand__ChannelStat, f, struct wire_channel_stat, f)
#define STAT_ANY(how_, f) FIELD(how_, Chand__ChannelStat, f, struct wire_channel_stat, f)
static const struct field channel_stat_fields[] = {STAT_ANY(TEXT, name), STAT_NUMBER(channel),
	STAT_NUMBER(type), STAT_NUMBER(capacity), STAT_NUMBER(length), STAT_ANY(BOOL, closed),
	STAT_ANY(BOOL, temporary), STAT_NUMBER(senders_waiting), STAT_NUMBER(receivers_waiting),
	STAT_NUMBER(in_flight), STAT_NUMBER(sent), STAT_NUMBER(received), STAT_NUMBER(redelivered),
	STAT_NUMBER(bytes_buffered), STAT_NUMBER(ends_open), STAT_NUMBER(made_unix_ns),
	STAT_ANY(TEXT, closed_by), STAT_NUMBER(closed_unix_ns), STAT_ANY(TEXT, reason),
	STAT_NUMBER(epoch), STAT_NUMBER(leased), STAT_ANY(BOOL, aborted), STAT_NUMBER(producers),
	FIELD_REPEATED(LIST, Chand__ChannelStat, attributes, struct wire_channel_stat, attributes,
		attribute_count, &attribute_shape),
	STAT_NUMBER(delayed), STAT_NUMBER(dead_lettered), STAT_NUMBER(dead_letter_failures),
	STAT_ANY(TEXT, dead_letter_problem)};
static const struct shape channel_stat_shape =
	SHAPE_OF(chand__channel_stat__descriptor, channel_stat_fields, struct wire_channel_stat);

#define WAITER_NUMBER(f) FIELD_SCALAR(Chand__Waiter, f, struct wire_waiter, f)
static const struct field waiter_fields[] = {WAITER_NUMBER(id),
	{.how = SUB,
		.pb = offsetof(Chand__Waiter, speaker),
		.plain = offsetof(struct wire_waiter, speaker),
		.of = &speaker_shape},
	WAITER_NUMBER(participant),
	FIELD(TEXT, Chand__Waiter, operation, struct wire_waiter, operation),
	FIELD_REPEATED(
		TEXTS, Chand__Waiter, channels, struct wire_waiter, channels, channel_count, NULL),
	WAITER_NUMBER(waiting_ns), WAITER_NUMBER(remaining_ns)};
static const struct shape waiter_shape =
	SHAPE_OF(chand__waiter__descriptor, waiter_fields, struct wire_waiter);

/* The session. */
#define HELLO(how_, f) FIELD(how_, Chand__Hello, f, struct wire_hello, f)
#define HELLO_NUMBER(f) FIELD_SCALAR(Chand__Hello, f, struct wire_hello, f)
static const struct field hello_fields[] = {HELLO_NUMBER(version_min), HELLO_NUMBER(version_max),
	HELLO_NUMBER(features),
	{.how = SUB,
		.pb = offsetof(Chand__Hello, speaker),
		.plain = offsetof(struct wire_hello, speaker),
		.of = &speaker_shape},
	{.how = SUB,
		.pb = offsetof(Chand__Hello, credentials),
		.plain = 0,
		.of = &credentials_shape},
	HELLO_NUMBER(linger_ms), HELLO(BYTES, session_id), HELLO(BYTES, session_secret),
	HELLO_NUMBER(connection_epoch), HELLO_NUMBER(incarnation), HELLO_NUMBER(frames_received)};

#define WELCOME(how_, f) FIELD(how_, Chand__Welcome, f, struct wire_welcome, f)
#define WELCOME_NUMBER(f) FIELD_SCALAR(Chand__Welcome, f, struct wire_welcome, f)
static const struct field welcome_fields[] = {WELCOME_NUMBER(version), WELCOME_NUMBER(features),
	WELCOME(TEXT, broker), WELCOME_NUMBER(incarnation), WELCOME(BYTES, session_id),
	WELCOME(BYTES, session_secret), WELCOME_NUMBER(connection_epoch), WELCOME(BOOL, resumed),
	WELCOME_NUMBER(frames_received), WELCOME_NUMBER(linger_ms), WELCOME_NUMBER(heartbeat_ms),
	{.how = SUB,
		.pb = offsetof(Chand__Welcome, limits),
		.plain = offsetof(struct wire_welcome, limits),
		.of = &limits_shape}};

static const struct field ping_fields[] = {
	NUMBER(Ping, ping, nonce), NUMBER(Ping, ping, frames_received)};
static const struct field pong_fields[] = {
	NUMBER(Pong, ping, nonce), NUMBER(Pong, ping, frames_received)};
static const struct field seen_fields[] = {NUMBER(Seen, ping, frames_received)};
static const struct field goaway_fields[] = {ANY_OF(STATUS, GoAway, goaway, status),
	ANY_OF(TEXT, GoAway, goaway, message), ANY_OF(TEXT, GoAway, goaway, redirect_url)};
static const struct field ring_decline_fields[] = {ANY_OF(TEXT, RingDecline, ring_decline, message)};
static const struct field ring_offer_fields[] = {
	NUMBER(RingOffer, ring_offer, ring_bytes),
	NUMBER(RingOffer, ring_offer, larger_ring_bytes),
};

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
	NUMBER(Send, send, type), ANY_OF(BOOL, Send, send, ride)};
static const struct field piece_fields[] = {FIELD(SEQ, Chand__Piece, id, struct message, seq)};
static const struct field recv_fields[] = {SEQ_OF(Recv), NUMBER(Recv, recv, channel),
	ANY_OF(COUNT, Recv, recv, credit), ANY_OF(BOOL, Recv, recv, stream), TRY_OF(Recv, recv),
	NUMBER(Recv, recv, timeout_ns), NUMBER(Recv, recv, participant), NUMBER(Recv, recv, epoch),
	NUMBER(Recv, recv, lease_ns)};
static const struct field grant_fields[] = {SEQ_OF(Grant), NUMBER(Grant, grant, credit)};

#define DELIVERIES(K)                                                                              \
	FIELD_REPEATED(LIST, Chand__##K, deliveries, struct message, settle.deliveries.list,       \
		settle.deliveries.count, &range_shape)
#define SETTLE_SEQ(K) FIELD_SCALAR(Chand__##K, seq, struct message, seq) /* 0 is allowed */
static const struct field taken_fields[] = {SETTLE_SEQ(Taken), DELIVERIES(Taken)};
static const struct field return_fields[] = {
	SETTLE_SEQ(Return), DELIVERIES(Return), NUMBER(Return, settle, delay_ns)};
static const struct field ack_fields[] = {SETTLE_SEQ(Ack), DELIVERIES(Ack)};
static const struct field nack_fields[] = {
	SETTLE_SEQ(Nack), DELIVERIES(Nack), NUMBER(Nack, settle, delay_ns)};
static const struct field extend_fields[] = {
	SETTLE_SEQ(Extend), DELIVERIES(Extend), NUMBER(Extend, settle, lease_ns)};
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
	ANY_OF(BOOL, Stats, stats, more), ANY_OF(TEXT, Stats, stats, after)};
static const struct field waiters_fields[] = {SEQ_OF(Waiters),
	FIELD_REPEATED(LIST, Chand__Waiters, waiters, struct message, waiters.waiters,
		waiters.count, &waiter_shape),
	ANY_OF(BOOL, Waiters, waiters, more), NUMBER(Waiters, waiters, after)};

static const struct shape shapes[] = {
	[MESSAGE_HELLO] = APART_SHAPE(Hello, hello),
	[MESSAGE_BYE] = {.descriptor = &chand__bye__descriptor},
	[MESSAGE_PING] = KIND_SHAPE(Ping, ping, NUMBERS_ONLY),
	[MESSAGE_PONG] = KIND_SHAPE(Pong, pong, NUMBERS_ONLY),
	[MESSAGE_SEEN] = KIND_SHAPE(Seen, seen, NUMBERS_ONLY),
	[MESSAGE_RING_ASK] = {.descriptor = &chand__ring_ask__descriptor},
	[MESSAGE_RING_BEGIN] = {.descriptor = &chand__ring_begin__descriptor},
	[MESSAGE_RING_DECLINE] = KIND_SHAPE(RingDecline, ring_decline),
	[MESSAGE_MAKE] = KIND_SHAPE(Make, make),
	[MESSAGE_OPEN] = KIND_SHAPE(Open, open),
	[MESSAGE_RELEASE] = KIND_SHAPE(Release, release, NUMBERS_ONLY),
	[MESSAGE_SEND] = KIND_SHAPE(Send, send, NUMBERS_ONLY),
	[MESSAGE_PIECE] = KIND_SHAPE(Piece, piece, NUMBERS_ONLY),
	[MESSAGE_RECV] = KIND_SHAPE(Recv, recv, NUMBERS_ONLY, .count_number = 3),
	[MESSAGE_GRANT] = KIND_SHAPE(Grant, grant, NUMBERS_ONLY),
	[MESSAGE_TAKEN] = KIND_SHAPE(Taken, taken),
	[MESSAGE_RETURN] = KIND_SHAPE(Return, return ),
	[MESSAGE_ACK] = KIND_SHAPE(Ack, ack),
	[MESSAGE_NACK] = KIND_SHAPE(Nack, nack),
	[MESSAGE_EXTEND] = KIND_SHAPE(Extend, extend),
	[MESSAGE_SELECT] = KIND_SHAPE(Select, select),
	[MESSAGE_CANCEL] = KIND_SHAPE(Cancel, cancel, NUMBERS_ONLY),
	[MESSAGE_CLOSE] = KIND_SHAPE(Close, close),
	[MESSAGE_REMOVE] = KIND_SHAPE(Remove, remove),
	[MESSAGE_STAT] = KIND_SHAPE(Stat, stat),
	[MESSAGE_LIST] = KIND_SHAPE(List, list),
	[MESSAGE_PS] = KIND_SHAPE(Ps, ps, NUMBERS_ONLY),
	[MESSAGE_WELCOME] = APART_SHAPE(Welcome, welcome),
	[MESSAGE_OPENED] = KIND_SHAPE(Opened, opened),
	[MESSAGE_DONE] = KIND_SHAPE(Done, done, NUMBERS_ONLY, .count_number = 2),
	[MESSAGE_FAIL] = KIND_SHAPE(Fail, fail),
	[MESSAGE_DELIVER] = KIND_SHAPE(Deliver, deliver, NUMBERS_ONLY),
	[MESSAGE_GONE] = KIND_SHAPE(Gone, gone),
	[MESSAGE_STATS] = KIND_SHAPE(Stats, stats),
	[MESSAGE_WAITERS] = KIND_SHAPE(Waiters, waiters),
	[MESSAGE_GOAWAY] = SHAPE_OF(chand__go_away__descriptor, goaway_fields, struct message),
	[MESSAGE_RING_OFFER] = KIND_SHAPE(RingOffer, ring_offer, NUMBERS_ONLY),
};

const struct shape *wire_shape_of(int kind)
{
	if (kind < 0 || (size_t)kind >= sizeof(shapes) / sizeof(shapes[0]))
		return NULL;
	return shapes[kind].descriptor ? &shapes[kind] : NULL;
}

const char *message_kind_name(int kind)
{
#define KIND_NAME(name, number, by) [number] = #name,
	static const char *const names[] = {MESSAGE_KIND_LIST(KIND_NAME)};
#undef KIND_NAME

	return wire_shape_of(kind) ? names[kind] : "?";
}

bool message_kind_allowed(int kind, bool by_client)
{
	enum { C = 1, B = 2, E = C | B };
#define KIND_SENDER(name, number, by) [number] = (by),
	static const uint8_t senders[] = {MESSAGE_KIND_LIST(KIND_SENDER)};
#undef KIND_SENDER

	return wire_shape_of(kind) && (senders[kind] & (by_client ? C : B));
}

static void *take_from_arena(void *arena, size_t bytes)
{
	return arena_alloc(arena, bytes);
}

static void leave_to_arena(void *arena, void *piece)
{
	(void)arena;
	(void)piece;
}

ProtobufCAllocator wire_allocator(struct arena *a)
{
	return (ProtobufCAllocator){take_from_arena, leave_to_arena, a};
}
