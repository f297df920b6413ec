/*
 * rings.h - when a client goes over to rings in shared memory (stream_ring.c), and what it says for it.
 *
 * One agreement a connection, over a Unix socket whose broker grants it by WELCOME: RING_ASK, once the
 * connection has been busy; RING_OFFER comes, with descriptors; RING_BEGIN leaves as the last frame on
 * the socket, and the broker's comes as its last. Or one of the two declines, and all stays as it was.
 * What was offered has larger rings beside. Once much has gone by the first ones, RING_BEGIN leaves as
 * the last frame in those, and the broker's comes as its last.
 * Guarded by the client's lock.
 */
#ifndef CLIENT_RINGS_H
#define CLIENT_RINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chan_client;

/* What rings take off is a system call's worth, and they cost some fifty to set up. So a connection asks
 * once it has made so many calls, ... */
#define RINGS_AFTER_CALLS 64

/* The larger ones cost some two hundred (their pages are touched for the first time, by two), and what they
 * take off is half a trip each time a ring is full. So they follow after so many calls that moved half a ring
 * at once, ... */
#define RINGS_LARGER_AFTER_CALLS 16

/* ... in so short a time: one that only gives signs of life never does. */
#define RINGS_AFTER_NS NS_PER_S

/* chan_dial_options.ring_after of who says nothing: this variable, or the above. */
#define RINGS_AFTER_VARIABLE "CHAN_RING_AFTER"

/* From RINGS_BEGINNING on once more for the larger ones. */
enum rings_state {
	RINGS_NONE,      /* not to be asked for */
	RINGS_GRANTED,   /* they may be */
	RINGS_ASKED,
	RINGS_BEGINNING, /* RING_BEGIN is to be said */
	RINGS_LEAVING,   /* it is on its way, and may have come, and been answered */
	RINGS_BEGUN,     /* what we write goes by the ring */
	RINGS_OVER,      /* declined by either */
};

struct rings {
	int after; /* as of chan_dial_options, or 0: as said above; negative: never */
	enum rings_state state;
	bool read;                  /* what we read comes by the ring */
	uint32_t larger_from_bytes; /* a call that moved so many counts for larger rings; 0: there are none */
	int calls; /* on the socket in state RINGS_GRANTED, such calls in RINGS_BEGUN, since: */
	int64_t since_ns;
};

/* What the program wants, before the dial. 0; or CHAN_EINVAL with the thread's error: what the
 * variable says is no number. */
int rings_init(struct rings *r, int ring_after);

/* What HELLO asks for. */
uint64_t rings_features(const struct chan_client *c);

/* A connection was greeted, and granted those. */
void rings_connected(struct chan_client *c, uint64_t features);

/* A call has moved so many bytes. */
void rings_count_call(struct chan_client *c, size_t bytes);

/* The reader, of the broker's frames. 0; CHAN_ENOMEM; or CHAN_EPROTOCOL: it makes no sense now. */
int rings_offered(struct chan_client *c, uint32_t ring_bytes, uint32_t larger_ring_bytes);
int rings_begun(struct chan_client *c);
int rings_declined(struct chan_client *c);

/* The writer: whether it is time to say RING_BEGIN; says it, behind all that leaves; and all of that
 * has been written. */
bool rings_are_beginning(const struct chan_client *c);
void rings_say_begin(struct chan_client *c);
void rings_wrote(struct chan_client *c);

#endif
