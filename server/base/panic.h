/*
 * panic.h - the end of a program whose own invariant is broken.
 *
 * Only for what a correct program cannot do. Whatever a client, the network, a disk or the allocator
 * can cause is a returned error instead.
 */
#ifndef CHAND_BASE_PANIC_H
#define CHAND_BASE_PANIC_H

#include "config.h" /* CHAND_DEBUG */

#include <stdnoreturn.h>

/*
 * Writes `panic: file:line: MESSAGE` to stderr, calls the hook (the runtime's prints every
 * goroutine) and aborts. Callable from anywhere; a panic inside the hook aborts at once.
 */
#define panic(...) panic_at(__FILE__, __LINE__, __VA_ARGS__)

/* An invariant that is cheap enough to be checked always. */
#define check(condition)                                                                            \
	do {                                                                                        \
		if (__builtin_expect(!(condition), 0))                                              \
			panic("broken invariant: %s", #condition);                                  \
	} while (0)

/* One that is checked with --enable-debug only; not evaluated otherwise. */
#ifdef CHAND_DEBUG
#define debug_check(condition) check(condition)
#else
#define debug_check(condition) ((void)sizeof(!(condition)))
#endif

noreturn void panic_at(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4), cold));

/* Sets what panic calls before it aborts; NULL for nothing. It must not allocate or lock. */
void panic_set_hook(void (*hook)(void));

#endif
