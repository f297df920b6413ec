#include "server/broker/traffic.h"
#include "chan/status.h"
#include "server/broker/channel.h"
#include <stdlib.h>

/* What a burst of channels leaves behind, at most: about 400 kB. */
#define POOL_FREE_MAX 2048u

struct channel_traffic traffic_none = {
	.senders.list = LIST_INIT(traffic_none.senders.list),
	.receivers.list = LIST_INIT(traffic_none.receivers.list),
	.aside = LIST_INIT(traffic_none.aside),
	.leased = LIST_INIT(traffic_none.leased),
	.delayed = LIST_INIT(traffic_none.delayed),
	.dead_letter_problem = "",
};

static struct channel_traffic *pool_take(struct traffic_pool *pool)
{
	struct channel_traffic *t = pool->free;

	pool->free = t->next_free;
	pool->free_count--;
	return t;
}

static bool has_own(const struct channel *ch)
{
	return ch->traffic != &traffic_none;
}

int traffic_need(struct traffic_pool *pool, struct channel *ch)
{
	struct channel_traffic *t;

	if (has_own(ch))
		return 0;
	traffic_take_back(pool, ch);
	t = pool->free_count > pool->promised ? pool_take(pool) : malloc(sizeof(*t));
	if (!t)
		return CHAN_ENOMEM;
	*t = traffic_none;
	waitq_init(&t->senders);
	waitq_init(&t->receivers);
	list_init(&t->aside);
	list_init(&t->leased);
	list_init(&t->delayed);
	ch->traffic = t;
	return 0;
}

int traffic_promise(struct traffic_pool *pool, struct channel *ch)
{
	struct channel_traffic *t;

	if (has_own(ch) || ch->promised)
		return 0;
	if (pool->free_count == pool->promised) {
		t = malloc(sizeof(*t));
		if (!t)
			return CHAN_ENOMEM;
		t->next_free = pool->free;
		pool->free = t;
		pool->free_count++;
	}
	pool->promised++;
	ch->promised = true;
	return 0;
}

/* What is free beyond promises grows by one at most. */
void traffic_take_back(struct traffic_pool *pool, struct channel *ch)
{
	if (!ch->promised)
		return;
	ch->promised = false;
	pool->promised--;
	if (pool->free_count > pool->promised + POOL_FREE_MAX)
		free(pool_take(pool));
}

void traffic_fini(struct channel *ch)
{
	if (has_own(ch))
		free(ch->traffic);
}

void traffic_pool_fini(struct traffic_pool *pool)
{
	while (pool->free)
		free(pool_take(pool));
	pool->promised = 0;
}
