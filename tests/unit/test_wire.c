#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/status.h"
#include "chan/value.h"
#include "proto/chand.pb-c.h"
#include "proto/limits.h"
#include "proto/wire.h"
#include "proto/wire_shape.h"
#include "tests/support/failing_malloc.h"
#include "tests/support/guarded.h"
#include "tests/support/wire_reference.h"
#include <stdlib.h>

/* ---- one message of every kind, with no field left empty ---------------------------------- */

#define SPEAKER                                                                                    \
	{                                                                                          \
		.host = "h", .program = "p", .group = "g", .library = "l", .pid = 7                \
	}
#define SLICE(s)                                                                                   \
	{                                                                                          \
		.bytes = (const uint8_t *)(s), .len = sizeof(s) - 1                                \
	}

static const struct wire_attribute attributes[] = {
	{.name = "a", .value = SLICE("\0\1")}, {.name = "b", .value = SLICE("v")}};
static const struct wire_range ranges[] = {{1, 2}, {UINT64_MAX, 4}, {5, 1}};
static const struct wire_case cases[] = {
	{.channel = 1, .direction = CHAN_SEND, .epoch = 3, .type = CHAN_TYPE_INT, .lease_ns = 5},
	{.channel = 1ull << 60,
		.direction = CHAN_RECV,
		.epoch = 4,
		.type = CHAN_TYPE_ANY,
		.lease_ns = 6}};
static const struct wire_channel_stat channel_stats[] = {{.name = "jobs",
								 .channel = 2,
								 .type = CHAN_TYPE_INT,
								 .capacity = 10,
								 .length = 3,
								 .closed = true,
								 .temporary = true,
								 .senders_waiting = 4,
								 .receivers_waiting = 5,
								 .in_flight = 6,
								 .sent = 7,
								 .received = 8,
								 .redelivered = 9,
								 .bytes_buffered = 10,
								 .ends_open = 11,
								 .made_unix_ns = 12,
								 .closed_by = "x",
								 .closed_unix_ns = 13,
								 .reason = "done",
								 .epoch = 14,
								 .leased = 15,
								 .aborted = true,
								 .producers = 16,
								 .attributes = attributes,
								 .attribute_count = 2,
								 .delayed = 17,
								 .dead_lettered = 18,
								 .dead_letter_failures = 19,
								 .dead_letter_problem = "closed"},
	{.name = "more", .channel = 3, .closed_by = "", .reason = ""}};
static const char *const channel_names[] = {"recv:jobs", "send:more"};
static const struct wire_waiter waiters[] = {{.id = 1,
	.speaker = SPEAKER,
	.participant = 2,
	.operation = "select",
	.channels = channel_names,
	.channel_count = 2,
	.waiting_ns = 3,
	.remaining_ns = 4}};

