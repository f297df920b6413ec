#include "server/broker/delivery.h"
#include "server/broker/channel.h"
#include "server/broker/seqmap.h"
#include <stdlib.h>

/* What a burst leaves behind, at most: about 500 kB. */
#define POOL_FREE_MAX 4096u

static struct delivery *pool_take(struct delivery_pool *pool)
{
	struct delivery *d = pool->free;

	pool->free = d->next_free;
	pool->free_count--;
	return d;
}

static void pool_give(struct delivery_pool *pool, struct delivery *d)
{
	d->next_free = pool->free;
	pool->free = d;
	pool->free_count++;
}

/* Makes sure that n more are free. False: out of memory. */
static bool pool_fill(struct delivery_pool *pool, uint32_t n)
{
	struct delivery *d;

	while (pool->free_count < pool->set_aside + n) {
		d = malloc(sizeof(*d));
		if (!d)
			return false;
		pool_give(pool, d);
	}
	return true;
}

static void pool_trim(struct delivery_pool *pool)
{
	while (pool->free_count > pool->set_aside + POOL_FREE_MAX)
		free(pool_take(pool));
}

struct delivery *delivery_new(struct delivery_pool *pool, uint32_t count)
{
	struct delivery *d;

	if (!pool_fill(pool, count))
		return NULL;
	pool->set_aside += count - 1;
	d = pool_take(pool);
	d->count = count;
	return d;
}

void delivery_free(struct delivery_pool *pool, struct delivery *d)
{
	pool->set_aside -= d->count - 1;
	pool_give(pool, d);
	pool_trim(pool);
}

void delivery_shorten(struct delivery_pool *pool, struct delivery *d, uint32_t n)
{
	pool->set_aside -= n;
	d->id += n;
	d->order += n;
	d->value += n;
	d->count -= n;
	pool_trim(pool);
}

void delivery_part(struct delivery_pool *pool, struct delivery *d, struct seqmap *deliveries)
{
	const struct seqmap_entry *entry;
	struct delivery *one;

	if (d->count == 1)
		return;
	entry = seqmap_from(deliveries, d->id);
	for (uint32_t i = 1; i < d->count; i++) {
		pool->set_aside--;
		one = pool_take(pool);
		*one = *d;
		one->count = 1;
		one->id += i;
		one->order += i;
		one->value += i;
		channel_ref(one->channel);
		seqmap_replace(deliveries, entry + i, one);
	}
	d->count = 1;
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

/* Ties are as common as two TAKENs in one batch. Heaps do not decide them; the channels do. */
bool delivery_due(const struct heap_node *a, const struct heap_node *b)
{
	const struct delivery *x = list_entry(a, struct delivery, node);
	const struct delivery *y = list_entry(b, struct delivery, node);

	if (x->due_ns != y->due_ns)
		return x->due_ns < y->due_ns;
	if (x->channel != y->channel)
		return x->channel->id < y->channel->id;
	return delivery_older(a, b);
}
