/*
 * admission.h - who may come in: identities of peers, tokens, and how many connections, and
 * sessions without one, there may be and each may have.
 *
 * A connection counts for whom its stream shows, from the moment it was accepted: a user, or an
 * address. Its HELLO may say more (a token, or by then a certificate), and it counts for that from
 * there on. What a session may do afterwards is the engine's to ask (permit.h).
 *
 * Who resumes a session replaces a connection of it that is dead, but may not have been seen to be,
 * and then still counts. So a connection that comes when there are as many as may be is let in as
 * an *extra*, to say HELLO: unless that resumes, and there is a connection that it replaces, or
 * there is room by then, it is turned away. Extras have a bound of their own.
 *
 * Any goroutine; nothing here parks.
 */
#ifndef BROKER_ADMISSION_H
#define BROKER_ADMISSION_H

#include "proto/wire.h"
#include "server/base/lock.h"
#include "server/broker/access.h"
#include "server/net/stream.h"
#include <stddef.h>

/* Extras at once, and those of one account: for as many as lose their connections at once, since
 * each is one for a moment only, and few enough for one who says no HELLO not to take them all. */
#define ADMISSION_EXTRAS_MAX 32u
#define ADMISSION_ACCOUNT_EXTRAS_MAX 8u

/* Identities that are remembered, so that the next client that shows the same shares it: users' and
 * hosts' clients tend to come one after another, and 10,000 from one host need one and not 10,000. */
#define ADMISSION_KNOWN 16u

struct admission {
	struct lock lock; /* guards these: */
	struct identity *known[ADMISSION_KNOWN]; /* the last ones; a reference each, or NULL */
	uint32_t known_next;                     /* of them the oldest */
	struct access *access;
	struct quota_table accounts; /* of connections, and of sessions that have none */
	uint32_t connections, connections_max;
	uint32_t sessions, sessions_max; /* without a connection */
	uint32_t extras;                 /* connections that are not among the others */
	uint32_t rings, rings_max;       /* connections that have them (net/stream_ring.h) */
};

/* One connection's place: who it is, and where it is counted. Zeroed: nobody, nowhere. */
struct admitted {
	struct identity *identity; /* one reference */
	struct quota_account *account;
	bool extra;
	bool rings; /* guarded by the admission's lock */
};

/* Takes a reference to the rules; NULL: there are none. */
void admission_init(struct admission *a, struct access *access, uint32_t connections_max,
	uint32_t sessions_max, uint32_t rings_max);
void admission_fini(struct admission *a);

/* Who is in stays. */
void admission_set_connections_max(struct admission *a, uint32_t connections_max);

/* Replaces the rules; takes a reference. Who is in stays. */
void admission_replace(struct admission *a, struct access *access);

/* The rules in force: one reference, or NULL. */
struct access *admission_access(struct admission *a);

/*
 * A stream was accepted: counts it, where there is no room as an extra. 0; or, and it is not
 * counted, CHAN_ELIMIT or CHAN_ENOMEM with a sentence in why.
 */
int admission_enter(struct admission *a, struct stream *stream, struct admitted *ret_admitted,
	char *why, size_t why_bytes);

/*
 * Its HELLO came: who it says to be, and whether that is let in; one that resumes may be an extra
 * still. 0; or, and it stays what it was, CHAN_EAUTH, CHAN_ENOTSUP, CHAN_ELIMIT or CHAN_ENOMEM with
 * a sentence in why.
 */
int admission_greet(struct admission *a, struct stream *stream, const struct wire_hello *hello,
	struct admitted *m, char *why, size_t why_bytes);

/* An extra is one no more, where there is room for it by now. 0, or CHAN_ELIMIT with a sentence in
 * why. Nothing for others. */
int admission_come_in(struct admission *a, struct admitted *m, char *why, size_t why_bytes);

/*
 * Whether one that resumes may wait for another, of the same session, to go: 0, or CHAN_ELIMIT with
 * a sentence in why. When that lets go the first takes its place, and is an extra no more, whatever
 * the room: call it before the other has gone, so that nobody comes in between.
 */
int admission_may_replace(struct admission *a, const struct admitted *m, const struct admitted *old,
	char *why, size_t why_bytes);
void admission_take_place(struct admission *a, struct admitted *m);

/*
 * Its session is to live on without a connection: true if there is room for that, also among those
 * of its identity; else why tells. Where no quota says how many that may be, it is half of
 * sessions_max, so that nobody takes the places of all.
 */
bool admission_may_linger(
	struct admission *a, const struct admitted *m, char *why, size_t why_bytes);

/* Counts such a session on the account of its connection, until admission_end_linger: also one that
 * is about to get the next connection, whatever the room. */
struct quota_account *admission_linger(struct admission *a, const struct admitted *m);
void admission_end_linger(struct admission *a, struct quota_account *account);

/*
 * A connection wants rings: counts them, until admission_give_rings or admission_leave. One identity
 * may have half of rings_max, so that nobody takes those of all. 0, or CHAN_ELIMIT with a sentence in
 * why.
 */
int admission_take_rings(struct admission *a, struct admitted *m, char *why, size_t why_bytes);
void admission_give_rings(struct admission *a, struct admitted *m);

/* The connection has gone. */
void admission_leave(struct admission *a, struct admitted *m);

#endif
