/*
 * netpoll.c - see netpoll.h; the back end is netpoll_libevent.c.
 *
 * Each direction of a descriptor is one word:
 *
 *	NONE      nothing happened, nobody waits
 *	READY     became ready; whoever waits next does not
 *	WAITING   a goroutine is about to park here, still on its stack
 *	WOKEN     it became ready before that goroutine had parked, which so will not
 *	EXPIRED   its deadline came before it had parked, and it will not
 *	ARMED     netpoll_on: `on` says what to start
 *	FIRING    a poller is about to start that; `on` is its own until it stores NONE
 *	RETRY     the start failed for want of memory; on the list of netpoll.retry
 *	a pointer to the goroutine that is parked
 *
 * The poller, the deadline's timer, netpoll_close and the waiter race by compare-and-swap on it; who
 * takes the pointer away wakes the goroutine, and none else touches it.
 */
#include "config.h"

#include "server/runtime/netpoll.h"

#include "server/base/clock.h"
#include "server/base/lock.h"
#include "server/base/panic.h"
#include "server/runtime/netpoll_sched.h"
#include "server/runtime/sched.h"
#include "server/runtime/timer.h"
#include "server/runtime/timer_sched.h"

#include <errno.h>
#include <stdlib.h>

enum { NONE, READY, WAITING, WOKEN, EXPIRED, ARMED, FIRING, RETRY, WORDS_END };

/* How long a start waits that found no memory for a stack. */
#define RETRY_NS (10 * NS_PER_MS)

struct netpoll_direction {
	_Atomic uintptr_t word;
	union {
		struct timer *timer; /* the parked goroutine's deadline */
		struct {
			const struct netpoll_call *call;
			void *arg;
			struct netpoll_direction *link; /* FIRING, RETRY: on a list of those */
		} on;
	};
};

struct netpoll_desc {
	struct netpoll_direction directions[2]; /* by enum netpoll_mode */
	void *handles[2];                       /* the back end's; for writing NULL at first, and then
						 * who waits there sets it while its word is passing */
	int fd;
	_Atomic bool closing;
	_Atomic bool closed; /* by the peer */
};

static struct {
	_Atomic uint32_t waiters; /* directions with someone parked, armed or to be started */
	struct lock lock;         /* guards `retry`, and all words that say RETRY */
	struct netpoll_direction *retry;
	_Atomic uint32_t retry_count;
} netpoll = {.lock = LOCK_INIT(LOCK_RANK_NETPOLL)};

static void waiters_add(int n)
{
	atomic_fetch_add(&netpoll.waiters, (uint32_t)n);
}

bool netpoll_has_waiters(void)
{
	return atomic_load(&netpoll.waiters) > 0;
}

static bool swap(struct netpoll_direction *d, uintptr_t from, uintptr_t to)
{
	return atomic_compare_exchange_strong(&d->word, &from, to);
}

/* ---- Descriptors ---- */

int netpoll_open(int fd, struct netpoll_desc **ret_desc)
{
	struct netpoll_desc *desc;
	int rc;

	if (fd < 0)
		return -EBADF;
	desc = calloc(1, sizeof(*desc));
	if (!desc)
		return -ENOMEM;
	desc->fd = fd;
	rc = backend_add(fd, NETPOLL_READ, desc, &desc->handles[NETPOLL_READ]);
	if (rc < 0) {
		free(desc);
		return rc;
	}
	*ret_desc = desc;
	return 0;
}

/* Takes d off the list of starts to be tried again; false if it is not there. */
static bool forget_retry(struct netpoll_direction *d)
{
	struct netpoll_direction **p;
	bool found = false;

	lock_acquire(&netpoll.lock);
	if (atomic_load(&d->word) == RETRY) {
		for (p = &netpoll.retry; *p != d; p = &(*p)->on.link)
			;
		*p = d->on.link;
		atomic_fetch_sub(&netpoll.retry_count, 1);
		atomic_store(&d->word, NONE);
		found = true;
	}
	lock_release(&netpoll.lock);
	return found;
}

static bool disarm(struct netpoll_direction *d)
{
	if (!swap(d, ARMED, NONE) && !forget_retry(d))
		return false;
	waiters_add(-1);
	return true;
}

/* Someone is about to leave this state by itself. */
static bool is_passing(uintptr_t word)
{
	return word == WAITING || word == WOKEN || word == EXPIRED || word == FIRING;
}