static const struct {
	const ProtobufCMessageDescriptor *descriptor;
	struct message m;
} samples[] = {
	{&chand__hello__descriptor, {.kind = MESSAGE_HELLO,
					    .hello = &(struct wire_hello){.version_min = 1,
						    .version_max = 2,
						    .features = 3,
						    .speaker = SPEAKER,
						    .mechanism = "token",
						    .token = SLICE("secret"),
						    .linger_ms = 4,
						    .session_id = SLICE("0123456789abcdef"),
						    .session_secret = SLICE("s\0s"),
						    .connection_epoch = 5,
						    .incarnation = 6,
						    .frames_received = 7}}},
	{&chand__welcome__descriptor, {.kind = MESSAGE_WELCOME,
					      .welcome = &(struct wire_welcome){.version = 1,
						      .features = 2,
						      .broker = "chand",
						      .incarnation = 3,
						      .session_id = SLICE("i"),
						      .session_secret = SLICE("s"),
						      .connection_epoch = 4,
						      .resumed = true,
						      .frames_received = 5,
						      .linger_ms = 6,
						      .heartbeat_ms = 7,
						      .limits = {.frame_header_bytes = 8,
							      .frame_payload_bytes = 9,
							      .value_bytes = 10,
							      .capacity = 11,
							      .select_cases = 12,
							      .credit = 13,
							      .batch_values = 14,
							      .ops_in_flight = 15,
							      .bytes_in_flight = 16,
							      .unseen_bytes = 17,
							      .lease_ns = 18}}}},
	{&chand__bye__descriptor, {.kind = MESSAGE_BYE}},
	{&chand__ping__descriptor,
		{.kind = MESSAGE_PING, .ping = {.nonce = UINT64_MAX, .frames_received = 2}}},
	{&chand__pong__descriptor,
		{.kind = MESSAGE_PONG, .ping = {.nonce = 1, .frames_received = 2}}},
	{&chand__seen__descriptor, {.kind = MESSAGE_SEEN, .ping = {.frames_received = 3}}},
	{&chand__go_away__descriptor,
		{.kind = MESSAGE_GOAWAY,
			.goaway = {.status = CHAN_ESHUTDOWN, .message = "m", .redirect_url = "u"}}},
	{&chand__ring_ask__descriptor, {.kind = MESSAGE_RING_ASK}},
	{&chand__ring_offer__descriptor,
		{.kind = MESSAGE_RING_OFFER, .ring_offer = {4096, 65536}}},
	{&chand__ring_begin__descriptor, {.kind = MESSAGE_RING_BEGIN}},
	{&chand__ring_decline__descriptor,
		{.kind = MESSAGE_RING_DECLINE, .ring_decline = {.message = "m"}}},
	{&chand__make__descriptor, {.kind = MESSAGE_MAKE,
					   .seq = 1,
					   .make = {.name = "jobs",
						   .type = CHAN_TYPE_INT,
						   .type_name = "t",
						   .capacity = -1,
						   .temporary = true,
						   .direction = CHAN_BOTH,
						   .attributes = attributes,
						   .attribute_count = 2,
						   .participant = 3}}},
	{&chand__open__descriptor, {.kind = MESSAGE_OPEN,
					   .seq = 1,
					   .open = {.name = "jobs",
						   .channel = 2,
						   .incarnation = 3,
						   .direction = CHAN_SEND,
						   .wait_create = true,
						   .timeout_ns = 4,
						   .participant = 5}}},
	{&chand__release__descriptor,
		{.kind = MESSAGE_RELEASE, .seq = 1, .release = {.channel = 2}}},
	{&chand__send__descriptor, {.kind = MESSAGE_SEND,
					   .seq = UINT64_MAX,
					   .send = {.channel = 2,
						   .count = 3,
						   .payload_bytes = 4,
						   .try = true,
						   .timeout_ns = 5,
						   .participant = 6,
						   .epoch = 7,
						   .type = 8,
						   .ride = true}}},
	{&chand__piece__descriptor, {.kind = MESSAGE_PIECE, .seq = 9}},
	{&chand__recv__descriptor, {.kind = MESSAGE_RECV,
					   .seq = 1,
					   .recv = {.channel = 2,
						   .credit = 3,
						   .stream = true,
						   .try = true,
						   .timeout_ns = 4,
						   .participant = 5,
						   .epoch = 6,
						   .lease_ns = 7}}},
	{&chand__grant__descriptor, {.kind = MESSAGE_GRANT, .seq = 1, .grant = {.credit = 2}}},
	{&chand__taken__descriptor,
		{.kind = MESSAGE_TAKEN, .seq = 1, .settle = {.deliveries = {ranges, 3}}}},
	{&chand__return__descriptor, {.kind = MESSAGE_RETURN,
					     .seq = 1,
					     .settle = {.deliveries = {ranges, 3}, .delay_ns = 2}}},
	{&chand__ack__descriptor,
		{.kind = MESSAGE_ACK, .seq = 1, .settle = {.deliveries = {ranges, 3}}}},
	{&chand__nack__descriptor, {.kind = MESSAGE_NACK,
					   .seq = 1,
					   .settle = {.deliveries = {ranges, 3}, .delay_ns = 2}}},
	{&chand__extend__descriptor, {.kind = MESSAGE_EXTEND,
					     .seq = 1,
					     .settle = {.deliveries = {ranges, 3}, .lease_ns = 2}}},
	{&chand__select__descriptor, {.kind = MESSAGE_SELECT,
					     .seq = 1,
					     .select = {.cases = cases,
						     .case_count = 2,
						     .payload_bytes = 3,
						     .try = true,
						     .timeout_ns = 4,
						     .participant = 5}}},
	{&chand__cancel__descriptor, {.kind = MESSAGE_CANCEL, .seq = 1, .cancel = {.target = 2}}},
	{&chand__close__descriptor, {.kind = MESSAGE_CLOSE,
					    .seq = 1,
					    .close = {.channel = 2,
						    .reason = "r",
						    .abort = true,
						    .participant = 3,
						    .epoch = 4}}},
	{&chand__remove__descriptor,
		{.kind = MESSAGE_REMOVE, .seq = 1, .channel_ref = {.name = "n", .channel = 2}}},
	{&chand__stat__descriptor,
		{.kind = MESSAGE_STAT, .seq = 1, .channel_ref = {.name = "n", .channel = 2}}},
	{&chand__list__descriptor, {.kind = MESSAGE_LIST,
					   .seq = 1,
					   .list = {.prefix = "p", .after = "a", .count_max = 2}}},
	{&chand__ps__descriptor,
		{.kind = MESSAGE_PS, .seq = 1, .ps = {.after = 2, .count_max = 3}}},
	{&chand__opened__descriptor, {.kind = MESSAGE_OPENED,
					     .seq = 1,
					     .opened = {.channel = 2,
						     .name = "n",
						     .type = 3,
						     .capacity = 4,
						     .direction = 3,
						     .created = true,
						     .epoch = 5}}},
	{&chand__done__descriptor,
		{.kind = MESSAGE_DONE, .seq = 1, .done = {.count = 2, .case_index = 3}}},
	{&chand__fail__descriptor, {.kind = MESSAGE_FAIL,
					   .seq = 1,
					   .fail = {.count = 2,
						   .status = CHAN_ECLOSED,
						   .message = "m",
						   .case_index = 3,
						   .closed_by = "c",
						   .closed_unix_ns = 4,
						   .reason = "r",
						   .redirect_url = "u"}}},
	{&chand__deliver__descriptor, {.kind = MESSAGE_DELIVER,
					      .seq = 1,
					      .deliver = {.delivery = 2,
						      .channel = 3,
						      .count = 4,
						      .payload_bytes = 5,
						      .case_index = 6}}},
	{&chand__gone__descriptor, {.kind = MESSAGE_GONE, .settle = {.deliveries = {ranges, 3}}}},
	{&chand__stats__descriptor, {.kind = MESSAGE_STATS,
					    .seq = 1,
					    .stats = {.channels = channel_stats,
						    .count = 2,
						    .more = true,
						    .after = "a"}}},
	{&chand__waiters__descriptor,
		{.kind = MESSAGE_WAITERS,
			.seq = 1,
			.waiters = {.waiters = waiters, .count = 1, .more = true, .after = 2}}},
};
#define SAMPLE_COUNT (sizeof(samples) / sizeof(samples[0]))

