/*
 * stackpool.h - stacks that nobody uses now, kept for the next goroutine.
 *
 * They keep their first page and their guard: on their processor's list, the warmest first, and past
 * FREE_MAX on a global one. Taking one from there makes no system call, and from the former touches no
 * lock. What they hold in deep pages is given back in the background, and so are those that nobody
 * needed for a while.
 *
 * A processor also keeps *promises* (stack.h): go() takes one for the goroutine that it starts, where
 * it can still fail, and so the goroutine finds a stack when it begins to run.
 */
#ifndef CHAND_RUNTIME_STACKPOOL_H
#define CHAND_RUNTIME_STACKPOOL_H

#include "server/runtime/goroutine.h"

struct processor;

/* Stacks, and promises, that a processor keeps for itself; half of them move at once. */
enum { FREE_MAX = 64 };

/* What belongs to one processor. */
struct stack_pool {
	struct go_queue free; /* last in, first out */
	uint32_t promises;
	uint32_t trim_epoch; /* of the last trim of `free` */
};

/* How many stacks may be kept, beside those that goroutines have, by `procs` processors together. */
uint32_t stack_pool_keeps_max(int procs);

/* One promise for p, or for a thread without a processor (NULL). 0; -EAGAIN and -ENOMEM as
 * stack_promise. */
int stack_pool_promise(struct processor *p);

/* A goroutine has ended on p: its promise is there for another. */
void stack_pool_promise_back(struct processor *p);

/* A stack, guarded; of its struct goroutine only `slot` means anything. The promise is the caller's. */
struct goroutine *stack_pool_take(struct processor *p);

/* g's stack is free. */
void stack_pool_put(struct processor *p, struct goroutine *g);

/* Called now and then, by sysmon: gives memory back. Processors see to what they keep themselves when
 * they next call stack_pool_trim_own. */
void stack_pool_trim(void);
void stack_pool_trim_own(struct processor *p);

/* Puts on the global list what idle processors keep, which they do not see to: before a stack_pool_trim
 * that finds it there. */
void stack_pool_collect(void);

/* Forgets everything, when a run has ended. */
void stack_pool_reset(void);

#endif
