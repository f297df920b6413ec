/*
 * player.h - a client process of the soak: does at random what programs do with channels, through
 * libchan's public calls, and enters in the journal what it asks and is told.
 *
 * It does one thing after another, and it is one session: when its session is lost it ends, and so
 * it does by itself, in order, now and then. The supervisor puts another in its place.
 */
#ifndef TESTS_SOAK_PLAYER_H
#define TESTS_SOAK_PLAYER_H

#include "tests/soak/stage.h"

struct player_options {
	const char *url;
	uint32_t session; /* its number in the history */
	uint64_t seed;
	int64_t linger_ns; /* how long the broker shall keep its session without a connection */
};

/* In a process of its own. Exits with 0 when the stage is stopping, or its session is over. */
_Noreturn void player_run(struct stage *s, const struct player_options *o);

#endif