static const struct message *sample(enum message_kind kind)
{
	for (size_t i = 0; i < SAMPLE_COUNT; i++) {
		if (samples[i].m.kind == kind)
			return &samples[i].m;
	}
	abort();
}

/* ---- fixture ------------------------------------------------------------------------------ */

struct fixture {
	struct buf out;
	struct wire_scratch *scratch;
	struct guarded guarded;
};

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));

	x->scratch = wire_scratch_new();
	*state = x;
	return guarded_init(&x->guarded, FRAME_BYTES_MAX);
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	mallocs_left = -1;
	buf_fini(&x->out);
	wire_scratch_free(x->scratch);
	guarded_fini(&x->guarded);
	free(x);
	return 0;
}

static struct frame encode(struct fixture *x, const struct message *m)
{
	struct frame f = {0};

	buf_consume(&x->out, buf_len(&x->out));
	assert_int_equal(wire_encode(&x->out, m, 0, 0), 0);
	assert_int_equal(frame_parse(buf_data(&x->out), buf_len(&x->out), &f), buf_len(&x->out));
	return f;
}

/* A frame whose header is these bytes, ending at the guard page. */
static struct frame header_frame(
	struct fixture *x, enum message_kind kind, const void *header, size_t bytes)
{
	return (struct frame){.kind = kind,
		.header_bytes = (uint16_t)bytes,
		.header = guarded_copy(&x->guarded, header, bytes)};
}

/* ---- tests -------------------------------------------------------------------------------- */

static void test_every_kind_has_a_sample(void **state)
{
	size_t kinds = 0;

	(void)state;
	for (int kind = 0; kind < 256; kind++)
		kinds += strcmp(message_kind_name(kind), "?") != 0;
	assert_int_equal(kinds, SAMPLE_COUNT);
}

/* The fields of chand.proto that no row of the table maps would be lost without a word. */
static void test_every_field_travels(void **state)
{
	struct fixture *x = *state;

	for (size_t i = 0; i < SAMPLE_COUNT; i++) {
		const ProtobufCMessageDescriptor *d = samples[i].descriptor;
		struct frame f = encode(x, &samples[i].m);
		ProtobufCMessage *pb = protobuf_c_message_unpack(d, NULL, f.header_bytes, f.header);

		assert_non_null(pb);
		for (unsigned k = 0; k < d->n_fields; k++) {
			const uint8_t *member = (const uint8_t *)pb + d->fields[k].offset;
			static const uint8_t zero[8];
			bool pointer = d->fields[k].type == PROTOBUF_C_TYPE_MESSAGE ||
				       d->fields[k].type == PROTOBUF_C_TYPE_STRING;

			if (d->fields[k].label == PROTOBUF_C_LABEL_REPEATED)
				member = (const uint8_t *)pb + d->fields[k].quantifier_offset;
			if (!memcmp(member, zero, pointer ? sizeof(void *) : 4))
				fail_msg("%s.%s is lost", d->short_name, d->fields[k].name);
		}
		protobuf_c_message_free_unpacked(pb, NULL);
	}
}

