#include "server/runtime/note.h"

#include "server/base/clock.h"
#include "server/runtime/sanitizer.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void note_clear(struct note *n)
{
	atomic_store_explicit(&n->woken, 0, memory_order_relaxed);
}

void note_wake(struct note *n)
{
	atomic_store_explicit(&n->woken, 1, memory_order_release);
	syscall(SYS_futex, &n->woken, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void note_sleep(struct note *n)
{
	while (atomic_load_explicit(&n->woken, memory_order_acquire) == 0)
		if (syscall(SYS_futex, &n->woken, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) < 0)
			sanitizer_signals();
}

bool note_sleep_for(struct note *n, int64_t span_ns)
{
	int64_t end_ns = clock_deadline_ns(span_ns);

	while (atomic_load_explicit(&n->woken, memory_order_acquire) == 0) {
		int64_t left_ns = end_ns - clock_now_ns();
		struct timespec ts = {left_ns / NS_PER_S, left_ns % NS_PER_S};

		if (left_ns <= 0)
			return false;
		if (syscall(SYS_futex, &n->woken, FUTEX_WAIT_PRIVATE, 0, &ts, NULL, 0) < 0)
			sanitizer_signals();
	}
	return true;
}
