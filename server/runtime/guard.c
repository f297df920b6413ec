/*
 * guard.c - see guard.h.
 *
 * The race is between a thread that starts to run g and one that takes g's guard away. Both are in
 * Dekker's order, all four steps sequentially consistent:
 *
 *	running g: (1) state = G_RUNNING	taking:	(1) guarded = false
 *	           (2) look at guarded		        (2) look at state
 *
 * At least one sees the other. The runner that sees no guard goes to the lock and gets one; the taker
 * that sees a runner puts the flag back and looks further. A goroutine leaves G_RUNNING only after it
 * left its stack, see after_switch() in sched.c.
 */
#include "config.h"

#include "server/runtime/guard.h"

#include "server/base/lock.h"
#include "server/base/panic.h"
#include "server/runtime/sched.h"
#include "server/runtime/stack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* A guard in the middle of a mapping makes two more of it; the rest is left to everyone else. */
enum { MAPPINGS_A_GUARD = 2, GUARDS_DEFAULT_MAX = 30000, GUARDS_LEAST = 16 };

bool guard_cached;

static struct {
	struct lock lock;          /* guards all below and every change of goroutine.guarded */
	uint32_t max;              /* beyond it only when all that stand are under running stacks */
	uint32_t count;            /* owners[0 .. count) */
	uint32_t hand;             /* where the search for a victim goes on */
	struct goroutine **owners; /* max + MACHINES_MAX places */
} guards = {.lock = LOCK_INIT(LOCK_RANK_STACK)};

static uint32_t default_max(void)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	long mappings = 0, max;

	if (f) {
		if (fscanf(f, "%ld", &mappings) != 1)
			mappings = 0;
		fclose(f);
	}
	/* A quarter stays for libraries, allocators and threads. */
	max = mappings / 4 * 3 / MAPPINGS_A_GUARD;
	if (max < GUARDS_LEAST)
		return GUARDS_LEAST;
	return max < GUARDS_DEFAULT_MAX ? (uint32_t)max : GUARDS_DEFAULT_MAX;
}

int guard_init(uint32_t guards_max)
{
	guards.max = guards_max ? guards_max : default_max();
	guards.count = guards.hand = 0;
	guards.owners = calloc(guards.max + MACHINES_MAX, sizeof(struct goroutine *));
	if (!guards.owners)
		return -ENOMEM;
	guard_cached = true;
	return 0;
}

void guard_fini(void)
{
	free(guards.owners);
	guards.owners = NULL;
	guard_cached = false;
}

uint32_t guard_count(void)
{
	uint32_t count;

	lock_acquire(&guards.lock);
	count = guards.count;
	lock_release(&guards.lock);
	return count;
}

/* Takes the guard of place i away unless its owner runs. */
static bool take(uint32_t i)
{
	struct goroutine *victim = guards.owners[i];
	uint8_t state;

	atomic_store(&victim->guarded, false);
	state = atomic_load(&victim->state);
	if (state == G_RUNNING || state == G_BLOCKING) {
		atomic_store(&victim->guarded, true);
		return false;
	}
	if (stack_protect(victim, false) < 0) {
		atomic_store(&victim->guarded, true);
		return false;
	}
	return true;
}

/* A place for a new guard: a free one below max, a victim's, or one above max. */
static uint32_t find_place(void)
{
	if (guards.count < guards.max)
		return guards.count++;
	for (uint32_t tries = 0; tries < guards.count; tries++) {
		uint32_t i = guards.hand;

		guards.hand = (i + 1) % guards.count;
		if (take(i))
			return i;
	}
	check(guards.count < guards.max + MACHINES_MAX);
	return guards.count++;
}

static void own_place(uint32_t i, struct goroutine *g)
{
	guards.owners[i] = g;
	g->guard_place = i;
}

/* The last one moves there. */
static void drop_place(uint32_t i)
{
	own_place(i, guards.owners[--guards.count]);
	if (guards.hand >= guards.count)
		guards.hand = 0;
}

void guard_ensure(struct goroutine *g)
{
	atomic_store(&g->state, G_RUNNING);
	if (atomic_load(&g->guarded))
		return;
	lock_acquire(&guards.lock);
	if (!atomic_load(&g->guarded)) {
		own_place(find_place(), g);
		if (stack_protect(g, true) < 0) {
			/* Someone else used up the mappings: live with what stands, less this one. */
			drop_place(g->guard_place);
			guards.max = guards.count > GUARDS_LEAST ? guards.count : GUARDS_LEAST;
			own_place(find_place(), g);
			check(stack_protect(g, true) == 0);
		}
		atomic_store(&g->guarded, true);
	}
	lock_release(&guards.lock);
}

void guard_forget(struct goroutine *g)
{
	lock_acquire(&guards.lock);
	if (atomic_load(&g->guarded)) {
		drop_place(g->guard_place);
		atomic_store(&g->guarded, false);
		check(stack_protect(g, false) == 0);
	}
	lock_release(&guards.lock);
}
