/*
 * sched.c - who runs next, and who wakes whom.
 *
 * A switch goes straight from one goroutine to the next when the processor's own queue has one; it
 * goes through g0, the machine's own stack, when more is to be looked at: find_runnable(). What must
 * happen to the goroutine that was left (put it back into a queue, release the lock that keeps its
 * waker out, free its stack) is done by whoever comes next, since before that its registers are not
 * saved yet: after_switch().
 *
 * No lost wake-up. Work is submitted and threads go idle without a common lock, so each side does its
 * step, and then looks whether the other did; both steps and both looks are sequentially consistent.
 *
 *	Submitting (whom put_next displaces, put_new, put_tail, put_global; then wake_processor):
 *	  1. put the goroutine into a queue
 *	  2. look whether a processor is idle and no machine is spinning; if so, start one that spins
 *
 *	Stopping to look (find_runnable):
 *	  1. give the processor to the idle list, and count oneself out of the spinning
 *	  2. look into all queues again; if there is something, take a processor and go on
 *
 * Whichever first step comes second in the one order of all, its second step sees the other. And who
 * found work while spinning counts itself out and then wakes the next (become_busy): so while work
 * remains, either all processors are busy or someone looks.
 *
 * But for work that is submitted without the second step, since its own processor is about to come to
 * it: what is next there, an only newborn, or several that will soon have begun at the pace of late
 * (newborns_need_help), who yielded (yield_left), an only goroutine that a poll brought (put_ready), or
 * newborns that it brought (haul.h), what is to stay together there (rival.h). If what runs there makes no
 * step, that waits for sysmon, for up to 10 ms.
 *
 * The poller. At most one machine waits in the kernel for descriptors and the next timer; it holds no
 * processor. The others sleep on their note. Who is about to sleep makes sure that the poller will
 * come back early enough for the first timer (netpoll_hurry):
 *
 *	Poller:                                      Going to sleep:
 *	  1. poll_until = first deadline               1. start timers (their heap's minimum changes)
 *	  2. look at the first deadline again          2. look at poll_until; interrupt if too late
 *
 * Where a processor is at a short haul nobody waits, since it will itself, soon (poller_is_near). Who ends
 * a haul comes to wait when it has nothing else to do, and else calls somebody who does (end_haul,
 * find_runnable). No end is missed:
 *
 *	Ending a haul:                               Going to sleep:
 *	  1. haul_ns = 0 (haul_end)                    1. give the processor to the idle list
 *	  2. look for an idle processor to wake,       2. look at haul_ns of all
 *	     or go to sleep oneself
 *
 * All are sequentially consistent. And of two that end theirs and go to sleep the second to reach the idle
 * list sees that both are over.
 *
 * What has not begun runs before what waits in the ring, the youngest first (newq.h).
 *
 * Rejected:
 * - Newborns in the ring, first in first out: a tree of goroutines is walked in breadth, so that most of
 *   it is alive at once. A tree of a million leaves had 67,000 stacks, and takes a third of the time now.
 * - Waking a second machine for every readied goroutine. Waking another CPU takes ten times as long as
 *   what most goroutines do before they park; so one that is next in line for its own processor wakes
 *   nobody, and sysmon sends help after at most 10 ms should the processor stay occupied.
 * - A spinning poller, or idle machines that spin for a while: on few CPUs they take time from the
 *   very processes whose messages they wait for.
 * - Unlocking before the switch and letting the waker wait for the switch to finish: the waker would
 *   spin on another thread's progress.
 */
#include "config.h"

#include "server/runtime/sched.h"

#include "server/base/panic.h"
#include "server/runtime/golock.h"
#include "server/runtime/guard.h"
#include "server/runtime/haul.h"
#include "server/runtime/netpoll_sched.h"
#include "server/runtime/rival.h"
#include "server/runtime/timer_sched.h"

