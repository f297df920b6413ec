/*
 * nemesis.h - does to players, their connections and the broker what happens to programs and
 * networks.
 *
 * Before it does anything it enters in the journal what the broker may conclude from it: `doubt`
 * where the session may be thought lost, `cut` where nobody may notice. When it has killed the
 * broker it enters `restart`, and has the players go on at new channels.
 */
#ifndef TESTS_SOAK_NEMESIS_H
#define TESTS_SOAK_NEMESIS_H

#include "tests/soak/troupe.h"
#include "tests/support/daemon.h"

/* Rounds of this length leave time for what outlasts the broker's patience. */
enum { LONG_ROUND_MS = 15000 };

struct nemesis {
	struct troupe *troupe;
	struct dice dice;
	bool long_faults; /* also those that outlast the broker's patience */
	int64_t next_ns;  /* of its next deed */

	struct test_daemon *broker;
	const char *const *broker_arguments;
	int64_t kill_every_ms; /* on the average */
	int64_t kill_ns; /* when the broker is killed next, or, while it is dead, starts again */
};

/* For a round of so many milliseconds, with a broker that was started with these arguments. Fills
 * in the rest. */
void nemesis_start(struct nemesis *n, struct troupe *t, struct test_daemon *broker,
	const char *const *broker_arguments, int64_t round_ms, uint64_t seed);

/* Does what it is time for; does not wait, but for a broker that starts. */
void nemesis_step(struct nemesis *n);

/* Ends all that it has done: there is a broker, and the players' connections are well. */
void nemesis_end(struct nemesis *n);

#endif
