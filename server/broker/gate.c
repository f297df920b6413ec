/*
 * gate.c - a counter, and a channel of tokens for those that found it too high.
 *
 * No wake-up is lost: who waits first says so (waiting) and then reads the counter; who leaves
 * first lowers the counter and then reads waiting. So one of the two sees the other. A token that
 * is not for anybody any more only has somebody look once more.
 */
#include "server/broker/gate.h"

#include "server/base/clock.h"
#include "server/base/memory.h"
#include "server/channel/hchan.h"
#include <errno.h>
#include <stdbool.h>

int gate_init(struct gate *g, unsigned int max)
{
	g->max = max;
	atomic_init(&g->inside, 0);
	atomic_init(&g->waiting, 0);
	g->wakeups = hchan_make(char, max);
	return g->wakeups ? 0 : -ENOMEM;
}

/* Enters if there is room. The counter never counts one who does not get in: he would keep others
 * out whose tokens are spent. */
static bool try_enter(struct gate *g)
{
	unsigned int inside = atomic_load(&g->inside);

	do {
		if (inside >= g->max && memory_level() != MEMORY_FREE)
			return false;
	} while (!atomic_compare_exchange_weak(&g->inside, &inside, inside + 1));
	return true;
}

void gate_enter(struct gate *g)
{
	char token;

	if (try_enter(g))
		return;
	atomic_fetch_add(&g->waiting, 1);
	while (!try_enter(g)) {
		memory_look(clock_now_ns());
		hchan_recv(g->wakeups, &token);
	}
	atomic_fetch_sub(&g->waiting, 1);
}

void gate_leave(struct gate *g)
{
	atomic_fetch_sub(&g->inside, 1);
	if (atomic_load(&g->waiting))
		hchan_try_send(g->wakeups, &(char){0});
}
