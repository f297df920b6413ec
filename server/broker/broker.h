/*
 * broker.h - who owns all named channels, and what surrounds it.
 *
 * One goroutine at a time applies batches of operations to the engine (engine.h): who is at the
 * helm (helm.h). So the rules need no lock, and a select over any number of channels is atomic
 * because nothing else happens meanwhile. A turn applies a batch, with those that others brought
 * meanwhile, then ends what has timed out, then gives every session's answers to its connection, of
 * which whoever took the turn makes frames and writes them, once it has left the helm.
 */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include "proto/wire.h"
#include "server/broker/batch.h"
#include "server/broker/engine.h"
#include "server/net/stream.h"
#include <stddef.h>
#include <stdint.h>

struct access;
struct broker;
struct connection;
struct session;

struct broker_options {
	struct engine_limits limits;
	uint32_t connections_max;
	uint32_t rings_max; /* connections over Unix sockets that may have rings; 0: none */
	int64_t hello_timeout_ns; /* from the connection to its HELLO */
	int64_t silence_ns; /* a receiver with deliveries out that says nothing for so long is lost
			     */
	int64_t stall_ns; /* a client that reads not one byte of what it is sent for so long is cut
			     off */
	struct access
		*access; /* who may do what; NULL: everybody everything. A reference is taken */
	int64_t settle_timeout_ns;     /* at shutdown, for what is out for delivery */
	uint32_t sessions_max;         /* that linger without a connection */
	int64_t session_linger_max_ns; /* the longest that one may ask for */
	size_t unseen_bytes_max; /* of frames sent and not confirmed, of one that may linger */
};

/* NULL: out of memory. */
struct broker *broker_new(const struct broker_options *options);

/* Starts the broker's own goroutine, the keeper. From a goroutine. 0 or -errno. */
int broker_start(struct broker *b);

/* A listener_accept_fn: takes a stream, as a new connection. arg is the broker. */
void broker_accept(void *arg, struct stream *stream);

/*
 * Stops: refuses operations, answers those that wait with ESHUTDOWN, waits settle_timeout_ns at
 * most until what is out for delivery is settled, says GOAWAY to all and waits until they have
 * gone. Listeners are to be stopped before. Parks. Returns the number of values that were in
 * buffers.
 */
uint64_t broker_stop(struct broker *b);

/* Frees a broker that has stopped, or was never started. One whose connections did not all go in
 * time stays, for the little time that the process has. */
void broker_free(struct broker *b);

/* Changes how many connections may be open; those that are stay. Any goroutine. */
void broker_set_connections_max(struct broker *b, uint32_t connections_max);

/* Replaces the rules, tokens and quotas; takes a reference. Sessions meet them from their next
 * operation on: with what comes after this has returned. */
void broker_set_access(struct broker *b, struct access *access);

/* ---- for connections and sessions --------------------------------------------------------- */

const struct broker_options *broker_options(const struct broker *b);

/* As admission_take_rings and admission_give_rings. Any goroutine. */
int broker_take_rings(struct broker *b, struct connection *c, char *why, size_t why_bytes);
void broker_give_rings(struct broker *b, struct connection *c);

/*
 * Has a batch applied, which is the broker's from here on: by the caller, if nobody is at the helm,
 * or by who is there. Batches of one caller are applied in their order. Parks while many wait. Who
 * calls holds a reference to a connection until it returns, since that keeps the broker. The
 * connections that are then the caller's to write come to the chain (as of connection_queue).
 */
void broker_submit(struct broker *b, struct batch *batch, struct connection **chain);

/* Whether a HELLO can be taken, and from whom: 0, or the status and sentence to refuse it with. */
int broker_check_hello(struct broker *b, struct connection *c, const struct wire_hello *hello,
	char *why, size_t why_bytes);

/* The WELCOME for a session by that connection; it points into the session and to constants. */
void broker_fill_welcome(const struct broker *b, const struct session *s,
	const struct connection *c, struct wire_welcome *ret_welcome);

/* At the helm: the session has answers, or failed, in this turn. */
void broker_touch(struct broker *b, struct session *s);

/* The connection's last reference is gone, and it is about to be freed. */
void broker_connection_gone(struct broker *b, struct connection *c);

#endif