enum {
	/* How many scheduling steps a processor takes from its own queues before it looks elsewhere. */
	TICKS_OWN_QUEUE = 61,
	/* How many of those looks before the oldest newborn has its turn: rarely, as the oldest may be
	 * the root of a tree, and each that has begun and waits for its branches holds a stack. */
	TURNS_OLDEST = 256,
	/* Newborns that have begun before the clock is read, where it would take a part of their time. */
	PACE_SAMPLE = 64,
	/* How many a processor takes at once that others may have made runnable: each is a cache miss under
	 * sched.lock, all together no longer than who waits for it spins. Of 512 each cost the other
	 * processor a sleep of 20 to 40 us. */
	SHARE_MAX = 32,
};

/* Work that takes less is not worth waking another processor for: that takes 25 us, and what both do
 * then they do on cold caches. */
#define HELP_NS (50 * NS_PER_US)

struct sched sched;

/* this_machine names it in an instruction, which an optimiser across files does not see. */
__attribute__((used)) _Thread_local struct machine *current_machine;

#ifndef __x86_64__
__attribute__((noinline)) struct machine *this_machine(void)
{
	__asm__ volatile("" ::: "memory");
	return current_machine;
}
#endif

__attribute__((noinline)) int *go_errno(void)
{
	__asm__ volatile("" ::: "memory");
	return __errno_location();
}

void set_this_machine(struct machine *m)
{
	current_machine = m;
}

static void set_state(struct goroutine *g, enum goroutine_state state)
{
	atomic_store_explicit(&g->state, state, memory_order_relaxed);
}

/* ---- Queues ---- */

/* With sched.lock: one of the global queues has changed. */
static void count_global(void)
{
	atomic_store(&sched.global_count, (uint32_t)(sched.global.count + sched.newborns.count));
}

static void global_put(struct go_queue *q)
{
	lock_acquire(&sched.lock);
	go_queue_append(&sched.global, q);
	count_global();
	lock_release(&sched.lock);
}

/* A batch of newborns that their processor has no room for, oldest first, before all others. */
static void newborns_put(struct go_queue *batch)
{
	struct go_queue *all = &sched.newborns;

	lock_acquire(&sched.lock);
	if (all->count == 0)
		all->tail = batch->tail;
	batch->tail->link = all->head;
	all->head = batch->head;
	all->count += batch->count;
	count_global();
	lock_release(&sched.lock);
	*batch = (struct go_queue){0};
}

void put_global(struct go_queue *q)
{
	if (q->count == 0)
		return;
	global_put(q);
	wake_processor();
}

static __attribute__((noinline)) void put_global_one(struct goroutine *g)
{
	struct go_queue q = {0};

	go_queue_push(&q, g);
	put_global(&q);
}

/* To the tail of p's own queue; wakes nobody. So many that the queue does not hold them are no haul. */
static void put_tail(struct processor *p, struct goroutine *g)
{
	struct go_queue half = {0};

	while (!runq_put(&p->runq, g)) {
		haul_end(p);
		if (runq_shed(&p->runq, &half) > 0)
			global_put(&half);
	}
}

/* May others take from p's ring? */
static bool may_help(struct processor *p)
{
	return !haul_stays(p) && rival_may_help(p);
}

/* Will p's newborns, at the pace at which it begins them, take longer than it is worth to begin them
 * alone? An only one is what comes next. */
static bool newborns_need_help(struct processor *p)
{
	uint32_t newborns = newq_length(&p->newq);

	return newborns > 1 && newborns * p->pace.begin_ns >= HELP_NS;
}

static __attribute__((noinline)) void put_displaced(struct processor *p, struct goroutine *g)
{
	put_tail(p, g);
	if (may_help(p) || newborns_need_help(p))
		wake_processor();
}

void put_next(struct machine *m, struct goroutine *g)
{
	struct processor *p = m ? m->p : NULL;
	struct goroutine *displaced;

	if (!p) {
		put_global_one(g);
		return;
	}
	displaced = g;
	if (!sched.shuffled || random_below(&p->random, 2) == 0)
		displaced = runq_put_next(&p->runq, g);
	if (displaced)
		put_displaced(p, displaced);
	else if (newborns_need_help(p))
		wake_processor();
	/* Else it is next here, and calls nobody: see "Rejected". */
}

