/*
 * arena.h - memory that is handed out piece by piece and given back at once.
 *
 * Begins in a block of the caller's and goes on in blocks of its own from malloc.
 */
#ifndef PROTO_ARENA_H
#define PROTO_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena_block;

struct arena {
	uint8_t *first; /* the caller's block, aligned for anything */
	size_t first_bytes;
	struct arena_block *blocks; /* ours, the newest first */
	uint8_t *at;                /* what is handed out next */
	size_t left;
	size_t used; /* handed out since the last reset */
	bool failed; /* malloc said no since the last reset */
};

/* first must live as long as the arena and be aligned as malloc aligns. */
void arena_init(struct arena *a, void *first, size_t first_bytes);

/* Memory that lives until arena_reset, not cleared, aligned as malloc aligns.
 * NULL: out of memory; the arena remembers that it failed. */
void *arena_alloc(struct arena *a, size_t bytes);

/* Takes everything back and gives the arena's own blocks to free. Also ends an arena. */
void arena_reset(struct arena *a);

#endif
