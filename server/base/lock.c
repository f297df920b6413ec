/*
 * lock.c - see lock.h.
 *
 * Who sleeps is counted for all locks together, as the lock itself may be gone once it is free. The
 * release and the sleeper are in Dekker's order:
 *
 *	release: (1) word = 0				sleeper: (1) lock_sleepers + 1
 *		 (2) look at lock_sleepers			 (2) look at word, in the kernel
 *
 * Both steps of the sleeper are far apart and rare, both of the release are one after the other on every
 * path there is. So the fence between the latter is laid by the sleeper (fence.h). Either the release looks
 * after that, and sees the sleeper, or its store was before that, and the kernel sees it.
 *
 * Where there is no membarrier the sleeper looks again after NAP_NS.
 */
#include "server/base/lock.h"

#include "server/base/clock.h"
#include "server/base/fence.h"
#include "server/base/panic.h"
#include "server/base/relax.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Long enough for the few dozen instructions a lock is held, short beside the 2 us of a sleep. */
enum { SPINS = 100 };

#define NAP_NS NS_PER_MS

_Alignas(64) _Atomic uint32_t lock_sleepers;

void lock_init(struct lock *l, enum lock_rank rank)
{
	atomic_init(&l->word, 0);
#ifdef CHAND_DEBUG
	l->rank = rank;
#else
	(void)rank;
#endif
}

static bool take(struct lock *l)
{
	uint32_t was = 0;

	return atomic_load_explicit(&l->word, memory_order_relaxed) == 0 &&
		atomic_compare_exchange_strong_explicit(
			&l->word, &was, 1, memory_order_acquire, memory_order_relaxed);
}

static void wait_asleep(struct lock *l)
{
	const struct timespec nap = {.tv_nsec = NAP_NS}, *limit = &nap;

	atomic_fetch_add(&lock_sleepers, 1);
	if (fence_all_threads())
		limit = NULL;
	while (!take(l))
		syscall(SYS_futex, &l->word, FUTEX_WAIT_PRIVATE, 1, limit, NULL, 0);
	atomic_fetch_sub(&lock_sleepers, 1);
}

/* These two are not inlined, also not across files: glibc lets compilers keep the address of a thread's
 * errno for a whole function, and a goroutine that locks twice may go on by another thread. */
__attribute__((noinline)) void lock_wait(struct lock *l)
{
	int saved_errno = errno;

	for (int i = 0; i < SPINS; i++) {
		if (take(l))
			return;
		cpu_relax();
	}
	wait_asleep(l);
	errno = saved_errno;
}

__attribute__((noinline)) void lock_wake(struct lock *l)
{
	int saved_errno = errno;

	syscall(SYS_futex, &l->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	errno = saved_errno;
}

#ifdef CHAND_DEBUG

/* Deep enough for a select over many channels beside the runtime's own. */
enum { HELD_MAX = 1024 };

static _Thread_local struct {
	int count;
	struct lock *locks[HELD_MAX];
} held;

/* Out of line: a goroutine that parks resumes on another thread, and must not keep the address of
 * the old one's list. */
__attribute__((noinline)) int lock_held_count(void)
{
	__asm__ volatile("" ::: "memory");
	return held.count;
}

__attribute__((noinline)) void lock_note_acquire(struct lock *l)
{
	if (held.count == HELD_MAX)
		panic("a thread holds more than %d locks", HELD_MAX);
	if (held.count > 0) {
		struct lock *top = held.locks[held.count - 1];

		if (l->rank < top->rank)
			panic("lock of rank %d taken under rank %d", l->rank, top->rank);
		if (l->rank == top->rank && (l->rank != LOCK_RANK_HCHAN || l <= top))
			panic("two locks of rank %d out of order", l->rank);
	}
	held.locks[held.count++] = l;
}

__attribute__((noinline)) void lock_note_release(struct lock *l)
{
	int i = held.count;

	while (i > 0 && held.locks[i - 1] != l)
		i--;
	if (i == 0)
		panic("lock of rank %d released by a thread that does not hold it", l->rank);
	for (; i < held.count; i++)
		held.locks[i - 1] = held.locks[i];
	held.count--;
}

#else

int lock_held_count(void)
{
	return 0;
}

#endif
