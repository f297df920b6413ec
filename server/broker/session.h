/*
 * session.h - what a client owns at the broker: numbers, operations, deliveries, ends.
 *
 * One structure with two halves, each with one owner: the reader's half (sequence numbers, frames
 * that have come, payloads that arrive in pieces), which passes from one connection's reader to the
 * next one's, and the broker's (the party, the answers). It is made by the reader at the HELLO,
 * which goes to the broker as the first operation, and is freed by the broker: at the operation
 * that ends it, the last that the reader sends; or, where it lingers, when its time without a
 * connection is up (resume.c).
 */
#ifndef BROKER_SESSION_H
#define BROKER_SESSION_H

#include "proto/endian.h"
#include "proto/wire.h"
#include "server/base/list.h"
#include "server/broker/batch.h"
#include "server/broker/outbox.h"
#include "server/broker/ride.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct broker;
struct connection;
struct outgoing;
struct party;
struct quota_account;

#define SESSION_ID_BYTES 16u

/* Payloads of one session that are arriving in pieces at once; few clients have more than one. */
#define ASSEMBLIES_MAX 256u

/* What arrives in pieces. */
struct assemblies {
	struct list list; /* in the order in which they began */
	uint64_t bytes;   /* announced by those that were not refused */
	uint32_t count;
};

struct session {
	/* The reader's half. */
	uint64_t last_seq;
	uint64_t frames_received;      /* of those that count: all that was handled stands */
	struct assemblies *assemblies; /* NULL: there never were any, as in most */
	uint32_t unsaid_bytes;         /* of frames, since connection_mention */

	/* The broker's half. */
	bool half;              /* the client asks for nothing more: it ends with its last send */
	bool silent;            /* absent, since nothing was heard of it */
	bool failed;            /* an answer could not be kept: the connection must go */
	uint8_t pings;          /* said since something was heard, in a row */
	struct list link;       /* in broker.sessions */
	struct list touched;    /* in broker.touched while it has answers or failed */
	struct party *party;    /* NULL before the HELLO was applied, and after the end */
	struct outbox *answers; /* of this turn, and those that ride has kept; NULL: none */
	struct ride ride;
	int64_t pinged_ns;    /* the last of pings */
	int64_t out_since_ns; /* since when it always had deliveries out, to a second; 0: has none
			       */
	struct connection *connection; /* one reference; NULL while it has none */
	uint64_t epoch;                /* of the HELLO that was accepted last */

	/* While it has no connection. */
	struct outgoing *outgoing;
	struct quota_account *account; /* where it is counted; NULL: it has a connection */
	int64_t heard_ns; /* when the last one heard something */
	int64_t until_ns; /* it ends then */

	struct connection *next; /* has asked to resume, and waits until the old one has let go */
	uint64_t next_frames;    /* that this one has received */

	/* Constant. */
	struct broker *broker;
	int64_t linger_ns; /* 0: it ends with its connection */
	uint8_t id[SESSION_ID_BYTES], secret[SESSION_ID_BYTES];
};

/* What the broker finds it by: the first half of its id. */
static inline uint64_t session_number(const struct session *s)
{
	return get_be64(s->id);
}

/* Takes a reference to the connection, which gets what a session that lingers needs. NULL: out of
 * memory. */
struct session *session_new(
	struct broker *broker, struct connection *connection, uint64_t linger_ms);
void session_free(struct session *s);

/* ---- the reader's half -------------------------------------------------------------------- */

/*
 * Takes one frame with an operation or a PIECE, and adds to the batch what there is to do now:
 * the operation, a FAIL for one that is refused here, or nothing yet. 0; or, and the session must
 * end then, CHAN_ENOMEM, or CHAN_EPROTOCOL or CHAN_ELIMIT with a sentence in why.
 */
int session_frame(
	struct session *s, struct batch *b, const struct frame *f, char *why, size_t why_bytes);

/* ---- the broker's half -------------------------------------------------------------------- */

/*
 * Answers of one turn up to which refusals carry their whole sentences, a KiB each perhaps; behind
 * them they have the words of their status. They count against the connection only once they are
 * queued, and many batches of small operations may be on their way until then.
 */
#define WORDY_ANSWERS_BYTES_MAX (256u * 1024u)

/* Appends an answer to this turn's; see engine.h for the arguments. */
void session_answer(struct session *s, const struct message *m, struct value *const *values,
	const uint32_t *attempts, size_t value_count);

#endif
