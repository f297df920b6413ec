/* test_buffers.c - buffers that are kept between turns. */
#include "server/broker/buffers.h"

#include "tests/support/goroutine_test.h"
#include "tests/support/waitgroup.h"

#define WORKERS 4
#define TURNS 200
#define BUFFERS_HELD 20 /* more than are kept */

/* A buffer comes empty and with room, and loses both when it is given back. */
static void test_room(void **state)
{
	struct buf b = buffer_take();

	(void)state;
	assert_int_equal(buf_len(&b), 0);
	assert_in_range(b.size, BUFFER_BYTES, 2 * BUFFER_BYTES);
	assert_int_equal(buf_append(&b, "left", 4), 0);
	buffer_give(&b);
	assert_null(b.bytes);
	b = buffer_take();
	assert_int_equal(buf_len(&b), 0);
	buffer_give(&b);
	buffers_fini();
}

/* A burst is served too, though it is not kept. */
static void test_burst(void **state)
{
	struct buf held[BUFFERS_HELD];

	(void)state;
	for (int i = 0; i < BUFFERS_HELD; i++) {
		held[i] = buffer_take();
		assert_non_null(held[i].bytes);
	}
	for (int i = 0; i < BUFFERS_HELD; i++)
		buffer_give(&held[i]);
	buffers_fini();
}

static void take_and_give(void *arg)
{
	for (int i = 0; i < TURNS; i++) {
		struct buf b = buffer_take();

		expect(b.bytes && buf_len(&b) == 0);
		buffer_give(&b);
		go_yield();
	}
	waitgroup_done(arg);
}

static void free_beside(void)
{
	struct waitgroup workers = WAITGROUP_INIT;

	waitgroup_add(&workers, WORKERS);
	for (int i = 0; i < WORKERS; i++)
		expect(go(take_and_give, &workers) == 0);
	for (int i = 0; i < TURNS; i++) {
		buffers_fini();
		go_yield();
	}
	waitgroup_wait(&workers);
	buffers_fini();
}

/* The broker is freed when the last connection has gone, and the goroutine that wrote to that may
 * still have its buffer to give back. */
static void test_freed_beside_others(void **state)
{
	(void)state;
	run_everywhere(free_beside);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_freed_beside_others),
	};

	return cmocka_run_group_tests_name("buffers", tests, NULL, NULL);
}
