/*
 * runtime.h - goroutines: run, park, ready, yield, sleep, block. The face of this layer, with go.h
 * (starting one), netpoll.h (descriptors) and timer.h.
 *
 * A goroutine runs on any of `procs` threads, one at a time, and may change its thread whenever it
 * parks. Hence:
 *   - keep no address of a thread-local across anything here that may park;
 *   - read errno before it: it does not survive (and see errno.h);
 *   - hold no struct lock across it (--enable-debug checks).
 *
 * Preemption is cooperative: a goroutine runs until it parks, yields, blocks or ends. Long
 * computations call go_yield() now and then; calls that block in the kernel stand between
 * blocking_enter() and blocking_exit().
 *
 * Except where said otherwise, these functions are called from goroutines only.
 */
#ifndef CHAND_RUNTIME_RUNTIME_H
#define CHAND_RUNTIME_RUNTIME_H

#include "server/base/clock.h"
#include "server/base/lock.h"
#include "server/runtime/errno.h"
#include "server/runtime/go.h"
#include "server/runtime/goroutine.h"
#include "server/runtime/wait_reason.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdnoreturn.h>

/* How the page below a stack is made to fault. */
enum go_guards {
	GO_GUARDS_AUTO,     /* the first that works */
	GO_GUARDS_MADVISE,  /* MADV_GUARD_INSTALL (Linux 6.13): every stack, for good */
	GO_GUARDS_MPROTECT, /* a mapping each, so a bounded number: kept under stacks that run */
};

/* Zero in a field means its default. */
struct go_options {
	/* Processors: how many goroutines run at once. Default: $CHAND_PROCS, or the CPUs this
	 * process may use. At most GO_PROCS_MAX. */
	int procs;
	/* Address space of a stack, a power of two from 16 KiB to 1 MiB; a page more guards it. Default
	 * 64 KiB (256 KiB under a sanitizer). Only touched pages take memory. */
	size_t stack_bytes;
	/* Goroutines alive at once: so many there can be, and at the most 64 a processor more.
	 * Default GO_GOROUTINES_MAX, at most GO_GOROUTINES_LIMIT. */
	uint32_t goroutines_max;
	/* Of the random choices (whom to steal from, go_random_*). Default: $CHAND_SCHED_SEED, or from
	 * the kernel. A seed given either way also shuffles scheduling on purpose, for tests. */
	uint64_t seed;
	enum go_guards guards;
	/* Guards kept at once with GO_GUARDS_MPROTECT. Default: what vm.max_map_count leaves. */
	uint32_t guards_max;
	/* SIGQUIT prints every goroutine to stderr, and the program keeps running. */
	bool dump_on_sigquit;
};

enum { GO_PROCS_MAX = 256 };

/* 137 GiB of address space at the default stack, 8 GiB of memory if each is one page. */
#define GO_GOROUTINES_MAX (UINT32_C(1) << 21)

/* The address space holds no more stacks of the default size; and their numbers are 32 bits wide. */
#define GO_GOROUTINES_LIMIT (UINT32_C(1) << 31)

/*
 * Runs main_fn(arg) as goroutine 1 and returns its result as soon as it returns; other goroutines are
 * not waited for: they never run again. Their stacks are freed without unwinding, so what they alone
 * own is lost, as at the end of a Go program. The calling thread sleeps meanwhile.
 *
 * Not from a goroutine. May be called again after it returned, one call at a time. Should a goroutine
 * block in the kernel for 100 ms more, or compute for 2 s without a scheduling point, its thread is
 * left alone and go_run returns all the same; the program is then to exit, and a further go_run
 * returns -EBUSY.
 *
 * -EINVAL  an option is out of range		-ENOMEM, -EAGAIN  no memory, no thread
 * A main_fn that wants to tell its results from these returns none that is negative.
 */
