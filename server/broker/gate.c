/*
 * gate.c - a counter, and a channel of tokens for those that found it too high.
 *
 * No wake-up is lost: who waits first says so (waiting) and then reads the counter; who leaves
 * first lowers the counter and then reads waiting. So one of the two sees the other. A token that
 * is not for anybody any more only has somebody look once more.
 *
 * Who enters while memory is free is not counted, and passes a token on all the same when it leaves:
 * it may have been woken by one while others waited, and the token tells it of all that its giver saw.
 */
#include "server/broker/gate.h"

#include "server/base/clock.h"
#include "server/base/memory.h"
#include "server/channel/hchan.h"
#include <errno.h>

int gate_init(struct gate *g, unsigned int max)
{
	g->max = max;
	atomic_init(&g->inside, 0);
	atomic_init(&g->waiting, 0);
	g->wakeups = hchan_make(char, max);
	return g->wakeups ? 0 : -ENOMEM;
}

static bool is_open(void)
{
	return memory_level() == MEMORY_FREE;
}

/* Enters and is counted, if there is room. The counter never counts one who does not get in: he would
 * keep others out whose tokens are spent. */
static bool try_enter(struct gate *g)
{
	unsigned int inside = atomic_load(&g->inside);

	do {
		if (inside >= g->max)
			return false;
	} while (!atomic_compare_exchange_weak(&g->inside, &inside, inside + 1));
	return true;
}

static bool wait_to_enter(struct gate *g)
{
	bool counted = false;
	char token;

	atomic_fetch_add(&g->waiting, 1);
	while (!is_open() && !(counted = try_enter(g))) {
		memory_look(clock_now_ns());
		hchan_recv(g->wakeups, &token);
	}
	atomic_fetch_sub(&g->waiting, 1);
	return counted;
}

bool gate_enter(struct gate *g)
{
	if (is_open())
		return false;
	return try_enter(g) || wait_to_enter(g);
}

void gate_leave(struct gate *g, bool counted)
{
	if (counted)
		atomic_fetch_sub(&g->inside, 1);
	if (atomic_load(&g->waiting))
		hchan_try_send(g->wakeups, &(char){0});
}
