/*
 * nemesis.h - does to players and their connections what happens to programs and networks.
 *
 * Before it does anything it enters in the journal what the broker may conclude from it: `doubt`
 * where the session may be thought lost, `cut` where nobody may notice.
 */
#ifndef TESTS_SOAK_NEMESIS_H
#define TESTS_SOAK_NEMESIS_H

#include "tests/soak/troupe.h"

struct nemesis {
	struct troupe *troupe;
	struct dice dice;
	bool long_faults; /* also those that outlast the broker's patience */
	int64_t next_ns;  /* of its next deed */
};

void nemesis_start(struct nemesis *n, struct troupe *t, bool long_faults, uint64_t seed);

/* Does what it is time for; does not wait. */
void nemesis_step(struct nemesis *n);

/* Ends all that it has done. */
void nemesis_end(struct nemesis *n);

#endif
