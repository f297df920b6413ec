#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/status.h"
#include "client/resend.h"
#include "proto/endian.h"

/* Frames of 10 bytes, of which the last is the frame's number. */
enum { BYTES = 10 };

static struct buf out;
static uint64_t put;

static void put_frames(unsigned n)
{
	uint8_t frame[BYTES] = {0};

	for (; n > 0; n--) {
		put_be32(frame, BYTES - 4);
		frame[BYTES - 1] = (uint8_t)++put;
		assert_int_equal(buf_append(&out, frame, BYTES), 0);
	}
}

/* Writes all that may be written: the frames of these numbers. */
static void assert_written(struct resend *r, unsigned first, unsigned last)
{
	const uint8_t *bytes;
	size_t n = resend_unwritten(r, &bytes), i;

	assert_int_equal(n, (last + 1 - first) * BYTES);
	for (i = 0; i < n / BYTES; i++)
		assert_int_equal(bytes[i * BYTES + BYTES - 1], first + i);
	resend_wrote(r, n);
}

static int setup(void **state)
{
	(void)state;
	put = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_fini(&out);
	return 0;
}

static void test_nothing_is_kept_where_nothing_lingers(void **state)
{
	struct resend r = {0};
	const uint8_t *bytes;

	(void)state;
	put_frames(3);
	assert_int_equal(resend_take(&r, &out, put), 0);
	assert_int_equal(resend_unwritten(&r, &bytes), 3 * BYTES);
	resend_wrote(&r, 15);
	assert_int_equal(resend_unwritten(&r, &bytes), 15);
	resend_wrote(&r, 15);
	assert_int_equal(r.bytes, 0);
	assert_int_equal(resend_see(&r, 99), 0); /* whatever it says */
	resend_fini(&r);
}

static void test_what_was_not_seen_is_written_again(void **state)
{
	struct resend r = {.keeps = true, .bytes_max = 1000};

	(void)state;
	put_frames(5);
	assert_int_equal(resend_take(&r, &out, put), 0);
	assert_written(&r, 1, 5);
	assert_int_equal(resend_see(&r, 2), 0);
	resend_trim(&r);
	put_frames(2);
	assert_int_equal(resend_take(&r, &out, put), 0);
	resend_wrote(&r, 13); /* in the middle of the 7th */
	assert_int_equal(resend_rewind(&r, 4), 0);
	assert_written(&r, 5, 7);
	assert_int_equal(resend_see(&r, 7), 0);
	assert_int_equal(resend_see(&r, 6), 0); /* said before that, and come later */
	resend_trim(&r);
	assert_int_equal(r.bytes, 0);
	assert_int_equal(resend_rewind(&r, 7), 0);
	resend_fini(&r);
}

static void test_a_bound_on_what_is_kept(void **state)
{
	struct resend r = {.keeps = true, .bytes_max = 35};

	(void)state;
	put_frames(5);
	assert_int_equal(resend_take(&r, &out, put), 0);
	assert_written(&r, 1, 3);
	assert_false(resend_has_room(&r)); /* or who waits would write again and again */
	assert_int_equal(resend_take(&r, &out, put), 0);
	assert_written(&r, 4, 3);
	assert_int_equal(resend_see(&r, 1), 0);
	resend_trim(&r);
	assert_true(resend_has_room(&r));
	assert_int_equal(resend_take(&r, &out, put), 0);
	assert_written(&r, 4, 4);
	assert_int_equal(resend_see(&r, 5), CHAN_EPROTOCOL); /* it is still here */
	assert_int_equal(resend_rewind(&r, 2), 0);
	assert_written(&r, 3, 4);
	assert_int_equal(resend_take(&r, &out, put), 0);
	assert_written(&r, 5, 5);
	resend_fini(&r);
}

static void test_one_frame_always_fits(void **state)
{
	struct resend r = {.keeps = true, .bytes_max = 3};

	(void)state;
	put_frames(2);
	assert_int_equal(resend_take(&r, &out, put), 0);
	assert_written(&r, 1, 1);
	assert_false(resend_has_room(&r));
	assert_int_equal(resend_see(&r, 1), 0);
	resend_trim(&r);
	assert_int_equal(resend_take(&r, &out, put), 0);
	assert_written(&r, 2, 2);
	resend_fini(&r);
}

/* Large frames keep the memory that they came in, small ones share some. */
enum { LARGE = 10000 };

static void put_large(unsigned n)
{
	static uint8_t frame[LARGE];

	for (; n > 0; n--) {
		put_be32(frame, LARGE - 4);
		frame[LARGE - 1] = (uint8_t)++put;
		assert_int_equal(buf_append(&out, frame, LARGE), 0);
	}
}