/* A row's place is its number, in messages within messages too. */
static void check_rows(const struct shape *s)
{
	const ProtobufCMessageDescriptor *d = s->descriptor;

	assert_int_equal(s->field_count, d->n_fields);
	for (unsigned k = 0; k < d->n_fields; k++) {
		const struct field *f = &s->fields[k];

		assert_int_equal(s->count_number == k + 1, f->how == COUNT && s->numbers_only);
		assert_true(!s->numbers_only || (k < 15 && f->how <= COUNT));
		assert_true(!s->numbers_only || f->how != SEQ || k == 0);
		assert_int_equal(d->fields[k].id, k + 1);
		if (d->fields[k].offset != s->fields[k].pb)
			fail_msg("%s.%s is not where its number is", d->short_name,
				d->fields[k].name);
		if (s->fields[k].of)
			check_rows(s->fields[k].of);
	}
}

static void test_rows_are_in_the_order_of_numbers(void **state)
{
	(void)state;
	for (int kind = 0; kind < 256; kind++)
		if (wire_shape_of(kind))
			check_rows(wire_shape_of(kind));
}

/* Writes a message as protobuf-c does. */
static void assert_reference_agrees(struct fixture *x, const struct message *m)
{
	struct frame f = encode(x, m);
	struct buf theirs = {0};

	assert_int_equal(reference_encode(&theirs, m, f.flags, f.payload_bytes), 0);
	assert_int_equal(buf_len(&theirs), buf_len(&x->out));
	assert_memory_equal(buf_data(&theirs), buf_data(&x->out), buf_len(&theirs));
	buf_fini(&theirs);
}

static void test_bytes_are_those_of_protobuf(void **state)
{
	struct fixture *x = *state;
	struct message m = {.kind = MESSAGE_DELIVER, .seq = 1};

	for (size_t i = 0; i < SAMPLE_COUNT; i++)
		assert_reference_agrees(x, &samples[i].m);
	for (unsigned bits = 0; bits < 64; bits++) {
		m.deliver.channel = 1ull << bits;
		m.deliver.delivery = (1ull << bits) - 1;
		m.deliver.count = (uint32_t)m.deliver.channel;
		assert_reference_agrees(x, &m);
	}
}

static void test_what_is_decoded_encodes_to_the_same_bytes(void **state)
{
	struct fixture *x = *state;

	for (size_t i = 0; i < SAMPLE_COUNT; i++) {
		struct frame f = encode(x, &samples[i].m);
		struct buf again = {0};
		struct message m;

		f.header = guarded_copy(&x->guarded, f.header, f.header_bytes);
		assert_int_equal(wire_decode(&f, x->scratch, &m), 0);
		assert_int_equal(m.kind, samples[i].m.kind);
		assert_true(m.seq == samples[i].m.seq);
		assert_int_equal(wire_encode(&again, &m, 0, 0), 0);
		assert_int_equal(buf_len(&again), buf_len(&x->out));
		assert_memory_equal(buf_data(&again), buf_data(&x->out), buf_len(&again));
		buf_fini(&again);
	}
}

static void test_fields_arrive_where_they_belong(void **state)
{
	struct fixture *x = *state;
	struct message m;
	struct frame f;

	f = encode(x, sample(MESSAGE_HELLO));
	assert_int_equal(wire_decode(&f, x->scratch, &m), 0);
	assert_string_equal(m.hello->speaker.host, "h");
	assert_string_equal(m.hello->speaker.library, "l");
	assert_int_equal(m.hello->speaker.pid, 7);
	assert_string_equal(m.hello->mechanism, "token");
	assert_memory_equal(m.hello->token.bytes, "secret", 6);
	assert_int_equal(m.hello->session_secret.len, 3);

	f = encode(x, sample(MESSAGE_SELECT));
	assert_int_equal(wire_decode(&f, x->scratch, &m), 0);
	assert_int_equal(m.select.case_count, 2);
	assert_true(m.select.cases[1].channel == 1ull << 60);
	assert_int_equal(m.select.cases[1].direction, CHAN_RECV);
	assert_true(m.select.try);

	f = encode(x, sample(MESSAGE_FAIL));
	assert_int_equal(wire_decode(&f, x->scratch, &m), 0);
	assert_int_equal(m.fail.status, CHAN_ECLOSED);
	assert_string_equal(m.fail.closed_by, "c");

	f = encode(x, sample(MESSAGE_STATS));
	assert_int_equal(wire_decode(&f, x->scratch, &m), 0);
	assert_int_equal(m.stats.count, 2);
	assert_string_equal(m.stats.channels[1].name, "more");
	assert_true(m.stats.channels[0].closed && !m.stats.channels[1].closed);

	f = encode(x, sample(MESSAGE_WAITERS));
	assert_int_equal(wire_decode(&f, x->scratch, &m), 0);
	assert_string_equal(m.waiters.waiters[0].channels[1], "send:more");
	assert_string_equal(m.waiters.waiters[0].speaker.program, "p");
}

