/* test_writer.c - frames made of answers: rounds, their order, and large values in pieces. */
#include "server/broker/writer.h"

#include "chan/status.h"
#include "proto/limits.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct writer w;
static struct writer_todo todo;
static struct outbox *o;
static struct wire_scratch *scratch;
static struct buf out; /* what was written, and not looked at */
static uint64_t next_delivery;
static size_t reported; /* bytes that the writer said it was done with */

static int setup(void **state)
{
	(void)state;
	writer_init(&w, &todo);
	o = outbox_new();
	scratch = wire_scratch_new();
	next_delivery = 1;
	reported = 0;
	return o && scratch ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	writer_fini(&w);
	writer_todo_fini(&todo);
	outbox_free(o);
	wire_scratch_free(scratch);
	buf_fini(&out);
	return 0;
}

/* ---- answers ------------------------------------------------------------------------------ */

static void done(uint64_t seq)
{
	struct message m = {.kind = MESSAGE_DONE, .seq = seq};

	m.done.count = 1;
	assert_int_equal(outbox_add(o, &m, NULL, NULL, 0), 0);
}

static void failed(uint64_t seq)
{
	struct message m = {.kind = MESSAGE_FAIL, .seq = seq};

	m.fail.status = CHAN_ECANCELED;
	assert_int_equal(outbox_add(o, &m, NULL, NULL, 0), 0);
}

static void deliver(uint64_t seq, size_t len)
{
	struct message m = {.kind = MESSAGE_DELIVER, .seq = seq};
	struct value *v = value_new(len);
	uint32_t attempt = next_delivery % 3 == 0 ? 2 : 1;

	assert_non_null(v);
	for (size_t i = 0; i < len; i++)
		v->bytes[i] = (uint8_t)(i + next_delivery);
	m.deliver.delivery = next_delivery++;
	m.deliver.channel = 1;
	assert_int_equal(outbox_add(o, &m, &v, &attempt, 1), 0);
	value_unref(v);
}

/* Gives the answers so far to the writer. */
static void hand_over(void)
{
	writer_todo_add(&todo, o);
	o = outbox_new();
	assert_non_null(o);
}

/* ---- frames ------------------------------------------------------------------------------- */

/* Fills and "writes" one round; its bytes, 0: there was nothing. */
static size_t write_round(void)
{
	size_t bytes = 0;
	int n = writer_fill(&w);

	assert_true(n >= 0);
	assert_true(n <= WRITER_IOV_MAX);
	for (int i = 0; i < n; i++) {
		assert_int_equal(buf_append(&out, w.iov[i].iov_base, w.iov[i].iov_len), 0);
		bytes += w.iov[i].iov_len;
	}
	reported += writer_written(&w);
	return bytes;
}

/* The next frame, as text: "DONE 3", "DELIVER 1 x5 more", "PIECE 1". NULL at the end. */
static const char *next_frame(void)
{
	static char text[64];
	struct message m;
	struct frame f;
	long n = buf_len(&out) ? frame_parse(buf_data(&out), buf_len(&out), &f) : 0;

	assert_true(n >= 0);
	if (n == 0)
		return NULL;
	assert_int_equal(wire_decode(&f, scratch, &m), 0);
	snprintf(
		text, sizeof(text), "%s %lu", message_kind_name((int)m.kind), (unsigned long)m.seq);
	if (m.kind == MESSAGE_DELIVER)
		snprintf(text + strlen(text), 32, " x%u", m.deliver.count);
	if (f.flags & FRAME_MORE)
		strcat(text, " more");
	buf_consume(&out, (size_t)n);
	return text;
}

static void assert_frame(const char *expected)
{
	const char *text = next_frame();

	assert_string_equal(text ? text : "nothing", expected);
}

/* Writes rounds until nothing is left; all bytes are whole frames. */
static void write_all(void)
{
	while (write_round())
		;
	assert_true(writer_idle(&w));
}

/* ---- tests -------------------------------------------------------------------------------- */

/* Answers leave in their order, neighbouring values in one frame. */
static void test_order(void **state)
{
	(void)state;
	done(1);
	for (int i = 0; i < 5; i++)
		deliver(2, 10);
	failed(3);
	done(4);
	hand_over();
	write_all();
	assert_frame("DONE 1");
	assert_frame("DELIVER 2 x5");
	assert_frame("FAIL 3");
	assert_frame("DONE 4");
	assert_null(next_frame());
}

