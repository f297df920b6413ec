/*
 * buf.c - a growable run of bytes.
 *
 * What is there moves to the front only when at most half of the occupied space has to move
 * (start >= length), so that a long run which is appended to and consumed in small steps costs
 * a constant amount per byte.
 */
#include "proto/buf.h"
#include "chan/status.h"
#include <stdlib.h>
#include <string.h>

/* One or two small frames: sessions that wait keep their last ones. */
#define BUF_BYTES_MIN 64u

void buf_fini(struct buf *b)
{
	free(b->bytes);
	*b = (struct buf){0};
}

static void move_to_front(struct buf *b)
{
	uint32_t len = b->end - b->start;

	memmove(b->bytes, buf_data(b), len);
	b->start = 0;
	b->end = len;
}

static int grow(struct buf *b, uint32_t needed)
{
	uint32_t size = b->size ? b->size : BUF_BYTES_MIN;
	uint8_t *bytes;

	while (size < needed)
		size = size > UINT32_MAX / 2 ? needed : size * 2;
	bytes = realloc(b->bytes, size);
	if (!bytes)
		return CHAN_ENOMEM;
	b->bytes = bytes;
	b->size = size;
	return 0;
}

int buf_make_room(struct buf *b, size_t n)
{
	size_t len = buf_len(b);

	if (n > UINT32_MAX - b->end)
		return CHAN_ENOMEM;
	if (b->start >= len && b->start > 0)
		move_to_front(b);
	return n <= b->size - b->end ? 0 : grow(b, b->end + (uint32_t)n);
}

int buf_append(struct buf *b, const void *bytes, size_t n)
{
	int rc = buf_reserve(b, n);

	if (rc < 0 || n == 0)
		return rc;
	memcpy(b->bytes + b->end, bytes, n);
	b->end += (uint32_t)n;
	return 0;
}

void buf_consume(struct buf *b, size_t n)
{
	b->start += (uint32_t)n;
	if (b->start == b->end)
		b->start = b->end = 0;
}
