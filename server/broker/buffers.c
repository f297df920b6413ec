#include "server/broker/buffers.h"

#include "server/base/lock.h"

/* Kept at most; beyond are bursts. */
#define KEPT_MAX 16

static struct {
	struct lock lock;
	struct buf kept[KEPT_MAX];
	int count;
} pool = {.lock = LOCK_INIT(LOCK_RANK_OUTER)};

/* One of those that are kept; one without room when there is none. */
static struct buf pool_take(void)
{
	struct buf b = {0};

	lock_acquire(&pool.lock);
	if (pool.count)
		b = pool.kept[--pool.count];
	lock_release(&pool.lock);
	return b;
}

struct buf buffer_take(void)
{
	struct buf b = pool_take();

	if (!b.bytes)
		buf_reserve(&b, BUFFER_BYTES);
	return b;
}

void buffer_give(struct buf *b)
{
	buf_consume(b, buf_len(b));
	lock_acquire(&pool.lock);
	if (pool.count < KEPT_MAX && b->size >= BUFFER_BYTES && b->size <= 2 * BUFFER_BYTES) {
		pool.kept[pool.count++] = *b;
		*b = (struct buf){0};
	}
	lock_release(&pool.lock);
	buf_fini(b);
}

void buffers_fini(void)
{
	struct buf b;

	while ((b = pool_take()).bytes)
		buf_fini(&b);
}
