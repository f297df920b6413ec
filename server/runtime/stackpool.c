#include "config.h"

#include "server/runtime/stackpool.h"

#include "server/runtime/sched.h"
#include "server/runtime/stack.h"

/* Stacks that stack_pool_shrink gives back at once: half a millisecond, as sysmon has other things to do
 * if the idleness ends. */
enum { SHRINK_MAX = 1024 };

static struct {
	struct lock lock; /* guards all below */
	struct go_queue queue;
	size_t count_min; /* the least that stood here since the last trim: nobody needed those */
	uint32_t promises;
	_Atomic uint32_t trim_epoch;
} shared = {.lock = LOCK_INIT(LOCK_RANK_STACK)};

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
	lock_acquire(&shared.lock);
	if (n > shared.promises)
		n = shared.promises;
	shared.promises -= n;
	lock_release(&shared.lock);
	return n;
}

int stack_pool_promise_global(struct stack_pool *pool)
{
	uint32_t n = pool ? FREE_MAX / 2 : 1;
	int got = (int)take_promises(n);

	if (got == 0)
		got = stack_promise(n);
	if (got < 0)
		return got;
	if (pool)
		pool->promises = (uint32_t)got - 1;
	return 0;
}

void stack_pool_promises_back_global(struct stack_pool *pool)
{
	pool->promises -= FREE_MAX / 2;
	lock_acquire(&shared.lock);
	shared.promises += FREE_MAX / 2;
	lock_release(&shared.lock);
}

/* ---- Taking and putting ---- */

/* Moves up to n from one list to another. */
static void move(struct go_queue *to, struct go_queue *from, uint32_t n)
{
	struct goroutine *g;

	while (n-- > 0 && (g = go_queue_pop(from)))
		stack_pool_push(to, g);
}

/* After some were taken off the global list, with its lock. */
static void note_least(void)
{
	if (shared.queue.count < shared.count_min)
		shared.count_min = shared.queue.count;
}

/* The lock is taken even where the list looks empty: that it is, is what stack_take relies on. */
struct goroutine *stack_pool_take_global(struct stack_pool *pool)
{
	struct goroutine *g;

	lock_acquire(&shared.lock);
	if (pool)
		move(&pool->free, &shared.queue, FREE_MAX / 2);
	g = go_queue_pop(pool ? &pool->free : &shared.queue);
	note_least();
	lock_release(&shared.lock);
	return g ? g : stack_take();
}

void stack_pool_put_global(struct stack_pool *pool)
{
	lock_acquire(&shared.lock);
	move(&shared.queue, &pool->free, FREE_MAX / 2);
	lock_release(&shared.lock);
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

void stack_pool_trim_own(struct stack_pool *pool)
{
	uint32_t epoch = atomic_load_explicit(&shared.trim_epoch, memory_order_relaxed);

	if (__builtin_expect(pool->trim_epoch == epoch, 1))
		return;
	pool->trim_epoch = epoch;
	trim_queue(&pool->free);
}

/* Takes up to n, but no more than FREE_MAX, off the warm end of the global list; false if it is empty. */
static bool take_batch(struct go_queue *batch, size_t n)
{
	struct goroutine *g;

	if (n > FREE_MAX)
		n = FREE_MAX;
	lock_acquire(&shared.lock);
	while (batch->count < n && (g = go_queue_pop(&shared.queue)))
		go_queue_push(batch, g);
	note_least();
	lock_release(&shared.lock);
	return batch->count > 0;
}

/* Puts them back at the cold end. */
static void return_batch(struct go_queue *batch)
{
	struct goroutine *g;

	lock_acquire(&shared.lock);
	while ((g = go_queue_pop(batch)))
		go_queue_push(&shared.queue, g);
	lock_release(&shared.lock);
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

	atomic_fetch_add_explicit(&shared.trim_epoch, 1, memory_order_relaxed);
	lock_acquire(&shared.lock);
	count = shared.queue.count;
	surplus = shared.count_min;
	lock_release(&shared.lock);

	trim_global(count - surplus);
	free_global(surplus);

	lock_acquire(&shared.lock);
	shared.count_min = shared.queue.count;
	lock_release(&shared.lock);
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

/* What idle processors keep, to the global list. */
static void collect(void)
{
	lock_acquire(&shared.lock);
	lock_acquire(&sched.lock);
	for (struct processor *p = sched.idle_processors; p; p = p->idle_link)
		splice(&shared.queue, &p->stacks.free);
	lock_release(&sched.lock);
	lock_release(&shared.lock);
}

bool stack_pool_shrink(void)
{
	size_t count;

	collect();
	lock_acquire(&shared.lock);
	count = shared.queue.count;
	lock_release(&shared.lock);
	if (count > FREE_MAX) {
		free_global(count - FREE_MAX < SHRINK_MAX ? count - FREE_MAX : SHRINK_MAX);
		return true;
	}
	stack_pool_trim();
	return false;
}

void stack_pool_reset(void)
{
	shared.queue = (struct go_queue){0};
	shared.count_min = 0;
	shared.promises = 0;
}