/* The bytes are the protocol: PROTOCOL.md shows this frame. */
static void test_bytes_of_a_send(void **state)
{
	struct fixture *x = *state;
	struct message m = {.kind = MESSAGE_SEND,
		.seq = 3,
		.send = {.channel = 1, .count = 1, .payload_bytes = 7}};

	assert_int_equal(wire_encode(&x->out, &m, 0, 7), 0);
	assert_int_equal(wire_value_put_prefix(&x->out, 2, 1, 0), 0);
	assert_int_equal(buf_append(&x->out, "hi", 2), 0);
	assert_int_equal(buf_len(&x->out), 23);
	assert_memory_equal(buf_data(&x->out),
		"\x00\x00\x00\x13\x0d\x00\x00\x08"
		"\x08\x03\x10\x01\x18\x01\x20\x07"
		"\x00\x00\x00\x00\x02hi",
		23);
}

static void test_what_is_absent_is_empty(void **state)
{
	struct fixture *x = *state;
	struct message m;
	struct frame f = header_frame(x, MESSAGE_HELLO, "", 0);

	assert_int_equal(wire_decode(&f, x->scratch, &m), 0);
	assert_string_equal(m.hello->speaker.host, "");
	assert_string_equal(m.hello->mechanism, "");
	assert_int_equal(m.hello->session_id.len, 0);

	f = header_frame(x, MESSAGE_RECV, "\x08\x01", 2);
	assert_int_equal(wire_decode(&f, x->scratch, &m), 0);
	assert_int_equal(m.recv.credit, 1);
	f = header_frame(x, MESSAGE_DONE, "\x08\x01", 2);
	assert_int_equal(wire_decode(&f, x->scratch, &m), 0);
	assert_int_equal(m.done.count, 1);
	f = header_frame(x, MESSAGE_WAITERS, "\x08\x01\x12\x00", 4);
	assert_int_equal(wire_decode(&f, x->scratch, &m), 0);
	assert_string_equal(m.waiters.waiters[0].speaker.group, "");
	assert_int_equal(m.waiters.waiters[0].channel_count, 0);
}

static void test_a_forgotten_string_encodes_as_empty(void **state)
{
	struct fixture *x = *state;
	struct message m = {.kind = MESSAGE_FAIL, .seq = 1, .fail = {.status = CHAN_EINVAL}};
	struct frame f = encode(x, &m);

	assert_int_equal(wire_decode(&f, x->scratch, &m), 0);
	assert_string_equal(m.fail.message, "");
}

static void test_unknown_fields_are_ignored(void **state)
{
	struct fixture *x = *state;
	/* seq 5, then field 100 as varint, as bytes, as 32 and as 64 bits */
	static const char header[] = "\x08\x05\xa0\x06\x01\xa2\x06\x03xyz"
				     "\xa5\x06"
				     "1234"
				     "\xa1\x06"
				     "12345678";
	struct frame f = header_frame(x, MESSAGE_GRANT, header, sizeof(header) - 1);
	struct message m;

	assert_int_equal(wire_decode(&f, x->scratch, &m), 0);
	assert_true(m.seq == 5);
}

static void test_malformed_headers(void **state)
{
	static const struct {
		enum message_kind kind;
		const char *header;
		size_t bytes;
	} bad[] = {
		{0, "", 0}, {9, "", 0}, {255, "", 0}, {MESSAGE_RECV, "", 0}, /* no seq */
		{MESSAGE_PIECE, "", 0},                                      /* no id */
		{MESSAGE_RECV, "\x08\x00", 2},                               /* seq 0 */
		{MESSAGE_RECV, "\x08", 1},     /* a tag without its value */
		{MESSAGE_RECV, "\x08\x80", 2}, /* a varint that does not end */
		{MESSAGE_RECV, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12},
		{MESSAGE_RECV, "\x08\x01\x0b\x0c", 4}, /* a group */
		{MESSAGE_RECV, "\x08\x01\x0f", 3},     /* no such wire type */
		{MESSAGE_RECV, "\x00\x01", 2},         /* field number 0 */
		{MESSAGE_REMOVE,
			"\x08\x01\x12\x05"
			"abcd",
			8},                              /* longer than what is left */
		{MESSAGE_REMOVE, "\x08\x01\x10\x05", 4}, /* a string as a varint */
		{MESSAGE_REMOVE,
			"\x08\x01\x12\x03"
			"a\0b",
			7},                                     /* NUL */
		{MESSAGE_REMOVE, "\x08\x01\x12\x01\xff", 5},    /* not UTF-8 */
		{MESSAGE_HELLO, "\x22\x04\x0a\x02\xc3\x28", 6}, /* not UTF-8, one level down */
		{MESSAGE_SELECT, "\x08\x01\x12\x02\x08", 5},    /* a case cut short */
		{MESSAGE_FAIL, "\x08\x01\x18\xff\xff\xff\xff\x0f", 8}, /* no status */
	};
	struct fixture *x = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct frame f = header_frame(x, bad[i].kind, bad[i].header, bad[i].bytes);
		struct message m;
		char text[200] = "";

		if (wire_decode(&f, x->scratch, &m) != CHAN_EPROTOCOL)
			fail_msg("case %zu passes", i);
		wire_explain(&f, text, sizeof(text));
		assert_true(strlen(text) > 10);
	}
}