/* While someone is in the middle of a few instructions, in which nobody parks. */
static uintptr_t let_pass(struct netpoll_direction *d)
{
	uintptr_t word;

	while (is_passing(word = atomic_load(&d->word)))
		go_yield();
	return word;
}

/* Has the poller forget one direction, and ends whatever waits there. */
static void cancel(struct netpoll_desc *desc, enum netpoll_mode mode)
{
	struct netpoll_direction *d = &desc->directions[mode];
	uintptr_t word;

	let_pass(d); /* who waits sets the handle */
	if (desc->handles[mode])
		backend_remove(desc->handles[mode]);
	word = let_pass(d);
	if (word == ARMED || word == RETRY) {
		disarm(d);
		return;
	}
	if (word >= WORDS_END && swap(d, word, NONE)) {
		struct goroutine *g = (struct goroutine *)word;

		/* Its timer looks at the word, which will be gone. */
		if (d->timer)
			timer_stop(d->timer);
		waiters_add(-1);
		g->wake_result = -ECANCELED;
		go_ready(g);
	}
}

void netpoll_close(struct netpoll_desc *desc)
{
	if (!desc)
		return;
	atomic_store(&desc->closing, true);
	cancel(desc, NETPOLL_READ);
	cancel(desc, NETPOLL_WRITE);
	free(desc);
}

bool netpoll_is_closed(const struct netpoll_desc *desc)
{
	return atomic_load_explicit(&desc->closed, memory_order_relaxed);
}

/* A bell is its handle. */
int netpoll_add_bell(struct netpoll_desc *desc, int fd, struct netpoll_bell **ret_bell)
{
	void *handle;
	int rc = backend_add_bell(fd, desc, &handle);

	if (rc == 0)
		*ret_bell = handle;
	return rc;
}

void netpoll_remove_bell(struct netpoll_bell *bell)
{
	if (bell)
		backend_remove(bell);
}

/* ---- Waiting ---- */

struct wait {
	struct netpoll_direction *direction;
	struct goroutine *g;
	struct timer timer;
	int64_t deadline_ns;
};

static void expire(void *arg)
{
	struct wait *w = arg;

	if (swap(w->direction, (uintptr_t)w->g, NONE)) {
		waiters_add(-1);
		w->g->wake_result = -ETIMEDOUT;
		go_ready(w->g);
		return;
	}
	swap(w->direction, WAITING, EXPIRED);
}

/* The goroutine has left its stack: let it be found. */
static bool commit_wait(struct goroutine *g, void *arg)
{
	struct wait *w = arg;
	struct netpoll_direction *d = w->direction;

	d->timer = NULL;
	if (w->deadline_ns != DEADLINE_NEVER) {
		d->timer = &w->timer;
		timer_start(&w->timer, w->deadline_ns);
	}
	waiters_add(1);
	if (swap(d, WAITING, (uintptr_t)g))
		return true; /* g, w and the descriptor may be gone by now */
	waiters_add(-1);
	return false;
}

/* Whoever found that netpoll_off came too late may be here before the poller has stored NONE. */
static void let_fire(struct netpoll_direction *d)
{
	while (atomic_load(&d->word) == FIRING)
		go_yield();
}

/* True when the direction was ready, which is used up; else the word says WAITING. */
static bool take_ready_or_wait(struct netpoll_direction *d)
{
	let_fire(d);
	for (;;) {
		if (swap(d, READY, NONE))
			return true;
		if (swap(d, NONE, WAITING))
			return false;
		check(atomic_load(&d->word) == READY); /* else two wait in one direction */
	}
}

/* Registers for what is waited for the first time. 0, or -ENOMEM. */
static int add_direction(struct netpoll_desc *desc, enum netpoll_mode mode)
{
	if (desc->handles[mode] ||
		backend_add(desc->fd, mode, desc, &desc->handles[mode]) == 0)
		return 0;
	return -ENOMEM;
}

