/*
 * broker_state.h - the broker's own state, and what its files call of one another. All of it is for
 * who is at the helm (helm.h), but for what a lock guards.
 */
#ifndef BROKER_BROKER_STATE_H
#define BROKER_BROKER_STATE_H

#include "server/base/clock.h"
#include "server/base/list.h"
#include "server/base/lock.h"
#include "server/broker/admission.h"
#include "server/broker/broker.h"
#include "server/broker/helm.h"
#include "server/broker/seqmap.h"
#include <stdatomic.h>
#include <stdbool.h>

struct connection;
struct hchan;
struct session;

enum broker_state {
	BROKER_RUNNING,
	BROKER_SETTLING, /* no operations but those that settle; until nothing is out for delivery */
	BROKER_LEAVING,  /* GOAWAY was said; until all connections have gone */
	BROKER_STOPPED,
};

enum broker_event {
	EVENT_STOP,
	EVENT_EMPTY, /* the last connection has gone */
};

struct broker {
	struct broker_options options;
	uint64_t incarnation;
	struct helm helm;
	struct hchan *events;  /* of enum broker_event; for the keeper */
	struct hchan *alarm;   /* tells the keeper of an earlier deadline */
	struct hchan *stopped; /* closed at the end */

	/* Who is at the helm. */
	struct engine *engine;
	struct list sessions; /* that have a connection */
	struct list detached; /* that have none */
	uint32_t half_count;     /* whose clients have shut their sending side down */
	struct seqmap lingering; /* sessions that may be resumed, by number */
	struct list touched;     /* sessions with answers in this turn */
	enum broker_state state;
	int64_t state_deadline_ns; /* of SETTLING and LEAVING */
	bool unsure; /* a connection may be: see connection.h */
	int64_t watch_ns;  /* next look at sessions; DEADLINE_NEVER: none is to be looked at */
	int64_t turn_ns;   /* the time of the last turn */
	int64_t keeper_ns; /* the keeper comes then by itself */
	bool rides;        /* since the last look answers were kept (ride.h) */
	uint64_t dropped; /* values that were in buffers at the end */
	bool abandoned;   /* at the end some connections still referred to all this */

	struct admission admission;  /* any goroutine's */
	atomic_bool access_replaced; /* the engine has not got the admission's rules */

	struct lock lock; /* guards these: */
	struct list connections;
	uint32_t connection_count;
	uint32_t refused_count; /* of them those that are being told that they may not stay */
	bool leaving; /* tell EVENT_EMPTY */
};

/* Hands the session's answers of this turn to its connection; as connection_queue. */
size_t broker_flush(struct session *s, struct connection **chain);

/* Ends the session's part in the engine, and lets its connection, if it has one, say why (status 0:
 * without a word). The session stays until its connection's reader has ended. */
void broker_end_party(struct broker *b, struct session *s, int status, const char *text);

/* ---- resume.c: sessions that outlive a connection ---------------------------------------------
 */

/* The session may be resumed from now on. 0 or CHAN_ENOMEM. */
int resume_register(struct broker *b, struct session *s);
void resume_forget(struct broker *b, struct session *s);

/* BATCH_RESUME: the connection is the broker's, until it is adopted or turned away. */
void resume_ask(struct broker *b, struct connection *c, const struct wire_hello *hello);

/* BATCH_DETACH: the connection has let go. The session may be freed. */
void resume_detach(struct broker *b, struct session *s);

/* The session ends: who has asked to resume it cannot. */
void resume_refuse_next(struct session *s, int status, const char *text);

/* Ends and frees a session that has no connection; the log is told why. */
void resume_end(struct broker *b, struct session *s, const char *why);

/* Ends the sessions whose time without a connection is up; with all, every one that has none. */
void resume_expire(struct broker *b, int64_t now_ns, bool all);

/* ---- watch.c: what is looked for once a second --------------------------------------------------
 */

void watch(struct broker *b, int64_t now_ns);

/* Answers of a session were kept; the next look has those of all leave, so that nobody waits for
 * ever for what a client has forgotten to ask for. */
void watch_ride(struct broker *b);
void watch_end_rides(struct broker *b);

/* A session that may have been silent was heard. */
void watch_heard(struct broker *b, struct session *s);

/* Sees whether a client that has shut its sending side down is there at all. */
void watch_half(struct session *s);

/* A client sends PING after half of silence_ns, or this if it is less, while operations wait, and
 * the broker does when it hears nothing for so long. */
#define HEARTBEAT_NS_MAX (5 * NS_PER_S)

static inline int64_t broker_heartbeat_ns(const struct broker *b)
{
	int64_t ns = b->options.silence_ns / 2;

	return ns < HEARTBEAT_NS_MAX ? ns : HEARTBEAT_NS_MAX;
}

#endif
