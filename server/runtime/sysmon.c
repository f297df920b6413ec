/*
 * sysmon.c - a thread without a processor that sees to what busy processors neglect.
 *
 * Every 10 ms while anything runs: the coarse clock; sockets and timers that nobody looked at since;
 * processors whose goroutine has not come to a scheduling point, while others wait for it; memory of
 * stacks. What a poll brought long ago may be helped with from then on. When all has been idle for some
 * ticks it sleeps until a processor is taken. The hysteresis is there so that a daemon which wakes for
 * every message does not wake this thread too.
 *
 * With one processor it comes every 50 ms while that is used: there is nobody to send for help, and what
 * it finds runs no sooner for it. On a single CPU each visit makes somebody's message 20 us late, which at
 * 10 ms was one round trip in 400.
 */
#include "config.h"

#include "server/base/clock.h"
#include "server/runtime/haul.h"
#include "server/runtime/netpoll_sched.h"
#include "server/runtime/rival.h"
#include "server/runtime/sched.h"
#include "server/runtime/timer_sched.h"

#include <errno.h>

#define TICK_NS (10 * NS_PER_MS)
#define TICK_ALONE_NS (50 * NS_PER_MS)

/* Free stacks are looked at so often. */
#define TRIM_NS NS_PER_S

enum {
	IDLE_TICKS_MAX = 10, /* then it gives memory back, and sleeps */
};

static int64_t tick_ns(uint32_t idle_ticks)
{
	return sched.procs > 1 || idle_ticks >= IDLE_TICKS_MAX ? TICK_NS : TICK_ALONE_NS;
}

static bool all_idle(void)
{
	return atomic_load(&sched.idle_processor_count) == (uint32_t)sched.procs;
}

/* A processor that has made no step since the last tick is stuck. */
static void look_at_processors(uint32_t last_ticks[], int64_t now_ns)
{
	bool help = false;

	for (int i = 0; i < sched.procs; i++) {
		struct processor *p = &sched.processors[i];
		uint32_t tick = atomic_load_explicit(&p->tick, memory_order_relaxed);
		bool next = runq_has_next(&p->runq) || newq_length(&p->newq) > 0 ||
			rival_has_moved(p);
		bool stuck = tick == last_ticks[i] && next;

		last_ticks[i] = tick;
		atomic_store_explicit(&p->stuck, stuck, memory_order_relaxed);
		rival_forget(p);
		if (haul_lasts(p, now_ns, TICK_NS)) {
			haul_end(p);
			help = help || netpoll_needs_poller();
		}
		help = help || stuck || is_loaded(p);
	}
	if (help || atomic_load(&sched.global_count) > 0)
		wake_processor();
}

static void look_at_sockets(int64_t now_ns)
{
	struct netpoll_ready ready = {0};

	if (!netpoll_has_waiters() || now_ns - atomic_load(&sched.polled_ns) < TICK_NS)
		return;
	atomic_store(&sched.sysmon_polls, true);
	netpoll_try(&ready);
	netpoll_start_armed(&ready);
	put_global(&ready.goroutines);
	atomic_store(&sched.sysmon_polls, false);
	/* A machine that was about to wait in the kernel found the poller's place taken, by us, and
	 * went to sleep. If it was the last, somebody has to wait there after all, or to find that
	 * all are asleep. (A machine that only looks in passing sees to this itself, when it has
	 * nothing left to run.) */
	if (all_idle() && !atomic_load(&sched.polling))
		wake_processor();
}

/* Is there something to do that found no thread? Then it is for sysmon to try again. */
static bool lacks_thread(void)
{
	return atomic_load(&sched.global_count) > 0 || netpoll_needs_poller();
}

/* Sleeps until a processor is taken; returns when the run stops. */
static void sleep_while_idle(void)
{
	bool sleep;

	lock_acquire(&sched.lock);
	sleep = all_idle() && !lacks_thread() && !atomic_load(&sched.stopping);
	if (sleep) {
		note_clear(&sched.sysmon_note);
		sched.sysmon_asleep = true;
	}
	lock_release(&sched.lock);
	if (sleep)
		note_sleep(&sched.sysmon_note);
	note_clear(&sched.sysmon_note);
}

void sysmon_notice(void)
{
	if (!sched.sysmon_asleep)
		return;
	sched.sysmon_asleep = false;
	note_wake(&sched.sysmon_note);
}

static void *sysmon_main(void *arg)
{
	uint32_t last_ticks[GO_PROCS_MAX] = {0}, idle_ticks = 0;
	int64_t trim_ns = clock_deadline_ns(TRIM_NS), now_ns;

	(void)arg;
	set_this_machine(&sched.sysmon);
	while (!atomic_load(&sched.stopping)) {
		note_sleep_for(&sched.sysmon_note, tick_ns(idle_ticks));
		now_ns = clock_now_ns();
		atomic_store_explicit(&sched.now_ns, now_ns, memory_order_relaxed);
		timers_run();
		look_at_sockets(now_ns);
		look_at_processors(last_ticks, now_ns);
		if (now_ns >= trim_ns) {
			stack_pool_trim();
			trim_ns = now_ns + TRIM_NS;
		}
		idle_ticks = all_idle() ? idle_ticks + 1 : 0;
		if (idle_ticks >= IDLE_TICKS_MAX && !stack_pool_shrink()) {
			sleep_while_idle();
			idle_ticks = 0;
		}
	}
	set_this_machine(NULL);
	return NULL;
}

int sysmon_start(void)
{
	return -pthread_create(&sched.sysmon.thread, NULL, sysmon_main, NULL);
}

void sysmon_stop(void)
{
	lock_acquire(&sched.lock);
	atomic_store(&sched.stopping, true);
	sched.sysmon_asleep = false;
	lock_release(&sched.lock);
	note_wake(&sched.sysmon_note);
	pthread_join(sched.sysmon.thread, NULL);
}