static void test_every_prefix_of_every_header_is_survived(void **state)
{
	struct fixture *x = *state;

	for (size_t i = 0; i < SAMPLE_COUNT; i++) {
		struct frame whole = encode(x, &samples[i].m);

		for (size_t part = 0; part < whole.header_bytes; part++) {
			struct frame f = header_frame(x, whole.kind, whole.header, part);
			struct message m;
			int rc = wire_decode(&f, x->scratch, &m);

			assert_true(rc == 0 || rc == CHAN_EPROTOCOL);
			wire_scratch_reset(x->scratch);
		}
	}
}

/* In which a field that comes twice is not read as protobuf-c reads it: see wire.c. */
static bool has_messages_within(int kind)
{
	return kind == MESSAGE_HELLO || kind == MESSAGE_WELCOME || kind == MESSAGE_WAITERS;
}

/* What x->out has is how protobuf-c writes that. */
static void assert_same(struct fixture *x, const struct message *theirs)
{
	struct buf out = {0};

	assert_int_equal(reference_encode(&out, theirs, 0, 0), 0);
	assert_int_equal(buf_len(&out), buf_len(&x->out));
	assert_memory_equal(buf_data(&out), buf_data(&x->out), buf_len(&out));
	buf_fini(&out);
}

/* Headers with bytes turned at random: refused, or decoded and then encodable again; as protobuf-c has
 * it. */
