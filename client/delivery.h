/*
 * delivery.h - a value that came, until the program is done with it.
 *
 * Small ones that come together lie in one piece of memory, a *pack*, which goes with the last of
 * them: an allocation for each was a third of what receiving a value cost. So a value that the
 * program keeps may keep PACK_BYTES_MAX.
 *
 * A delivery has one owner: the client's lists, under its lock; then the program, which may be done
 * with it in any thread.
 */
#ifndef CLIENT_DELIVERY_H
#define CLIENT_DELIVERY_H

#include "proto/wire.h"
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PACK_BYTES_MAX 2048u

/* The memory of deliveries that came together. */
struct pack {
	atomic_uint
		deliveries; /* in it that are not freed; grows only before the first is let go */
	alignas(uint64_t) uint8_t memory[]; /* as a delivery wants it */
};

struct delivery {
	struct delivery *prev, *next;
	struct pack *pack;
	uint64_t id;
	uint64_t token;
	size_t len;
	uint32_t attempt;
	uint8_t bytes[]; /* len, and a NUL */
};

/* Where the next value of a frame goes. Zeroed at the frame's beginning. */
struct packing {
	struct pack *pack;
	uint8_t *at;
	size_t room;
};

/* What a delivery of so many bytes takes: with a NUL, and so that another may follow. */
static inline size_t delivery_room(size_t len)
{
	size_t align = alignof(struct delivery);

	return (sizeof(struct delivery) + len + align) / align * align;
}

/* A pack with so much room at least, for the first of so many values that are left with so many bytes
 * of payload. False: out of memory. */
bool delivery_begin_pack(struct packing *p, size_t needed, size_t left, size_t left_bytes);

/* Makes one of v, the first of so many values that are left with so many bytes of payload. NULL:
 * out of memory. In line: with wire_value_next a value came to 140 instructions, and comes to 70. */
static inline struct delivery *delivery_new(
	struct packing *p, uint64_t id, const struct wire_value *v, size_t left, size_t left_bytes)
{
	size_t needed = delivery_room(v->len);
	struct delivery *d = (struct delivery *)p->at;

	if (needed > p->room) {
		if (!delivery_begin_pack(p, needed, left, left_bytes))
			return NULL;
		d = (struct delivery *)p->at;
	}
	p->at += needed;
	p->room -= needed;
	atomic_store_explicit(&p->pack->deliveries,
		atomic_load_explicit(&p->pack->deliveries, memory_order_relaxed) + 1,
		memory_order_relaxed);
	d->pack = p->pack;
	d->id = id;
	d->token = v->token;
	d->len = v->len;
	d->attempt = v->attempt;
	memcpy(d->bytes, v->bytes, v->len);
	d->bytes[v->len] = 0;
	return d;
}

void delivery_free(struct delivery *d); /* NULL is fine */

/* Frees it, but for len bytes within its own and a NUL behind them, which are the caller's to
 * free(). NULL: out of memory, and it is still there. */
void *delivery_detach(struct delivery *d, const void *bytes, size_t len);

#endif