/* No frame exceeds the limits, whatever the number and the sizes of the values, and every value
 * arrives once, as it was. */
static void test_values_arrive(void **state)
{
	static const size_t sizes[] = {0, 1, 16, 4095, 4096, 4097, 30000, 65530, 65535, 66000,
		66556, 66560, 70000, 200000};
	const size_t kinds = sizeof(sizes) / sizeof(sizes[0]);
	struct buf payload[64] = {0};
	uint64_t last = 0;
	struct message m;
	struct frame f;
	long n;

	(void)state;
	for (int i = 0; i < 60; i++) {
		deliver(i / 7 + 1, sizes[(size_t)i * 5 % kinds]);
		if (i % 11 == 0)
			hand_over();
	}
	hand_over();
	write_all();
	while (buf_len(&out) && (n = frame_parse(buf_data(&out), buf_len(&out), &f)) > 0) {
		assert_int_equal(wire_decode(&f, scratch, &m), 0);
		if (m.kind == MESSAGE_DELIVER) {
			const uint8_t *at = f.payload;
			size_t left = f.payload_bytes;

			assert_int_equal(m.deliver.delivery, last + 1);
			last += m.deliver.count;
			for (uint32_t i = 0; m.deliver.count > 1 && i < m.deliver.count; i++) {
				const uint8_t *from = at;
				struct wire_value v;

				assert_int_equal(wire_value_next(&at, &left, &v), 1);
				assert_int_equal(buf_append(&payload[m.deliver.delivery + i], from,
							 (size_t)(at - from)),
					0);
			}
			if (m.deliver.count == 1)
				assert_int_equal(
					buf_append(&payload[last], f.payload, f.payload_bytes), 0);
		} else {
			assert_int_equal(m.kind, MESSAGE_PIECE);
			assert_true(m.seq <= last);
			assert_int_equal(
				buf_append(&payload[m.seq], f.payload, f.payload_bytes), 0);
		}
		buf_consume(&out, (size_t)n);
	}
	assert_int_equal(last, 60);
	for (size_t i = 1; i <= 60; i++) {
		const uint8_t *at = buf_data(&payload[i]);
		size_t left = buf_len(&payload[i]);
		struct wire_value v;

		assert_int_equal(wire_value_next(&at, &left, &v), 1);
		assert_int_equal(left, 0);
		assert_int_equal(v.len, sizes[(i - 1) * 5 % kinds]);
		assert_int_equal(v.attempt, i % 3 == 0 ? 2 : 1);
		for (size_t k = 0; k < v.len; k++)
			if (v.bytes[k] != (uint8_t)(k + i))
				fail_msg("value %zu differs at %zu", i, k);
		buf_fini(&payload[i]);
	}
}

/* Values of packs, of which none ends where a frame does, leave in order in full frames; one that
 * is delivered again has an envelope, its neighbours have none. */
static void test_packs(void **state)
{
	enum { COUNT = 20000, AGAIN = 777, LEN = 20, PER_PACK = 8 };
	uint8_t payload[PER_PACK][VALUE_PREFIX_BYTES + LEN] = {0};
	uint32_t lens[PER_PACK];
	uint32_t came = 0, frames = 0;
	struct message m = {.kind = MESSAGE_DELIVER, .seq = 1};
	struct frame f;
	long n;

	(void)state;
	m.deliver.channel = 1;
	for (int k = 0; k < PER_PACK; k++)
		payload[k][4] = lens[k] = LEN;
	for (uint32_t i = 0; i < COUNT; i += PER_PACK) {
		struct value *pack = value_pack_new(payload[0], sizeof(payload), lens, PER_PACK),
			     *values[PER_PACK];
		uint32_t attempts[PER_PACK];

		assert_non_null(pack);
		for (uint32_t k = 0; k < PER_PACK; k++) {
			values[k] = pack + k;
			attempts[k] = i + k == AGAIN ? 2 : 1;
			memcpy(values[k]->bytes, &(uint32_t){i + k}, sizeof(i));
		}
		m.deliver.delivery = i + 1;
		assert_int_equal(outbox_add(o, &m, values, attempts, 3), 0);
		m.deliver.delivery = i + 4;
		assert_int_equal(outbox_add(o, &m, values + 3, attempts + 3, 5), 0);
		value_unref_run(pack, PER_PACK);
	}
	hand_over();
	write_all();
	while (buf_len(&out) && (n = frame_parse(buf_data(&out), buf_len(&out), &f)) > 0) {
		const uint8_t *at = f.payload;
		size_t left = f.payload_bytes;
		struct wire_value v;

		assert_int_equal(wire_decode(&f, scratch, &m), 0);
		assert_int_equal(m.deliver.delivery, came + 1);
		for (uint32_t i = 0; i < m.deliver.count; i++, came++) {
			assert_int_equal(wire_value_next(&at, &left, &v), 1);
			assert_int_equal(v.attempt, came == AGAIN ? 2 : 1);
			assert_memory_equal(v.bytes, &came, sizeof(came));
		}
		assert_int_equal(left, 0);
		buf_consume(&out, (size_t)n);
		frames++;
	}
	assert_int_equal(came, COUNT);
	assert_int_equal(frames, COUNT / (WRITER_ROUND_BYTES / sizeof(payload[0])) + 1);
}

