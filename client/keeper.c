/*
 * keeper.c - looking after connections that nobody is in a call for.
 *
 * Clients stand in a list by the time at which they are to be looked at, or in another if that is now.
 * The thread takes the first, looks, and puts it back. Where a connection was lost it hands the client to
 * a thread that does not live longer than the loss, and goes on to others: looking up a name and greeting
 * may take seconds.
 *
 * Whoever of the two has a client `holds` it. A held client is on no list, and keeper_stop waits for it
 * to be given back; so it cannot be freed, and is given back with no lock of it held.
 *
 * The lists' lock comes after a client's.
 *
 * Rejected: a thread for each client. 10,000 clients of one process were 10,000 stacks, and as many
 * sleepers in the 16 chains in which the kernel looks for whom to wake: each wake-up in the process walked
 * through 600 of them, which took half a CPU.
 */
#include "client/client.h"
#include <limits.h>
#include <signal.h>
#include <utlist.h>

/*
 * Looks a heartbeat. A broker that takes back what is out to who is silent for two heartbeats, and
 * a hand-over that wants an answer to something said 1.6 heartbeats ago, leave that much slack.
 * Confirmations that nothing has taken along leave then, too.
 */
#define LOOKS 4

/*
 * Clients are looked at at multiples of such a part of the time between two looks (10 ms, as a rule), all
 * whose turn has come together. 10,000 of them each at a time of its own woke the thread 8,000 times a
 * second, which disturbed whatever else the process did.
 */
#define TICKS_A_LOOK 128

/* They call what every other call calls, down to getaddrinfo. */
#define KEEPER_STACK_BYTES (512u * 1024u)

static struct {
	pthread_mutex_t lock;    /* guards this, and what keeper.h says */
	pthread_cond_t due;      /* the thread sleeps on it */
	pthread_cond_t released; /* a client was given back, or the thread has ended */
	struct keeper *list;     /* the earliest first */
	struct keeper *urgent;   /* those with look_ns 0, which go before: who loses its broker has all
				  * its clients enter here, each of which would walk past all others */
	size_t clients;          /* listed or held; while there are some the thread runs */
	pthread_t thread;
	bool ending;    /* it is to end, or to be joined */
	unsigned forks; /* the process's ancestors */
} keepers = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_cond(pthread_cond_t *cond)
{
	pthread_condattr_t clock;

	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &clock);
	pthread_condattr_destroy(&clock);
}

static void sleep_on(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ns)
{
	struct timespec until = {until_ns / NS_PER_S, until_ns % NS_PER_S};

	if (until_ns == DEADLINE_NONE)
		pthread_cond_wait(cond, lock);
	else
		pthread_cond_timedwait(cond, lock, &until);
}

/* A child has neither the thread nor any of the clients, and may dial some of its own. */
static void after_fork(void)
{
	pthread_mutex_init(&keepers.lock, NULL);
	init_cond(&keepers.due);
	init_cond(&keepers.released);
	keepers.list = keepers.urgent = NULL;
	keepers.clients = 0;
	keepers.ending = false;
	keepers.forks++;
}

static void prepare_once(void)
{
	init_cond(&keepers.due);
	init_cond(&keepers.released);
	pthread_atfork(NULL, NULL, after_fork);
}

static bool start_thread(pthread_t *ret_thread, int detached, void *(*run)(void *), void *arg)
{
	size_t bytes = KEEPER_STACK_BYTES;
	pthread_attr_t attributes;
	sigset_t all, before;
	bool ok;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, bytes);
	pthread_attr_setdetachstate(&attributes, detached);
	sigfillset(&all); /* the program's handlers run in its own threads */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ok = pthread_create(ret_thread, &attributes, run, arg) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return ok;
}

/* ---- the lists, with their lock ----------------------------------------------------------- */

/* Most look equally often, so that its place is at the end. */
static void insert_by_time(struct keeper *k)
{
	struct keeper *before = keepers.list ? keepers.list->prev : NULL;

	while (before && before->look_ns > k->look_ns)
		before = before == keepers.list ? NULL : before->prev;
	DL_APPEND_ELEM(keepers.list, before, k);
}

static struct keeper *first(void)
{
	return keepers.urgent ? keepers.urgent : keepers.list;
}

static void enqueue(struct keeper *k, int64_t look_ns)
{
	k->look_ns = look_ns;
	k->queued = true;
	if (look_ns == 0)
		DL_APPEND(keepers.urgent, k);
	else
		insert_by_time(k);
	if (first() == k)
		pthread_cond_signal(&keepers.due);
}

