/*
 * connection.h - a stream to a client, and the two goroutines that work on it now and then.
 *
 * An idle connection has no goroutine and no buffer. When bytes arrive the netpoller starts the
 * reader (reading.c): it takes all there is, handles every frame in order, has a batch of
 * operations applied after each read, and ends. When there is something to write, whoever queued it
 * becomes the writer (writing.c) once it has nothing else to do, or starts one, which ends when the
 * queue is empty, or when the client has to confirm before it may be sent more.
 *
 * Life: made by broker_accept with one reference, the reader's, which stays while no reader runs
 * (the armed netpoller holds it) and goes when the stream has ended. The session has another, the
 * running writer one more. Whoever drops the last closes the stream.
 *
 * Ending: only the reader ends a connection, when its read returns 0 or an error or it was cut
 * (at an orderly end of what the client sends, once its sends are answered: CONNECTION_HALF);
 * everybody else makes that happen. connection_close lets what is queued leave, says GOAWAY and
 * shuts the sending side down; the peer then closes, or a timer does the rest. connection_cut ends
 * it at once.
 *
 * A connection over a Unix socket may go over to rings in shared memory (rings.c, PROTOCOL.md part
 * 20). To both goroutines the stream stays what it is; they only see to it that each of them goes over
 * between two frames.
 *
 * A session that lingers outlives its connection: once the reader has ended and the writer has let
 * go, whichever is later sends the broker a BATCH_DETACH, behind everything that the connection
 * brought. What was queued is not lost then. To resume, a new connection's HELLO goes to the broker
 * while its reader rests, and connection_adopt sets both to work with the session.
 */
#ifndef BROKER_CONNECTION_H
#define BROKER_CONNECTION_H

#include "proto/buf.h"
#include "proto/wire.h"
#include "server/base/list.h"
#include "server/base/lock.h"
#include "server/broker/admission.h"
#include "server/broker/outbox.h"
#include "server/broker/outgoing.h"
#include "server/net/stream.h"
#include "server/runtime/timer.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct broker;
struct session;

/*
 * While more than this is queued to be written, nothing more is read: whoever asks faster than it
 * reads answers is slowed down, and its outbox stays within this, the answers of one batch, those
 * of the operations in flight, and the values that its own credit let come. Who reads nothing at
 * all for stall_ns is cut off. (While the writer waits for SEEN the reader cannot rest, since it is
 * who would read it: then twice as much is the end of the connection.)
 */
#define CONNECTION_QUEUED_BYTES_MAX (4u * 1024u * 1024u)

/* The same while memory is not free (base/memory.h): what a round of the writer takes away. */
#define CONNECTION_QUEUED_BYTES_TIGHT (64u * 1024u)

/* Half a frame that may lie about when memory is scarce: one of small values. */
#define CONNECTION_HALF_FRAME_BYTES_SCARCE 4096u

/* Readers that may be at work while memory is not free (gate.h): many more than there are cores,
 * and few enough for what they hold to be small. */
#define CONNECTION_READERS_TIGHT 16u

/* From connection_close on: to write what is left, and for the peer to read it and close. */
#define CONNECTION_LINGER_NS (2 * NS_PER_S)

/* Half a frame may lie about for so long; its buffer is as large as the half. */
#define CONNECTION_HALF_FRAME_NS (30 * NS_PER_S)

enum connection_state {
	CONNECTION_GREETING,   /* no HELLO yet */
	CONNECTION_RESUMING,   /* the broker has the HELLO, the reader rests */
	CONNECTION_TALKING,    /* has a session */
	CONNECTION_HALF,       /* has one, and the client has said all it will */
	CONNECTION_DISCARDING, /* ending: what still comes is thrown away */
};

/* How far the agreement about rings has come, to the reader. */
enum rings_state {
	RINGS_NONE,    /* they are not to be asked for */
	RINGS_GRANTED, /* by WELCOME: they may be */
	RINGS_OFFERED,
	RINGS_BEGUN, /* by the client: the reader reads from one */
	RINGS_OVER,  /* they will not be: declined by either */
};

/* What of it is the writer's to do, between two frames. */
enum rings_step {
	RINGS_STEP_NONE,
	RINGS_STEP_OFFER,
	RINGS_STEP_BEGIN,
	RINGS_STEP_DROP,
};

/* Who came first with what becomes of an offer: of rings that are withheld the reader touches nothing, and
 * the writer takes back nothing that was answered. */
