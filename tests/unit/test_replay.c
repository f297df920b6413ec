/* test_replay.c - frames that are kept until they are known to have arrived, and sent again. */
#include "server/broker/replay.h"

#include "chan/status.h"
#include "proto/frame.h"
#include "proto/limits.h"
#include "server/base/random.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct replay r;
static struct buf all;     /* every byte that was ever kept */
static size_t ends[10000]; /* in it, behind frame n */

static int setup(void **state)
{
	(void)state;
	r = (struct replay){0};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	replay_fini(&r);
	buf_fini(&all);
	return 0;
}

/* Keeps a frame with a payload, whose bytes differ; from a value of its own, or as own bytes. */
static void keep(uint32_t payload_bytes, bool as_value)
{
	uint64_t n = atomic_load(&r.sent) + 1;
	uint8_t prefix[FRAME_PREFIX_BYTES];
	struct value *v = value_new(payload_bytes + 1);

	assert_non_null(v);
	memset(v->bytes, (int)n, payload_bytes + 1);
	frame_put_prefix(prefix, 44, 0, 0, payload_bytes);
	assert_int_equal(replay_keep(&r, prefix, sizeof(prefix)), 0);
	if (as_value)
		assert_int_equal(replay_keep_value(&r, v, 1, payload_bytes), 0);
	else
		assert_int_equal(replay_keep(&r, v->bytes, payload_bytes), 0);
	assert_int_equal(buf_append(&all, prefix, sizeof(prefix)), 0);
	assert_int_equal(buf_append(&all, v->bytes, payload_bytes), 0);
	replay_sent(&r, 1);
	ends[n] = all.end;
	value_unref(v);
}

/* What is sent again, with such rounds, is what was sent behind that frame. */
static void assert_again(uint64_t frames, int count, size_t bytes_max)
{
	struct iovec iov[16];
	size_t at = ends[frames];
	int n;

	assert_int_equal(replay_resume(&r, frames), 0);
	while (replay_behind(&r)) {
		n = replay_fill(&r, iov, count, bytes_max);
		assert_true(n > 0 && n <= count);
		for (int i = 0; i < n; i++) {
			assert_true(at + iov[i].iov_len <= all.end);
			assert_memory_equal(all.bytes + at, iov[i].iov_base, iov[i].iov_len);
			at += iov[i].iov_len;
		}
	}
	assert_int_equal(at, all.end);
}

static void test_nothing(void **state)
{
	(void)state;
	assert_int_equal(replay_seen(&r, 0), 0);
	assert_int_equal(replay_seen(&r, 1), CHAN_EPROTOCOL);
	assert_int_equal(replay_resume(&r, 0), 0);
	assert_false(replay_behind(&r));
}

/* What arrived is dropped, and with the last of it the memory. */
static void test_seen(void **state)
{
	(void)state;
	keep(10, false);
	keep(5000, true);
	keep(0, false);
	assert_int_equal(r.bytes, 3 * FRAME_PREFIX_BYTES + 5010);
	assert_int_equal(replay_seen(&r, 1), 0);
	replay_drop_seen(&r);
	assert_int_equal(r.bytes, 2 * FRAME_PREFIX_BYTES + 5000);
	assert_int_equal(replay_seen(&r, 0), 0); /* said before, and late */
	assert_int_equal(replay_seen(&r, 4), CHAN_EPROTOCOL);
	assert_again(1, 16, 65536);
	assert_int_equal(replay_seen(&r, 3), 0);
	replay_drop_seen(&r);
	assert_int_equal(r.bytes, 0);
	assert_null(r.own.bytes);
	assert_null(r.values);
	keep(7, true);
	assert_again(3, 16, 65536);
}

/* A resume that cannot be, and one behind another. */
static void test_resume(void **state)
{
	(void)state;
	for (int i = 0; i < 9; i++)
		keep((uint32_t)i * 1000, i % 2);
	assert_int_equal(replay_seen(&r, 3), 0);
	replay_drop_seen(&r);
	assert_int_equal(replay_resume(&r, 10), CHAN_EPROTOCOL);
	assert_int_equal(replay_resume(&r, 2), CHAN_EPROTOCOL);
	assert_again(3, 1, 100);
	assert_again(3, 16, 5000);
	assert_again(7, 2, 65536);
	assert_again(9, 2, 65536);
	assert_false(replay_behind(&r));
}

/* What is being sent again is not dropped, whatever the client says. */
static void test_seen_while_behind(void **state)
{
	struct iovec iov[1];

	(void)state;
	keep(100, false);
	keep(100, false);
	assert_int_equal(replay_resume(&r, 0), 0);
	assert_int_equal(replay_fill(&r, iov, 1, 50), 1);
	assert_int_equal(replay_seen(&r, 2), 0);
	replay_drop_seen(&r);
	assert_int_equal(r.bytes, 2 * FRAME_PREFIX_BYTES + 200);
	assert_int_equal(replay_fill(&r, iov, 1, 65536), 1);
	assert_int_equal(iov[0].iov_len, 2 * FRAME_PREFIX_BYTES + 150);
	replay_drop_seen(&r);
	assert_int_equal(r.bytes, 0);
}

/* Any order of keeping, confirming and coming back, from a seed. */
static void test_random(void **state)
{
	struct random random;
	uint64_t seen = 0, sent = 0;

	(void)state;
	random_init(&random, 7);
	while (sent < 9000) {
		uint32_t what = random_below(&random, 20);

		if (what < 15) {
			bool as_value = random_below(&random, 3) == 0;

			keep(random_below(&random, 200) + as_value, as_value);
			sent++;
		} else if (what < 19) {
			seen += random_below(&random, (uint32_t)(sent - seen) + 1);
			assert_int_equal(replay_seen(&r, seen), 0);
			replay_drop_seen(&r);
		} else {
			seen += random_below(&random, (uint32_t)(sent - seen) + 1);
			assert_again(seen, 1 + (int)random_below(&random, 16),
				1 + random_below(&random, 1000));
		}
		assert_int_equal(r.bytes, ends[sent] - ends[r.dropped]);
	}
}

#define REPLAY_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		REPLAY_TEST(test_nothing),
		REPLAY_TEST(test_seen),
		REPLAY_TEST(test_resume),
		REPLAY_TEST(test_seen_while_behind),
		REPLAY_TEST(test_random),
	};

	return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
