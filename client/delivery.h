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
#include <stddef.h>
#include <stdint.h>

#define PACK_BYTES_MAX 2048u

struct pack;

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

/* Makes one of v, the first of so many values that are left with so many bytes of payload. NULL:
 * out of memory. */
struct delivery *delivery_new(
	struct packing *p, uint64_t id, const struct wire_value *v, size_t left, size_t left_bytes);

void delivery_free(struct delivery *d); /* NULL is fine */

/* Frees it, but for len bytes within its own and a NUL behind them, which are the caller's to
 * free(). NULL: out of memory, and it is still there. */
void *delivery_detach(struct delivery *d, const void *bytes, size_t len);

#endif