static void dequeue(struct keeper *k)
{
	if (k->look_ns == 0)
		DL_DELETE(keepers.urgent, k);
	else
		DL_DELETE(keepers.list, k);
	k->queued = false;
}

/* The next to look at, held; waits for it. NULL: the thread is to end. */
static struct keeper *next_due(void)
{
	struct keeper *k;

	while (!keepers.ending) {
		k = first();
		if (k && k->look_ns <= clock_now_ns()) {
			dequeue(k);
			k->held = true;
			return k;
		}
		sleep_on(&keepers.due, &keepers.lock, k ? k->look_ns : DEADLINE_NONE);
	}
	return NULL;
}

static void give_back(struct keeper *k, int64_t look_ns)
{
	pthread_mutex_lock(&keepers.lock);
	k->held = false;
	if (k->again)
		look_ns = 0;
	k->again = false;
	if (look_ns != DEADLINE_NONE)
		enqueue(k, look_ns);
	pthread_cond_broadcast(&keepers.released);
	pthread_mutex_unlock(&keepers.lock);
}

/* ---- looking ------------------------------------------------------------------------------ */

/*
 * An event loop that polls the socket for what comes must find it there: it is read here only when
 * nobody has read for a heartbeat, and a loop looks twice as often.
 */
static bool nobody_reads(struct chan_client *c, int64_t now_ns)
{
	struct keeper *k = &c->keeper;

	if (c->turns != k->turns) {
		k->turns = c->turns;
		k->turns_ns = now_ns;
	}
	return !c->reading && now_ns - k->turns_ns >= c->session.heartbeat_ns;
}

/* A span after from_ns, or up to a tick less. */
static int64_t a_look_after(const struct chan_client *c, int64_t from_ns)
{
	int64_t span_ns = c->session.heartbeat_ns / LOOKS, tick_ns = span_ns / TICKS_A_LOOK;

	return (from_ns + span_ns) / tick_ns * tick_ns;
}

/*
 * When to look again at a client that was to be looked at at planned_ns. Those whose turns came together
 * because the thread was late do not stay together for ever: thousands would have it run for
 * milliseconds.
 */
static int64_t next_look(const struct chan_client *c, int64_t planned_ns, int64_t now_ns)
{
	int64_t next_ns = a_look_after(c, planned_ns);

	return next_ns > now_ns ? next_ns : a_look_after(c, now_ns);
}

/* Does a thread wait in a read, and has had the time to take what came? Not so if the whole process stood
 * still: then this look comes late, too. */
static bool reader_waits(const struct chan_client *c, int64_t now_ns)
{
	return c->reading && now_ns - c->keeper.look_ns < c->session.heartbeat_ns / LOOKS;
}

/* Returns when to look again. */
static int64_t look_after(struct chan_client *c)
{
	struct session *s = &c->session;
	int64_t now_ns = clock_now_ns();

	if (nobody_reads(c, now_ns)) {
		client_poll(c);
		client_check_life(c);
		c->keeper.turns = c->turns;
	} else if (reader_waits(c, now_ns)) {
		client_check_life(c);
	}
	if (session_waits(s) || c->reading)
		session_ping(s, s->heartbeat_ns);
	session_settle(s);
	client_flush(c);
	if (c->link != LINK_UP) /* lost just now */
		return 0;
	return next_look(c, c->keeper.look_ns, now_ns);
}

/* Has the client a connection to come by? */
static bool is_lost(const struct chan_client *c)
{
	return !c->keeper.stop && c->session.end.status == 0 && c->link != LINK_UP;
}

/* One look: when the next is due. *ret_lost: what is to be done may take long. */
static int64_t look(struct chan_client *c, bool *ret_lost)
{
	int64_t next_ns = DEADLINE_NONE;

	client_lock(c);
	*ret_lost = is_lost(c);
	if (!*ret_lost && !c->keeper.stop && c->session.end.status == 0)
		next_ns = look_after(c);
	client_unlock(c);
	return next_ns;
}

/* Who sleeps wakes those first that are to be woken: that needs the lock given up. */
static void pause_attempts(struct chan_client *c, int64_t until_ns)
{
	if (c->waking) {
		client_unlock(c);
		client_lock(c);
	} else {
		sleep_on(&c->keeper.cond, &c->lock, until_ns);
	}
}