/* The youngest of those that wait on p to begin; wakes nobody. */
static void put_youngest(struct processor *p, struct goroutine *g)
{
	struct go_queue half = {0};

	while (!newq_put(&p->newq, g)) {
		if (newq_shed(&p->newq, &half) > 0)
			newborns_put(&half);
	}
}

bool is_loaded(struct processor *p)
{
	uint32_t newborns = newq_length(&p->newq);

	return may_help(p) || newborns > 1 ||
		(newborns == 1 && runq_has_next(&p->runq));
}

void put_new(struct machine *m, struct goroutine *g)
{
	struct processor *p = m ? m->p : NULL;

	if (!p) {
		put_global_one(g);
		return;
	}
	if (sched.shuffled && random_below(&p->random, 2) == 0)
		put_tail(p, g);
	else
		put_youngest(p, g);
	if (newborns_need_help(p))
		wake_processor();
}

/* One from the global queue to run, and p's share of the others into its ring, which is empty. With
 * sched.lock. */
static struct goroutine *global_get(struct processor *p, uint32_t share_max)
{
	uint32_t share = (uint32_t)(sched.global.count / (size_t)sched.procs) + 1;
	struct goroutine *g = go_queue_pop(&sched.global), *next;

	if (share > share_max)
		share = share_max;
	while (share-- > 1 && (next = go_queue_pop(&sched.global))) {
		goroutine_prefetch_frames(next);
		check(runq_put(&p->runq, next));
	}
	return g;
}

/* The same of the newborns, the youngest batch, as p's own youngest. */
static struct goroutine *newborns_get(struct processor *p, uint32_t share_max)
{
	uint32_t share = (uint32_t)(sched.newborns.count / (size_t)sched.procs) + 1;
	struct goroutine *g = go_queue_pop(&sched.newborns), *next;

	if (share > share_max)
		share = share_max;
	while (share-- > 1 && (next = go_queue_pop(&sched.newborns))) {
		check(newq_put(&p->newq, g));
		g = next;
	}
	return g;
}

static struct goroutine *take_global(struct processor *p, uint32_t share_max)
{
	struct goroutine *g;

	if (atomic_load(&sched.global_count) == 0)
		return NULL;
	lock_acquire(&sched.lock);
	g = global_get(p, share_max);
	count_global();
	lock_release(&sched.lock);
	return g;
}

/* For a processor that has room for share_max newborns. */
static struct goroutine *take_newborns(struct processor *p, uint32_t share_max)
{
	struct goroutine *g;

	if (atomic_load(&sched.global_count) == 0)
		return NULL;
	lock_acquire(&sched.lock);
	g = newborns_get(p, share_max);
	count_global();
	lock_release(&sched.lock);
	return g;
}

/* ---- Idle processors ---- */

/* Its goroutine has run for long: sysmon says that what is next there may go elsewhere. */
static bool is_stuck(const struct processor *p)
{
	return atomic_load_explicit(&p->stuck, memory_order_relaxed);
}

/* Nobody comes to its inbox: it is idle, or stuck. */
static bool is_left_alone(struct processor *p)
{
	return atomic_load(&p->idle) || is_stuck(p);
}

struct processor *idle_processor_get(void)
{
	struct processor *p = sched.idle_processors;

	if (!p)
		return NULL;
	sched.idle_processors = p->idle_link;
	atomic_store(&p->idle, false);
	atomic_fetch_sub(&sched.idle_processor_count, 1);
	sysmon_notice();
	return p;
}

void idle_processor_put(struct processor *p)
{
	haul_end(p);
	p->idle_link = sched.idle_processors;
	sched.idle_processors = p;
	atomic_store(&p->idle, true);
	atomic_fetch_add(&sched.idle_processor_count, 1);
}

struct processor *take_idle_processor(void)
{
	struct processor *p;

