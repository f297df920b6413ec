/*
 * engine_model.h - random runs of the engine against a model that is too simple to be wrong.
 *
 * The model predicts every answer to everything but selects and failing allocations, which
 * engine_account.h covers. What goes wrong is printed and ends the program (abort). One run at a
 * time.
 */
#ifndef TESTS_SUPPORT_ENGINE_MODEL_H
#define TESTS_SUPPORT_ENGINE_MODEL_H

#include "tests/support/choices.h"

/* Makes an engine whose own choices come from seed, with a few sessions and channels. replay says
 * what was run, for the message, and must live as long. */
void engine_model_start(struct choices *choices, uint64_t seed, const char *replay);

/* One operation, one answer, or some time. */
void engine_model_step(void);

void engine_model_stop(void);

#endif
