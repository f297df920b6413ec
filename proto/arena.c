/*
 * arena.c - memory that is handed out piece by piece and given back at once.
 */
#include "proto/arena.h"
#include <stdlib.h>

/* A block of our own has room for many pieces; malloc serves 32 KiB from its heap, no mmap. */
#define BLOCK_BYTES (32u * 1024u)

/* Far above any frame, far below where sizes wrap. */
#define PIECE_BYTES_MAX (1u << 30)

#define ALIGNMENT _Alignof(max_align_t)

struct arena_block {
	struct arena_block *next;
	_Alignas(max_align_t) uint8_t bytes[];
};

static void rewind_to_first(struct arena *a)
{
	a->at = a->first;
	a->left = a->first_bytes;
	a->used = 0;
	a->failed = false;
}

void arena_init(struct arena *a, void *first, size_t first_bytes)
{
	*a = (struct arena){.first = first, .first_bytes = first_bytes};
	rewind_to_first(a);
}

static bool add_block(struct arena *a, size_t bytes)
{
	struct arena_block *block;

	if (bytes < BLOCK_BYTES)
		bytes = BLOCK_BYTES;
	block = malloc(sizeof(*block) + bytes);
	if (!block)
		return false;
	block->next = a->blocks;
	a->blocks = block;
	a->at = block->bytes;
	a->left = bytes;
	return true;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
	size_t rounded = (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	void *piece;

	if (bytes > PIECE_BYTES_MAX || (rounded > a->left && !add_block(a, rounded))) {
		a->failed = true;
		return NULL;
	}
	piece = a->at;
	a->at += rounded;
	a->left -= rounded;
	a->used += rounded;
	return piece;
}

void arena_reset(struct arena *a)
{
	struct arena_block *next;

	for (struct arena_block *b = a->blocks; b; b = next) {
		next = b->next;
		free(b);
	}
	a->blocks = NULL;
	rewind_to_first(a);
}