/* The thread of a client that was lost. */
static void *run_attempts(void *arg)
{
	struct chan_client *c = arg;
	int64_t next_ns;

	client_lock(c);
	while (is_lost(c)) {
		next_ns = client_reconnect(c);
		if (is_lost(c))
			pause_attempts(c, next_ns);
	}
	client_unlock(c);
	give_back(&c->keeper, 0);
	return NULL;
}

/* Where there is no thread to be had the others wait meanwhile. */
static int64_t attempt_here(struct chan_client *c)
{
	int64_t next_ns;

	client_lock(c);
	next_ns = is_lost(c) ? client_reconnect(c) : 0;
	client_unlock(c);
	return next_ns;
}

static void serve(struct keeper *k)
{
	struct chan_client *c = k->client;
	pthread_t thread;
	bool lost;
	int64_t next_ns = look(c, &lost);

	if (lost && start_thread(&thread, PTHREAD_CREATE_DETACHED, run_attempts, c))
		return; /* which holds it now */
	if (lost)
		next_ns = attempt_here(c);
	give_back(k, next_ns);
}

static void *run_keeper(void *arg)
{
	struct keeper *k;

	pthread_mutex_lock(&keepers.lock);
	while ((k = next_due())) {
		pthread_mutex_unlock(&keepers.lock);
		serve(k);
		pthread_mutex_lock(&keepers.lock);
	}
	pthread_mutex_unlock(&keepers.lock);
	return arg;
}

/* ---- clients come and go ------------------------------------------------------------------ */

/* With the list's lock, which it gives up meanwhile. */
static void end_thread(void)
{
	keepers.ending = true;
	pthread_cond_signal(&keepers.due);
	pthread_mutex_unlock(&keepers.lock);
	pthread_join(keepers.thread, NULL);
	pthread_mutex_lock(&keepers.lock);
	keepers.ending = false;
	pthread_cond_broadcast(&keepers.released);
}

/* False: there is no thread to be had. */
static bool enter(struct keeper *k, int64_t look_ns)
{
	bool ok;

	pthread_mutex_lock(&keepers.lock);
	while (keepers.ending)
		pthread_cond_wait(&keepers.released, &keepers.lock);
	ok = keepers.clients > 0 ||
	     start_thread(&keepers.thread, PTHREAD_CREATE_JOINABLE, run_keeper, NULL);
	if (ok) {
		keepers.clients++;
		k->forks = keepers.forks;
		enqueue(k, look_ns);
	}
	pthread_mutex_unlock(&keepers.lock);
	return ok;
}

/* Not with the client's lock, which who holds it needs. */
static void leave(struct keeper *k)
{
	pthread_mutex_lock(&keepers.lock);
	if (k->forks == keepers.forks) { /* else it is the parent's */
		while (k->held)
			pthread_cond_wait(&keepers.released, &keepers.lock);
		if (k->queued)
			dequeue(k);
		if (--keepers.clients == 0)
			end_thread();
	}
	pthread_mutex_unlock(&keepers.lock);
}

/* The first look is not at once: it would send what the program still gathers. */
void keeper_start(struct chan_client *c)
{
	struct keeper *k = &c->keeper;
	int64_t now_ns = clock_now_ns();

	pthread_once(&once, prepare_once);
	init_cond(&k->cond);
	client_lock(c);
	k->client = c;
	k->turns = c->turns;
	k->turns_ns = now_ns;
	k->running = enter(k, c->link == LINK_UP ? a_look_after(c, now_ns) : 0);
	if (k->running && c->link == LINK_UP)
		client_limit_reads(c);
	client_unlock(c);
	if (!k->running)
		pthread_cond_destroy(&k->cond);
}

void keeper_wake(struct chan_client *c)
{
	struct keeper *k = &c->keeper;

	if (!k->running)
		return;
	pthread_cond_signal(&k->cond);
	pthread_mutex_lock(&keepers.lock);
	if (k->forks == keepers.forks && k->queued) {
		dequeue(k);
		enqueue(k, 0);
	} else {
		k->again = true;
	}
	pthread_mutex_unlock(&keepers.lock);
}

void keeper_stop(struct chan_client *c)
{
	struct keeper *k = &c->keeper;

	if (!k->running)
		return;
	k->stop = true;
	pthread_cond_signal(&k->cond);
	client_unlock(c);
	leave(k);
	client_lock(c);
	k->running = false;
	pthread_cond_destroy(&k->cond);
	if (c->link == LINK_UP)
		client_limit_reads(c);
}
