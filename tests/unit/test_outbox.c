/* test_outbox.c - answers as compact records: what is joined, and what is not. */
#include "server/broker/outbox.h"

#include "chan/status.h"
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
	return 0;
}

static void done(uint64_t seq, uint32_t count, uint32_t case_index)
{
	struct message m = {.kind = MESSAGE_DONE, .seq = seq};

	m.done.count = count;
	m.done.case_index = case_index;
	assert_int_equal(outbox_add(o, &m, NULL, NULL, 0), 0);
}

static void deliver(uint64_t seq, uint64_t delivery, uint64_t channel)
{
	struct message m = {.kind = MESSAGE_DELIVER, .seq = seq};
	struct value *v = value_new(1);
	uint32_t attempt = 1;

	assert_non_null(v);
	v->bytes[0] = (uint8_t)delivery;
	m.deliver.delivery = delivery;
	m.deliver.channel = channel;
	assert_int_equal(outbox_add(o, &m, &v, &attempt, 1), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_done_runs_join, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deliveries_join, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others_are_encoded, setup, teardown),
	};

	alarm(60);
	return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