static void test_turned_bytes_are_survived(void **state)
{
	struct fixture *x = *state;
	const char *given = getenv("TEST_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : 2426, random = seed;
	uint8_t header[FRAME_HEADER_BYTES_MAX];
	size_t decoded = 0;

	print_message("# TEST_SEED=%u\n", seed);
	for (int round = 0; round < 40000; round++) {
		struct frame whole = encode(x, &samples[rand_r(&random) % SAMPLE_COUNT].m), f;
		struct message m, theirs;
		struct arena arena;
		int rc;

		arena_init(&arena, NULL, 0);
		memcpy(header, whole.header, whole.header_bytes);
		for (int k = rand_r(&random) % 3; k >= 0 && whole.header_bytes > 0; k--)
			header[rand_r(&random) % whole.header_bytes] = (uint8_t)rand_r(&random);
		f = header_frame(x, whole.kind, header, whole.header_bytes);
		rc = wire_decode(&f, x->scratch, &m);
		assert_int_equal(rc, reference_decode(&f, &arena, &theirs));
		if (rc == 0) {
			decoded++;
			encode(x, &m);
			if (!has_messages_within(f.kind))
				assert_same(x, &theirs);
		}
		arena_reset(&arena);
		wire_scratch_reset(x->scratch);
	}
	assert_true(decoded > 1000 && decoded < 40000);
}

/* What stands atop wire.c: the memory that a client's frame can take. */
static void test_memory_of_a_decoded_frame_is_bounded(void **state)
{
	struct fixture *x = *state;
	static const struct {
		enum message_kind kind;
		uint8_t tag; /* of the repeated message, or of an unknown field */
	} repeated[] = {{MESSAGE_SELECT, 0x12}, {MESSAGE_MAKE, 0x42}, {MESSAGE_TAKEN, 0x12},
		{MESSAGE_RETURN, 0x12}, {MESSAGE_HELLO, 0x22}, {MESSAGE_RECV, 0x78}};
	uint8_t header[FRAME_HEADER_BYTES_MAX] = {0x08, 0x01};

	for (size_t i = 0; i < sizeof(repeated) / sizeof(repeated[0]); i++) {
		struct frame f;
		struct message m;

		for (size_t k = 2; k < sizeof(header); k += 2) {
			header[k] = repeated[i].tag;
			header[k + 1] = 0;
		}
		f = header_frame(x, repeated[i].kind, header, sizeof(header));
		assert_int_equal(wire_decode(&f, x->scratch, &m), 0);
		print_message("# %s: %zu bytes a byte\n", message_kind_name(repeated[i].kind),
			wire_scratch_used(x->scratch) / sizeof(header));
		assert_true(wire_scratch_used(x->scratch) <= 20 * sizeof(header));
		wire_scratch_reset(x->scratch);
	}
}

static void test_headers_have_a_largest_size(void **state)
{
	struct fixture *x = *state;
	static char reason[FRAME_HEADER_BYTES_MAX + 1];
	static struct wire_case many[FRAME_HEADER_BYTES_MAX];
	struct message m = {.kind = MESSAGE_CLOSE, .seq = 1, .close = {.reason = reason}};

	memset(reason, 'r', sizeof(reason) - 1);
	assert_int_equal(wire_encode(&x->out, &m, 0, 0), CHAN_ETOOLARGE);
	m = (struct message){.kind = MESSAGE_SELECT,
		.seq = 1,
		.select = {.cases = many, .case_count = FRAME_HEADER_BYTES_MAX}};
	assert_int_equal(wire_encode(&x->out, &m, 0, 0), CHAN_ETOOLARGE);
	m = (struct message){.kind = MESSAGE_PIECE, .seq = 1};
	assert_int_equal(wire_encode(&x->out, &m, 0, FRAME_PAYLOAD_BYTES_MAX + 1), CHAN_ETOOLARGE);
	m = (struct message){.kind = 99, .seq = 1};
	assert_int_equal(wire_encode(&x->out, &m, 0, 0), CHAN_EPROTOCOL);
	assert_int_equal(buf_len(&x->out), 0);
}

/* limits.h promises it. */
static void test_the_largest_select_fits_a_header(void **state)
{
	struct fixture *x = *state;
	static struct wire_case many[SELECT_CASES_MAX];
	struct message m = {.kind = MESSAGE_SELECT,
		.seq = UINT64_MAX,
		.select = {.cases = many,
			.case_count = SELECT_CASES_MAX,
			.payload_bytes = 1ull << 40,
			.timeout_ns = INT64_MAX,
			.participant = UINT32_MAX}};
	struct frame f;

	for (size_t i = 0; i < SELECT_CASES_MAX; i++)
		many[i] = (struct wire_case){.channel = (1ull << 42) - 1 - i,
			.direction = CHAN_SEND,
			.type = CHAN_TYPE_CHAN};
	f = encode(x, &m);
	assert_int_equal(wire_decode(&f, x->scratch, &m), 0);
	assert_int_equal(m.select.case_count, SELECT_CASES_MAX);
}

/* Each allocation fails once: an error, nothing appended, nothing leaked. */
static void test_without_memory(void **state)
{
	struct fixture *x = *state;
	static struct wire_case many[SELECT_CASES_MAX];
	struct message large = {.kind = MESSAGE_SELECT,
		.seq = 1,
		.select = {.cases = many, .case_count = SELECT_CASES_MAX}};
	struct message m;
	struct frame f;
	int n, rc;

	for (n = 0, rc = -1; rc != 0; n++) {
		mallocs_left = n;
		rc = wire_encode(&x->out, &large, 0, 0);
		assert_true(rc == 0 || (rc == CHAN_ENOMEM && buf_len(&x->out) == 0));
	}
	assert_true(n > 1);
	frame_parse(buf_data(&x->out), buf_len(&x->out), &f);
	for (n = 0, rc = -1; rc != 0; n++) {
		wire_scratch_reset(x->scratch);
		mallocs_left = n;
		rc = wire_decode(&f, x->scratch, &m);
		assert_true(rc == 0 || rc == CHAN_ENOMEM);
	}
	assert_true(n > 1);
	mallocs_left = 0;
	assert_null(wire_scratch_new());
	mallocs_left = -1;
}

static void test_who_may_send_what(void **state)
{
	(void)state;
	assert_string_equal(message_kind_name(MESSAGE_SEND), "SEND");
	assert_string_equal(message_kind_name(0), "?");
	assert_string_equal(message_kind_name(-1), "?");
	assert_string_equal(message_kind_name(1000), "?");
	assert_true(message_kind_allowed(MESSAGE_SEND, true));
	assert_false(message_kind_allowed(MESSAGE_SEND, false));
	assert_true(message_kind_allowed(MESSAGE_DELIVER, false));
	assert_false(message_kind_allowed(MESSAGE_DELIVER, true));
	assert_true(message_kind_allowed(MESSAGE_PIECE, true));
	assert_true(message_kind_allowed(MESSAGE_PIECE, false));
	assert_false(message_kind_allowed(99, true));
}

/* ---- values ------------------------------------------------------------------------------- */

static void test_values_one_after_another(void **state)
{
	struct fixture *x = *state;
	static const struct {
		const char *text;
		uint32_t attempt;
		uint64_t token;
	} in[] = {{"one", 1, 0}, {"", 1, 0}, {"three", 2, 0}, {"", 300, 0}, {"five", 1, 0},
		{"leased", 1, 1}, {"", 7, UINT64_MAX}};
	const size_t n = sizeof(in) / sizeof(in[0]);
	const uint8_t *at;
	size_t left, expected = 0;
	struct wire_value v;

	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(in[i].text);

		assert_int_equal(
			wire_value_put_prefix(&x->out, len, in[i].attempt, in[i].token), 0);
		assert_int_equal(buf_append(&x->out, in[i].text, len), 0);
		expected += wire_value_bytes(len, in[i].attempt, in[i].token);
	}
	assert_int_equal(buf_len(&x->out), expected);
	left = buf_len(&x->out);
	at = guarded_copy(&x->guarded, buf_data(&x->out), left);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(wire_value_next(&at, &left, &v), 1);
		assert_int_equal(v.len, strlen(in[i].text));
		assert_memory_equal(v.bytes, in[i].text, v.len);
		assert_int_equal(v.attempt, in[i].attempt);
		assert_true(v.token == in[i].token);
		assert_int_equal(v.enveloped, in[i].attempt > 1 || in[i].token > 0);
	}
	assert_int_equal(wire_value_next(&at, &left, &v), 0);
}

