#include "server/broker/delivery.h"
#include <stdlib.h>

/* What a burst leaves behind, at most: about 500 kB. */
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
	const struct delivery *x = list_entry(a, struct delivery, node);
	const struct delivery *y = list_entry(b, struct delivery, node);

	return x->order != y->order ? x->order < y->order : x->rank < y->rank;
}

bool delivery_due(const struct heap_node *a, const struct heap_node *b)
{
	const struct delivery *x = list_entry(a, struct delivery, node);
	const struct delivery *y = list_entry(b, struct delivery, node);

	return x->due_ns != y->due_ns ? x->due_ns < y->due_ns : x->id < y->id;
}
