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
	assert_int_equal(buf_len(&r.frames), 15);
	resend_wrote(&r, 15);
	assert_int_equal(buf_len(&r.frames), 0);
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
	assert_int_equal(buf_len(&r.frames), 0);
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
	assert_true(resend_has_room(&r)); /* for a shorter one */
	assert_int_equal(resend_take(&r, &out, put), 0);
	assert_written(&r, 4, 3);
	assert_int_equal(resend_see(&r, 1), 0);
	resend_trim(&r);
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
	assert_int_equal(buf_len(&r.frames), 2 * BYTES);
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
		TEST(test_a_broker_that_lies),
	};

	return cmocka_run_group_tests_name("resend", tests, NULL, NULL);
}