#define go_run(options, main_fn, arg)                                                               \
	({                                                                                          \
		static const struct go_site go_site_ = {__FILE__, __func__, #main_fn, __LINE__};    \
		go_run_at(&go_site_, options, main_fn, arg);                                        \
	})
int go_run_at(const struct go_site *site, const struct go_options *options, int (*main_fn)(void *),
	void *arg);

/* The goroutine that runs, NULL on a thread that runs none. */
struct goroutine *go_self(void);

/* Its number, from 1, never reused within a run; 0 outside of goroutines. */
uint64_t go_id(void);

/* How many processors the run has. */
int go_procs(void);

/* How many goroutines are alive (from any thread; a moment's estimate while others start). */
uint32_t go_count(void);

/* Lets others run; the caller goes to the end of the queue. */
void go_yield(void);

/*
 * What the caller does next computes for long (half a millisecond or more) without a scheduling point:
 * an idle processor is woken, to take who waits behind the caller and to look at sockets meanwhile.
 * It costs a few microseconds where one is idle.
 */
void go_takes_long(void);

/* Sleeps until that point of the monotonic clock; yields if it is past, and never returns if it is
 * DEADLINE_NEVER. */
void go_sleep_until(int64_t deadline_ns);
void go_sleep(int64_t span_ns);

/* ---- Parking: what every waiting in the daemon is made of ---- */

/*
 * Puts the caller to sleep until someone calls go_ready on it, exactly once for each park.
 *
 * `unlock(g, arg)` runs after the goroutine has left its stack, so that a waker that acts from then
 * on finds it parked: release there whatever kept the waker from finding g. If it returns false,
 * the goroutine goes on at once. It runs on a stack that is not g's, on the same thread, and must
 * not park. NULL stands for a function that returns true.
 *
 * Set go_self()->wait_object before, if there is one to show.
 */
void go_park(bool (*unlock)(struct goroutine *g, void *arg), void *arg, enum wait_reason reason);

/* The usual one: the lock guards the place where the waker will find the caller; it is released. */
void go_park_unlock(struct lock *lock, enum wait_reason reason);

/*
 * Makes a parked goroutine runnable: next on this processor, ahead of its queue. g may already run
 * when this returns. Callable from goroutines, from timers' functions and from netpoll's; not while
 * holding LOCK_RANK_STACK or inner. Call it after the release of your own lock.
 */
void go_ready(struct goroutine *g);

/* The same for a whole batch, in its order, at the end of the queue. go_ready_sooner adds one to its
 * beginning; it is then to be handed to go_ready_all, and is empty afterwards. */
void go_ready_sooner(struct go_queue *batch, struct goroutine *g);
void go_ready_all(struct go_queue *batch);

/* ---- Calls that block in the kernel ---- */

/*
 * Between these the caller's thread may block (files, name lookups); its processor goes to another
 * thread meanwhile, at once if goroutines wait for it, and within 20 us to 10 ms else. Nothing of
 * this header and no channel may be used in between, and they do not nest. errno survives
 * blocking_exit.
 */
void blocking_enter(void);
void blocking_exit(void);

/* ---- The goroutine's own things ---- */

/*
 * The processor that runs the caller, a number below GO_PROCS_MAX; -1 on a thread that has none. Until the
 * caller parks, yields or lets its thread block no other goroutine runs there: what is kept by this
 * number needs no lock so long.
 */
int go_processor(void);

/* A pointer of the program's own that goes with the caller's goroutine; NULL at its start. */
void *go_user(void);
void go_set_user(void *user);

/* A word or two that dumps show with the caller; the text must stay valid while it lives. */
void go_set_label(const char *label);

/* Random bits from the processor's generator, which the seed fixes: one seed and one processor give
 * one order. Not for secrets. */
uint32_t go_random_u32(void);
/* Uniform below n; n > 0. */
uint32_t go_random_below(uint32_t n);

/* ---- Seeing inside, and the end ---- */

/*
 * Writes every goroutine to fd: `goroutine 7 [chan receive, 3 minutes]:`, then where it was created,
 * an empty line between two. Callable from a signal handler and from any thread; takes no lock,
 * so that states may be a moment old.
 */
void go_dump_all(int fd);

/* `panic: MESSAGE`, the calling goroutine's block, exit status 2: what Go does for the misuse of a
 * channel. stdio is flushed. */
noreturn void go_panic(const char *message);

/* `fatal error: MESSAGE`, every goroutine's block, exit status 2. stdio is flushed. */
noreturn void go_fatal(const char *message);

#endif
