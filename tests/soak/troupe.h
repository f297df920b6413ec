/*
 * troupe.h - the players of a round as processes: started, killed, replaced, awaited.
 */
#ifndef TESTS_SOAK_TROUPE_H
#define TESTS_SOAK_TROUPE_H

#include "tests/soak/player.h"
#include "tests/support/dice.h"
#include "tests/support/network.h"
#include "tests/support/proxy.h"
#include <sys/types.h>

enum { ACTORS_MAX = 32 };

/* Where the daemon listens for players that are behind links of the network. */
#define NETWORK_PORT 2426

/* One role: a process, and after it another. It has a link for its own: of the proxy, or, every
 * second one, of the network, if there is one. */
struct actor {
	pid_t pid; /* 0: none now */
	uint32_t session;
	const struct fault *fault; /* what it suffers (nemesis.h), until */
	int64_t fault_end_ns;
	int64_t recovery_ns; /* that its connection takes when the fault is over; 0: that is it */
};

struct troupe {
	struct stage *stage;
	struct proxy *proxy;
	struct network *network;
	struct dice dice;
	int64_t linger_ns;
	int count;
	struct actor actors[ACTORS_MAX];
};

/* Starts `count` players. */
void troupe_start(struct troupe *t, struct stage *s, struct proxy *proxy, struct network *network,
	int count, int64_t linger_ns, uint64_t seed);

/* The actor's link of the network; -1: it has one of the proxy. */
int troupe_network_link(const struct troupe *t, const struct actor *a);
int troupe_proxy_link(const struct troupe *t, const struct actor *a);

/* Looks for players that have ended, and starts others in their places. One that ended by anything
 * but itself is a problem of the stage. */
void troupe_tend(struct troupe *t);

/* Ends a player, stopped or not, by SIGKILL, and starts another in its place. */
void troupe_kill(struct troupe *t, struct actor *a);

/* Looks for players that have ended since the stage is stopping; how many are left. */
int troupe_leaving(struct troupe *t);

/* Ends those that are left, which is a problem of the stage. */
void troupe_end(struct troupe *t);

#endif