/* Those without an envelope come many at once, up to a number and a size. */
static void test_runs_of_values(void **state)
{
	struct fixture *x = *state;
	static const struct {
		size_t len;
		uint32_t attempt;
	} in[] = {{100, 1}, {1, 1}, {0, 1}, {3, 1}, {2, 1}, {5, 2}, {4, 1}};
	static const int expected[] = {1, 3, 1, 0, 1, 0};
	const uint8_t *at;
	struct wire_value v;
	uint32_t lens[3];
	size_t left, next = 0;

	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		assert_int_equal(wire_value_put_prefix(&x->out, in[i].len, in[i].attempt, 0), 0);
		for (size_t k = 0; k < in[i].len; k++)
			assert_int_equal(buf_append(&x->out, "x", 1), 0);
	}
	left = buf_len(&x->out);
	at = guarded_copy(&x->guarded, buf_data(&x->out), left);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		int n = wire_values_next(&at, &left, lens, 3, 50);

		assert_int_equal(n, expected[i]);
		for (int k = 0; k < n; k++)
			assert_int_equal(lens[k], in[next++].len);
		if (n == 0 && left > 0) {
			assert_int_equal(wire_value_next(&at, &left, &v), 1);
			assert_int_equal(v.len, in[next++].len);
		}
	}
	assert_int_equal(left, 0);
}

static void test_malformed_values(void **state)
{
	struct fixture *x = *state;
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{"\0", 1}, {"\0\0\0\0", 4}, {"\0\0\0\0\1", 5}, {"\0\xff\xff\xff\xff!", 6},
		{"\2\0\0\0\0", 5},                          /* unknown flag */
		{"\1\0\0\0\0", 5},                          /* no room for an envelope */
		{"\1\0\0\0\1\0", 6}, {"\1\0\0\0\2\0\1", 7}, /* an envelope longer than the value */
		{"\1\0\0\0\3\0\1\x08", 8},                  /* an envelope that is no protobuf */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const uint8_t *start = guarded_copy(&x->guarded, bad[i].bytes, bad[i].len);
		const uint8_t *at = start;
		size_t left = bad[i].len;
		struct wire_value v;
		uint32_t len;

		if (wire_value_next(&at, &left, &v) != CHAN_EPROTOCOL)
			fail_msg("case %zu passes", i);
		assert_ptr_equal(at, start);
		assert_int_equal(left, bad[i].len);
		if (wire_values_next(&at, &left, &len, 1, bad[i].len) > 0)
			fail_msg("case %zu passes as a run", i);
		assert_ptr_equal(at, start);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_every_kind_has_a_sample),
		TEST(test_rows_are_in_the_order_of_numbers),
		TEST(test_bytes_are_those_of_protobuf),
		TEST(test_every_field_travels),
		TEST(test_what_is_decoded_encodes_to_the_same_bytes),
		TEST(test_fields_arrive_where_they_belong),
		TEST(test_bytes_of_a_send),
		TEST(test_what_is_absent_is_empty),
		TEST(test_a_forgotten_string_encodes_as_empty),
		TEST(test_unknown_fields_are_ignored),
		TEST(test_malformed_headers),
		TEST(test_every_prefix_of_every_header_is_survived),
		TEST(test_turned_bytes_are_survived),
		TEST(test_memory_of_a_decoded_frame_is_bounded),
		TEST(test_headers_have_a_largest_size),
		TEST(test_the_largest_select_fits_a_header),
		TEST(test_without_memory),
		TEST(test_who_may_send_what),
		TEST(test_values_one_after_another),
		TEST(test_runs_of_values),
		TEST(test_malformed_values),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
