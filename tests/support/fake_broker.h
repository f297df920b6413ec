/*
 * fake_broker.h - a broker's side of one connection, played by the test itself.
 *
 * Test and client share a thread: the client's asynchronous calls leave frames in the socket, the
 * test reads them and writes answers, and the client reads those when it is told to. A blocking
 * call finds answers that were written before it, as sequence numbers are known in advance.
 */
#ifndef TESTS_SUPPORT_FAKE_BROKER_H
#define TESTS_SUPPORT_FAKE_BROKER_H

#include "chan/chan.h"
#include "proto/wire.h"
#include <pthread.h>

/* What a HELLO that wants to resume is answered with. */
enum fake_answer {
	FAKE_RESUMES,
	FAKE_REFUSES, /* GOAWAY with status */
	FAKE_DROPS,   /* the connection, as if WELCOME were lost */
	FAKE_BREAKS,  /* the connection, in the middle of WELCOME */
	FAKE_LEAVES,  /* WELCOME, and then the end of the connection: every time from here on */
};

struct fake_greeting {
	enum fake_answer answer;
	int status;
};

struct fake_broker {
	char directory[32];
	char url[128];
	int listener;
	int fd;                    /* the connection; -1: closed */
	struct wire_limits limits; /* stated in the WELCOME, as these two are */
	uint64_t linger_ms, heartbeat_ms;
	uint64_t features;         /* that it grants */
	const uint8_t *greeting; /* what is written instead of a WELCOME, or NULL */
	size_t greeting_bytes;
	uint64_t frames; /* that count, read so far: what is not read is lost with a connection */
	uint64_t nonce;  /* of the last PING that was read */
	uint64_t epoch;  /* that the last HELLO said */
	uint64_t frames_received; /* the same */
	pthread_t resuming;       /* fake_resume_begin's thread, and what it is to do: */
	const struct fake_greeting *greetings;
	struct buf in;
	size_t taken; /* bytes of in that the last frame took */
	struct wire_scratch *scratch;
	struct message m; /* the frame that was read last */
	struct frame frame;
};

/* Listens, with limits that do not matter. */
void fake_start(struct fake_broker *b);
void fake_stop(struct fake_broker *b);

/* Dials while a thread plays the greeting; the HELLO is still to be read with fake_read. */
int fake_dial(struct fake_broker *b, const struct chan_dial_options *options,
	struct chan_client **ret_client);

/* The same, asserts that it works, and reads the HELLO. */
struct chan_client *fake_client(struct fake_broker *b);

/* Reads the next frame but PINGs and SEENs, and asserts its kind. b->m and b->frame live until the
 * next. */
const struct message *fake_read(struct fake_broker *b, enum message_kind kind);

/* The same of any kind: false if none comes, in a long time or at once. Asserts nothing that a test
 * need not, and so may run on a thread of its own. */
bool fake_wait(struct fake_broker *b, bool patiently);

/* The same of any kind, PINGs and SEENs too. */
bool fake_wait_any(struct fake_broker *b);

/* Whether nothing (but PINGs and SEENs) is there to read now. */
bool fake_is_quiet(struct fake_broker *b);

/* The i-th value of the frame that was read last, as a string of len bytes. */
struct wire_value fake_value(struct fake_broker *b, unsigned i);

/* Writes a message, with count values of the given texts as payload. */
void fake_write(struct fake_broker *b, const struct message *m, unsigned count, ...);
void fake_write_bytes(struct fake_broker *b, const void *bytes, size_t n);

/* The answers that tests give most. */
void fake_done(struct fake_broker *b, uint64_t seq, uint32_t count);
void fake_fail(struct fake_broker *b, uint64_t seq, uint32_t count, int status);
void fake_deliver(struct fake_broker *b, uint64_t seq, uint64_t delivery, const char *text);

/* Answers the last PING that was read, or passed over. */
void fake_pong(struct fake_broker *b);

/* Has the client open a channel: reads the OPEN or MAKE and answers it. Sequence number 1 for the
 * first, and so on. */
struct chan *fake_open(struct fake_broker *b, struct chan_client *c, uint64_t seq, uint64_t id,
	enum chan_type type, int64_t capacity, const struct chan_end_options *options);

/* Closes the connection. */
void fake_cut(struct fake_broker *b);

/*
 * Accepts and answers connections until one has resumed the session or was refused; greetings has
 * an answer for each, the last FAKE_RESUMES or FAKE_REFUSES. A thread does it between the two
 * calls. After the second b->fd is the new connection, of which the HELLO was read.
 */
void fake_resume_begin(struct fake_broker *b, const struct fake_greeting *greetings);
void fake_resume_end(struct fake_broker *b);

/* The same, while an event loop without operations of its own drives the client until it is
 * connected, or its session is over: what chan_process says. */
int fake_resume(
	struct fake_broker *b, struct chan_client *c, const struct fake_greeting *greetings);

/* Lets the client write what has gathered, and read and handle what is there. */
void fake_turn(struct chan_client *c);

/* The next completion, which must be there, and whether there is none. */
struct chan_completion fake_completion(struct chan_client *c);
bool fake_no_completion(struct chan_client *c);

#endif
