/*
 * guard.h - guards for kernels without MADV_GUARD_INSTALL: few, and where they are needed.
 *
 * A guard made by mprotect splits its mapping in two, and vm.max_map_count bounds the mappings of a
 * process: about 32,000 guards by default. But a stack can only overflow while it runs. So guards are
 * a cache: at most `guards_max` stand at once, and a goroutine that is about to run without one takes
 * it from one that does not run, found by a clock hand.
 */
#ifndef CHAND_RUNTIME_GUARD_H
#define CHAND_RUNTIME_GUARD_H

#include "server/runtime/goroutine.h"

/* True where guards are cached; constant during a run. */
extern bool guard_cached;

/* guards_max: 0 for what vm.max_map_count leaves. -ENOMEM. */
int guard_init(uint32_t guards_max);
void guard_fini(void);

/* Slow half of guard_before_run; stores G_RUNNING again, in the order of guard.c. */
void guard_ensure(struct goroutine *g);

/* Called when g is about to run. Costs a load where guards are for good. */
static inline void guard_before_run(struct goroutine *g)
{
	if (__builtin_expect(guard_cached, 0))
		guard_ensure(g);
}

/* g's stack is about to be given back: drops its guard. */
void guard_forget(struct goroutine *g);

/* How many stand: for tests. */
uint32_t guard_count(void);

#endif
