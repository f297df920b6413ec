/*
 * sched.h - the scheduler's own structures; for the files of this folder alone. The essay on how it
 * works stands at the top of sched.c.
 *
 *	struct goroutine  g  what runs: a stack and its registers (goroutine.h)
 *	struct machine    m  an OS thread that runs goroutines, with a stack of its own, g0
 *	struct processor  p  the right to run goroutines, and what goes with it: a queue, free stacks,
 *	                     random bits. Not a CPU, though there are usually as many.
 *
 * A machine needs a processor to run goroutines; one that blocks in the kernel gives it up.
 */
#ifndef CHAND_RUNTIME_SCHED_H
#define CHAND_RUNTIME_SCHED_H

#include "server/base/lock.h"
#include "server/base/random.h"
#include "server/runtime/goroutine.h"
#include "server/runtime/newq.h"
#include "server/runtime/note.h"
#include "server/runtime/runq.h"
#include "server/runtime/runtime.h"
#include "server/runtime/stackpool.h"

#include <pthread.h>
#include <signal.h>

/* Threads of all kinds: processors, and as many more that may block in the kernel at once. When all
 * are out, goroutines wait for one of them to come back, instead of threads growing. */
enum { MACHINES_MAX = GO_PROCS_MAX + 256 };

/* How long from one newborn's first step to the next one's, lately; what idles or runs between counts.
 * Nothing is known at first, and then it is as long as can be. */
struct pace {
	uint64_t begin_ns;
	uint64_t calm_ns; /* the same, but one look can do no more than double it: when the thread was
			   * taken off its CPU meanwhile, that says nothing of what comes */
	int64_t since_ns; /* of the last look at the clock */
	uint32_t sample;  /* how many begin between that and the next */
	uint32_t left;    /* of those */
};

struct processor {
	struct runq runq;
	struct newq newq;

	/* All else belongs to the machine that holds the processor, or, while it is idle, to
	 * sched.lock. */
	uint32_t index;
	struct pace pace;
	_Atomic uint32_t tick;      /* scheduling steps; every 61st looks beyond the queue */
	_Atomic bool stuck;         /* sysmon: no step for 10 ms, though something is next */
	_Atomic bool idle;          /* on sched.idle_processors */
	_Atomic bool together;      /* its goroutines are to stay together, see rival.h */
	_Atomic int64_t haul_ns;    /* when a poll filled the ring, which is left alone; or 0: haul.h */
	_Atomic(struct goroutine *) inbox; /* those that moved here, the last first */
	uint32_t bouts;             /* locks that its goroutines found taken, since then */
	int64_t bouts_since_ns;
	int64_t bouts_waited_ns;    /* for those */
	struct stack_pool stacks;
	struct nursery *nursery;    /* that go() fills; NULL before the first */
	struct random random;
	uint64_t id_next, id_end;   /* goroutine ids taken from sched.id_next in advance */
	struct processor *idle_link;
	_Atomic int64_t alive;      /* goroutines born here minus those that died here */
};

/* What the next stack does for the one just left, once it is left: see after_switch(). */
enum after {
	AFTER_NOTHING,
	AFTER_PARK,  /* G_WAITING, then unlock(g, arg) */
	AFTER_YIELD, /* to the tail of the queue */
	AFTER_QUEUE, /* to the global queue: it has no processor */
	AFTER_MOVE,  /* to another processor, move_to */
	AFTER_EXIT,  /* dead: free its stack */
};

struct machine {
	struct context g0;
	struct goroutine *curg; /* NULL on g0 */
	struct processor *p;    /* NULL while idle or blocked in the kernel */

	enum after after;
	struct goroutine *left; /* by the switch that `after` belongs to */
	bool (*unlock)(struct goroutine *g, void *arg);
	void *unlock_arg;
	struct processor *move_to;

	struct goroutine *newborn;   /* g0 is to begin it; see begins_cold() */
	bool spinning;               /* looks for work to steal; counted in sched.spinning */
	struct processor *next_p;    /* handed over by who wakes it */
	struct note note;            /* sleeps here in stop_machine */
	struct machine *idle_link;   /* on sched.idle_machines */
	struct machine *all_link;    /* on sched.machines */
	pthread_t thread;
	void *signal_stack;
	stack_t old_signal_stack; /* what it replaced */
};

struct sched {
	struct lock lock; /* LOCK_RANK_SCHED */

	/* Under lock; the counts may be read without. */
	struct go_queue global;
	struct go_queue newborns; /* which no processor had room for, the youngest batch first */
	_Atomic uint32_t global_count; /* of both */
	struct processor *idle_processors;
	_Atomic uint32_t idle_processor_count;
	struct machine *idle_machines;
	uint32_t idle_machine_count;
	struct machine *machines; /* all but sysmon's; grows during a run only */
	uint32_t machine_count;
	uint32_t ended_count;     /* machines whose thread has left its loop */
	struct note main_ended; /* go_run's caller sleeps here */
	struct note all_ended;  /* and then here */
	bool sysmon_asleep;

