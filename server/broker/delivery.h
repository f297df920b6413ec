/*
 * delivery.h - a value on its way: out to a party, lent to it, or come back; or a run of them.
 *
 * Records are recycled: a stream of values costs no allocation of its own.
 *
 * Values of one pack that go out for the first time, one behind the other to one receive without
 * leases, share a record for as long as nothing but TAKEN happens to them, from the first on: for a
 * stream of small values that is a step for a run where it was one for each. Under each of its ids
 * the party's map leads to it. Whatever else happens to one of them is preceded by delivery_part,
 * which cannot fail: the records that it takes were set aside when the run went out.
 */
#ifndef BROKER_DELIVERY_H
#define BROKER_DELIVERY_H

#include "server/base/list.h"
#include "server/broker/heap.h"
#include <stdbool.h>
#include <stdint.h>

struct engine;
struct seqmap;
struct value;

enum delivery_state {
	DELIVERY_OUT,     /* in party->deliveries; neither taken nor returned */
	DELIVERY_LEASED,  /* there too; taken; link is on channel->leased, node in engine->timers */
	DELIVERY_DELAYED, /* came back to wait; link is on channel->delayed, node in engine->timers
			   */
	DELIVERY_RETURNED, /* came back; node is in channel->returned */
};

struct delivery {
	union {
		struct heap_node node;
		struct delivery *next_free;
	};
	uint64_t id;             /* of its party; rising by 1; of a run the first */
	uint64_t order;          /* of acceptance in its channel, from 1; likewise */
	struct channel *channel; /* a counted reference while it is out or leased, its own while it
				  * waits there */
	struct value *value;     /* owned; of a run the first, the others are its neighbours */
	uint32_t count;          /* values; more than one: a run, which is DELIVERY_OUT */
	union {
		struct {                          /* while it is out */
			struct operation *stream; /* that it was handed to, or NULL */
			struct waiter *sender;    /* whose value it is; NULL: the channel's */
		};
		struct list link;
	};
	struct party *party; /* while it is leased: whose */
	uint64_t token;      /* of its lease; 0: without one */
	union {
		int64_t lease_ns; /* while it is out: of the lease that will begin, or 0 */
		int64_t due_ns;   /* while it is leased or delayed: until then */
	};
	uint32_t attempt; /* of delivering it, from 1 */
	uint32_t tries;   /* leases of it that ended without an ACK */
	uint32_t rank;    /* among those of one order: see dead_letter.c */
	uint8_t state;    /* enum delivery_state */
	bool borrowed;    /* while it is out, on an unbuffered channel: its sender still owns it */
};

struct delivery_pool {
	struct delivery *free;
	uint32_t free_count;
	uint32_t set_aside; /* of the free ones: for runs that may be parted */
};

/* A record for one value, or for a run of count with what parting it will take. NULL: out of memory.
 */
struct delivery *delivery_new(struct delivery_pool *pool, uint32_t count);

/* Its values are settled. */
void delivery_free(struct delivery_pool *pool, struct delivery *d);

/* The first n values of a run, not all, are settled. */
void delivery_shorten(struct delivery_pool *pool, struct delivery *d, uint32_t n);

/* Gives each value of a run, or the only one, a record of its own, in the map too. */
void delivery_part(struct delivery_pool *pool, struct delivery *d, struct seqmap *deliveries);

void delivery_pool_fini(struct delivery_pool *pool);

bool delivery_older(const struct heap_node *a, const struct heap_node *b); /* by order, rank */

/* By due_ns; of those whose time is the same, by channel, and in the order in which they stand
 * there. */
bool delivery_due(const struct heap_node *a, const struct heap_node *b);

#endif