	lock_acquire(&sched.lock);
	p = idle_processor_get();
	lock_release(&sched.lock);
	return p;
}

static void give_idle_processor(struct processor *p)
{
	lock_acquire(&sched.lock);
	idle_processor_put(p);
	lock_release(&sched.lock);
}

void wake_processor(void)
{
	struct processor *p;
	uint32_t none = 0;

	if (atomic_load(&sched.idle_processor_count) == 0 || atomic_load(&sched.spinning) != 0)
		return;
	if (!atomic_compare_exchange_strong(&sched.spinning, &none, 1))
		return;
	p = take_idle_processor();
	if (p && start_machine(p, true))
		return;
	/* None idle any more: the queue waits for who is running. Or no thread to be had: for the one
	 * that waits in the kernel, for who comes back from there, or for sysmon to try again. */
	if (p)
		give_idle_processor(p);
	atomic_fetch_sub(&sched.spinning, 1);
	if (p)
		netpoll_interrupt();
}

static void start_spinning(struct machine *m)
{
	m->spinning = true;
	atomic_fetch_add(&sched.spinning, 1);
}

static void stop_spinning(struct machine *m)
{
	if (!m->spinning)
		return;
	m->spinning = false;
	atomic_fetch_sub(&sched.spinning, 1);
}

/* Does anything wait on p? */
static bool is_waited_for(struct processor *p)
{
	return runq_length(&p->runq) > 0 || newq_length(&p->newq) > 0 || runq_has_next(&p->runq) ||
		rival_has_moved(p);
}

/* Is there anything that an idle processor could run? What is next on another is not counted, unless
 * that processor is stuck, nor what is to stay together there. */
static bool work_anywhere(void)
{
	if (atomic_load(&sched.global_count) > 0)
		return true;
	for (int i = 0; i < sched.procs; i++) {
		struct processor *p = &sched.processors[i];

		if (is_loaded(p) || (is_left_alone(p) && is_waited_for(p)))
			return true;
	}
	return false;
}

/* m has found something to run: if it was the one that looks, someone else has to look now. */
static void become_busy(struct machine *m)
{
	if (!m->spinning)
		return;
	stop_spinning(m);
	if (work_anywhere())
		wake_processor();
}

/* All that waits in p's own queue, to the global one: no thread is to be had that would come for it. */
static void share_queue(struct processor *p)
{
	struct go_queue all = {0};
	struct goroutine *g;

	while ((g = runq_get(&p->runq)))
		go_queue_push(&all, g);
	while ((g = newq_get_oldest(&p->newq)))
		go_queue_push(&all, g);
	rival_take_moved(p, &all);
	global_put(&all);
}

void hand_off_processor(struct processor *p)
{
	bool wanted = is_waited_for(p) || atomic_load(&sched.global_count) > 0 ||
		netpoll_needs_poller();

	if (wanted) {
		if (start_machine(p, false))
			return;
		share_queue(p);
	}
	give_idle_processor(p);
	/* Work that came between the look and the gift found no idle processor to wake. */
	if (work_anywhere() || netpoll_needs_poller())
		wake_processor();
	netpoll_hurry(); /* nobody is left who looks at the timers started here */
}

/* ---- Finding work ---- */

/* Who moved to `from`, into p's ring. */
static void take_moved(struct processor *p, struct processor *from)
{
	struct go_queue moved = {0};
	struct goroutine *g;

	rival_take_moved(from, &moved);
	while ((g = go_queue_pop(&moved)))
		put_tail(p, g);
}

/* One of the victim's goroutines to run, and more of them for p's own queues, which are empty. */
static struct goroutine *steal_from(struct processor *p, struct processor *victim)
{
	bool stuck = is_stuck(victim);
	struct goroutine *g = NULL;

	if (stuck || may_help(victim))
		g = runq_steal(&p->runq, &victim->runq, stuck);
	if (!g)
		g = newq_steal(&p->newq, &victim->newq, stuck || runq_has_next(&victim->runq));
	if (!g && is_left_alone(victim) && rival_has_moved(victim)) {
		take_moved(p, victim);
		g = runq_get(&p->runq);
	}
	return g;
}

