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

#define BUF_BYTES_MIN 256u

void buf_fini(struct buf *b)
{
	free(b->bytes);
	*b = (struct buf){0};
}

static void move_to_front(struct buf *b)
{
	size_t len = buf_len(b);

	memmove(b->bytes, buf_data(b), len);
	b->start = 0;
	b->end = len;
}

static int grow(struct buf *b, size_t needed)
{
	size_t size = b->size ? b->size : BUF_BYTES_MIN;
	uint8_t *bytes;

	while (size < needed)
		size = size > SIZE_MAX / 2 ? needed : size * 2;
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

	if (n > SIZE_MAX - b->end)
		return CHAN_ENOMEM;
	if (b->start >= len && b->start > 0)
		move_to_front(b);
	return n <= b->size - b->end ? 0 : grow(b, b->end + n);
}

int buf_append(struct buf *b, const void *bytes, size_t n)
{
	int rc = buf_reserve(b, n);

	if (rc < 0 || n == 0)
		return rc;
	memcpy(b->bytes + b->end, bytes, n);
	b->end += n;
	return 0;
}

void buf_consume(struct buf *b, size_t n)
{
	b->start += n;
	if (b->start == b->end)
		b->start = b->end = 0;
}
