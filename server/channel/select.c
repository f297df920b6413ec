/*
 * Select, in up to three passes.
 *
 *   1. Optimistic: look at every case without a lock, pick one of those that seem ready, lock its
 *      channel alone and do it. What is ready needs no more than that.
 *   2. Under the locks of all channels: do one that is ready; or say "default", which is true of
 *      this instant; or stand in every queue and park. The locks are let go of only when the
 *      goroutine is off its stack, so nobody wakes it too early.
 *   3. Awake: somebody won the race (sudog.h) for one case, moved its value and took its sudog out.
 *      Take the others out, one channel after the other: with the race decided, nothing more can
 *      happen to them.
 *
 * Locks of many channels are taken by ascending address, each once, and released in reverse.
 *
 * Pass 3 leaves alone the channel of the case that happened: the goroutine at its other end may
 * have freed it by now (hchan.h: the one leniency; but for another case of the same channel, which
 * has to leave its queues).
 */
#include "config.h"

#include "server/channel/select.h"

#include <errno.h>

#include "server/base/clock.h"
#include "server/base/panic.h"
#include "server/runtime/golock.h"
#include "server/runtime/runtime.h"
#include "server/runtime/timer.h"

/* A select that parks. In its goroutine's frame. */
struct select {
	struct select_case *cases;
	int n_locks;
	struct goroutine *g;
	struct select_race race;
	struct sudog timeout; /* what wins the race when no case does */
	int64_t deadline_ns;
	struct timer timer;
};

static struct hchan *locked_channel(const struct select_case *cases, int i)
{
	return cases[cases[i].lock_order].c;
}

/* Orders the cases that have a channel by its address; returns how many they are. Shell's sort: in
 * place, no recursion, and for a handful of cases a plain insertion sort. */
static int sort_by_address(struct select_case *cases, int n)
{
	int count = 0;

	for (int i = 0; i < n; i++)
		if (cases[i].c)
			cases[count++].lock_order = (uint16_t)i;
	for (int gap = count > 8 ? count / 3 : 1; gap > 0; gap = gap > 3 ? gap / 3 : gap > 1) {
		for (int i = gap; i < count; i++) {
			uint16_t order = cases[i].lock_order;
			int j = i;

			for (; j >= gap && locked_channel(cases, j - gap) > cases[order].c;
				j -= gap)
				cases[j].lock_order = cases[j - gap].lock_order;
			cases[j].lock_order = order;
		}
	}
	return count;
}

/* Is the i-th in lock order the first of its channel? */
static bool is_first_of_channel(const struct select_case *cases, int i)
{
	return i == 0 || locked_channel(cases, i - 1) != locked_channel(cases, i);
}

static void lock_all(struct select_case *cases, int n_locks)
{
	for (int i = 0; i < n_locks; i++)
		if (is_first_of_channel(cases, i))
			golock_acquire_here(&locked_channel(cases, i)->lock);
}

/* Once the last lock is free the cases may be gone: their goroutine may run, on another processor.
 * So everything is read before each release, and nothing after the last. */
static void unlock_all(struct select_case *cases, int n_locks)
{
	for (int i = n_locks - 1; i >= 0; i--)
		if (is_first_of_channel(cases, i))
			golock_release(&locked_channel(cases, i)->lock);
}

static bool may_happen(const struct select_case *sc)
{
	if (!sc->c)
		return false;
	return sc->op == SELECT_SEND ? hchan_may_send(sc->c) : hchan_may_recv(sc->c);
}

/* One of the cases that seem ready, each with equal chance; -1 if none does. */
static int pick_ready(const struct select_case *cases, int n)
{
	int picked = -1;
	uint32_t ready = 0;

	for (int i = 0; i < n; i++) {
		if (!may_happen(&cases[i]))
			continue;
		/* The k-th that is ready replaces the pick with chance 1/k. */
		if (++ready == 1 || go_random_below(ready) == 0)
			picked = i;
	}
	return picked;
}

/* Does the case if it can happen: 0, -EAGAIN if it would wait, -EPIPE for a send on a closed
 * channel. Needs its channel's lock. */
static int try_locked(struct select_case *sc, struct goroutine **wake)
{
	int rc;

	if (sc->op == SELECT_SEND)
		return hchan_send_locked(sc->c, sc->value, wake);
	rc = hchan_recv_locked(sc->c, sc->value, wake);
	if (rc < 0)
		return rc;
	sc->ok = rc;
	return 0;
}

/* After the locks are free: wakes the other side, or panics as a send on a closed channel must. */
static void finish(int rc, struct goroutine *wake)
{
	if (rc == -EPIPE)
		hchan_panic_send_on_closed();
	if (wake)
		go_ready(wake);
}

/* Pass 1. Returns the case that happened, or -1. */
static int try_optimistic(struct select_case *cases, int n)
{
	struct goroutine *wake = NULL;
	int rc, i = pick_ready(cases, n);

	if (i < 0)
		return -1;
	golock_acquire_here(&cases[i].c->lock);
	rc = try_locked(&cases[i], &wake);
	golock_release(&cases[i].c->lock);
	finish(rc, wake);
	return rc == -EAGAIN ? -1 : i;
}

