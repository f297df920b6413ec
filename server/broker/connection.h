/*
 * connection.h - a stream to a client, and the two goroutines that work on it now and then.
 *
 * An idle connection has no goroutine and no buffer. When bytes arrive the netpoller starts the
 * reader: it takes all there is, handles every frame in order, hands a batch of operations to the
 * broker after each read, and ends. When there is something to write, whoever queued it starts a
 * writer, which ends when the queue is empty.
 *
 * Life: made by broker_accept with one reference, the reader's, which stays while no reader runs
 * (the armed netpoller holds it) and goes when the stream has ended. The session has another, the
 * running writer one more. Whoever drops the last closes the stream.
 *
 * Ending: only the reader ends a connection, when its read returns 0 or an error; everybody else
 * makes that happen. connection_close lets what is queued leave, says GOAWAY and shuts the sending
 * side down; the peer then closes, or a timer does the rest. connection_cut ends it at once.
 */
#ifndef BROKER_CONNECTION_H
#define BROKER_CONNECTION_H

#include "proto/buf.h"
#include "server/base/list.h"
#include "server/base/lock.h"
#include "server/broker/outbox.h"
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
 * all for stall_ns is cut off.
 */
#define CONNECTION_QUEUED_BYTES_MAX (4u * 1024u * 1024u)

/* From connection_close on: to write what is left, and for the peer to read it and close. */
#define CONNECTION_LINGER_NS (2 * NS_PER_S)

/* Half a frame may lie about for so long; its buffer is as large as the half. */
#define CONNECTION_HALF_FRAME_NS (30 * NS_PER_S)

enum connection_state {
	CONNECTION_GREETING,   /* no HELLO yet */
	CONNECTION_TALKING,    /* has a session */
	CONNECTION_DISCARDING, /* ending: what still comes is thrown away */
};

struct connection {
	struct broker *broker; /* constant */
	struct stream *stream; /* constant */
	struct list link;      /* in broker.connections, guarded by broker.lock */
	atomic_uint refs;
	_Atomic int64_t heard_ns; /* when the peer last gave a sign of life */

	/* The reader's. */
	struct session *session; /* in CONNECTION_TALKING */
	struct buf in; /* what was read and not handled; empty while idle but for half a frame */
	int64_t silent_until_ns; /* until then PONG is the broker's to say */
	enum connection_state state;
	bool patient;            /* read_timer runs */
	struct timer read_timer; /* for the HELLO, and for the rest of a frame */
	atomic_bool impatient;   /* it fired */

	/* The queue, guarded by lock. */
	struct lock lock;
	bool writing;        /* a writer runs, or is about to be started */
	bool broken;         /* writing failed, or was cut: nothing is queued any more */
	bool closing;        /* the farewell follows what is queued */
	bool reader_resting; /* the reader ended because too much was queued; the writer starts it
			      */
	struct outbox *queue_head, *queue_tail;
	struct buf control;  /* frames that go ahead of the queue */
	struct buf farewell; /* GOAWAY, or nothing */
	size_t queued_bytes; /* of all of these, until they are written */
	struct timer close_timer;
	struct connection *next_writing; /* whoever set writing: the next of a chain, or NULL */
};

/* A connection that reads; the stream is its own, on failure too. NULL: out of memory. */
struct connection *connection_new(struct broker *broker, struct stream *stream);

/* Begins: the reader waits for the HELLO, at most hello_timeout_ns. */
void connection_start(struct connection *c, int64_t hello_timeout_ns);

/* Begins a connection that is refused: it gets GOAWAY and ends. */
void connection_refuse(struct connection *c, int status, const char *text);

struct connection *connection_ref(struct connection *c);

/* The same, for who found it in broker.connections (and holds broker.lock): false when it is being
 * freed. */
bool connection_try_ref(struct connection *c);
void connection_unref(struct connection *c);

/*
 * Queues answers (its own from here on) to be written. Where no writer runs c comes to the head of
 * the chain, and the caller calls connection_start_writers soon. Returns the bytes that c brought
 * to the chain; 0: it is not in it. Any goroutine.
 */
size_t connection_queue(struct connection *c, struct outbox *answers, struct connection **chain);

/*
 * Starts one goroutine that writes to all connections of a chain (NULL is fine), one after another;
 * when one of them does not take what it gets, or has more than a round of it, another goroutine
 * goes on with those behind it. A goroutine each would put all but one in line behind others and so
 * have the scheduler wake a second processor, which takes longer than to write to a few dozen.
 */
void connection_start_writers(struct connection *chain);

/* Ends it once what is queued has left: with GOAWAY where status is not 0; what is queued later is
 * dropped. Any goroutine; the second and later calls do nothing. */
void connection_close(struct connection *c, int status, const char *text);

/* Ends it now; what is queued is lost. Any goroutine. */
void connection_cut(struct connection *c);

/* Whether something is queued or being written. */
bool connection_busy(struct connection *c);

#endif