enum rings_offer {
	RINGS_OFFER_OPEN,
	RINGS_OFFER_ANSWERED, /* the reader, by the client's answer */
	RINGS_OFFER_WITHHELD, /* the writer, which could not make it, and has declined */
};

struct connection {
	struct broker *broker; /* constant */
	struct stream *stream; /* constant */
	struct list link;      /* in broker.connections, guarded by broker.lock */
	_Atomic int64_t heard_ns; /* when the peer last gave a sign of life; the reader says so */
	atomic_uint refs;
	atomic_bool cut;       /* the reader reads no more, whatever there is */
	atomic_bool unsure;    /* the last read was taken for all there was: the broker pokes the
				* reader once when it has been quiet (watch.c) */
	atomic_bool impatient; /* patience fired */
	atomic_bool catching_up; /* a resumed session's old frames and answers have not all left */

	struct admitted admitted; /* who it is: the acceptor's, then the reader's, until the HELLO
				   * is handed over; then constant, but for extra, the broker's */

	/* The reader's; the broker's while it rests in CONNECTION_RESUMING. */
	struct session *session; /* in CONNECTION_TALKING and _HALF */
	struct buf in; /* what was read and not handled; empty while idle but for half a frame */
	int64_t silent_until_ns; /* until then PONG is the broker's to say */
	struct timer *patience;  /* for the HELLO, and for the rest of a frame; NULL: no such wait */
	enum connection_state state : 8;
	enum rings_state rings : 8;
	bool refused; /* constant: connection_refuse began it */
	bool probed;  /* in CONNECTION_HALF: only PING shows whether the client lives */

	/* The queue, guarded by lock. */
	bool writing;        /* a writer runs, or is about to be started */
	bool broken;         /* writing failed, or was cut: nothing is written any more */
	bool closing;        /* the farewell follows what is queued */
	bool stalled;        /* the writer waits for SEEN: ending runs */
	bool reader_resting; /* the reader ended because too much was queued, or to let the broker
				have the HELLO; the writer starts it */
	bool reader_ended;   /* of a session that lingers: DETACH follows when nobody writes */
	enum rings_step rings_step : 8; /* what the writer has to do next about rings */
	enum rings_offer rings_offer : 8;
	struct lock lock;
	struct outbox *queue_head, *queue_tail;
	struct buf control;  /* frames that go ahead of the queue */
	uint64_t frames_received; /* of which the client is to be told by SEEN, */
	size_t unsaid_bytes;      /* and of how many bytes it was not yet */
	struct buf farewell; /* GOAWAY, or nothing */
	atomic_size_t queued_bytes; /* of all of these, until they are written; the reader looks at it
				     * without the lock first */
	struct timer *ending; /* of closing, or while stalled; NULL: it was not needed yet */
	struct connection *next_writing; /* whoever set writing: the next of a chain, or NULL */

	/* Of a session that lingers, else NULL: its frames. Set before anything is queued; the
	 * writer's, and whose the connection is when there is none. */
	struct outgoing *outgoing;
};

/* Before the first, and once is enough: makes what all connections share. 0 or -ENOMEM. */
int connection_init(void);

/* A connection that reads; the stream is its own, on failure too. NULL: out of memory. */
struct connection *connection_new(struct broker *broker, struct stream *stream);

/* Begins: the reader waits for the HELLO, at most hello_timeout_ns; or c ends at once for want of
 * memory. */
void connection_start(struct connection *c, int64_t hello_timeout_ns);

/* Begins a connection that is refused: it gets GOAWAY and ends. */
void connection_refuse(struct connection *c, int status, const char *text);

struct connection *connection_ref(struct connection *c);

/* The same, for who found it in broker.connections (and holds broker.lock): false when it is being
 * freed. */
bool connection_try_ref(struct connection *c);
void connection_unref(struct connection *c);

/* ---- writing: any goroutine ---------------------------------------------------------------- */

/*
 * Queues answers (its own from here on) to be written. Where no writer runs c comes to the head of
 * the chain, and the caller calls connection_write or connection_start_writers soon. Returns the
 * bytes that c brought to the chain; 0: it is not in it.
 */
size_t connection_queue(struct connection *c, struct outbox *answers, struct connection **chain);

