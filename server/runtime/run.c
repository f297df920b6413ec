/* run.c - the beginning and the end of a run: options, processors, the main goroutine. */
#include "config.h"

#include "server/base/clock.h"
#include "server/base/fence.h"
#include "server/base/panic.h"
#include "server/runtime/golock.h"
#include "server/runtime/netpoll_sched.h"
#include "server/runtime/sched.h"
#include "server/runtime/stack.h"
#include "server/runtime/timer.h"
#include "server/runtime/timer_sched.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { STACK_DEFAULT_BYTES = 64 << 10, STACK_MIN_BYTES = 16 << 10, STACK_MAX_BYTES = 1 << 20 };

/* A thread of the last run did not come back: it may still use what a new run would reset. */
static bool unfinished;

static int cpus_allowed(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return CPU_COUNT(&set);
}

/* An environment variable's number, or 0. */
static uint64_t env_number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : 0;
}

static int fill_procs(struct go_options *o)
{
	if (o->procs == 0)
		o->procs = (int)env_number("CHAND_PROCS");
	if (o->procs == 0)
		o->procs = cpus_allowed();
	if (o->procs > GO_PROCS_MAX && cpus_allowed() > GO_PROCS_MAX)
		o->procs = GO_PROCS_MAX;
	return o->procs > 0 && o->procs <= GO_PROCS_MAX ? 0 : -EINVAL;
}

static int fill_stacks(struct go_options *o)
{
	if (o->stack_bytes == 0)
		o->stack_bytes = STACK_DEFAULT_BYTES * SANITIZER_STACK_FACTOR;
	if (o->stack_bytes < STACK_MIN_BYTES || o->stack_bytes > STACK_MAX_BYTES)
		return -EINVAL;
	if (o->stack_bytes & (o->stack_bytes - 1))
		return -EINVAL;
	if (o->goroutines_max == 0)
		o->goroutines_max = GO_GOROUTINES_MAX;
	if (o->goroutines_max > GO_GOROUTINES_LIMIT)
		return -EINVAL;
	/* Processors keep some promises for themselves; those must not make the last one fail. */
	o->goroutines_max += (uint32_t)o->procs * FREE_MAX;
	return 0;
}

static int fill_options(struct go_options *o)
{
	int rc = fill_procs(o);

	if (rc == 0)
		rc = fill_stacks(o);
	if (o->seed == 0)
		o->seed = env_number("CHAND_SCHED_SEED");
	sched.shuffled = o->seed != 0;
	if (o->seed == 0)
		o->seed = random_seed();
	return rc;
}

static int processors_new(const struct go_options *o)
{
	size_t bytes = (size_t)o->procs * sizeof(struct processor);

	sched.processors = aligned_alloc(_Alignof(struct processor), bytes);
	if (!sched.processors)
		return -ENOMEM;
	memset(sched.processors, 0, bytes);
	sched.procs = o->procs;
	go_alone = o->procs == 1;
	for (int i = o->procs - 1; i >= 0; i--) {
		struct processor *p = &sched.processors[i];

		p->index = (uint32_t)i;
		p->pace = (struct pace){
			.begin_ns = NS_PER_S, .calm_ns = NS_PER_S, .sample = 1, .left = 1};
		runq_init(&p->runq, go_alone);
		p->newq.alone = go_alone;
		random_init(&p->random, o->seed + (uint64_t)i);
		idle_processor_put(p);
	}
	return 0;
}

static void main_goroutine(void)
{
	sched.result = sched.main_fn(sched.main_arg);
	stop_all_machines();
}

static void call_main(void *code, void *args)
{
	(void)code;
	(void)args;
	main_goroutine();
}

static void sched_reset(void)
{
	memset(&sched, 0, sizeof(sched));
	lock_init(&sched.lock, LOCK_RANK_SCHED);
	atomic_store(&sched.id_next, 1);
	atomic_store(&sched.poll_until_ns, INT64_MIN);
	atomic_store(&sched.now_ns, clock_now_ns());
}

/* Everything but threads. */
static int run_init(struct go_options *o)
{
	int rc;

	rc = fill_options(o);
	if (rc < 0)
		return rc;
	rc = stack_init(o);
	if (rc < 0)
		return rc;
	rc = netpoll_init();
	if (rc < 0)
		goto no_netpoll;
	rc = processors_new(o);
	if (rc < 0)
		goto no_processors;
	rc = fault_init(o->dump_on_sigquit);
	if (rc == 0)
		return 0;
	free(sched.processors);
no_processors:
	netpoll_fini();
no_netpoll:
	stack_fini();
	return rc;
}

static void run_fini(void)
{
	fault_fini();
	free(sched.processors);
	netpoll_fini();
	stack_fini();
	stack_pool_reset();
	timers_reset();
	sched.procs = 0;
	sched.processors = NULL;
}

/*
 * The caller's thread runs no goroutine: one that never came to a scheduling point would keep go_run
 * from returning.
 */
static int run_threads(const struct go_site *site)
{
	int rc = sysmon_start();
	bool started;

	if (rc < 0)
		return rc;
	rc = go_spawn(site, call_main, NULL, NULL, 0); /* wakes the first machine */
	lock_acquire(&sched.lock);
	started = sched.machine_count > 0;
	lock_release(&sched.lock);
	if (started)
		note_sleep(&sched.main_ended);
	sysmon_stop(); /* it starts machines: before they are joined and freed */
	if (!started)
		return rc < 0 ? rc : -EAGAIN;
	unfinished = !join_all_machines();
	return sched.result;
}

int go_run_at(const struct go_site *site, const struct go_options *options, int (*main_fn)(void *),
	void *arg)
{
	struct go_options o = options ? *options : (struct go_options){0};
	int rc;

	if (unfinished)
		return -EBUSY;
	check(!this_machine());
	fence_prepare();
	sched_reset();
	sched.main_fn = main_fn;
	sched.main_arg = arg;
	rc = run_init(&o);
	if (rc < 0)
		return rc;
	rc = run_threads(site);
	if (!unfinished)
		run_fini();
	return rc;
}

/* ---- Small things of runtime.h ---- */

int go_procs(void)
{
	return sched.procs;
}

uint64_t go_id(void)
{
	struct goroutine *g = go_self();

	return g ? g->id : 0;
}

void *go_user(void)
{
	return go_self()->user;
}

void go_set_user(void *user)
{
	go_self()->user = user;
}

void go_set_label(const char *label)
{
	__atomic_store_n(&go_self()->label, label, __ATOMIC_RELAXED);
}

uint32_t go_random_u32(void)
{
	return (uint32_t)(random_u64(&this_machine()->p->random) >> 32);
}

uint32_t go_random_below(uint32_t n)
{
	return random_below(&this_machine()->p->random, n);
}

struct sleep {
	struct timer timer;
	int64_t deadline_ns;
};

static void wake_sleeper(void *arg)
{
	go_ready(arg);
}

static bool start_sleep(struct goroutine *g, void *arg)
{
	struct sleep *s = arg;

	timer_init(&s->timer, wake_sleeper, g);
	timer_start(&s->timer, s->deadline_ns);
	return true;
}

void go_sleep_until(int64_t deadline_ns)
{
	struct sleep s = {.deadline_ns = deadline_ns};

	if (deadline_ns <= clock_now_ns()) {
		go_yield();
		return;
	}
	go_park(start_sleep, &s, WAIT_SLEEP);
}

void go_sleep(int64_t span_ns)
{
	go_sleep_until(clock_deadline_ns(span_ns));
}