int netpoll_wait(struct netpoll_desc *desc, enum netpoll_mode mode, int64_t deadline_ns)
{
	struct wait w = {
		.direction = &desc->directions[mode], .g = go_self(), .deadline_ns = deadline_ns};
	int rc;

	if (take_ready_or_wait(w.direction))
		return 0;
	rc = add_direction(desc, mode);
	if (rc < 0) {
		atomic_store(&w.direction->word, NONE);
		return rc;
	}
	timer_init(&w.timer, expire, &w);
	w.g->wake_result = 1;
	w.g->wait_object = desc;
	go_park(commit_wait, &w, WAIT_IO);
	if (w.g->wake_result != 1)
		return (int)w.g->wake_result; /* who woke us has stopped the timer, or was it */
	timer_stop(&w.timer);
	/* It did not park: the word was changed before. NONE is the last that we touch. */
	rc = atomic_load(&w.direction->word) == WOKEN ? 0 : -ETIMEDOUT;
	if (atomic_load(&desc->closing))
		rc = -ECANCELED;
	if (atomic_exchange(&w.direction->word, NONE) == WOKEN && rc == -ETIMEDOUT)
		rc = 0;
	return rc;
}

/* ---- Arming ---- */

struct armed_call {
	void (*fn)(void *arg);
	void *arg;
};

static void call_armed(void *code, void *args)
{
	struct armed_call *c = args;

	(void)code;
	c->fn(c->arg);
}

/* Starts what d, which is FIRING, was armed with; d may be gone afterwards. NULL where nothing could
 * be started: it is tried again. */
static struct goroutine *start_armed(struct netpoll_direction *d)
{
	struct armed_call c = {d->on.call->fn, d->on.arg};
	struct goroutine *g;

	if (goroutine_new(this_machine(), &d->on.call->site, call_armed, NULL, &c, sizeof(c),
		    &g) == 0) {
		/* Pairs with let_fire, let_pass and netpoll_fire's load. What a poller tells that still
		 * sees FIRING is lost, but lay in the kernel before g looks there, where the
		 * descriptor's own lock has put both in order. */
		atomic_store_explicit(&d->word, NONE, memory_order_release);
		waiters_add(-1);
		return g;
	}
	lock_acquire(&netpoll.lock);
	d->on.link = netpoll.retry;
	netpoll.retry = d;
	atomic_fetch_add(&netpoll.retry_count, 1);
	atomic_store(&d->word, RETRY);
	lock_release(&netpoll.lock);
	netpoll_interrupt(); /* who waits in the kernel knew of nothing to be tried again */
	return NULL;
}

void netpoll_start_armed(struct netpoll_ready *ready)
{
	struct netpoll_direction *d, *next;
	struct goroutine *g;

	for (d = ready->armed; d; d = next) {
		next = d->on.link;
		g = start_armed(d);
		if (g)
			go_queue_push(&ready->goroutines, g);
	}
	ready->armed = NULL;
}

static void add_armed(struct netpoll_ready *ready, struct netpoll_direction *d)
{
	d->on.link = ready->armed;
	ready->armed = d;
}

/* Those that found no memory before. */
static void take_retries(struct netpoll_ready *ready)
{
	struct netpoll_direction *d;

	if (atomic_load(&netpoll.retry_count) == 0)
		return;
	lock_acquire(&netpoll.lock);
	while ((d = netpoll.retry)) {
		netpoll.retry = d->on.link;
		atomic_store(&d->word, FIRING);
		add_armed(ready, d);
	}
	atomic_store(&netpoll.retry_count, 0);
	lock_release(&netpoll.lock);
}

void netpoll_on_at(const struct netpoll_call *call, struct netpoll_desc *desc,
	enum netpoll_mode mode, void *arg)
{
	struct netpoll_direction *d = &desc->directions[mode];
	struct goroutine *g;

	let_fire(d);
	/* Where it cannot be registered fn is started at once, and finds that out. */
	if (add_direction(desc, mode) < 0)
		swap(d, NONE, READY);
	d->on.call = call;
	d->on.arg = arg;
	waiters_add(1);
	for (;;) {
		if (swap(d, NONE, ARMED))
			return;
		if (swap(d, READY, FIRING))
			break;
		check(atomic_load(&d->word) <= READY); /* else two wait in one direction */
	}
	g = start_armed(d);
	if (g)
		put_next(this_machine(), g);
}

bool netpoll_off(struct netpoll_desc *desc, enum netpoll_mode mode)
{
	return disarm(&desc->directions[mode]);
}

/* ---- The poller ---- */

/* Who fires the direction next, or finds it READY, sees this: the word is changed behind it. */
void netpoll_note_closed(struct netpoll_desc *desc)
{
	atomic_store_explicit(&desc->closed, true, memory_order_relaxed);
}

