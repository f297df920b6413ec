/*
 * fuzz_engine.c - the engine against its model (tests/support/engine_model.h).
 *
 * Input: a byte that seeds the engine, then choices: which step comes next, and its details.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/support/engine_model.h"

/* The model searches its tables from end to end; longer runs find nothing that these do not. */
#define STEPS_MAX 1000

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	uint8_t seed = fuzz_byte(&bytes, &n);
	struct choices choices = choices_of_bytes(bytes, n);

	engine_model_start(&choices, seed, "this input");
	for (int i = 0; i < STEPS_MAX && choices.bytes_left > 0; i++)
		engine_model_step();
	engine_model_stop();
	return 0;
}
