#include "client/delivery.h"
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct pack {
	atomic_uint
		deliveries; /* in it that are not freed; grows only before the first is let go */
	alignas(struct delivery) uint8_t memory[];
};

/* What a delivery of so many bytes takes: with a NUL, and so that another may follow. */
static size_t room_of(size_t len)
{
	size_t align = alignof(struct delivery);

	return (sizeof(struct delivery) + len + align) / align * align;
}

static int begin_pack(struct packing *p, size_t needed, size_t left, size_t left_bytes)
{
	/* The prefixes in left_bytes are about what NULs and alignment take. */
	size_t all = left > 1 ? left * sizeof(struct delivery) + left_bytes : needed;

	p->room = all < PACK_BYTES_MAX ? all : PACK_BYTES_MAX;
	if (p->room < needed)
		p->room = needed;
	p->pack = malloc(sizeof(*p->pack) + p->room);
	if (!p->pack) {
		p->room = 0;
		return -1;
	}
	atomic_init(&p->pack->deliveries, 0);
	p->at = p->pack->memory;
	return 0;
}

struct delivery *delivery_new(
	struct packing *p, uint64_t id, const struct wire_value *v, size_t left, size_t left_bytes)
{
	size_t needed = room_of(v->len);
	struct delivery *d;

	if (needed > p->room && begin_pack(p, needed, left, left_bytes) < 0)
		return NULL;
	d = (struct delivery *)p->at;
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

/* Whether nobody else has a part of the pack; acquires what those did who let theirs go. */
static bool is_last(const struct pack *p)
{
	return atomic_load_explicit(&p->deliveries, memory_order_acquire) == 1;
}

/* The last frees the pack: what all others did with their values comes before (their release, its
 * acquire). Who is alone in it need not count. */
void delivery_free(struct delivery *d)
{
	struct pack *p;

	if (!d)
		return;
	p = d->pack;
	if (is_last(p) || atomic_fetch_sub_explicit(&p->deliveries, 1, memory_order_acq_rel) == 1)
		free(p);
}

/* A copy for one of a pack; one that is alone becomes it, from the start of its memory. */
void *delivery_detach(struct delivery *d, const void *bytes, size_t len)
{
	struct pack *p = d->pack;
	void *copy;

	if (is_last(p) && d == (struct delivery *)p->memory)
		return memmove(p, bytes, len + 1);
	copy = malloc(len + 1);
	if (!copy)
		return NULL;
	memcpy(copy, bytes, len + 1);
	delivery_free(d);
	return copy;
}
