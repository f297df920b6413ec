/*
 * test_engine_account.c - long random runs of the engine, held to account: see engine_account.h.
 *
 *	ENGINE_SEED=7 tests/unit/test_engine_account      replays a run
 */
#include "tests/support/engine_account.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void play(uint64_t seed, bool failing)
{
	struct choices choices = choices_of_seed(seed);
	char replay[64];

	snprintf(replay, sizeof(replay), "ENGINE_SEED=%" PRIu64, seed);
	engine_account_start(&choices, seed, replay, failing);
	for (int i = 0; i < ENGINE_ACCOUNT_STEPS_MAX; i++)
		engine_account_step();
	engine_account_stop();
}

static void play_some(bool failing)
{
	const char *seed = getenv("ENGINE_SEED");

	if (seed) {
		play(strtoull(seed, NULL, 10), failing);
		return;
	}
	for (uint64_t k = 1; k <= 10; k++)
		play(k, failing);
}

static void nothing_is_lost_and_nothing_comes_twice(void **state)
{
	(void)state;
	play_some(false);
}

static void nor_when_allocations_fail(void **state)
{
	(void)state;
	play_some(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_and_nothing_comes_twice),
		cmocka_unit_test(nor_when_allocations_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
