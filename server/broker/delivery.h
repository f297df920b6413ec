/*
 * delivery.h - a value that is out: handed to a party, neither taken nor returned.
 *
 * Records are recycled: a stream of values costs no allocation of its own.
 */
#ifndef BROKER_DELIVERY_H
#define BROKER_DELIVERY_H

#include "server/broker/heap.h"
#include <stdbool.h>
#include <stdint.h>

struct engine;
struct value;

struct delivery {
	union {
		struct heap_node node; /* in channel->returned, after it came back */
		struct delivery *next_free;
	};
	uint64_t id;              /* of its party; rising by 1 */
	uint64_t order;           /* of acceptance in its channel */
	struct channel *channel;  /* a counted reference while it is out */
	struct value *value;      /* owned */
	struct operation *stream; /* the stream that it was handed to, or NULL */
	struct waiter *sender;    /* on an unbuffered channel: whose value it is */
	uint32_t attempt;
};

struct delivery_pool {
	struct delivery *free;
	uint32_t free_count;
};

/* NULL: out of memory. */
struct delivery *delivery_new(struct delivery_pool *pool);
void delivery_free(struct delivery_pool *pool, struct delivery *d);
void delivery_pool_fini(struct delivery_pool *pool);

bool delivery_older(const struct heap_node *a, const struct heap_node *b); /* by order */

#endif
