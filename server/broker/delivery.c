#include "server/broker/delivery.h"
#include "server/base/list.h"
#include <stdlib.h>

/* What a burst leaves behind, at most: about 300 kB. */
#define POOL_FREE_MAX 4096u

struct delivery *delivery_new(struct delivery_pool *pool)
{
	struct delivery *d = pool->free;

	if (!d)
		return malloc(sizeof(*d));
	pool->free = d->next_free;
	pool->free_count--;
	return d;
}

void delivery_free(struct delivery_pool *pool, struct delivery *d)
{
	if (pool->free_count == POOL_FREE_MAX) {
		free(d);
		return;
	}
	d->next_free = pool->free;
	pool->free = d;
	pool->free_count++;
}

void delivery_pool_fini(struct delivery_pool *pool)
{
	struct delivery *d;

	while ((d = pool->free)) {
		pool->free = d->next_free;
		free(d);
	}
	pool->free_count = 0;
}

bool delivery_older(const struct heap_node *a, const struct heap_node *b)
{
	return list_entry(a, struct delivery, node)->order <
	       list_entry(b, struct delivery, node)->order;
}