/* Steals from someone's queues, beginning with anyone. */
static struct goroutine *steal(struct machine *m)
{
	uint32_t procs = (uint32_t)sched.procs, start = random_below(&m->p->random, procs);

	for (uint32_t i = 0; i < procs; i++) {
		struct processor *victim = &sched.processors[(start + i) % procs];
		struct goroutine *g = victim == m->p ? NULL : steal_from(m->p, victim);

		if (g)
			return g;
	}
	return NULL;
}

/* Steals, unless enough machines try already. */
static struct goroutine *try_steal(struct machine *m)
{
	uint32_t busy = (uint32_t)sched.procs - atomic_load(&sched.idle_processor_count);

	if (!m->spinning) {
		if (busy <= 1)
			return NULL; /* only this one */
		if (2 * atomic_load(&sched.spinning) >= busy)
			return NULL;
		start_spinning(m);
	}
	return steal(m);
}

/* Newborns, and at most one that goes on with writing: see haul.h. */
static bool is_haul(const struct netpoll_ready *ready)
{
	return ready->armed && ready->writers <= 1 && ready->goroutines.count == ready->writers;
}

/* Everything that a poll brought, to the tail of m's queue. */
static void put_ready(struct machine *m, struct netpoll_ready *ready)
{
	struct processor *p = m->p;
	bool haul = is_haul(ready) && runq_length(&p->runq) == 0;
	struct goroutine *g;

	netpoll_start_armed(ready);
	if (haul)
		haul_begin(p, atomic_load_explicit(&sched.now_ns, memory_order_relaxed));
	while ((g = go_queue_pop(&ready->goroutines)))
		put_tail(p, g);
	if (runq_length(&p->runq) > 1 && may_help(p))
		wake_processor();
}

/* Fires timers that are due, and takes in what sockets have become ready, without waiting. */
static void look_around(struct machine *m)
{
	struct netpoll_ready ready = {0};

	timers_run();
	netpoll_try(&ready);
	put_ready(m, &ready);
	stack_pool_trim_own(&m->p->stacks);
}

/* Is every other processor idle? */
static bool only_busy(void)
{
	return atomic_load(&sched.idle_processor_count) + 1 == (uint32_t)sched.procs;
}

static uint32_t count_tick(struct processor *p)
{
	uint32_t tick = atomic_load_explicit(&p->tick, memory_order_relaxed) + 1;

	atomic_store_explicit(&p->tick, tick, memory_order_relaxed);
	return tick;
}

/* Is the next step one that looks beyond the own queue? */
static bool is_due(struct processor *p)
{
	return (atomic_load_explicit(&p->tick, memory_order_relaxed) + 1) % TICKS_OWN_QUEUE == 0;
}

/* The oldest newborn: in turn of those that no processor had room for, and of p's own. */
static struct goroutine *get_oldest_newborn(struct processor *p, bool own_first)
{
	struct goroutine *g = own_first ? newq_get_oldest(&p->newq) : take_newborns(p, 1);

	if (g)
		return g;
	return own_first ? take_newborns(p, 1) : newq_get_oldest(&p->newq);
}

/* Of all queues, on a step that is due. The global one and the ring come first in turn, and now and then
 * the oldest newborn: none may starve behind another, or behind what is always next here. */
static struct goroutine *get_fair(struct processor *p, uint32_t tick)
{
	uint32_t turn = tick / TICKS_OWN_QUEUE;
	struct goroutine *g = NULL;

	if (turn % 2 == 0)
		g = take_global(p, 1);
	else if (turn % TURNS_OLDEST == 1)
		g = get_oldest_newborn(p, turn / TURNS_OLDEST % 2);
	return g ? g : runq_get_fair(&p->runq);
}

/* Of p's own queues: what is next, the youngest newborn, or who waits in the ring. So who yields comes
 * after all that it has started. */
