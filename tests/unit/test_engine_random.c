/*
 * test_engine_random.c - long random runs of the engine against a model, see engine_model.h.
 *
 *	ENGINE_SEED=7 ENGINE_STEPS=1000 tests/unit/test_engine_random      replays a run
 */
#include "tests/support/engine_model.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void play(uint64_t seed, uint64_t steps)
{
	struct choices choices = choices_of_seed(seed);
	char replay[64];

	snprintf(replay, sizeof(replay), "ENGINE_SEED=%" PRIu64, seed);
	engine_model_start(&choices, seed, replay);
	while (steps-- > 0)
		engine_model_step();
	engine_model_stop();
}

static void the_engine_does_what_the_model_does(void **state)
{
	uint64_t seed = from_environment("ENGINE_SEED", 1), runs = getenv("ENGINE_SEED") ? 1 : 8;
	uint64_t steps = from_environment("ENGINE_STEPS", 3000);

	(void)state;
	for (; runs > 0; runs--, seed++)
		play(seed, steps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_engine_does_what_the_model_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
