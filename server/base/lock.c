#include "server/base/lock.h"
#include "server/base/panic.h"
#include "server/base/relax.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Long enough for the few dozen instructions a lock is held, short beside the 2 us of a sleep. */
enum { SPINS = 100 };

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

void lock_init(struct lock *l, enum lock_rank rank)
{
	atomic_init(&l->word, 0);
#ifdef CHAND_DEBUG
	l->rank = rank;
#else
	(void)rank;
#endif
}

void lock_wait(struct lock *l)
{
	for (int i = 0; i < SPINS; i++) {
		uint32_t was = 0;

		if (atomic_load_explicit(&l->word, memory_order_relaxed) == 0 &&
			atomic_compare_exchange_weak_explicit(&l->word, &was, 1,
				memory_order_acquire, memory_order_relaxed))
			return;
		cpu_relax();
	}
	/* From here on we hold it with a 2: whoever releases wakes one more, at worst for nothing. */
	while (atomic_exchange_explicit(&l->word, 2, memory_order_acquire) != 0)
		futex_wait(&l->word, 2);
}

void lock_wake(struct lock *l)
{
	syscall(SYS_futex, &l->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
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