static __attribute__((noinline)) struct goroutine *get_own_waiting(struct processor *p)
{
	struct goroutine *g = newq_get(&p->newq);

	return g ? g : runq_take_head(&p->runq);
}

static inline struct goroutine *get_own(struct processor *p)
{
	struct goroutine *g = runq_take_next(&p->runq);

	return g ? g : get_own_waiting(p);
}

/* What runs next on m, without giving up its processor; NULL when there is nothing. */
static struct goroutine *find_work(struct machine *m)
{
	struct processor *p = m->p;
	uint32_t tick = count_tick(p);
	struct goroutine *g;

	if (rival_has_moved(p))
		take_moved(p, p);
	if (tick % TICKS_OWN_QUEUE == 0) {
		look_around(m);
		g = get_fair(p, tick);
		if (g)
			return g;
	}
	g = get_own(p);
	if (g)
		return g;
	haul_end(p);
	g = take_global(p, SHARE_MAX);
	if (!g)
		g = take_newborns(p, NEWQ_CAPACITY / 2);
	if (g)
		return g;
	/* The only one is about to wait for sockets, which ends at once where a timer is due, and tells the
	 * time: so it need not ask for that before. */
	if (!only_busy())
		look_around(m);
	else if (timers_next_ns() <= atomic_load_explicit(&sched.now_ns, memory_order_relaxed))
		timers_run();
	g = get_own(p);
	if (g)
		return g;
	return try_steal(m);
}

/* m has nothing to do: gives its processor up. False when there is something after all. */
static bool release_processor(struct machine *m)
{
	struct processor *p = m->p;

	lock_acquire(&sched.lock);
	if (sched.global.count + sched.newborns.count > 0) {
		lock_release(&sched.lock);
		return false;
	}
	m->p = NULL;
	rival_forget(p);
	idle_processor_put(p);
	lock_release(&sched.lock);
	return true;
}

/* The second look of "stopping to look": true if m has a processor again. */
static bool look_again(struct machine *m)
{
	bool was_spinning = m->spinning;

	stop_spinning(m);
	if (!work_anywhere())
		return false;
	m->p = take_idle_processor();
	if (!m->p)
		return false;
	if (was_spinning)
		start_spinning(m);
	return true;
}

/* Is someone at a haul who will soon come and poll? Not with many in his ring: then it pays to be there
 * for what comes next. */
static bool poller_is_near(void)
{
	for (int i = 0; i < sched.procs; i++) {
		struct processor *p = &sched.processors[i];

		if (atomic_load(&p->haul_ns) != 0 && runq_length(&p->runq) <= 1)
			return true;
	}
	return false;
}

/* Waits in the kernel for sockets and timers; true when m has a processor afterwards. */
static bool poll_for_work(struct machine *m)
{
	struct netpoll_ready ready = {0};

	if (poller_is_near()) {
		netpoll_hurry(); /* who polls already may know nothing of timers started here */
		return false;
	}
	if (!netpoll_wait_for_work(&ready))
		return false;
	m->p = take_idle_processor();
	if (m->p) {
		put_ready(m, &ready);
		return true;
	}
	netpoll_start_armed(&ready);
	put_global(&ready.goroutines);
	return false;
}

/* The next goroutine for m, waiting as long as it takes; NULL when the run stops. */
static struct goroutine *find_runnable(struct machine *m)
{
	for (;;) {
		if (atomic_load(&sched.stopping))
			return NULL;
		if (m->newborn) {
			struct goroutine *g = m->newborn;

			m->newborn = NULL;
			return g;
		}
		if (m->p) {
			bool hauled = haul_stays(m->p);
			struct goroutine *g = find_work(m);

			if (g) {
				become_busy(m);
				if (hauled && !haul_stays(m->p) && netpoll_needs_poller())
					wake_processor();
				return g;
			}
			if (!release_processor(m) || look_again(m))
				continue;
		}
		if (!poll_for_work(m))
			stop_machine(m);
	}
}

/* ---- Switching ---- */

