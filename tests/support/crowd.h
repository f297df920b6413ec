/*
 * crowd.h - many clients of frames at once that mean no good, for tests of what they can do.
 *
 * Each says what its say() appends as fast as the broker takes it, and hears (or does not hear) the
 * answers. Nothing blocks: who cannot write is passed over. Fails the test by cmocka's assertions,
 * so it is for the main thread.
 */
#ifndef TESTS_SUPPORT_CROWD_H
#define TESTS_SUPPORT_CROWD_H

#include "proto/buf.h"
#include "proto/wire.h"
#include <stdbool.h>
#include <stdint.h>

struct attacker {
	int index;
	int fd;           /* -1: the broker has ended the connection */
	uint64_t seq;     /* last used */
	uint64_t channel; /* of the last OPENED */
	uint64_t last;    /* for say() */
	bool waits;       /* set by say(): it says more after an OPENED or FAIL */
	struct buf out;   /* to be written */
	struct buf in;    /* heard in part */
};

struct crowd {
	struct attacker *list;
	int count;
	struct wire_scratch *scratch;

	/* Appends what it says next to a->out; nothing: it has said all. */
	void (*say)(struct attacker *a);
	bool deaf; /* hears no answers */

	/* What was heard. */
	uint64_t answers, delivered;
	uint64_t limits;   /* FAIL and GOAWAY with ELIMIT */
	uint64_t ceilings; /* of them those that name memory_max */
	int ended;         /* connections that the broker has ended */
};

/* Connects so many and greets; crowd_connect only connects. */
void crowd_dial(struct crowd *c, const char *url, int count);
void crowd_connect(struct crowd *c, const char *url, int count);

/* Has everybody say and hear for so long, and meanwhile() now and then. Ends early when all are
 * ended, or have said all and hear nothing. */
void crowd_attack(struct crowd *c, int ms, void (*meanwhile)(void));

/* Hangs up and frees. */
void crowd_drop(struct crowd *c);

/* Appends a frame for a->out. */
void attacker_say(
	struct attacker *a, const struct message *m, uint8_t flags, const void *payload, size_t n);

/* Appends SEND of one value of n bytes to a channel. */
void attacker_send(struct attacker *a, uint64_t channel, size_t n);

#endif