	_Atomic uint32_t spinning; /* machines that look for work */
	_Atomic uint32_t blocking_count; /* machines between blocking_enter and blocking_exit */
	_Atomic bool stopping;     /* the main goroutine has returned */
	_Atomic uint64_t id_next;
	_Atomic int64_t now_ns;    /* coarse: 10 ms old at most while anything runs, 50 ms
				    * with one processor */
	_Atomic int64_t alive;     /* as processor.alive, of threads without one */

	/* The poller: one machine at a time, or sysmon. */
	_Atomic bool polling;
	_Atomic int64_t poll_until_ns; /* when the poller comes back by itself; meaningful while
					* polling; INT64_MIN while it is not decided yet */
	_Atomic int64_t polled_ns;     /* end of the last poll */
	_Atomic bool sysmon_polls;     /* sysmon polls, or has not queued yet what it found */

	struct processor *processors; /* [procs] */
	int procs;
	bool shuffled;          /* a seed was given: choose at random where order is free */
	struct machine sysmon;  /* runs without a processor */
	struct note sysmon_note;
	int result;             /* of the main function */
	int (*main_fn)(void *);
	void *main_arg;
};

extern struct sched sched;

/*
 * The machine of the calling thread, NULL on others'. A goroutine may resume on another thread, and a
 * compiler that sees a thread-local reads its address once and keeps it: so it is asked for by an
 * instruction that the compiler does not look into, or out of line.
 */
extern _Thread_local struct machine *current_machine;
#ifdef __x86_64__
static inline struct machine *this_machine(void)
{
	struct machine *m;

	__asm__ volatile("movq %%fs:current_machine@tpoff, %0" : "=r"(m) : : "memory");
	return m;
}
#else
struct machine *this_machine(void);
#endif
void set_this_machine(struct machine *m);

/* ---- sched.c ---- */

/* Leaves the running goroutine for the next one, or g0; `after` is done to it once it is left.
 * Returns when it runs again, maybe on another machine. */
void switch_away(struct machine *m, enum after after);

/* Does what the left stack asked for: first thing after every switch. */
void after_switch(void);

/* Puts g where it will run: on the caller's processor, or the global queue; and sees to it that some
 * machine comes for it. */
void put_next(struct machine *m, struct goroutine *g);
void put_global(struct go_queue *q);

/* The same for one that has not begun. */
void put_new(struct machine *m, struct goroutine *g);

/* Has p more to do than what comes next there? Then an idle processor could help. */
bool is_loaded(struct processor *p);

/* Wakes a machine to look for work, if a processor is idle and nobody looks yet. */
void wake_processor(void);

/* Runs a machine: its thread's loop, until the run stops. */
void machine_loop(struct machine *m);

/* Gives up m's processor before its thread blocks: to another machine if there is anything to do. */
void hand_off_processor(struct processor *p);

/* With sched.lock: an idle processor, off the list, or NULL; and back. */
struct processor *idle_processor_get(void);
void idle_processor_put(struct processor *p);

/* The same, locking. */
struct processor *take_idle_processor(void);

/* ---- machine.c ---- */

/* Lets an idle machine, or a new thread, run with p; `spinning` is inherited (and counted already).
 * False, and p untouched, where there is no thread to be had. */
bool start_machine(struct processor *p, bool spinning);

/* Sleeps until start_machine gives m a processor, or the run stops (m->p is NULL then). */
void stop_machine(struct machine *m);

/* Makes the calling thread a machine, and undoes that. */
int machine_init(struct machine *m);
void machine_fini(struct machine *m);

/* Ends a run: every machine is woken and leaves its loop. */
void stop_all_machines(void);
/* Waits for that; false when some do not come. Frees the machines when true. */
bool join_all_machines(void);

/* ---- goroutine.c ---- */

/* go_spawn without the queue: the goroutine is runnable, and the caller's to put somewhere. */
int goroutine_new(struct machine *m, const struct go_site *site,
	void (*call)(void *code, void *args), void *code, const void *args, size_t args_bytes,
	struct goroutine **ret_g);
/* Gives one in G_NEW a stack, on m's processor: from now on it is what is returned. */
struct goroutine *goroutine_begin(struct machine *m, struct goroutine *newborn);
/* It has ended, and its stack was left. */
void goroutine_free(struct machine *m, struct goroutine *g);

/* ---- sysmon.c ---- */
int sysmon_start(void);
void sysmon_stop(void);
/* With sched.lock: a processor leaves the idle list. */
void sysmon_notice(void);

/* ---- fault.c, dump.c ---- */
int fault_init(bool dump_on_sigquit);
void fault_fini(void);
int fault_thread_init(struct machine *m);
void fault_thread_fini(struct machine *m);
noreturn void deadlock(void);
/* go_fatal without stdio: from signal handlers too. */
noreturn void fatal(const char *message);

#endif