/* Writes as much as may be, in steps; the numbers that the frames end with. */
static void assert_numbers(struct resend *r, unsigned first, unsigned last)
{
	struct buf written = {0};
	const uint8_t *bytes;
	size_t n, at = 0;

	while ((n = resend_unwritten(r, &bytes)) > 0) {
		n = n > 7777 ? 7777 : n;
		assert_int_equal(buf_append(&written, bytes, n), 0);
		resend_wrote(r, n);
	}
	for (; first <= last; first++) {
		at += 4 + get_be32(buf_data(&written) + at);
		assert_int_equal(buf_data(&written)[at - 1], first);
	}
	assert_int_equal(at, buf_len(&written));
	buf_fini(&written);
}

static void test_large_frames_among_small_ones(void **state)
{
	struct resend r = {.keeps = true, .bytes_max = 5 * LARGE};
	uint8_t *came;

	(void)state;
	put_large(3);
	came = buf_data(&out);
	assert_int_equal(resend_take(&r, &out, put), 0);
	assert_int_equal(buf_len(&out), 0);
	assert_true(buf_data(&out) != came);
	put_frames(2);
	assert_int_equal(resend_take(&r, &out, put), 0);
	put_large(4); /* of which two are too many */
	assert_int_equal(resend_take(&r, &out, put), 0);
	assert_true(resend_is_full(&r));
	assert_numbers(&r, 1, 6);
	assert_int_equal(resend_see(&r, 7), CHAN_EPROTOCOL);
	assert_int_equal(resend_see(&r, 4), 0);
	resend_trim(&r);
	assert_int_equal(resend_take(&r, &out, put), 0);
	assert_false(resend_is_full(&r));
	assert_numbers(&r, 7, 9);
	assert_int_equal(resend_rewind(&r, 4), 0);
	assert_numbers(&r, 5, 9);
	assert_int_equal(resend_rewind(&r, 9), 0);
	assert_int_equal(r.bytes, 0);
	put_large(2); /* in memory that was used before */
	assert_int_equal(resend_take(&r, &out, put), 0);
	assert_numbers(&r, 10, 11);
	resend_fini(&r);
}

/* The broker may have the small one and need not say so. */
static void test_a_large_frame_behind_a_small_one(void **state)
{
	struct resend r = {.keeps = true, .bytes_max = LARGE};

	(void)state;
	put_frames(1);
	assert_int_equal(resend_take(&r, &out, put), 0);
	assert_numbers(&r, 1, 1);
	put_large(2);
	assert_int_equal(resend_take(&r, &out, put), 0);
	assert_numbers(&r, 2, 2);
	assert_false(resend_has_room(&r));
	resend_fini(&r);
}

/* As much is kept as the broker confirms by itself, and that is waited for. */
static void test_a_large_frame_behind_a_large_one(void **state)
{
	struct resend r = {.keeps = true, .bytes_max = 2 * LARGE - 1};

	(void)state;
	put_large(1);
	put_large(2);
	assert_int_equal(resend_take(&r, &out, put), 0);
	assert_numbers(&r, 1, 1);
	assert_false(resend_has_room(&r));
	assert_int_equal(resend_see(&r, 1), 0);
	resend_trim(&r);
	assert_int_equal(resend_take(&r, &out, put), 0);
	assert_numbers(&r, 2, 2);
	resend_fini(&r);
}

static void test_large_frames_without_a_resume(void **state)
{
	struct resend r = {0};

	(void)state;
	put_large(2);
	assert_int_equal(resend_take(&r, &out, put), 0);
	put_frames(2);
	assert_int_equal(resend_take(&r, &out, put), 0);
	assert_numbers(&r, 1, 4);
	assert_int_equal(r.bytes, 0);
	resend_fini(&r);
}

static void test_a_broker_that_lies(void **state)
{
	struct resend r = {.keeps = true, .bytes_max = 1000};

	(void)state;
	put_frames(3);
	assert_int_equal(resend_take(&r, &out, put), 0);
	assert_int_equal(resend_see(&r, 4), CHAN_EPROTOCOL);
	resend_wrote(&r, 15);
	assert_int_equal(resend_see(&r, 3), 0); /* of which one and a half were written */
	resend_trim(&r);
	assert_int_equal(r.bytes, 2 * BYTES);
	assert_int_equal(resend_rewind(&r, 2), CHAN_EPROTOCOL); /* it had three */
	assert_int_equal(resend_rewind(&r, 9), CHAN_EPROTOCOL);
	resend_fini(&r);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_is_kept_where_nothing_lingers),
		TEST(test_what_was_not_seen_is_written_again),
		TEST(test_a_bound_on_what_is_kept),
		TEST(test_one_frame_always_fits),
		TEST(test_large_frames_among_small_ones),
		TEST(test_a_large_frame_behind_a_small_one),
		TEST(test_a_large_frame_behind_a_large_one),
		TEST(test_large_frames_without_a_resume),
		TEST(test_a_broker_that_lies),
	};

	return cmocka_run_group_tests_name("resend", tests, NULL, NULL);
}
