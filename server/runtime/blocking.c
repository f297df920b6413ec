/*
 * blocking.c - calls that block in the kernel.
 *
 * The processor is given up at once. Keeping it for the case that the call is short, and letting
 * sysmon take it away, would spare a futex call and cost the others up to a tick of waiting; what is
 * meant to block here (files, name lookups) is not short.
 */
#include "config.h"

#include "server/runtime/sched.h"

#include <errno.h>

void blocking_enter(void)
{
	struct machine *m = this_machine();
	struct processor *p = m->p;

	atomic_store_explicit(&m->curg->state, G_BLOCKING, memory_order_relaxed);
	m->p = NULL;
	atomic_fetch_add_explicit(&sched.blocking_count, 1, memory_order_relaxed);
	hand_off_processor(p);
}

void blocking_exit(void)
{
	int saved_errno = errno;
	struct machine *m = this_machine();
	struct goroutine *g = m->curg;

	atomic_fetch_sub_explicit(&sched.blocking_count, 1, memory_order_relaxed);
	m->p = take_idle_processor();
	if (m->p)
		atomic_store_explicit(&g->state, G_RUNNING, memory_order_relaxed);
	else
		switch_away(m, AFTER_QUEUE);
	errno = saved_errno;
}
