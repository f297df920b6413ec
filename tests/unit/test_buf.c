#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/status.h"
#include "proto/buf.h"
#include "tests/support/failing_malloc.h"
#include <string.h>

static void test_bytes_come_out_as_they_went_in(void **state)
{
	struct buf b = {0};
	uint32_t in = 0, out = 0;

	(void)state;
	/* Appends runs of changing length, consumes others: every start and end occurs. */
	for (uint32_t round = 0; round < 2000; round++) {
		for (uint32_t i = 0; i < round % 13; i++, in++)
			assert_int_equal(buf_append(&b, &in, sizeof(in)), 0);
		for (uint32_t i = 0; i < round % 11 && out < in; i++, out++) {
			assert_memory_equal(buf_data(&b), &out, sizeof(out));
			buf_consume(&b, sizeof(out));
		}
		assert_int_equal(buf_len(&b), (in - out) * sizeof(in));
	}
	buf_fini(&b);
}

static void test_an_empty_buf_needs_no_memory(void **state)
{
	struct buf b = {0};

	(void)state;
	mallocs_left = 0;
	assert_int_equal(buf_append(&b, NULL, 0), 0);
	assert_int_equal(buf_len(&b), 0);
	mallocs_left = -1;
	buf_fini(&b);
	buf_fini(&b);
}

static void test_a_consumed_buf_is_filled_from_the_front(void **state)
{
	struct buf b = {0};

	(void)state;
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(buf_append(&b, "0123456789", 10), 0);
		buf_consume(&b, 10);
	}
	assert_true(b.size <= 256);
	buf_fini(&b);
}

static void test_a_queue_that_stays_short_stays_small(void **state)
{
	struct buf b = {0};

	(void)state;
	assert_int_equal(buf_append(&b, "01234567890123456789", 20), 0);
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(buf_append(&b, "0123456789", 10), 0);
		buf_consume(&b, 10);
	}
	assert_int_equal(buf_len(&b), 20);
	assert_true(b.size <= 512);
	buf_fini(&b);
}

static void test_without_memory_nothing_changes(void **state)
{
	struct buf b = {0};
	char large[1000] = {0};

	(void)state;
	mallocs_left = 0;
	assert_int_equal(buf_append(&b, "abc", 3), CHAN_ENOMEM);
	mallocs_left = -1;
	assert_int_equal(buf_append(&b, "abc", 3), 0);
	mallocs_left = 0;
	assert_int_equal(buf_append(&b, large, sizeof(large)), CHAN_ENOMEM);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), CHAN_ENOMEM);
	mallocs_left = -1;
	assert_int_equal(buf_len(&b), 3);
	assert_memory_equal(buf_data(&b), "abc", 3);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_come_out_as_they_went_in),
		cmocka_unit_test(test_an_empty_buf_needs_no_memory),
		cmocka_unit_test(test_a_consumed_buf_is_filled_from_the_front),
		cmocka_unit_test(test_a_queue_that_stays_short_stays_small),
		cmocka_unit_test(test_without_memory_nothing_changes),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
