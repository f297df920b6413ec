/*
 * note.h - one sleep and one wake-up of a thread.
 *
 * A note is clear, then one thread sleeps on it and one thread wakes it, in any order; then it is
 * cleared for the next time by the sleeper. What was written before the wake-up is seen after the
 * sleep.
 */
#ifndef CHAND_RUNTIME_NOTE_H
#define CHAND_RUNTIME_NOTE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct note {
	_Atomic uint32_t woken;
};

void note_clear(struct note *n);

/* Wakes the sleeper, now or when it comes. */
void note_wake(struct note *n);

/* Sleeps until woken. */
void note_sleep(struct note *n);

/* Sleeps until woken (true), or at most span_ns. */
bool note_sleep_for(struct note *n, int64_t span_ns);

#endif
