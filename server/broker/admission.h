/*
 * admission.h - who may come in: identities of peers, tokens, and how many connections each has.
 *
 * A connection counts for whom its stream shows, from the moment it was accepted: a user, or an
 * address. Its HELLO may say more (a token, or by then a certificate), and it counts for that from
 * there on. What a session may do afterwards is the engine's to ask (permit.h).
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

struct admission {
	struct lock lock; /* guards these: */
	struct access *access;
	struct quota_table accounts; /* of connections */
};

/* One connection's place: who it is, and where it is counted. Zeroed: nobody, nowhere. */
struct admitted {
	struct identity *identity; /* one reference */
	struct quota_account *account;
};

/* Takes a reference to the rules; NULL: there are none. */
void admission_init(struct admission *a, struct access *access);
void admission_fini(struct admission *a);

/* Replaces the rules; takes a reference. Who is in stays. */
void admission_replace(struct admission *a, struct access *access);

/* The rules in force: one reference, or NULL. */
struct access *admission_access(struct admission *a);

/*
 * A stream was accepted: counts it. 0; or, and it is not counted, CHAN_ELIMIT or CHAN_ENOMEM with a
 * sentence in why.
 */
int admission_enter(struct admission *a, struct stream *stream, struct admitted *ret_admitted,
	char *why, size_t why_bytes);

/*
 * Its HELLO came: who it says to be, and whether that is let in. 0; or, and it stays what it was,
 * CHAN_EAUTH, CHAN_ENOTSUP, CHAN_ELIMIT or CHAN_ENOMEM with a sentence in why.
 */
int admission_greet(struct admission *a, struct stream *stream, const struct message *hello,
	struct admitted *m, char *why, size_t why_bytes);

/* The connection has gone. */
void admission_leave(struct admission *a, struct admitted *m);

#endif
