/*
 * stage.h - what the processes of a soak round share: the journal, the channels, and when to stop.
 *
 * A round has a few *places*, each with a capacity and a way of receiving, and at each place one
 * channel at a time. Whoever finds it closed puts a new one in its place, so that closes happen all
 * the time, with senders and receivers at them, and the round goes on. Only a closed channel is
 * ever replaced, but for those of a broker that was killed.
 */
#ifndef TESTS_SOAK_STAGE_H
#define TESTS_SOAK_STAGE_H

#include "tests/soak/journal.h"
#include <stdatomic.h>

enum { PLACES = 11, CHANNEL_NAME_MAX = 64 };

struct place {
	uint32_t capacity;
	bool automatic;  /* receiving confirms; else by hand */
	uint32_t credit; /* values fetched ahead; 1: none, and selects may stand there */
	bool leased;     /* values are received under a lease */
	bool counted;    /* it knows its producers: the death of one aborts it */
};

extern const struct place places[PLACES];

/* What happened, for the log. */
#define TALLY_LIST(X)                                                                              \
	X(SENT, "sent")                                                                            \
	X(RECEIVED, "received")                                                                    \
	X(REDELIVERED, "marked as redelivered")                                                    \
	X(SELECTS, "selects")                                                                      \
	X(CLOSES, "closes")                                                                        \
	X(WITHDRAWN, "cancelled or timed out")                                                     \
	X(TAKEN_BACK, "taken back")                                                                \
	X(UNKNOWN, "unknown")                                                                      \
	X(SESSIONS, "sessions")                                                                    \
	X(KILLS, "kills")                                                                          \
	X(STOPS, "stops")                                                                          \
	X(CUTS, "cuts")                                                                            \
	X(OUTAGES, "outages")                                                                      \
	X(SLOWS, "slow links")                                                                     \
	X(PULLS, "cables pulled")                                                                  \
	X(LOSSES, "lines that lose packets")                                                       \
	X(RESTARTS, "broker restarts")

enum tally {
#define TALLY_CONSTANT(name, word) TALLY_##name,
	TALLY_LIST(TALLY_CONSTANT)
#undef TALLY_CONSTANT
		TALLIES
};

struct stage {
	struct journal *journal;
	uint64_t seed; /* of the round; in the channels' names */
	atomic_bool stopping;
	_Atomic uint32_t channels[PLACES]; /* the number of the present one */
	_Atomic uint64_t tallies[TALLIES];
	atomic_bool has_problem;
	char problem[256]; /* what went wrong beside the rules, if has_problem */
};

/* In shared memory; with room for so many events. */
struct stage *stage_new(size_t events_max);
void stage_free(struct stage *s);

/* A new round: an empty journal, and a new channel at each place. */
void stage_begin(struct stage *s, uint64_t seed);

/* Puts a new channel in place of one that is closed, if nobody has yet and the round goes on. */
void stage_renew(struct stage *s, int place, uint32_t closed_channel);

/* Puts a new channel at each place: the broker was killed, and with it all that there were. Before
 * the next one starts, so that no session of that asks for the old ones. */
void stage_renew_all(struct stage *s);

/* The place of a channel, whose number tells; and its name at the broker. */
int stage_place_of(uint32_t channel);
void stage_channel_name(const struct stage *s, uint32_t channel, char name[CHANNEL_NAME_MAX]);

void stage_count(struct stage *s, enum tally tally);

/* Says what is wrong, and ends the round; the first counts. */
void stage_problem(struct stage *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
