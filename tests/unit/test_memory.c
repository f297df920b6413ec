/* test_memory.c - what the process holds, and the levels below its ceiling. */
#include "server/base/memory.h"

#include "server/base/clock.h"
#include "server/runtime/sanitizer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

/* Far enough apart for each to look anew, and to give back. */
static int64_t later(void)
{
	static int64_t now_ns = NS_PER_S;

	return now_ns += 2 * NS_PER_S;
}

static void pages_that_are_used_are_held(void **state)
{
	uint64_t before = memory_held_bytes();
	char *bytes = malloc(64 * MIB);

	(void)state;
	assert_true(before > 0);
	assert_non_null(bytes);
	memset(bytes, 1, 64 * MIB);
	assert_true(memory_held_bytes() >= before + 60 * MIB);
	free(bytes);
}

static void the_level_follows_the_ceiling(void **state)
{
	uint64_t held = memory_held_bytes();

	(void)state;
	memory_set_max(held * 4);
	assert_int_equal(memory_look(later()), MEMORY_FREE);
	memory_set_max(held * 3 / 2);
	assert_int_equal(memory_look(later()), MEMORY_TIGHT);
	assert_int_equal(memory_level(), MEMORY_TIGHT);
	memory_set_max(held * 5 / 4);
	assert_int_equal(memory_look(later()), MEMORY_SCARCE);
	memory_set_max(held / 2);
	assert_int_equal(memory_look(later()), MEMORY_FULL);
	memory_set_max(held * 4);
	assert_int_equal(memory_look(later()), MEMORY_FREE);
}

/* Between two looks the level stays. */
static void looks_are_rare(void **state)
{
	int64_t now_ns = later();

	(void)state;
	memory_set_max(4096);
	assert_int_equal(memory_look(now_ns), MEMORY_FULL);
	memory_set_max(1024 * MIB);
	assert_int_equal(memory_look(now_ns), MEMORY_FREE);
	assert_int_equal(memory_look(now_ns + NS_PER_MS / 2), MEMORY_FREE);
}

/* Not a checker's, which keeps what was freed, and takes from that. */
static bool allocator_is_glibc(void)
{
	return SANITIZER_STACK_FACTOR == 1 && !getenv("TEST_WRAPPER");
}

/* After a burst that left pages free between others. */
static void what_was_free_is_given_back_once_it_rests(void **state)
{
	enum { PIECES = 32 * 1024, PIECE_BYTES = 1024 };
	static char *pieces[PIECES];
	uint64_t before = memory_held_bytes(), full;

	(void)state;
	memory_set_max(1024 * MIB);
	for (int i = 0; i < PIECES; i++) {
		pieces[i] = malloc(PIECE_BYTES);
		assert_non_null(pieces[i]);
		memset(pieces[i], 1, PIECE_BYTES);
	}
	full = memory_held_bytes();
	if (allocator_is_glibc())
		assert_true(full >= before + 30 * MIB);
	memory_look(later());
	assert_true(memory_is_unsettled());
	assert_false(memory_is_unsettled()); /* one is enough */
	memory_put_off();
	memory_look(later());
	assert_true(memory_is_unsettled());
	for (int i = 0; i < PIECES - 1; i++) /* the last keeps the heap as high as it is */
		free(pieces[i]);
	assert_false(memory_settle()); /* something went on */
	assert_true(memory_settle());
	if (allocator_is_glibc())
		assert_true(memory_held_bytes() <= full - 25 * MIB);
	assert_false(memory_is_unsettled()); /* nobody looks any more */
	free(pieces[PIECES - 1]);
}

static void the_default_is_less_than_there_is(void **state)
{
	(void)state;
	assert_true(memory_max_default() >= 64 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_that_are_used_are_held),
		cmocka_unit_test(the_level_follows_the_ceiling),
		cmocka_unit_test(looks_are_rare),
		cmocka_unit_test(what_was_free_is_given_back_once_it_rests),
		cmocka_unit_test(the_default_is_less_than_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
