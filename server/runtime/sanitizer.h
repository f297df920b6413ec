/*
 * sanitizer.h - tell AddressSanitizer, ThreadSanitizer and Valgrind about our stacks. Nothing
 * otherwise. All that the runtime knows of these tools is here.
 */
#ifndef CHAND_RUNTIME_SANITIZER_H
#define CHAND_RUNTIME_SANITIZER_H

#include "config.h" /* CHAND_VALGRIND */

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZER_ADDRESS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZER_ADDRESS 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define SANITIZER_THREAD 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SANITIZER_THREAD 1
#endif
#endif

#ifdef SANITIZER_ADDRESS
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef SANITIZER_THREAD
#include <sanitizer/tsan_interface.h>
#include <unistd.h>
#endif
#ifdef CHAND_VALGRIND
#include <valgrind/memcheck.h>
#endif

/* Instrumented frames are larger, and the checkers call deeper. */
#if defined(SANITIZER_ADDRESS) || defined(SANITIZER_THREAD)
#define SANITIZER_STACK_FACTOR 4
#else
#define SANITIZER_STACK_FACTOR 1
#endif

/* What the tools keep of one stack. */
struct sanitizer_stack {
#ifdef SANITIZER_ADDRESS
	const void *low;
	size_t bytes;
	void *fake_stack;
#endif
#ifdef SANITIZER_THREAD
	void *fiber;
#endif
#ifdef CHAND_VALGRIND
	unsigned valgrind_id;
#endif
	char nothing[0];
};

/* ThreadSanitizer keeps a signal back until its thread calls something that it intercepts: a thread
 * that was interrupted while it slept in a system call of ours calls sanitizer_signals(), and for
 * that the system call must not be restarted. */
#ifdef SANITIZER_THREAD
#define SANITIZER_SA_RESTART 0
#else
#define SANITIZER_SA_RESTART SA_RESTART
#endif

static inline void sanitizer_signals(void)
{
#ifdef SANITIZER_THREAD
	usleep(0);
#endif
}

/* A thread's own stack: called on it. */
static inline void sanitizer_thread_stack(struct sanitizer_stack *s, const void *low, size_t bytes)
{
	(void)s;
	(void)low;
	(void)bytes;
#ifdef SANITIZER_ADDRESS
	s->low = low;
	s->bytes = bytes;
#endif
#ifdef SANITIZER_THREAD
	s->fiber = __tsan_get_current_fiber();
#endif
}

/* A goroutine's stack gets its memory; it may have been used and returned before. */
static inline void sanitizer_stack_new(struct sanitizer_stack *s, const void *low, size_t bytes)
{
	(void)s;
	(void)low;
	(void)bytes;
#ifdef SANITIZER_ADDRESS
	s->low = low;
	s->bytes = bytes;
#endif
#ifdef CHAND_VALGRIND
	s->valgrind_id = VALGRIND_STACK_REGISTER(low, (const char *)low + bytes);
#endif
}

/* Its memory is given back. */
static inline void sanitizer_stack_gone(struct sanitizer_stack *s)
{
	(void)s;
#ifdef SANITIZER_THREAD
	if (s->fiber)
		__tsan_destroy_fiber(s->fiber);
#endif
#ifdef CHAND_VALGRIND
	VALGRIND_STACK_DEREGISTER(s->valgrind_id);
#endif
}

/* A stack that nobody runs on is used as any memory. */
static inline void sanitizer_stack_as_memory(void *low, size_t bytes)
{
	(void)low;
	(void)bytes;
#ifdef CHAND_VALGRIND
	VALGRIND_MAKE_MEM_UNDEFINED(low, bytes);
#endif
}

/* A goroutine is about to be born on the stack. A fiber costs a megabyte and a system call, so that it
 * stays with its stack from one goroutine to the next. */