static void yield_left(struct machine *m, struct goroutine *g)
{
	set_state(g, G_RUNNABLE);
	if (!runq_put_back(&m->p->runq, g))
		put_tail(m->p, g);
}

static void park_left(struct machine *m, struct goroutine *g)
{
	bool (*unlock)(struct goroutine *, void *) = m->unlock;

	set_state(g, G_WAITING);
	if (!unlock || unlock(g, m->unlock_arg))
		return;
	set_state(g, G_RUNNABLE);
	put_next(m, g);
}

static __attribute__((noinline)) void after_rare_switch(
	struct machine *m, struct goroutine *g, enum after after)
{
	switch (after) {
	case AFTER_QUEUE:
		set_state(g, G_RUNNABLE);
		put_global_one(g);
		break;
	case AFTER_MOVE:
		set_state(g, G_RUNNABLE);
		rival_deliver(m->move_to, g);
		break;
	case AFTER_EXIT:
		goroutine_free(m, g);
		break;
	default: /* AFTER_NOTHING; the others are done */
		break;
	}
}

void after_switch(void)
{
	struct machine *m = this_machine();
	struct goroutine *g = m->left;
	enum after after = m->after;

	m->after = AFTER_NOTHING;
	if (after == AFTER_PARK)
		park_left(m, g);
	else if (after == AFTER_YIELD)
		yield_left(m, g);
	else
		after_rare_switch(m, g, after);
	debug_check(lock_held_count() == 0);
}

/* The next goroutine of m's own queue, if nothing else is due to be looked at. */
static struct goroutine *next_own(struct machine *m)
{
	struct processor *p = m->p;

	if (!p || atomic_load_explicit(&sched.stopping, memory_order_relaxed))
		return NULL;
	if (is_due(p) || rival_has_moved(p))
		return NULL; /* find_work counts this step */
	count_tick(p);
	return get_own(p);
}

/* Others may come for what waits on p, and shall wait for sockets, since p will not for a while. */
static void end_haul(struct processor *p)
{
	haul_end(p);
	if (may_help(p) || netpoll_needs_poller())
		wake_processor();
}

/* A haul that has taken long, and will take as long again, wants help. */
static void look_at_haul(struct processor *p, int64_t now_ns)
{
	if (!haul_lasts(p, now_ns, HAUL_NS) || runq_length(&p->runq) * p->pace.calm_ns < HAUL_NS)
		return;
	end_haul(p);
}

/* The clock is due; see struct pace. */
static __attribute__((noinline)) void pace_look(struct processor *p)
{
	struct pace *pace = &p->pace;
	int64_t now_ns = clock_now_ns();

	pace->begin_ns = (uint64_t)(now_ns - pace->since_ns) / pace->sample;
	pace->calm_ns = pace->begin_ns < 2 * pace->calm_ns ? pace->begin_ns : 2 * pace->calm_ns + 1;
	pace->since_ns = now_ns;
	pace->left = pace->sample = pace->begin_ns < NS_PER_US ? PACE_SAMPLE : 1;
	look_at_haul(p, now_ns);
}

/* Another newborn begins. */
static void pace_note(struct processor *p)
{
	if (--p->pace.left == 0)
		pace_look(p);
}

static inline struct context *run_next(struct machine *m, struct goroutine *g)
{
	m->curg = g;
	set_state(g, G_RUNNING);
	guard_before_run(g);
	return &g->context;
}

static bool is_new(const struct goroutine *g)
{
	return atomic_load_explicit(&g->state, memory_order_relaxed) == G_NEW;
}

static struct context *begin_running(struct machine *m, struct goroutine *g)
{
	if (is_new(g)) {
		pace_note(m->p);
		g = goroutine_begin(m, g);
	}
	return run_next(m, g);
}

/* Would beginning g take a while (first touch of a page: a microsecond or two)? Then it is g0 that does
 * it: who parks leaves the lock of what it waits on to after_switch(), and others want it meanwhile. */
static bool begins_cold(const struct processor *p)
{
	return !p->runq.alone && p->stacks.free.count == 0;
}