void netpoll_fire(struct netpoll_desc *desc, enum netpoll_mode mode, struct netpoll_ready *ready)
{
	struct netpoll_direction *d = &desc->directions[mode];
	uintptr_t word = atomic_load(&d->word);

	for (;;) {
		uintptr_t to;

		if (word == NONE)
			to = READY;
		else if (word == WAITING || word == EXPIRED)
			to = WOKEN;
		else if (word == ARMED)
			to = FIRING;
		else if (word >= WORDS_END)
			to = NONE;
		else
			return; /* who is woken or started will try the descriptor anyway */
		if (atomic_compare_exchange_weak(&d->word, &word, to))
			break;
	}
	if (word == ARMED) {
		add_armed(ready, d);
	} else if (word >= WORDS_END) {
		struct goroutine *g = (struct goroutine *)word;

		/* Until g runs the descriptor may be closed: its timer must not look there. */
		if (d->timer)
			timer_stop(d->timer);
		waiters_add(-1);
		g->wake_result = 0;
		go_queue_push(&ready->goroutines, g);
		ready->writers += mode == NETPOLL_WRITE;
	}
}

void netpoll_poke(struct netpoll_desc *desc, enum netpoll_mode mode)
{
	struct netpoll_ready ready = {0};
	struct goroutine *g;

	netpoll_fire(desc, mode, &ready);
	if ((g = go_queue_pop(&ready.goroutines)))
		go_ready(g);
	netpoll_start_armed(&ready);
	if ((g = go_queue_pop(&ready.goroutines)))
		put_next(this_machine(), g);
}

static void note_polled(void)
{
	int64_t now_ns = clock_now_ns();

	atomic_store_explicit(&sched.now_ns, now_ns, memory_order_relaxed);
	atomic_store_explicit(&sched.polled_ns, now_ns, memory_order_relaxed);
}

static bool begin_polling(void)
{
	bool polling = false;

	return atomic_compare_exchange_strong(&sched.polling, &polling, true);
}

static void end_polling(struct netpoll_ready *ready)
{
	take_retries(ready);
	for (struct goroutine *g = ready->goroutines.head; g; g = g->link)
		atomic_store_explicit(&g->state, G_RUNNABLE, memory_order_relaxed);
	note_polled();
	atomic_store(&sched.poll_until_ns, INT64_MIN);
	atomic_store(&sched.polling, false);
}

void netpoll_try(struct netpoll_ready *ready)
{
	if (!netpoll_has_waiters() || !begin_polling())
		return;
	backend_poll(0, ready);
	end_polling(ready);
}

/* When the poller comes back by itself; read again after it is published, see sched.c. */
static int64_t publish_poll_until(void)
{
	int64_t until_ns;

	do {
		until_ns = timers_next_ns();
		if (atomic_load(&netpoll.retry_count) > 0 && until_ns > clock_deadline_ns(RETRY_NS))
			until_ns = clock_deadline_ns(RETRY_NS);
		atomic_store(&sched.poll_until_ns, until_ns);
	} while (timers_next_ns() < until_ns);
	return until_ns;
}

static bool nothing_to_wait_for(void)
{
	return !netpoll_has_waiters() && !timers_pending();
}

void netpoll_hurry(void)
{
	if (timers_next_ns() < atomic_load(&sched.poll_until_ns) || nothing_to_wait_for())
		netpoll_interrupt();
}

bool netpoll_wait_for_work(struct netpoll_ready *ready)
{
	int64_t until_ns;

	if (nothing_to_wait_for() && !atomic_load(&sched.polling))
		return false;
	if (!begin_polling()) {
		netpoll_hurry();
		return false;
	}
	until_ns = publish_poll_until();
	if (!atomic_load(&sched.stopping) && !nothing_to_wait_for())
		backend_poll(until_ns, ready);
	end_polling(ready);
	return true;
}

bool netpoll_needs_poller(void)
{
	return !nothing_to_wait_for() && !atomic_load(&sched.polling);
}

void netpoll_interrupt(void)
{
	if (atomic_load(&sched.polling))
		backend_interrupt();
}

int netpoll_init(void)
{
	atomic_store(&netpoll.waiters, 0);
	atomic_store(&netpoll.retry_count, 0);
	netpoll.retry = NULL;
	return backend_init();
}

void netpoll_fini(void)
{
	backend_fini();
}
