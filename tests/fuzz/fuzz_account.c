/*
 * fuzz_account.c - the engine held to account (tests/support/engine_account.h): selects, and
 * allocations that fail.
 *
 * Input: a byte that seeds the engine and whose lowest bit has allocations fail, then choices.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/support/engine_account.h"

#define STEPS_MAX 1000

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	uint8_t seed = fuzz_byte(&bytes, &n);
	struct choices choices = choices_of_bytes(bytes, n);

	engine_account_start(&choices, seed, "this input", seed & 1);
	for (int i = 0; i < STEPS_MAX && choices.bytes_left > 0; i++)
		engine_account_step();
	engine_account_stop();
	return 0;
}