static inline void sanitizer_stack_begin(struct sanitizer_stack *s)
{
	(void)s;
#ifdef SANITIZER_THREAD
	if (!s->fiber)
		s->fiber = __tsan_create_fiber(0);
#endif
}

/* It has ended and its stack was left; what its last frames poisoned is clean again. */
static inline void sanitizer_stack_end(struct sanitizer_stack *s)
{
	(void)s;
#ifdef SANITIZER_ADDRESS
	__asan_unpoison_memory_region(s->low, s->bytes);
#endif
}

/*
 * A function that switches, from before the tools are told until after. Not instrumented for
 * ThreadSanitizer: it would count the function as entered on one stack and left on another, and a
 * goroutine's last switch as never left.
 */
#if defined(SANITIZER_THREAD) && defined(__clang__)
#define SANITIZER_END_ATTRIBUTES __attribute__((disable_sanitizer_instrumentation))
#define SANITIZER_SWITCH_ATTRIBUTES SANITIZER_END_ATTRIBUTES __attribute__((noinline, unused))
#elif defined(SANITIZER_THREAD)
#define SANITIZER_END_ATTRIBUTES __attribute__((no_sanitize("thread")))
#define SANITIZER_SWITCH_ATTRIBUTES SANITIZER_END_ATTRIBUTES __attribute__((noinline, unused))
#else
#define SANITIZER_END_ATTRIBUTES
#define SANITIZER_SWITCH_ATTRIBUTES inline
#endif

/* A function that reads what others may write meanwhile, and then looks whether they did. */
#ifdef SANITIZER_THREAD
#define SANITIZER_RACY __attribute__((no_sanitize("thread")))
#else
#define SANITIZER_RACY
#endif

/* Around the switch, inside such a function; `last` says that `from` is not come back to. Macros, for
 * the same reason. */
#if defined(SANITIZER_ADDRESS)
#define SANITIZER_BEFORE_SWITCH(from, to, last)                                                     \
	__sanitizer_start_switch_fiber((last) ? NULL : &(from)->fake_stack, (to)->low, (to)->bytes)
#define SANITIZER_AFTER_SWITCH(self) __sanitizer_finish_switch_fiber((self)->fake_stack, NULL, NULL)
#elif defined(SANITIZER_THREAD)
#define SANITIZER_BEFORE_SWITCH(from, to, last) ((void)(last), __tsan_switch_to_fiber((to)->fiber, 0))
#define SANITIZER_AFTER_SWITCH(self) ((void)0)
#else
#define SANITIZER_BEFORE_SWITCH(from, to, last) ((void)(last))
#define SANITIZER_AFTER_SWITCH(self) ((void)0)
#endif

/* On a new stack there is nothing to restore. */
static inline void sanitizer_first_switch(void)
{
#ifdef SANITIZER_ADDRESS
	__sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
}

/* Stacks may hold the only pointer to what the leak checker would else report. */
static inline void sanitizer_slab_new(const void *base, size_t bytes)
{
	(void)base;
	(void)bytes;
#ifdef SANITIZER_ADDRESS
	__lsan_register_root_region(base, bytes);
#endif
}

static inline void sanitizer_slab_gone(const void *base, size_t bytes)
{
	(void)base;
	(void)bytes;
#ifdef SANITIZER_ADDRESS
	__lsan_unregister_root_region(base, bytes);
	__asan_unpoison_memory_region(base, bytes);
#endif
}

/* Valgrind does not know the system call, and complains each time. */
#ifdef CHAND_VALGRIND
#define SANITIZER_DISLIKES_PROCESS_MADVISE 1
#else
#define SANITIZER_DISLIKES_PROCESS_MADVISE 0
#endif

/* The leak checker reads all of a slab, where a guard that /proc/self/maps does not show kills it. */
#ifdef SANITIZER_ADDRESS
#define SANITIZER_WANTS_MAPPED_GUARDS 1
#else
#define SANITIZER_WANTS_MAPPED_GUARDS 0
#endif

#endif
