/*
 * context.h - switch from one stack to another.
 *
 * Saved are the stack pointer, the frame pointer and where to go on; all other registers the compiler
 * is told to be lost, so that it saves those that hold something. Not saved are the floating-point
 * control words (mxcsr, x87, fpcr): they belong to the thread. Code that changes rounding or masks
 * restores them before it may park.
 *
 * The switch is in line, and leaves by a jump. A processor guesses where a return goes by the calls
 * that it has seen: after a switch by call and return, or by call and jump, every return up to the
 * goroutine's own code was guessed wrong, 4 ns each.
 */
#ifndef CHAND_RUNTIME_CONTEXT_H
#define CHAND_RUNTIME_CONTEXT_H

#include "server/runtime/sanitizer.h"

#include <stdint.h>

/* Of a stack that is not running; chand-gdb.py knows the first three. */
struct context {
	void *sp;
	void *frame; /* rbp, x29 */
	void *pc;
	struct sanitizer_stack sanitizer;
};

/* In context_<arch>.S: where a new stack begins; calls goroutine_main with its stack pointer, and
 * when that returns goroutine_end, which does not. Its own return address is zero: backtraces end
 * here. */
void context_begin(void);
void goroutine_main(void *birth);
void goroutine_end(void);

/* Saves here, and goes on at `to`. */
static inline __attribute__((always_inline)) void context_swap(struct context *from, struct context *to)
{
#if defined(__x86_64__)
	__asm__ volatile("leaq	1f(%%rip), %%rax\n\t"
			 "movq	%%rsp, 0(%%rdi)\n\t"
			 "movq	%%rbp, 8(%%rdi)\n\t"
			 "movq	%%rax, 16(%%rdi)\n\t"
			 "movq	0(%%rsi), %%rsp\n\t"
			 "movq	8(%%rsi), %%rbp\n\t"
			 "jmp	*16(%%rsi)\n"
			 "1:"
			 : "+D"(from), "+S"(to)
			 :
			 : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13",
			 "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
			 "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
			 "xmm15", "memory", "cc");
#elif defined(__aarch64__)
	register struct context *x0 __asm__("x0") = from;
	register struct context *x1 __asm__("x1") = to;

	__asm__ volatile("adr	x9, 1f\n\t"
			 "mov	x10, sp\n\t"
			 "stp	x10, x29, [x0]\n\t"
			 "str	x9, [x0, #16]\n\t"
			 "ldp	x10, x29, [x1]\n\t"
			 "ldr	x16, [x1, #16]\n\t"
			 "mov	sp, x10\n\t"
			 "br	x16\n"
			 "1:"
			 : "+r"(x0), "+r"(x1)
			 :
			 : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",
			 "x13", "x14", "x15", "x16", "x17", "x19", "x20", "x21", "x22", "x23",
			 "x24", "x25", "x26", "x27", "x28", "x30", "v0", "v1", "v2", "v3", "v4",
			 "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",
			 "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25",
			 "v26", "v27", "v28", "v29", "v30", "v31", "memory", "cc");
#endif
}

/* Prepares `c` so that the first switch to it calls goroutine_main(top) on the stack that ends below
 * `top`, which is aligned to 16. */
static inline void context_init(struct context *c, void *top)
{
	__atomic_store_n(&c->sp, top, __ATOMIC_RELAXED); /* see goroutine_prefetch_frames */
	c->frame = NULL;
	c->pc = (void *)context_begin;
}

/* Leaves `from`, goes on at `to`; returns when someone switches back. `last` says that nobody will. */
static SANITIZER_SWITCH_ATTRIBUTES void context_switch(struct context *from, struct context *to, bool last)
{
	SANITIZER_BEFORE_SWITCH(&from->sanitizer, &to->sanitizer, last);
	context_swap(from, to);
	SANITIZER_AFTER_SWITCH(&from->sanitizer);
}

#endif
