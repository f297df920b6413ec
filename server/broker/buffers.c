#include "server/broker/buffers.h"

#include "server/broker/stock.h"

/* Kept at most: the next turn's on each processor, and some for all. Beyond are bursts. */
#define KEPT_OWN_MAX 1
#define KEPT_SHARED_MAX 16

/* What stands at the beginning of one that is kept. */
struct kept {
	struct stock_piece piece;
	uint32_t size;
};

static struct stock stock = STOCK_INIT(KEPT_OWN_MAX, KEPT_SHARED_MAX);

static struct buf buf_of(struct kept *k)
{
	return (struct buf){.bytes = (uint8_t *)k, .size = k->size};
}

struct buf buffer_take(void)
{
	struct kept *k = stock_take(&stock);
	struct buf b = {0};

	if (k)
		return buf_of(k);
	buf_reserve(&b, BUFFER_BYTES);
	return b;
}

static bool keep(struct buf *b)
{
	struct kept *k = (struct kept *)b->bytes;

	if (b->size < BUFFER_BYTES || b->size > 2 * BUFFER_BYTES)
		return false;
	k->size = b->size;
	return stock_give(&stock, k);
}

void buffer_give(struct buf *b)
{
	if (keep(b))
		*b = (struct buf){0};
	else
		buf_fini(b);
}

void buffers_fini(void)
{
	struct kept *k;
	struct buf b;

	while ((k = stock_take_shared(&stock))) {
		b = buf_of(k);
		buf_fini(&b);
	}
}
