/*
 * goroutine.c - birth and death.
 *
 * Dead goroutines keep their stacks, first page and guard ready: on their processor's list, the
 * warmest first, and past FREE_MAX on a global one. Starting one from there touches no lock and makes
 * no system call. What dead stacks hold in deep pages is given back in the background, see
 * goroutine_trim.
 */
#include "config.h"

#include "server/base/panic.h"
#include "server/runtime/sched.h"
#include "server/runtime/stack.h"

#include <string.h>

/* Ids a processor takes at once. */
enum { IDS = 16 };

static struct {
	struct lock lock; /* guards all below */
	struct go_queue queue;
	size_t count_min; /* the least that stood here since the last trim: nobody needed those */
} free_goroutines = {.lock = LOCK_INIT(LOCK_RANK_STACK)};

static void free_push(struct go_queue *q, struct goroutine *g)
{
	g->link = q->head;
	q->head = g;
	if (!q->tail)
		q->tail = g;
	q->count++;
}

/* Moves up to n from one list to another. */
static void free_move(struct go_queue *to, struct go_queue *from, uint32_t n)
{
	struct goroutine *g;

	while (n-- > 0 && (g = go_queue_pop(from)))
		free_push(to, g);
}

/* After some were taken off the global list, with its lock. */
static void note_least(void)
{
	if (free_goroutines.queue.count < free_goroutines.count_min)
		free_goroutines.count_min = free_goroutines.queue.count;
}

static struct goroutine *take_global(struct processor *p)
{
	struct goroutine *g;

	lock_acquire(&free_goroutines.lock);
	if (p)
		free_move(&p->free, &free_goroutines.queue, FREE_MAX / 2);
	g = go_queue_pop(p ? &p->free : &free_goroutines.queue);
	note_least();
	lock_release(&free_goroutines.lock);
	return g;
}

static int take_free(struct processor *p, struct goroutine **ret_g)
{
	struct goroutine *g = p ? go_queue_pop(&p->free) : NULL;

	if (!g)
		g = take_global(p);
	if (!g)
		return stack_alloc(ret_g);
	*ret_g = g;
	return 0;
}

void goroutine_free(struct machine *m, struct goroutine *g)
{
	struct processor *p = m->p;

	sanitizer_stack_end(&g->context.sanitizer);
	atomic_store_explicit(&g->state, G_DEAD, memory_order_relaxed);
	g->scavenged = false;
	free_push(&p->free, g);
	atomic_store_explicit(&p->alive,
		atomic_load_explicit(&p->alive, memory_order_relaxed) - 1,
		memory_order_relaxed);
	if (p->free.count < FREE_MAX)
		return;
	lock_acquire(&free_goroutines.lock);
	free_move(&free_goroutines.queue, &p->free, FREE_MAX / 2);
	lock_release(&free_goroutines.lock);
}

static uint64_t next_id(struct processor *p)
{
	if (!p)
		return atomic_fetch_add_explicit(&sched.id_next, 1, memory_order_relaxed);
	if (p->id_next == p->id_end) {
		p->id_next = atomic_fetch_add_explicit(&sched.id_next, IDS, memory_order_relaxed);
		p->id_end = p->id_next + IDS;
	}
	return p->id_next++;
}

static void count_alive(struct processor *p)
{
	if (p)
		atomic_store_explicit(&p->alive,
			atomic_load_explicit(&p->alive, memory_order_relaxed) + 1,
			memory_order_relaxed);
	else
		atomic_fetch_add_explicit(&sched.alive, 1, memory_order_relaxed);
}

uint32_t go_count(void)
{
	int64_t n = atomic_load_explicit(&sched.alive, memory_order_relaxed);

	for (int i = 0; i < sched.procs; i++)
		n += atomic_load_explicit(&sched.processors[i].alive, memory_order_relaxed);
	return n > 0 ? (uint32_t)n : 0;
}

/* The upper end of a new goroutine's stack: what to call. */
struct birth {
	void (*call)(void *code, void *args);
	void *code;
	_Alignas(16) char args[];
};

