/*
 * traffic.h - what waits in a channel, is lent by it or came back to it, and the counts of that.
 *
 * Of channels that are many most hold a value or nothing: they share one traffic, in which nothing
 * is. A channel gets its own before an operation waits in it and before a dead letter enters. A value
 * that goes out to a receive which does not wait needs none, unless it comes back, and that must not
 * fail: so a piece of memory is set aside for its channel meanwhile. Pieces that were not needed
 * serve the next: 10,000 channels of which each had one value sent and received took 500 pages more
 * without that, at 1.5 us a page.
 */
#ifndef BROKER_TRAFFIC_H
#define BROKER_TRAFFIC_H

#include "server/base/list.h"
#include "server/broker/heap.h"
#include "server/broker/operation.h"
#include <stdbool.h>
#include <stdint.h>

struct channel;

struct channel_traffic {
	union {
		struct waitq senders;
		struct channel_traffic *next_free; /* in the pool */
	};
	struct waitq receivers;
	/* Senders whose value is out; streams without credit; receivers of absent parties. */
	struct list aside;

	uint32_t borrowed; /* deliveries that are out and still their senders' */
	/* Values that were out and came back, by order, and dead letters of other channels. */
	uint32_t returned_count;
	struct heap_node *returned; /* struct delivery */
	bool lifted;                /* its length has been, or may be, above its capacity */

	/* Values that wait for time, by link: see lease.h. */
	uint32_t leased_count, delayed_count;
	struct list leased, delayed; /* struct delivery */
	uint64_t token;              /* of the last lease; 0: there was none */

	uint64_t redelivered;
	uint64_t moved_in; /* dead letters of other channels */
	uint64_t dead_lettered, dead_letter_failures;
	const char *dead_letter_problem; /* of the last failure; "" */
};

/* That of all channels which have none of their own; never changed. */
extern struct channel_traffic traffic_none;

/* An engine's. A zeroed struct is an empty pool. */
struct traffic_pool {
	struct channel_traffic *free;
	uint32_t free_count;
	uint32_t promised; /* of these: set aside for so many channels */
};

void traffic_pool_fini(struct traffic_pool *pool);

/* The channel has its own from now on. 0 or CHAN_ENOMEM, which does not happen after a promise. */
int traffic_need(struct traffic_pool *pool, struct channel *ch);

/* Sets memory aside, so that it can have its own at any time until the promise is taken back. 0 or
 * CHAN_ENOMEM. */
int traffic_promise(struct traffic_pool *pool, struct channel *ch);
void traffic_take_back(struct traffic_pool *pool, struct channel *ch); /* if there was one */

/* A channel ends. */
void traffic_fini(struct channel *ch);

#endif
