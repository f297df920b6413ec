/*
 * golock.h - a lock among goroutines alone: it costs nothing where one processor runs them, and sees to
 * it that two processors do not fight for it for long (rival.h).
 *
 * A goroutine loses its processor at scheduling points only, and passes none with a lock held but for
 * golock_park, which releases it before anyone else runs. So where there is one processor nobody can be
 * met inside, and nothing needs to be taken. What one thread did there another one sees if the processor
 * went from the one to the other, which takes sched.lock. Timers' functions, the poller, and threads
 * that run no goroutine must stay out. It buys 4.7 ns, a locked instruction, a channel operation.
 */
#ifndef CHAND_RUNTIME_GOLOCK_H
#define CHAND_RUNTIME_GOLOCK_H

#include "server/base/lock.h"
#include "server/runtime/runtime.h"

struct golock {
	struct lock lock;
	/* The processor whose goroutine found it taken last, its index + 1; 0: none. Guarded by lock; of
	 * another run, maybe. */
	uint32_t rival;
};

/* The run has one processor. Constant during a run. */
extern bool go_alone;

/* golock_acquire, when somebody else has it. */
void golock_contend(struct golock *l);

static inline void golock_init(struct golock *l, enum lock_rank rank)
{
	lock_init(&l->lock, rank);
	l->rival = 0;
}

/* Takes it, whatever other locks the caller has. */
static inline void golock_acquire_here(struct golock *l)
{
	if (go_alone)
		lock_note_acquire(&l->lock);
	else
		lock_acquire(&l->lock);
}

/* The same for a caller without any lock, who may be on another thread afterwards. */
static inline void golock_acquire(struct golock *l)
{
	if (go_alone)
		lock_note_acquire(&l->lock);
	else if (__builtin_expect(!lock_try(&l->lock), 0))
		golock_contend(l);
}

static inline void golock_release(struct golock *l)
{
	if (go_alone)
		lock_note_release(&l->lock);
	else
		lock_release(&l->lock);
}

/* go_park_unlock for such a lock. */
static inline void golock_park(struct golock *l, enum wait_reason reason)
{
	if (!go_alone) {
		go_park_unlock(&l->lock, reason);
		return;
	}
	lock_note_release(&l->lock);
	go_park(NULL, NULL, reason);
}

#endif