void goroutine_main(void *arg)
{
	struct birth *birth = arg;

	sanitizer_first_switch();
	after_switch();
	birth->call(birth->code, birth->args);
}

int goroutine_new(struct machine *m, const struct go_site *site,
	void (*call)(void *code, void *args), void *code, const void *args, size_t args_bytes,
	struct goroutine **ret_g)
{
	struct processor *p = m ? m->p : NULL;
	struct goroutine *g;
	struct birth *birth;
	int rc;

	rc = take_free(p, &g);
	if (rc < 0)
		return rc;
	birth = (struct birth *)((char *)g - sizeof(*birth) - (args_bytes + 15) / 16 * 16);
	birth->call = call;
	birth->code = code;
	if (args_bytes > 0)
		memcpy(birth->args, args, args_bytes);
	context_init(&g->context, birth, birth);
	sanitizer_stack_begin(&g->context.sanitizer);

	g->wait_object = NULL;
	g->user = NULL;
	/* Dumps may read these at any time. */
	__atomic_store_n(&g->id, next_id(p), __ATOMIC_RELAXED);
	__atomic_store_n(&g->site, site, __ATOMIC_RELAXED);
	__atomic_store_n(&g->label, NULL, __ATOMIC_RELAXED);
	atomic_store_explicit(&g->state, G_RUNNABLE, memory_order_relaxed);
	count_alive(p);
	*ret_g = g;
	return 0;
}

int go_spawn(const struct go_site *site, void (*call)(void *code, void *args), void *code,
	const void *args, size_t args_bytes)
{
	struct machine *m = this_machine();
	struct goroutine *g;
	int rc = goroutine_new(m, site, call, code, args, args_bytes, &g);

	if (rc == 0)
		put_next(m, g);
	return rc;
}

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

void goroutine_trim_processor(struct processor *p)
{
	uint32_t epoch = atomic_load_explicit(&sched.trim_epoch, memory_order_relaxed);

	if (__builtin_expect(p->trim_epoch == epoch, 1))
		return;
	p->trim_epoch = epoch;
	trim_queue(&p->free);
}

/* Takes up to n, but no more than FREE_MAX, off the warm end of the global list; false if it is empty. */
static bool take_batch(struct go_queue *batch, size_t n)
{
	struct goroutine *g;

	if (n > FREE_MAX)
		n = FREE_MAX;
	lock_acquire(&free_goroutines.lock);
	while (batch->count < n && (g = go_queue_pop(&free_goroutines.queue)))
		go_queue_push(batch, g);
	note_least();
	lock_release(&free_goroutines.lock);
	return batch->count > 0;
}

/* Puts them back at the cold end. */
static void return_batch(struct go_queue *batch)
{
	struct goroutine *g;

	lock_acquire(&free_goroutines.lock);
	while ((g = go_queue_pop(batch)))
		go_queue_push(&free_goroutines.queue, g);
	lock_release(&free_goroutines.lock);
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
 * Called now and then. Of the global list, those that nobody needed since the last call are given back
 * altogether, and the others' deep pages; processors do the same to their own when they see the new
 * epoch. No lock is held over many system calls, and no more than FREE_MAX are away at a time
 * (go_options.goroutines_max allows for those). The list goes round once: the coldest, which were not
 * needed, come last, and what stays is in its order again.
 */
void goroutine_trim(void)
{
	size_t count, surplus;

	atomic_fetch_add_explicit(&sched.trim_epoch, 1, memory_order_relaxed);
	lock_acquire(&free_goroutines.lock);
	count = free_goroutines.queue.count;
	surplus = free_goroutines.count_min;
	lock_release(&free_goroutines.lock);

	trim_global(count - surplus);
	free_global(surplus);

	lock_acquire(&free_goroutines.lock);
	free_goroutines.count_min = free_goroutines.queue.count;
	lock_release(&free_goroutines.lock);
}

void goroutine_reset(void)
{
	free_goroutines.queue = (struct go_queue){0};
	free_goroutines.count_min = 0;
}