/* A small answer waits behind one piece of a large value, not behind all of it; also one that comes
 * when the pieces are under way. */
static void test_small_passes_large(void **state)
{
	(void)state;
	deliver(1, 1000000);
	done(2);
	hand_over();
	assert_true(write_round() < 3 * WRITER_ROUND_BYTES);
	assert_frame("DELIVER 1 x1 more");
	assert_frame("DONE 2");
	assert_frame("PIECE 1 more");
	done(3);
	hand_over();
	write_round();
	assert_frame("DONE 3");
	assert_frame("PIECE 1 more");
	assert_null(next_frame());
}

/* Later values of the same receive queue behind a large one, and what ends the receive comes last;
 * others pass. */
static void test_same_receive_keeps_order(void **state)
{
	(void)state;
	deliver(1, 100000);
	deliver(1, 5);
	deliver(2, 5);
	failed(1);
	done(3);
	hand_over();
	write_all();
	assert_frame("DELIVER 1 x1 more");
	assert_frame("DELIVER 1 x1 more");
	assert_frame("DELIVER 2 x1");
	assert_frame("PIECE 1 more");
	assert_frame("PIECE 1");
	assert_frame("PIECE 2");
	assert_frame("FAIL 1");
	assert_frame("DONE 3");
	assert_null(next_frame());
}

/* Control frames go ahead of all that is not in a round yet. */
static void test_control_goes_first(void **state)
{
	struct message m = {.kind = MESSAGE_PONG};
	struct buf control = {0};

	(void)state;
	for (int i = 0; i < 20000; i++)
		deliver(1, 16);
	hand_over();
	write_round();
	while (next_frame())
		;
	m.ping.nonce = 1;
	assert_int_equal(wire_encode(&control, &m, 0, 0), 0);
	assert_int_equal(writer_put_control(&w, &control), 0);
	write_round();
	assert_frame("PONG 0");
	buf_fini(&control);
}

/* A round of small values is bounded in bytes and in its iovec. */
static void test_rounds_are_bounded(void **state)
{
	(void)state;
	for (int i = 0; i < 400; i++)
		deliver((uint64_t)i, i % 2 ? 5000 : 100);
	hand_over();
	for (size_t n; (n = write_round());)
		assert_true(n <= 2 * WRITER_ROUND_BYTES + FRAME_BYTES_MAX);
	assert_true(writer_idle(&w));
}

/* A large value counts as waiting until its last piece is written, not only until it has begun: who
 * reads slowly could else have any number of them begin. */
static void test_large_values_count_until_written(void **state)
{
	size_t queued;

	(void)state;
	for (int i = 0; i < 10; i++)
		deliver((uint64_t)i, 100000);
	queued = o->bytes;
	hand_over();
	write_round();
	assert_true(reported < 10000);
	write_all();
	assert_int_equal(reported, queued);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_values_arrive, setup, teardown),
		cmocka_unit_test_setup_teardown(test_packs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small_passes_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same_receive_keeps_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_control_goes_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rounds_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_large_values_count_until_written, setup, teardown),
	};

	return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
