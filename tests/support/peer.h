/*
 * peer.h - a client of frames, for tests: says exactly what it is told, and asserts what it hears.
 *
 * A wait that is too long (daemon.h) fails the test. Every function fails the test by cmocka's
 * assertions, so they are for the main thread.
 */
#ifndef TESTS_SUPPORT_PEER_H
#define TESTS_SUPPORT_PEER_H

#include "chan/status.h"
#include "chan/value.h"
#include "proto/buf.h"
#include "proto/wire.h"
#include <stdbool.h>
#include <stdint.h>

struct peer {
	int fd;       /* -1: closed */
	bool said_all; /* its sending side is shut */
	uint64_t seq; /* last used */
	bool rides;   /* its sends say that their answers may wait */
	struct buf in;
	size_t parsed; /* bytes at the head of in that hold the last frame heard */
	struct wire_scratch *scratch;
	struct message m;       /* the last message heard; lives until the next */
	const uint8_t *payload; /* of its frame */
	size_t payload_bytes;
	uint8_t flags;

	/* Of one that lingers: what a resume needs. */
	bool lingers;
	const char *token; /* NULL: it shows none */
	uint8_t session_id[16], session_secret[16];
	uint64_t incarnation, epoch;
	uint64_t heard_count; /* frames that have a number */
	uint64_t seen;        /* of those said, as the last SEEN told */
	struct buf said;      /* all such frames that were said */
};

/* Connects, and does the greeting (peer_connect only connects). */
void peer_dial(struct peer *p, const char *url);
void peer_connect(struct peer *p, const char *url);
void peer_hello(struct peer *p);

/* Connects and greets, and asks to be kept for so long without a connection. */
void peer_dial_lingering(struct peer *p, const char *url, uint64_t linger_ms);

/* The same; false: the daemon refused, and the peer is dropped. */
bool peer_try_lingering(struct peer *p, const char *url, uint64_t linger_ms);

/* The same by a token (NULL: none), which it shows at a resume, too. */
void peer_dial_lingering_as(
	struct peer *p, const char *url, uint64_t linger_ms, const char *token);

/* Loses the connection; what came and was not heard is lost, too. */
void peer_lose(struct peer *p);

/* Connects again and says the HELLO of a resume; the answer is to be heard. */
void peer_ask_resume(struct peer *p, const char *url);

/* The same, expects to be welcome, and says again what the broker has not received. */
void peer_resume(struct peer *p, const char *url);

/* PING, and its PONG as the next answer; both tell how many frames have come. */
void peer_ping(struct peer *p);
void peer_seen(struct peer *p, uint64_t frames);

/* Closes without a word, and frees. */
void peer_drop(struct peer *p);

/* Shuts the sending side down. */
void peer_shut_sending(struct peer *p);

/* Sends a message, with a payload and flags. */
void peer_say(struct peer *p, const struct message *m);
void peer_say_payload(
	struct peer *p, const struct message *m, uint8_t flags, const void *payload, size_t n);
void peer_say_bytes(struct peer *p, const void *bytes, size_t n);

/* Hears the next message and asserts its kind; p->m has it. */
void peer_expect(struct peer *p, enum message_kind kind);

/* Hears the next message, whatever it is; but PING, which it answers, and SEEN. */
void peer_hear(struct peer *p);

/* Hears the end of the stream. */
void peer_expect_end(struct peer *p);

/* Asserts that the broker has nothing more to say to this peer: the answer to an operation that is
 * asked now is the next that is heard, and answers keep the order in which things happen. */
void peer_expect_quiet(struct peer *p);

/* Operations: each returns its seq (of several values the first). */
uint64_t peer_make(struct peer *p, const char *name, enum chan_type type, int64_t capacity);
uint64_t peer_open(struct peer *p, const char *name, enum chan_direction direction);
uint64_t peer_send(struct peer *p, uint64_t channel, const char *value);
uint64_t peer_send_many(struct peer *p, uint64_t channel, int count, const char *const *values);
uint64_t peer_recv(struct peer *p, uint64_t channel);
uint64_t peer_close(struct peer *p, uint64_t channel);
uint64_t peer_cancel(struct peer *p, uint64_t target);
uint64_t peer_stat(struct peer *p, uint64_t channel);
void peer_taken(struct peer *p, uint64_t delivery);
void peer_return(struct peer *p, uint64_t delivery);

/* MAKE or OPEN, and its answer: the channel's id. */
uint64_t peer_channel(struct peer *p, const char *name, enum chan_type type, int64_t capacity);
uint64_t peer_opened(struct peer *p, const char *name, enum chan_direction direction);

/* Answers. */
void peer_expect_done(struct peer *p, uint64_t seq);
void peer_expect_fail(struct peer *p, uint64_t seq, int status);
/* DONE or FAIL, whichever comes: 0 or the status. */
int peer_expect_outcome(struct peer *p, uint64_t seq);
/* A DELIVER of one value; returns the delivery's number. */
uint64_t peer_expect_deliver(struct peer *p, uint64_t seq, const char *value);
/* The same, with its attempt. */
uint64_t peer_expect_redeliver(struct peer *p, uint64_t seq, const char *value, uint32_t attempt);

#endif