/*
 * Writes to all connections of a chain, one after another; when one of them does not take what it
 * gets, or has more than a round of it, another goroutine goes on with those behind it. A goroutine
 * each would put all but one in line behind others and so have the scheduler wake a second
 * processor, which takes longer than to write to a few dozen. Parks while a client takes nothing.
 */
void connection_write(struct connection *chain);

/* Starts a goroutine that does so; NULL is fine. */
void connection_start_writers(struct connection *chain);

/* Queues a frame ahead of all answers; the chain as in connection_queue. 0 or CHAN_ENOMEM. */
int connection_say(struct connection *c, const struct message *m, struct connection **chain);

/*
 * So many frames of a session that lingers have come, so many bytes since it was said last. The client is
 * told by a SEEN with whatever is written next; by itself once an eighth of what it may keep has come (it
 * may have no room for another frame then). The reader; the chain as in connection_queue.
 */
void connection_mention(
	struct connection *c, uint64_t frames, size_t bytes, struct connection **chain);

/* The client has so many frames of a session that lingers. 0 or CHAN_EPROTOCOL: it was not sent so
 * many. The reader. */
int connection_seen(struct connection *c, uint64_t frames);

/* Ends it once what is queued has left: with GOAWAY where status is not 0; what is queued later is
 * dropped. The second and later calls do nothing. Without memory it ends now. */
void connection_close(struct connection *c, int status, const char *text);

/* Ends it now. What is queued is lost, unless its session lingers. */
void connection_cut(struct connection *c);

/* Whether something is queued or being written. */
bool connection_busy(struct connection *c);

/* ---- passing a session on: at the helm -------------------------------------------------------- */

/*
 * A connection in CONNECTION_RESUMING goes on with a session and what that has sent and gathered
 * (answers: one outbox or NULL), behind this WELCOME. 0; or CHAN_ENOMEM, or CHAN_ESHUTDOWN where
 * the connection is ending: then nothing has changed.
 */
int connection_adopt(struct connection *c, struct session *s, struct outgoing *outgoing,
	struct outbox *answers, const struct message *welcome);

/* One in CONNECTION_RESUMING ends with GOAWAY instead. */
void connection_turn_away(struct connection *c, int status, const char *text);

/* Takes what a connection that has let go (BATCH_DETACH) had still to write. */
struct outgoing *connection_give_up(struct connection *c);

/* ---- rings.c ----------------------------------------------------------------------------------- */

/* The reader: HELLO asked for those features. Whether the client may ask for rings by RING_ASK. */
void connection_grant_rings(struct connection *c, uint64_t features);

/*
 * The reader: RING_ASK, RING_BEGIN and RING_DECLINE came; last: nothing came behind it. The chain as
 * in connection_queue. 0, CHAN_ENOMEM, or CHAN_EPROTOCOL with a sentence in why.
 */
int connection_ask_rings(
	struct connection *c, struct connection **chain, char *why, size_t why_bytes);
int connection_begin_rings(struct connection *c, bool last, struct connection **chain, char *why,
	size_t why_bytes);
int connection_drop_rings(
	struct connection *c, struct connection **chain, char *why, size_t why_bytes);

/* The writer, between two frames. 0 or -errno. Parks while the client takes nothing. */
int connection_take_rings_step(struct connection *c, enum rings_step step);

/* ---- between reading.c and writing.c --------------------------------------------------------- */

/* The reading goroutine's function. */
void connection_read(void *arg);

/* The wait for a HELLO, or for half a frame, is over. The reader, or who frees c. */
void connection_stop_patience(struct connection *c);

/* Under c->lock: has c end after so long. False: there is no memory for that, and it has to end now. */
bool connection_end_after(struct connection *c, int64_t span_ns);

/* Under c->lock: whether the caller has to start a writer, once it has released the lock. */
bool connection_claim_writer(struct connection *c);

/* Puts c, whose writer the caller has claimed, at the head of those that are to be written. */
static inline void connection_join_chain(struct connection *c, struct connection **chain)
{
	c->next_writing = *chain;
	*chain = c;
}

/* The reader has ended, and the session may linger: DETACH, once nobody writes. */
void connection_let_go(struct connection *c);

/* Whether the reader has to rest until what is queued has been written; the writer then starts it.
 */
bool connection_must_rest(struct connection *c);

/* Sends DETACH. Waits for memory. */
void connection_detach(struct connection *c);

/* How long to wait for memory where there is no other way out. */
#define MEMORY_REST_NS (10 * NS_PER_MS)

#endif
