/*
 * stackpool.h - stacks that nobody uses now, kept for the next goroutine.
 *
 * They keep their first page and their guard: on their processor's list, the warmest first, and past
 * FREE_MAX on a global one. Taking one from there makes no system call, and from the former touches no
 * lock. sysmon looks at them once a second: what they hold in deep pages is given back to the system, and
 * so are, altogether, those on the global list that nobody needed since it looked last. When all has been
 * idle for 100 ms it gives back all but FREE_MAX.
 *
 * A processor also keeps *promises* (stack.h): go() takes one for the goroutine that it starts, where
 * it can still fail, and so the goroutine finds a stack when it begins to run.
 */
#ifndef CHAND_RUNTIME_STACKPOOL_H
#define CHAND_RUNTIME_STACKPOOL_H

#include "server/runtime/goroutine.h"

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

/* One promise from a processor's pool, or for a thread without one (NULL). 0; -EAGAIN and -ENOMEM as
 * stack_promise. */
static inline int stack_pool_promise(struct stack_pool *pool);

/* A goroutine of that processor has ended: its promise is there for another. */
static inline void stack_pool_promise_back(struct stack_pool *pool);

/* A stack, guarded; of its struct goroutine only `slot` means anything. The promise is the caller's. */
static inline struct goroutine *stack_pool_take(struct stack_pool *pool);

/* g's stack is free. */
static inline void stack_pool_put(struct stack_pool *pool, struct goroutine *g);

/* Called now and then, by sysmon: gives memory back. Processors see to what they keep themselves when
 * they next call stack_pool_trim_own. */
void stack_pool_trim(void);
void stack_pool_trim_own(struct stack_pool *pool);

/* When nothing runs: gives back some of what is more than FREE_MAX, and what the others hold in deep
 * pages; also of what idle processors keep, which they do not see to. False when there is no more to be
 * done. */
bool stack_pool_shrink(void);

/* Forgets everything, when a run has ended. */
void stack_pool_reset(void);

/* ---- Inline: every start and every end go through these. ---- */

/* With the global list and its lock. */
int stack_pool_promise_global(struct stack_pool *pool);
void stack_pool_promises_back_global(struct stack_pool *pool);
struct goroutine *stack_pool_take_global(struct stack_pool *pool);
void stack_pool_put_global(struct stack_pool *pool);

static inline int stack_pool_promise(struct stack_pool *pool)
{
	if (!pool || pool->promises == 0)
		return stack_pool_promise_global(pool);
	pool->promises--;
	return 0;
}

static inline void stack_pool_promise_back(struct stack_pool *pool)
{
	if (++pool->promises == FREE_MAX)
		stack_pool_promises_back_global(pool);
}

static inline struct goroutine *stack_pool_take(struct stack_pool *pool)
{
	struct goroutine *g = pool ? go_queue_pop(&pool->free) : NULL;

	return g ? g : stack_pool_take_global(pool);
}

/* Before all others: the warmest is taken first. */
static inline void stack_pool_push(struct go_queue *q, struct goroutine *g)
{
	g->link = q->head;
	q->head = g;
	if (!q->tail)
		q->tail = g;
	q->count++;
}

static inline void stack_pool_put(struct stack_pool *pool, struct goroutine *g)
{
	stack_pool_push(&pool->free, g);
	if (pool->free.count == FREE_MAX)
		stack_pool_put_global(pool);
}

#endif
