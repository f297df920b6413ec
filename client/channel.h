/*
 * channel.h - an opened end, as the library sees it.
 *
 * Guarded by its client's lock, but for what never changes once the end is open.
 */
#ifndef CLIENT_CHANNEL_H
#define CLIENT_CHANNEL_H

#include "chan/chan.h"
#include "client/delivery.h"
#include "client/op.h"
#include "proto/type.h"
#include <stdbool.h>
#include <stdint.h>

enum end_state {
	END_OPENING,   /* a make or open is under way; nobody else knows the end */
	END_OPEN,      /* id, name, type and capacity are known and fixed */
	END_RESOLVING, /* came as a value: id and name are known, an OP_RESOLVE asks for the rest */
	END_DEAD,      /* came as a value, and the channel is no more: see dead_status */
};

/* What an end has that receives ahead of demand; the others, which are many where there are many at
 * all, have ahead_none, which stays empty. */
struct ahead {
	struct chan_op *stream;    /* the receive that stands in the broker, or NULL */
	uint64_t stream_first;     /* the lowest delivery that it brought; UINT64_MAX: none */
	struct delivery *inbox;    /* what it brought, oldest first */
	struct chan_op *receivers; /* OP_LOCAL, oldest first */
	struct chan *next_granting;
	uint32_t credit_left; /* of the stream, at the broker */
	uint32_t grant_due;   /* values handed over whose credit was not granted again */
	bool drained;         /* the stream found the channel closed and drained */
	bool granting;        /* on session.granting */
};

/* In order of size: a program may have tens of thousands, and writes each into memory that was
 * never touched before, where 64 bytes cost more than a hundred instructions. */
struct chan {
	struct chan_client *client;
	struct chan *prev, *next; /* client.ends */
	uint64_t id;
	char *name; /* "" of an unnamed one; as a rule in asked */
	int64_t capacity;
	struct chan_end_options options;
	struct ahead *ahead; /* its own, or ahead_none */

	/* sending: nothing may overtake a payload in pieces on its channel */
	uint64_t
		blocked_round; /* the session.backlog_round in which one of them last had to stay */
	unsigned held;         /* operations on the backlog that send on or close this channel */
	unsigned transfers;    /* payloads of which pieces are still to be sent */

	unsigned refs;   /* the program's until chan_release, and one an operation */
	unsigned opened; /* times that the broker counts this end as opened by us: releases owed */
	int dead_status;
	enum chan_type type;
	enum chan_direction direction : 8;
	enum end_state state : 8;
	bool released;
	char asked[]; /* the name that it was asked for by */
};

/* An end in END_OPENING, with one reference, of the channel with that name (bytes of it, of which
 * it makes a copy). NULL: out of memory, with the thread's error set. */
struct chan *end_new(struct chan_client *c, const char *name, size_t name_bytes,
	enum chan_direction direction, const struct chan_end_options *options);
struct chan *end_ref(struct chan *ch);
void end_unref(struct chan *ch); /* NULL is fine */

/* Takes over what the broker says of it; END_OPEN from here on. 0 or CHAN_ENOMEM. */
int end_opened(struct chan *ch, const struct message *opened);

/* An end for a reference that was received; asks the broker for its type. NULL: out of memory, or
 * what the bytes say is no reference. */
struct chan *end_from_reference(struct chan_client *c, const uint8_t *bytes, size_t len,
	const struct chan_end_options *options);

/* Waits until an end that came as a value is known. 0, or the failure that was said. May give up
 * the lock meanwhile. */
int end_resolve(struct chan *ch, const char *asked);

/* Whether the end may be used so: 0, or CHAN_EWRONGEND or why the channel is no more, with the
 * thread's error set. Waits like end_resolve. */
int end_check(struct chan *ch, enum chan_direction direction, const char *asked);

/* Tells the broker that we hold the end so many times less. */
void end_give_up(struct chan *ch, unsigned times);

/* Gives the end up altogether; the program's reference is still to be dropped. */
void end_release(struct chan *ch);

/* Whether values are fetched ahead of the receives. */
bool end_is_streamed(const struct chan *ch);

/* Whether confirmations of receives may leave with what follows. On an unbuffered channel a sender
 * waits for them; without a keeper nothing might follow. */
bool end_confirms_late(const struct chan *ch);

/* The credit that its stream has. */
uint32_t end_credit(const struct chan *ch);

/* Takes over a receive of an end that fetches ahead. */
void end_receive(struct chan *ch, struct chan_op *op);

/* Gives what is in the inbox to the receivers that wait, as far as both go. */
void end_feed(struct chan *ch);

/* The stream has ended: what is left to say to the receivers. */
void end_stream_ended(struct chan *ch, struct chan_op *stream);

/* Drops everything that was received, without a word to the broker: it is lost, or revoked. */
void end_drop_inbox(struct chan *ch);

/* The session is over: so are the receives that wait for what a stream had brought before it ended.
 */
void end_fail_receivers(struct chan *ch, int status, const char *text);

/* ---- values and their encodings ----------------------------------------------------------- */

/*
 * Appends a value for a channel of that type to a payload. 0, CHAN_ENOMEM, CHAN_ETYPE,
 * CHAN_ETOOLARGE or CHAN_EINVAL with the thread's error set (asked and ch name who is refused).
 */
int value_pack(
	struct buf *payload, const struct chan *ch, const struct chan_value *v, const char *asked);

/*
 * Makes of a delivery what the program sees; the delivery's memory passes to the value, or is
 * freed. 0, CHAN_EPROTOCOL (the bytes do not fit the channel's type) or CHAN_ENOMEM; then the
 * delivery is as it was.
 */
int value_unpack(struct chan *ch, struct delivery *d, struct chan_value *ret_value);

#endif
