/*
 * engine_account.h - random runs of the engine, held to account at their end.
 *
 * Selects choose as they like and allocations fail, so nothing is predicted (that is done in
 * engine_model.h). But when all is over: every operation was answered once; every value whose send
 * was done was taken once, and none whose send failed; of a select at most one case happened;
 * nothing is held any more. And meanwhile: one producer's values come in its order. What goes wrong
 * is printed and ends the program (abort). One run at a time; linked with failing_malloc_ldflags.
 */
#ifndef TESTS_SUPPORT_ENGINE_ACCOUNT_H
#define TESTS_SUPPORT_ENGINE_ACCOUNT_H

#include "tests/support/choices.h"

/* Steps that a run may have: what its tables hold. */
#define ENGINE_ACCOUNT_STEPS_MAX 6000

/* Makes an engine whose own choices come from seed; failing: allocations fail now and then. replay
 * says what was run, for the message, and must live as long. */
void engine_account_start(struct choices *choices, uint64_t seed, const char *replay, bool failing);

/* One operation, one answer, or some time. */
void engine_account_step(void);

/* Takes all that is left, and judges the run. */
void engine_account_stop(void);

#endif