static __attribute__((noinline)) struct context *begin_next(struct machine *m, struct goroutine *g)
{
	if (!begins_cold(m->p))
		return begin_running(m, g);
	m->newborn = g;
	return &m->g0;
}

/* Everything of a switch but the switch: says where to. */
static inline struct context *leave(struct machine *m, struct goroutine *g, enum after after)
{
	struct goroutine *next;

	m->after = after;
	m->left = g;
	m->curg = NULL;
	next = next_own(m);
	if (!next)
		return &m->g0;
	return is_new(next) ? begin_next(m, next) : run_next(m, next);
}

void switch_away(struct machine *m, enum after after)
{
	struct goroutine *g = m->curg;

	context_switch(&g->context, leave(m, g, after), false);
	after_switch();
}

/* context_begin calls it when goroutine_main has returned; it does not. */
SANITIZER_END_ATTRIBUTES void goroutine_end(void)
{
	struct machine *m = this_machine();
	struct goroutine *g = m->curg;

	context_switch(&g->context, leave(m, g, AFTER_EXIT), true);
}

void machine_loop(struct machine *m)
{
	struct goroutine *g;

	while ((g = find_runnable(m))) {
		context_switch(&m->g0, begin_running(m, g), false);
		after_switch();
	}
	/* What it holds stays as it is: the run is over. */
	stop_spinning(m);
}

/* ---- Yielding, parking, waking ---- */

struct goroutine *go_self(void)
{
	struct machine *m = this_machine();

	return m ? m->curg : NULL;
}

int go_processor(void)
{
	struct machine *m = this_machine();

	return m && m->p ? (int)m->p->index : -1;
}

/* Nobody to yield to, and no time yet to look further? */
static bool nobody_waits(struct processor *p)
{
	return runq_own_empty(&p->runq) && newq_length(&p->newq) == 0 && !is_due(p) &&
		atomic_load_explicit(&sched.global_count, memory_order_relaxed) == 0 &&
		!atomic_load_explicit(&sched.stopping, memory_order_relaxed);
}

void go_yield(void)
{
	struct machine *m = this_machine();

	if (__builtin_expect(nobody_waits(m->p), 0))
		count_tick(m->p);
	else
		switch_away(m, AFTER_YIELD);
}

void go_park(bool (*unlock)(struct goroutine *g, void *arg), void *arg, enum wait_reason reason)
{
	struct machine *m = this_machine();
	struct goroutine *g = m->curg;

	__atomic_store_n(&g->wait_reason, (uint8_t)reason, __ATOMIC_RELAXED);
	__atomic_store_n(&g->since_ns,
		atomic_load_explicit(&sched.now_ns, memory_order_relaxed), __ATOMIC_RELAXED);
	m->unlock = unlock;
	m->unlock_arg = arg;
	switch_away(m, AFTER_PARK);
}

void go_takes_long(void)
{
	end_haul(this_machine()->p);
}

static bool unlock_lock(struct goroutine *g, void *arg)
{
	(void)g;
	lock_release(arg);
	return true;
}

void go_park_unlock(struct lock *lock, enum wait_reason reason)
{
	go_park(unlock_lock, lock, reason);
}

bool go_alone;

static void make_runnable(struct goroutine *g)
{
	debug_check(atomic_load(&g->state) == G_WAITING);
	set_state(g, G_RUNNABLE);
}

void go_ready(struct goroutine *g)
{
	make_runnable(g);
	put_next(this_machine(), g);
}

void go_ready_sooner(struct go_queue *batch, struct goroutine *g)
{
	make_runnable(g);
	go_queue_push_first(batch, g);
}

void go_ready_all(struct go_queue *batch)
{
	struct machine *m = this_machine();
	struct goroutine *g;

	if (!m || !m->p || batch->count > RUNQ_CAPACITY / 2) {
		put_global(batch);
		return;
	}
	while ((g = go_queue_pop(batch)))
		put_tail(m->p, g);
	if (may_help(m->p))
		wake_processor();
}
