/*
 * buf.h - a growable run of bytes, written at its end and read from its start.
 *
 * Both ends use it for what comes from and goes to a socket. Not thread-safe: its owner guards it.
 */
#ifndef PROTO_BUF_H
#define PROTO_BUF_H

#include <stddef.h>
#include <stdint.h>

/* Numbers of 32 bits, since each connection has several: one that would be larger is out of memory. */
struct buf {
	uint8_t *bytes; /* NULL while nothing was ever reserved, or after buf_fini */
	uint32_t start; /* first byte that is not consumed */
	uint32_t end;   /* behind the last byte */
	uint32_t size;  /* allocated */
};

static inline size_t buf_len(const struct buf *b)
{
	return b->end - b->start;
}

static inline uint8_t *buf_data(const struct buf *b)
{
	return b->bytes + b->start;
}

/* Gives the memory back; the buf is empty and usable again. A zeroed struct is an empty buf. */
void buf_fini(struct buf *b);

/* As buf_reserve, where there is no room for n bytes yet. */
int buf_make_room(struct buf *b, size_t n);

/* Makes room for at least n bytes at b->bytes + b->end; pointers into the buf are void then.
 * 0 or CHAN_ENOMEM (what is in the buf stays as it was). */
static inline int buf_reserve(struct buf *b, size_t n)
{
	return n <= b->size - b->end ? 0 : buf_make_room(b, n);
}

/* Appends n bytes. 0 or CHAN_ENOMEM (nothing appended). */
int buf_append(struct buf *b, const void *bytes, size_t n);

/* Takes n bytes off the start; n is at most buf_len. */
void buf_consume(struct buf *b, size_t n);

#endif