/* Pass 2, with every lock held: does a case that is ready. What seems ready and is not was a
 * waiter whose select another case has won; each try takes such a one away. */
static int try_all_locked(struct select_case *cases, int n, int *ret_rc, struct goroutine **wake)
{
	int i;

	while ((i = pick_ready(cases, n)) >= 0) {
		*ret_rc = try_locked(&cases[i], wake);
		if (*ret_rc != -EAGAIN)
			break;
	}
	return i;
}

static struct wait_queue *queue_of(const struct select_case *sc)
{
	return sc->op == SELECT_SEND ? &sc->c->sendq : &sc->c->recvq;
}

static void stand_in_all(struct select *s, int n)
{
	for (int i = 0; i < n; i++) {
		struct select_case *sc = &s->cases[i];

		sc->waiter = (struct sudog){.g = s->g, .value = sc->value, .race = &s->race};
		if (sc->c)
			wait_queue_put(queue_of(sc), &sc->waiter);
	}
}

/* Pass 3. */
static void leave_others(struct select_case *cases, int n, const struct sudog *winner)
{
	for (int i = 0; i < n; i++) {
		struct select_case *sc = &cases[i];

		if (!sc->c || &sc->waiter == winner)
			continue;
		golock_acquire_here(&sc->c->lock);
		wait_queue_remove(queue_of(sc), &sc->waiter);
		golock_release(&sc->c->lock);
	}
}

/* The deadline came: wake the goroutine, unless a case has won. Runs under the lock of the timers,
 * which timer_stop() takes as well: the select is there for as long as this runs. */
static void on_deadline(void *arg)
{
	struct select *s = arg;

	if (select_race_win(&s->race, &s->timeout))
		go_ready(s->g);
}

/* Runs once the goroutine is off its stack. The timer first: the goroutine, if it wakes at once,
 * still has to take every lock. */
static bool commit(struct goroutine *g, void *arg)
{
	struct select *s = arg;
	struct select_case *cases = s->cases;
	int n_locks = s->n_locks;

	(void)g;
	if (s->deadline_ns != DEADLINE_NEVER)
		timer_start(&s->timer, s->deadline_ns);
	unlock_all(cases, n_locks);
	return true;
}

/* Parks, with every lock held on entry and none on return; returns the sudog that won. */
static const struct sudog *park(struct select *s, int n)
{
	stand_in_all(s, n);
	timer_init(&s->timer, on_deadline, s);
	go_park(commit, s, n == 0 ? WAIT_SELECT_NO_CASES : WAIT_SELECT);
	if (s->deadline_ns != DEADLINE_NEVER)
		timer_stop(&s->timer);
	return atomic_load_explicit(&s->race.winner, memory_order_acquire);
}

/* What the winner means to the caller of the select. */
static int outcome(const struct select *s, const struct sudog *winner)
{
	struct select_case *sc;

	if (winner == &s->timeout)
		return -ETIMEDOUT;
	sc = (struct select_case *)((char *)winner - offsetof(struct select_case, waiter));
	sc->ok = winner->ok;
	if (sc->op == SELECT_SEND && !sc->ok)
		hchan_panic_send_on_closed();
	return (int)(sc - s->cases);
}

/* Pass 3, once the wait is over. */
static int select_wait(struct select_case *cases, int n, int n_locks, int64_t deadline_ns)
{
	struct select s = {
		.cases = cases,
		.n_locks = n_locks,
		.g = go_self(),
		.deadline_ns = deadline_ns,
	};
	const struct sudog *winner = park(&s, n);

	leave_others(cases, n, winner);
	return outcome(&s, winner);
}

static bool is_past(int64_t deadline_ns)
{
	if (deadline_ns == DEADLINE_NEVER)
		return false;
	return deadline_ns == SELECT_DEFAULT || deadline_ns <= clock_now_ns();
}

/* Pass 2. */
static int select_locked(struct select_case *cases, int n, int64_t deadline_ns)
{
	int n_locks = sort_by_address(cases, n);
	struct goroutine *wake = NULL;
	int i, rc = 0;

	lock_all(cases, n_locks);
	i = try_all_locked(cases, n, &rc, &wake);
	if (i < 0 && !is_past(deadline_ns))
		return select_wait(cases, n, n_locks, deadline_ns);
	unlock_all(cases, n_locks);
	if (i < 0)
		return deadline_ns == SELECT_DEFAULT ? -EAGAIN : -ETIMEDOUT;
	finish(rc, wake);
	return i;
}

int hchan_select(struct select_case *cases, int n, int64_t deadline_ns)
{
	int i;

	if (n < 0 || n > HCHAN_SELECT_CASES_MAX)
		panic("select: %d cases, 0 to %d are possible", n, HCHAN_SELECT_CASES_MAX);
	i = try_optimistic(cases, n);
	return i >= 0 ? i : select_locked(cases, n, deadline_ns);
}
