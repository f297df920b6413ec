/*
 * machine.c - threads that run goroutines: made when a processor has none, asleep on their note when
 * it has no use for them, gone when the run ends.
 */
#include "config.h"

#include "server/base/clock.h"
#include "server/base/panic.h"
#include "server/runtime/netpoll_sched.h"
#include "server/runtime/sched.h"
#include "server/runtime/timer_sched.h"

#include <errno.h>
#include <stdlib.h>

/* How long the end of a run waits for a thread to come to a scheduling point: 2 s, long enough for a
 * busy machine to let it run, and one nap where it is known to block in the kernel. Naps are counted and
 * not time, which that thread did not have either while the whole process stood still. */
#define JOIN_NAP_NS (100 * NS_PER_MS)
#define JOIN_NAPS_MAX 20

/* The thread's stack, for the sanitizers. */
static void tell_sanitizer(struct machine *m)
{
	pthread_attr_t attr;
	void *low = NULL;
	size_t bytes = 0;

	if (pthread_getattr_np(pthread_self(), &attr) == 0) {
		pthread_attr_getstack(&attr, &low, &bytes);
		pthread_attr_destroy(&attr);
	}
	sanitizer_thread_stack(&m->g0.sanitizer, low, bytes);
}

/*
 * Nobody cancels these threads. To say so spares each recv and send two locked instructions: glibc lets
 * a thread be cancelled while it is in one, and has nothing to do for that where it may be at any time.
 */
static void forbid_cancellation(void)
{
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
}

int machine_init(struct machine *m)
{
	int rc = fault_thread_init(m);

	forbid_cancellation();
	if (rc < 0)
		return rc;
	tell_sanitizer(m);
	set_this_machine(m);
	return 0;
}

void machine_fini(struct machine *m)
{
	set_this_machine(NULL);
	fault_thread_fini(m);
}

static void machine_ended(void)
{
	bool last;

	lock_acquire(&sched.lock);
	last = ++sched.ended_count == sched.machine_count;
	lock_release(&sched.lock);
	if (last)
		note_wake(&sched.all_ended);
}

static void *machine_main(void *arg)
{
	struct machine *m = arg;

	/* Without a stack for signals an overflow would go unexplained, no more. */
	if (machine_init(m) < 0)
		set_this_machine(m);
	machine_loop(m);
	machine_fini(m);
	machine_ended();
	return NULL;
}

/* With sched.lock: a machine that is counted; its thread does not run yet. */
static struct machine *machine_new(void)
{
	struct machine *m;

	if (sched.machine_count == MACHINES_MAX || atomic_load(&sched.stopping))
		return NULL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	sched.machine_count++;
	m->all_link = sched.machines;
	sched.machines = m;
	return m;
}

/* With sched.lock: undoes machine_new for the last one made. */
static void machine_undo(struct machine *m)
{
	struct machine **p = &sched.machines;

	while (*p != m)
		p = &(*p)->all_link;
	*p = m->all_link;
	sched.machine_count--;
	free(m);
}

static struct machine *take_idle_machine(void)
{
	struct machine *m = sched.idle_machines;

	if (m) {
		sched.idle_machines = m->idle_link;
		sched.idle_machine_count--;
	}
	return m;
}

static bool start_thread(struct machine *m)
{
	if (pthread_create(&m->thread, NULL, machine_main, m) == 0)
		return true;
	lock_acquire(&sched.lock);
	machine_undo(m);
	lock_release(&sched.lock);
	return false;
}

bool start_machine(struct processor *p, bool spinning)
{
	struct machine *m;
	bool asleep;

	lock_acquire(&sched.lock);
	m = take_idle_machine();
	asleep = m != NULL;
	if (!m)
		m = machine_new();
	lock_release(&sched.lock);
	if (!m)
		return false;

	m->spinning = spinning;
	if (asleep) {
		m->next_p = p;
		note_wake(&m->note);
		return true;
	}
	m->p = p;
	return start_thread(m);
}

/* With sched.lock, m just put to the idle ones: can nothing ever happen any more? Machines that block
 * in the kernel, and a poller, are not idle. Sysmon is no machine: a waiter that it has taken is in its
 * hands, so that is asked after the waiters, until it is in the global queue. */
static bool all_asleep(void)
{
	return sched.idle_machine_count == sched.machine_count && sched.global_count == 0 &&
		!netpoll_has_waiters() && !timers_pending() && !atomic_load(&sched.polling) &&
		!atomic_load(&sched.sysmon_polls);
}

void stop_machine(struct machine *m)
{
	bool dead;

	lock_acquire(&sched.lock);
	if (atomic_load(&sched.stopping)) {
		lock_release(&sched.lock);
		return;
	}
	note_clear(&m->note);
	m->next_p = NULL;
	m->idle_link = sched.idle_machines;
	sched.idle_machines = m;
	sched.idle_machine_count++;
	dead = all_asleep();
	lock_release(&sched.lock);
	if (dead)
		deadlock();
	note_sleep(&m->note);
	m->p = m->next_p;
}

void stop_all_machines(void)
{
	struct machine *m, *idle;

	lock_acquire(&sched.lock);
	atomic_store(&sched.stopping, true);
	idle = sched.idle_machines;
	sched.idle_machines = NULL;
	sched.idle_machine_count = 0;
	lock_release(&sched.lock);
	while ((m = idle)) {
		idle = m->idle_link;
		note_wake(&m->note);
	}
	netpoll_interrupt();
	note_wake(&sched.main_ended);
}

static bool rest_blocks(void)
{
	bool all;

	lock_acquire(&sched.lock);
	all = sched.machine_count - sched.ended_count <= atomic_load(&sched.blocking_count);
	lock_release(&sched.lock);
	return all;
}

static bool wait_for_machines(void)
{
	int naps = 0;

	while (!note_sleep_for(&sched.all_ended, JOIN_NAP_NS))
		if (++naps == JOIN_NAPS_MAX || rest_blocks())
			return false;
	return true;
}

bool join_all_machines(void)
{
	struct machine *m, *next;

	if (!wait_for_machines()) {
		for (m = sched.machines; m; m = m->all_link)
			pthread_detach(m->thread);
		return false;
	}
	for (m = sched.machines; m; m = next) {
		next = m->all_link;
		pthread_join(m->thread, NULL);
		free(m);
	}
	return true;
}
