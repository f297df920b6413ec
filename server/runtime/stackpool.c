#include "config.h"

#include "server/runtime/stackpool.h"

#include "server/runtime/sched.h"
#include "server/runtime/stack.h"

static struct {
	struct lock lock; /* guards all below */
	struct go_queue queue;
	size_t count_min; /* the least that stood here since the last trim: nobody needed those */
	uint32_t promises;
	_Atomic uint32_t trim_epoch;
} pool = {.lock = LOCK_INIT(LOCK_RANK_STACK)};

uint32_t stack_pool_keeps_max(int procs)
{
	/* A processor: its list, a nursery that is still open, another whose last newborn just begins.
	 * And what stack_pool_trim has in its hands. */
	return (uint32_t)procs * (FREE_MAX + 2) + FREE_MAX;
}

/* ---- Promises ---- */

/* Takes up to n that came back. */
static uint32_t take_promises(uint32_t n)
{
	lock_acquire(&pool.lock);
	if (n > pool.promises)
		n = pool.promises;
	pool.promises -= n;
	lock_release(&pool.lock);
	return n;
}

static __attribute__((noinline)) int get_promises(struct processor *p)
{
	uint32_t n = p ? FREE_MAX / 2 : 1;
	int got = (int)take_promises(n);

	if (got == 0)
		got = stack_promise(n);
	if (got < 0)
		return got;
	if (p)
		p->stacks.promises = (uint32_t)got - 1;
	return 0;
}

int stack_pool_promise(struct processor *p)
{
	if (!p || p->stacks.promises == 0)
		return get_promises(p);
	p->stacks.promises--;
	return 0;
}

void stack_pool_promise_back(struct processor *p)
{
	if (++p->stacks.promises < FREE_MAX)
		return;
	p->stacks.promises -= FREE_MAX / 2;
	lock_acquire(&pool.lock);
	pool.promises += FREE_MAX / 2;
	lock_release(&pool.lock);
}

/* ---- Taking and putting ---- */

static void push_warm(struct go_queue *q, struct goroutine *g)
{
	g->link = q->head;
	q->head = g;
	if (!q->tail)
		q->tail = g;
	q->count++;
}

/* Moves up to n from one list to another. */
static void move(struct go_queue *to, struct go_queue *from, uint32_t n)
{
	struct goroutine *g;

	while (n-- > 0 && (g = go_queue_pop(from)))
		push_warm(to, g);
}

/* After some were taken off the global list, with its lock. */
static void note_least(void)
{
	if (pool.queue.count < pool.count_min)
		pool.count_min = pool.queue.count;
}

/* The lock is taken even where the list looks empty: that it is, is what stack_take relies on. */
static __attribute__((noinline)) struct goroutine *take_global(struct processor *p)
{
	struct goroutine *g;

	lock_acquire(&pool.lock);
	if (p)
		move(&p->stacks.free, &pool.queue, FREE_MAX / 2);
	g = go_queue_pop(p ? &p->stacks.free : &pool.queue);
	note_least();
	lock_release(&pool.lock);
	return g;
}

struct goroutine *stack_pool_take(struct processor *p)
{
	struct goroutine *g = p ? go_queue_pop(&p->stacks.free) : NULL;

	if (!g)
		g = take_global(p);
	return g ? g : stack_take();
}

void stack_pool_put(struct processor *p, struct goroutine *g)
{
	push_warm(&p->stacks.free, g);
	if (p->stacks.free.count < FREE_MAX)
		return;
	lock_acquire(&pool.lock);
	move(&pool.queue, &p->stacks.free, FREE_MAX / 2);
	lock_release(&pool.lock);
}

/* ---- Giving back ---- */

/* Trims those of q that were used since their last trim. */
static void trim_queue(struct go_queue *q)
{
	for (struct goroutine *g = q->head; g; g = g->link) {
		if (g->scavenged)
			continue;
		stack_trim(g);
		g->scavenged = true;
	}
}

void stack_pool_trim_own(struct processor *p)
{
	uint32_t epoch = atomic_load_explicit(&pool.trim_epoch, memory_order_relaxed);

	if (__builtin_expect(p->stacks.trim_epoch == epoch, 1))
		return;
	p->stacks.trim_epoch = epoch;
	trim_queue(&p->stacks.free);
}

/* Takes up to n, but no more than FREE_MAX, off the warm end of the global list; false if it is empty. */
static bool take_batch(struct go_queue *batch, size_t n)
{
	struct goroutine *g;

	if (n > FREE_MAX)
		n = FREE_MAX;
	lock_acquire(&pool.lock);
	while (batch->count < n && (g = go_queue_pop(&pool.queue)))
		go_queue_push(batch, g);
	note_least();
	lock_release(&pool.lock);
	return batch->count > 0;
}

/* Puts them back at the cold end. */
static void return_batch(struct go_queue *batch)
{
	struct goroutine *g;

	lock_acquire(&pool.lock);
	while ((g = go_queue_pop(batch)))
		go_queue_push(&pool.queue, g);
	lock_release(&pool.lock);
}

static void trim_global(size_t n)
{
	struct go_queue batch = {0};

	for (; take_batch(&batch, n); return_batch(&batch)) {
		n -= batch.count;
		trim_queue(&batch);
	}
}

static void free_global(size_t n)
{
	struct go_queue batch = {0};
	struct goroutine *g;

	while (take_batch(&batch, n)) {
		n -= batch.count;
		while ((g = go_queue_pop(&batch)))
			stack_free(g);
	}
}

/*
 * Of the global list, those that nobody needed since the last call are given back altogether, and the
 * others' deep pages; processors do the same to their own when they see the new epoch. No lock is held
 * over many system calls, and no more than FREE_MAX are away at a time (stack_pool_keeps_max allows for
 * those). The list goes round once: the coldest, which were not needed, come last, and what stays is in
 * its order again.
 */
void stack_pool_trim(void)
{
	size_t count, surplus;

	atomic_fetch_add_explicit(&pool.trim_epoch, 1, memory_order_relaxed);
	lock_acquire(&pool.lock);
	count = pool.queue.count;
	surplus = pool.count_min;
	lock_release(&pool.lock);

	trim_global(count - surplus);
	free_global(surplus);

	lock_acquire(&pool.lock);
	pool.count_min = pool.queue.count;
	lock_release(&pool.lock);
}

/* All of `from`, the warmest first, before all of `to`. */
static void splice(struct go_queue *to, struct go_queue *from)
{
	if (from->count == 0)
		return;
	from->tail->link = to->head;
	if (to->count == 0)
		to->tail = from->tail;
	to->head = from->head;
	to->count += from->count;
	*from = (struct go_queue){0};
}

void stack_pool_collect(void)
{
	lock_acquire(&pool.lock);
	lock_acquire(&sched.lock);
	for (struct processor *p = sched.idle_processors; p; p = p->idle_link)
		splice(&pool.queue, &p->stacks.free);
	lock_release(&sched.lock);
	lock_release(&pool.lock);
}

void stack_pool_reset(void)
{
	pool.queue = (struct go_queue){0};
	pool.count_min = 0;
	pool.promises = 0;
}
