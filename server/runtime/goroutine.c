/*
 * goroutine.c - birth, first step and death.
 *
 * go() promises a stack and makes a newborn (nursery.h); goroutine_begin gives it the warmest stack
 * there is (stackpool.h) when it is about to run; its end leaves that to the next.
 */
#include "config.h"

#include "server/runtime/nursery.h"
#include "server/runtime/sched.h"
#include "server/runtime/stackpool.h"

#include <string.h>

/* Ids a processor takes at once. */
enum { IDS = 16 };

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

/* A word at a time: the caller has just stored them one by one, and a wider load would have to wait for
 * those stores to reach the cache. */
static inline void copy_args(char *to, const char *from, size_t bytes)
{
	for (; bytes >= sizeof(uint64_t); bytes -= sizeof(uint64_t)) {
		memcpy(to, from, sizeof(uint64_t));
		to += sizeof(uint64_t);
		from += sizeof(uint64_t);
	}
	if (bytes > 0)
		memcpy(to, from, bytes);
}

/* In line in both of its callers: a start is some hundred instructions, and each call counts. */
static inline __attribute__((always_inline)) int bear(struct processor *p, const struct go_site *site,
	void (*call)(void *code, void *args), void *code, const void *args, size_t args_bytes,
	struct goroutine **ret_g)
{
	int rc = stack_pool_promise(p ? &p->stacks : NULL);
	struct newborn *n;

	if (rc < 0)
		return rc;
	n = newborn_new(p, args_bytes);
	n->call = call;
	n->code = code;
	n->args_bytes = (uint32_t)args_bytes;
	copy_args(n->args, args, args_bytes);
	__atomic_store_n(&n->g.context.sp, n, __ATOMIC_RELAXED); /* see goroutine_prefetch_frames */
	/* Dumps may read these at any time. */
	__atomic_store_n(&n->g.id, next_id(p), __ATOMIC_RELAXED);
	__atomic_store_n(&n->g.site, site, __ATOMIC_RELAXED);
	atomic_store_explicit(&n->g.state, G_NEW, memory_order_relaxed);
	newborn_publish(n);
	count_alive(p);
	*ret_g = &n->g;
	return 0;
}

int goroutine_new(struct machine *m, const struct go_site *site,
	void (*call)(void *code, void *args), void *code, const void *args, size_t args_bytes,
	struct goroutine **ret_g)
{
	return bear(m ? m->p : NULL, site, call, code, args, args_bytes, ret_g);
}

/* Lays out g's stack so that it begins with n's call. */
static void prepare_call(struct goroutine *g, const struct newborn *n)
{
	size_t args_bytes = newborn_round_up(n->args_bytes);
	struct birth *birth = (struct birth *)((char *)g - sizeof(*birth) - args_bytes);

	birth->call = n->call;
	birth->code = n->code;
	/* Both are aligned and have room for whole pieces. */
	for (size_t at = 0; at < args_bytes; at += _Alignof(struct birth))
		memcpy(birth->args + at, n->args + at, _Alignof(struct birth));
	context_init(&g->context, birth);
	sanitizer_stack_begin(&g->context.sanitizer);
}

struct goroutine *goroutine_begin(struct machine *m, struct goroutine *newborn)
{
	struct newborn *n = newborn_of(newborn);
	struct goroutine *g = stack_pool_take(&m->p->stacks);

	prepare_call(g, n);
	g->wait_object = NULL;
	g->user = NULL;
	g->scavenged = false;
	/* Dumps may read these at any time. */
	__atomic_store_n(&g->id, n->g.id, __ATOMIC_RELAXED);
	__atomic_store_n(&g->site, n->g.site, __ATOMIC_RELAXED);
	__atomic_store_n(&g->label, NULL, __ATOMIC_RELAXED);
	newborn_free(m->p, n);
	return g;
}

void goroutine_free(struct machine *m, struct goroutine *g)
{
	struct processor *p = m->p;

	sanitizer_stack_end(&g->context.sanitizer);
	atomic_store_explicit(&g->state, G_DEAD, memory_order_relaxed);
	atomic_store_explicit(&p->alive,
		atomic_load_explicit(&p->alive, memory_order_relaxed) - 1,
		memory_order_relaxed);
	stack_pool_put(&p->stacks, g);
	stack_pool_promise_back(&p->stacks);
}

int go_spawn(const struct go_site *site, void (*call)(void *code, void *args), void *code,
	const void *args, size_t args_bytes)
{
	struct machine *m = this_machine();
	struct goroutine *g;
	int rc = bear(m ? m->p : NULL, site, call, code, args, args_bytes, &g);

	if (rc == 0)
		put_new(m, g);
	return rc;
}
