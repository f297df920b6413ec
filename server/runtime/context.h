/*
 * context.h - switch from one stack to another.
 *
 * Saved are the registers that a C function must preserve, on the stack that is left. Not saved are the
 * floating-point control words (mxcsr, x87, fpcr): they belong to the thread. Code that changes
 * rounding or masks restores them before it may park.
 */
#ifndef CHAND_RUNTIME_CONTEXT_H
#define CHAND_RUNTIME_CONTEXT_H

#include "server/runtime/sanitizer.h"

#include <stdint.h>

struct context {
	void *sp; /* of a stack that is not running; its saved registers lie there */
	struct sanitizer_stack sanitizer;
};

/* In context_<arch>.S: saves here, leaves its stack pointer in *save_sp, and goes on at `sp`. */
void context_swap(void **save_sp, void *sp);

/* In context_<arch>.S: where a new stack begins; calls goroutine_main with what context_init saved, and
 * when that returns goroutine_end, which does not. Its own return address is zero: backtraces end
 * here. */
void context_begin(void);
void goroutine_main(void *birth);
void goroutine_end(void);

/* Words at a saved stack pointer, lowest first; context_<arch>.S has the same order. */
enum {
#if defined(__x86_64__)
	CONTEXT_WORD_ARG = 0, /* r15 */
	CONTEXT_WORD_PC = 6,
	CONTEXT_WORDS = 8, /* the last is the zero return address */
#elif defined(__aarch64__)
	CONTEXT_WORD_ARG = 0, /* x19 */
	CONTEXT_WORD_PC = 11, /* x30 */
	CONTEXT_WORDS = 20,
#endif
};

/* Prepares `c` so that the first switch to it calls goroutine_main(arg) on the stack that ends
 * below `top`, which is aligned to 16. */
static inline void context_init(struct context *c, void *top, void *arg)
{
	uintptr_t *words = (uintptr_t *)top - CONTEXT_WORDS;

	for (int i = 0; i < CONTEXT_WORDS; i++)
		words[i] = 0;
	words[CONTEXT_WORD_ARG] = (uintptr_t)arg;
	words[CONTEXT_WORD_PC] = (uintptr_t)context_begin;
	c->sp = words;
}

/* Leaves `from`, goes on at `to`; returns when someone switches back. `last` says that nobody will. */
static SANITIZER_SWITCH_ATTRIBUTES void context_switch(struct context *from, struct context *to, bool last)
{
	SANITIZER_BEFORE_SWITCH(&from->sanitizer, &to->sanitizer, last);
	context_swap(&from->sp, to->sp);
	SANITIZER_AFTER_SWITCH(&from->sanitizer);
}

#endif
