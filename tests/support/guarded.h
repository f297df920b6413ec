/*
 * guarded.h - bytes that end where a page begins that cannot be read: a parser that looks one
 * byte too far ends the test with a fault.
 */
#ifndef SUPPORT_GUARDED_H
#define SUPPORT_GUARDED_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct guarded {
	uint8_t *map;
	size_t map_bytes; /* without the guard page */
};

/* Room for up to bytes_max. 0 or -1. */
static inline int guarded_init(struct guarded *g, size_t bytes_max)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	g->map_bytes = (bytes_max + page) / page * page;
	g->map = mmap(NULL, g->map_bytes + page, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g->map == MAP_FAILED)
		return -1;
	return mprotect(g->map + g->map_bytes, page, PROT_NONE);
}

static inline void guarded_fini(struct guarded *g)
{
	munmap(g->map, g->map_bytes + (size_t)sysconf(_SC_PAGESIZE));
}

/* A copy of the bytes that ends at the guard page; the copy before is void. */
static inline uint8_t *guarded_copy(struct guarded *g, const void *bytes, size_t len)
{
	uint8_t *at = g->map + g->map_bytes - len;

	memcpy(at, bytes, len);
	return at;
}

#endif
