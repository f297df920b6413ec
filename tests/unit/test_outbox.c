/* test_outbox.c - answers as compact records: what is joined, and what is not. */
#include "server/broker/outbox.h"

#include "chan/status.h"
#include "proto/endian.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct outbox *o;

static int setup(void **state)
{
	(void)state;
	o = outbox_new();
	return o ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	outbox_free(o);
	outbox_stock_fini();
	return 0;
}

static void done(uint64_t seq, uint32_t count, uint32_t case_index)
{
	struct message m = {.kind = MESSAGE_DONE, .seq = seq};

	m.done.count = count;
	m.done.case_index = case_index;
	assert_int_equal(outbox_add(o, &m, NULL, NULL, 0), 0);
}

static void deliver_value(uint64_t seq, uint64_t delivery, uint64_t channel, struct value *v)
{
	struct message m = {.kind = MESSAGE_DELIVER, .seq = seq};
	uint32_t attempt = 1;

	m.deliver.delivery = delivery;
	m.deliver.channel = channel;
	assert_int_equal(outbox_add(o, &m, &v, &attempt, 1), 0);
}

static void deliver(uint64_t seq, uint64_t delivery, uint64_t channel)
{
	struct value *v = value_new(1);

	assert_non_null(v);
	v->bytes[0] = (uint8_t)delivery;
	deliver_value(seq, delivery, channel, v);
	value_unref(v);
}

/* Neighbouring runs of DONE become one; a gap, or a case of a select, begins another. */
static void test_done_runs_join(void **state)
{
	(void)state;
	done(5, 1, 0);
	done(6, 2, 0);
	done(8, 1, 0);
	assert_int_equal(o->entry_count, 1);
	assert_int_equal(o->entries[0].count, 4);
	done(10, 1, 0);
	done(11, 1, 3);
	done(12, 1, 0);
	assert_int_equal(o->entry_count, 4);
}

/* Values of one receive with consecutive numbers become one entry; another receive, channel or a
 * gap begins another; and so does whatever was answered between. */
static void test_deliveries_join(void **state)
{
	(void)state;
	deliver(1, 10, 7);
	deliver(1, 11, 7);
	assert_int_equal(o->entry_count, 1);
	assert_int_equal(o->entries[0].count, 2);
	deliver(2, 12, 7);
	deliver(2, 13, 8);
	deliver(2, 15, 8);
	done(3, 1, 0);
	deliver(2, 16, 8);
	assert_int_equal(o->entry_count, 6);
	assert_int_equal(o->run_count, 6);
	assert_int_equal(o->runs[5].first->bytes[0], 16);
}

/* Other answers are kept encoded, with what they say, though it lived for the call only. */
static void test_others_are_encoded(void **state)
{
	struct message m = {.kind = MESSAGE_FAIL, .seq = 9};
	char text[] = "because";
	struct wire_scratch *scratch = wire_scratch_new();
	struct frame f;

	(void)state;
	m.fail.count = 1;
	m.fail.status = CHAN_ECLOSED;
	m.fail.message = text;
	assert_int_equal(outbox_add(o, &m, NULL, NULL, 0), 0);
	memset(text, 'x', sizeof(text));
	assert_int_equal(o->entries[0].kind, OUTBOX_ENCODED);
	assert_int_equal(
		frame_parse(buf_data(&o->encoded), buf_len(&o->encoded), &f), o->entries[0].count);
	assert_int_equal(wire_decode(&f, scratch, &m), 0);
	assert_string_equal(m.fail.message, "because");
	wire_scratch_free(scratch);
}

enum { PACK_VALUES = 200, PACK_VALUE_BYTES = 10 };

/* Values as they come in one SEND. */
static struct value *pack(void)
{
	uint8_t payload[PACK_VALUES * (VALUE_PREFIX_BYTES + PACK_VALUE_BYTES)] = {0};
	uint32_t lens[PACK_VALUES];
	struct value *v;

	for (int i = 0; i < PACK_VALUES; i++) {
		lens[i] = PACK_VALUE_BYTES;
		put_be32(payload + i * (VALUE_PREFIX_BYTES + PACK_VALUE_BYTES) + 1,
			PACK_VALUE_BYTES);
	}
	v = value_pack_new(payload, sizeof(payload), lens, PACK_VALUES);
	assert_non_null(v);
	return v;
}

/* A small value keeps its whole pack in memory, and counts with that: once for several in a row. */
static void test_a_part_of_a_pack_counts_with_the_rest(void **state)
{
	const size_t pack_bytes = PACK_VALUES * (VALUE_PREFIX_BYTES + PACK_VALUE_BYTES);
	struct value *one = pack(), *other = pack();

	(void)state;
	deliver(1, 1, 7);
	assert_true(outbox_cost(o) < 200);
	deliver_value(1, 2, 7, one + 3);
	assert_in_range(outbox_cost(o), pack_bytes, 3 * pack_bytes);
	deliver_value(1, 3, 7, one + 9);
	assert_in_range(outbox_cost(o), pack_bytes, 3 * pack_bytes);
	deliver_value(1, 4, 7, other);
	assert_in_range(outbox_cost(o), 2 * pack_bytes, 6 * pack_bytes);
	value_unref_run(one, PACK_VALUES);
	value_unref_run(other, PACK_VALUES);
}

/* One that is used again is as a new one, whatever was in it. */
static void test_what_is_used_again_is_empty(void **state)
{
	struct message fail = {.kind = MESSAGE_FAIL, .seq = 9};
	struct outbox *used = o;

	(void)state;
	fail.fail.status = CHAN_ECLOSED;
	for (uint64_t i = 0; i < 10; i++) {
		done(2 * i, 1, 0);
		deliver(100 + i, i, 7);
	}
	assert_int_equal(outbox_add(o, &fail, NULL, NULL, 0), 0);
	outbox_free(o);
	o = outbox_new();
	assert_ptr_equal(o, used);
	assert_null(o->next);
	assert_int_equal(o->entry_count + o->run_count + buf_len(&o->encoded), 0);
	assert_int_equal(outbox_cost(o), 0);
	done(1, 1, 0);
	deliver(2, 1, 7);
	assert_int_equal(o->entry_count, 2);
	assert_int_equal(o->runs[0].count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_done_runs_join, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deliveries_join, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others_are_encoded, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_part_of_a_pack_counts_with_the_rest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_used_again_is_empty, setup, teardown),
	};

	return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
