/*
 * session.h - what is between this client and the broker: operations, deliveries, limits.
 *
 * Kept apart from the connection (stream.h), which is replaced under it when it is lost: nothing
 * here but out, control and resend knows bytes, and what a resume has to say (numbers of frames, of
 * operations) is counted here. Guarded by the client's lock.
 */
#ifndef CLIENT_SESSION_H
#define CLIENT_SESSION_H

#include "chan/chan.h"
#include "client/channel.h"
#include "client/flight.h"
#include "client/op.h"
#include "client/resend.h"
#include "proto/buf.h"
#include "proto/limits.h"
#include "proto/wire.h"

/* A payload that leaves in pieces. */
struct transfer {
	struct transfer *prev, *next;
	struct chan_op *op; /* counted */
	uint64_t seq;
	struct buf bytes; /* what is left of it */
};

/* A delivery that comes in pieces. */
struct partial {
	struct partial *prev, *next;
	struct message deliver; /* without pointers */
	uint64_t delivery;
	struct buf bytes;
};

/* Sends of one participant on one channel that gather into one frame. */
struct batch {
	uint32_t count; /* 0: there is none */
	struct message m;
	struct buf payload;
};

struct session {
	bool greeted;       /* WELCOME has come, and the connection was not lost since */
	struct failure end; /* status < 0: the session is over, and why */
	int doomed;  /* CHAN_ENOMEM: a frame could not be made, so the session must end; or 0 */
	uint8_t *id; /* id, then secret: for a resume */
	size_t id_bytes, secret_bytes;
	uint64_t incarnation;
	uint64_t connection_epoch;             /* the highest that was said */
	uint64_t frames_sent, frames_received; /* those that count, see PROTOCOL.md */
	size_t unsaid_bytes;                   /* received since the broker was told last */
	int64_t linger_ns; /* granted; 0: the session ends with its connection */
	int64_t heartbeat_ns;
	char *broker; /* name and version */
	struct wire_limits limits;
	uint64_t features; /* granted by the last WELCOME */

	struct buf out; /* frames to be written; here, as it is here that their order is decided */
	struct buf control;   /* the same of those that do not count, which go ahead */
	struct resend resend; /* frames that are being written, and were */
	struct batch batch;
	bool riding;  /* answers may be kept by the broker until we ask, see ride.c */
	uint64_t seq; /* the last that was used */
	struct flight flight;
	uint64_t ops_in_flight, bytes_in_flight; /* counted as the broker does */
	struct chan_op *pings;
	struct chan_op *backlog; /* cannot go yet, oldest first */
	uint64_t backlog_round;
	struct transfer *transfers;
	struct partial *partials;

	struct wire_range *taken; /* confirmations that have not left */
	size_t taken_count, taken_size;
	uint64_t taken_values; /* in all of them */
	struct lease *leases; /* lease.c: values handed over under a lease, by rising id */
	size_t lease_count, lease_size;
	struct chan *granting; /* counted: ends to which credit is to be given anew */
	uint64_t by_hand; /* values handed over that the program has not confirmed or returned */

	/* Signs of life. The broker revokes what is out to a client that is silent for two
	 * heartbeats (10 s), so a value is handed over only while something that we said less than
	 * HAND_OVER_SILENCE_MAX_NS (8 s) ago is known to have arrived. */
	int64_t ping_ns;       /* when we last asked */
	int64_t unanswered_ns; /* when we first asked since something came; 0: we did not */
	int64_t heard_ns;      /* when we said the last thing that is known to have arrived */
};

#define HAND_OVER_SILENCE_MAX_NS(s) ((s)->heartbeat_ns / 5 * 8)

/* heard_ns of a connection that nothing is known of. */
#define HEARD_NEVER (INT64_MIN / 2)

/* How long after an unanswered question the connection is taken for lost: so that nothing came for
 * three heartbeats, as the question follows one without. */
#define SILENCE_MAX_NS(s) (2 * (s)->heartbeat_ns)

void session_fini(struct session *s);

/* The connection is lost: until the next WELCOME nothing is sent. */
void session_detach(struct session *s);

/* Whether the broker keeps the session for a while when its connection is lost. */
bool session_lingers(const struct session *s);

/* ---- backlog.c: sending and withdrawing --------------------------------------------------- */

/* Sends the operation, or puts it on the backlog where order or the broker's limits demand it, or
 * fails it. Takes over an internal operation. */
void session_submit(struct session *s, struct chan_op *op);

/* Sends what can go by now of the backlog. */
void session_run_backlog(struct session *s);

