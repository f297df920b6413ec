/* test_memory.c - what the process holds, and the levels below its ceiling. */
#include "server/base/memory.h"

#include "server/base/clock.h"
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
		cmocka_unit_test(the_default_is_less_than_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
