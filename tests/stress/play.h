/*
 * play.h - what the two ways to play a round have in common.
 *
 * A round: clients do at random, on new channels, what clients may do; then everything is closed
 * and drained, every answer awaited, and the history judged. What a client does next depends on the
 * seed and on the answers so far, and those on the daemon's threads: a seed repeats the choices,
 * not every interleaving.
 */
#ifndef TESTS_STRESS_PLAY_H
#define TESTS_STRESS_PLAY_H

#include "tests/history/history.h"
#include "tests/support/dice.h"

/*
 * A round played by agents (agent.h) in one thread, over connections to these URLs in turn. Returns
 * whether all went well, else says what did not. *events grows by the length of its history.
 */
bool frames_play(const char *const urls[2], uint64_t seed, size_t *events);

/* A round played by threads through libchan, several on one connection. */
bool threads_play(const char *const urls[2], uint64_t seed, size_t *events);

/* Judges a round; problem is "" or what went wrong beside the rules. Where something was wrong: says
 * it, leaves the history in stress-SEED.history, and returns false. */
bool round_judge(const struct history *h, const char *problem, uint64_t seed);

#endif