/* Withdraws it, whatever its state: what waits here ends, for what was sent the broker is asked. */
void session_cancel(struct session *s, struct chan_op *op);

/* Asks the broker to withdraw what was sent of it and not answered. */
void session_cancel_sent(struct session *s, struct chan_op *op);

/* What of the operation was not sent will not be, for that reason; it ends if nothing of it is on
 * its way. text may be NULL. */
void session_drop_unsent(struct session *s, struct chan_op *op, int status, const char *text);

/* Ends with status what of the operation waits here and was not sent. */
void session_withdraw(struct session *s, struct chan_op *op, int status);

/* Ends what waits here, was not sent for want of a connection, and has no time left, as no try has.
 * Returns when the next of them will; DEADLINE_NONE: none. */
int64_t session_expire(struct session *s, int64_t now_ns);

/* Has the broker keep the deadline, or the try, of an operation that waits in the library: when it
 * is over, what of it waits is withdrawn. */
void session_start_timer(struct session *s, struct chan_op *op);

/* ---- emit.c, transfer.c: frames in s->out and s->control ----------------------------------- */

/* Appends a frame that is no operation (HELLO, PING, BYE ...). 0 or CHAN_ENOMEM. */
int session_put(struct session *s, const struct message *m);

/* Whether frames of that kind are numbered, and sent again after a loss. */
bool frame_counts(enum message_kind kind);

/* Closes the frame that gathers sends, and adds pieces of large payloads while out is short. */
void session_fill(struct session *s);

/* How many frames, and so numbers, a CONFIRM or RETURN of so many ranges takes. */
uint32_t session_settle_frames(size_t ranges);

/* ---- ride.c: answers that may come late ---------------------------------------------------- */

/* The sends that have gathered leave, and nobody waits for their answers. */
void session_let_ride(struct session *s);

/* Somebody waits for a send by now: asks for the answers that are kept, if there may be any. */
void session_ask(struct session *s, struct chan_client *c);

/* ---- confirm.c: deliveries, and signs of life --------------------------------------------- */

/* Ranges of one frame; each takes at most 24 bytes of its header. */
#define RANGES_PER_FRAME (FRAME_HEADER_BYTES_MAX / 32u)

/* Note that n deliveries with neighbouring numbers were handed over; that credit for as many is due
 * to the end's stream, if that is what brought them; and that so many came by that stream, which
 * uses credit. session_confirm appends frames for what was noted: confirmations, and credit where
 * no more than half is left. */
void session_note_taken(struct session *s, uint64_t first, uint32_t n);
void session_note_grant(struct session *s, struct chan *ch, uint64_t first, uint32_t n);
void session_note_delivered(struct session *s, struct chan *ch, uint32_t n);
void session_confirm(struct session *s);

/* Gives one value back at once. */
void session_return(struct session *s, uint64_t delivery);

/* Confirms what was handed over. */
void session_settle(struct session *s);

/* Asks for a sign of life if the last time was min_ns ago or longer. */
void session_ping(struct session *s, int64_t min_ns);

/* How often an active connection is asked for a sign of life, so that values can be handed over without
 * asking first. */
int64_t session_ping_interval_ns(const struct session *s);

/* A PING leaves now. */
void session_note_asked(struct session *s, int64_t now_ns);

/* Whether the broker is to hear of us all the time: something is out to us, or waits there. */
bool session_waits(const struct session *s);

/* Whether the broker was asked and has been silent for so long that the connection must be dead. */
bool session_is_dead(const struct session *s);

/* So many bytes of a frame that counts came: says so by SEEN when it has to be said. */
void session_note_received(struct session *s, size_t bytes);

/* Something else is about to be written: says so with it when enough has come for that. */
void session_mention_seen(struct session *s);

/* Whether what was received may be handed over, see heard_ns; asks for a sign of life if not. Never
 * without a connection: the confirmation would come too late where that stays away. */
bool session_is_fresh(struct session *s);

/* ---- answer.c: frames become outcomes ----------------------------------------------------- */

/* Handles one frame. 0, or the status with which the session must end, and why in text. */
int session_handle(struct session *s, struct chan_client *c, const struct frame *f,
	struct wire_scratch *scratch, char *text, size_t text_size);

/* Counts n answers to the run's numbers from seq on: a failure, or success with fail NULL. */
void session_answer(struct session *s, struct flight_run *run, uint64_t seq, uint32_t n,
	const struct message *fail);

/* Ends the session: every operation fails, with CHAN_EUNREACHABLE if it was not sent. */
void session_end(struct session *s, struct chan_client *c, int status, const char *text);

#endif
