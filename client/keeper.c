/*
 * keeper.c - looking after a connection that nobody is in a call for.
 */
#include "client/client.h"
#include <limits.h>
#include <signal.h>

/*
 * Looks a heartbeat. A broker that takes back what is out to who is silent for two heartbeats, and
 * a hand-over that wants an answer to something said 1.6 heartbeats ago, leave that much slack.
 * Confirmations that nothing has taken along leave then, too.
 */
#define LOOKS 4

/* It calls what every other call calls, down to getaddrinfo. */
#define KEEPER_STACK_BYTES (512u * 1024u)

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

/* Returns when to look again. */
static int64_t look_after(struct chan_client *c)
{
	struct session *s = &c->session;
	int64_t now_ns = clock_now_ns();

	if (nobody_reads(c, now_ns)) {
		client_poll(c);
		client_check_life(c);
		c->keeper.turns = c->turns;
	}
	if (session_waits(s))
		session_ping(s, s->heartbeat_ns);
	session_settle(s);
	client_flush(c);
	if (c->link != LINK_UP) /* lost just now: who does not sleep yet is not woken */
		return 0;
	return now_ns + s->heartbeat_ns / LOOKS;
}

static void sleep_until(struct chan_client *c, int64_t until_ns)
{
	struct timespec until = {until_ns / NS_PER_S, until_ns % NS_PER_S};

	if (c->waking) {
		client_unlock(c);
		client_lock(c);
	} else if (until_ns == DEADLINE_NONE) {
		pthread_cond_wait(&c->keeper.cond, &c->lock);
	} else {
		pthread_cond_timedwait(&c->keeper.cond, &c->lock, &until);
	}
}

/* A thread starts late on a busy machine; a look at once would send what the program still gathers. */
static void keep(struct chan_client *c)
{
	int64_t next_ns;

	if (c->link == LINK_UP)
		sleep_until(c, clock_now_ns() + c->session.heartbeat_ns / LOOKS);
	while (!c->keeper.stop) {
		if (c->session.end.status < 0)
			next_ns = DEADLINE_NONE;
		else if (c->link == LINK_UP)
			next_ns = look_after(c);
		else
			next_ns = client_reconnect(c);
		if (!c->keeper.stop)
			sleep_until(c, next_ns);
	}
}

static void *run_keeper(void *arg)
{
	struct chan_client *c = arg;

	client_lock(c);
	if (!c->keeper.stop)
		keep(c);
	client_unlock(c);
	return NULL;
}

void keeper_start(struct chan_client *c)
{
	size_t bytes = KEEPER_STACK_BYTES;
	pthread_condattr_t clock;
	pthread_attr_t attributes;
	sigset_t all, before;

	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&c->keeper.cond, &clock);
	pthread_condattr_destroy(&clock);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, bytes);
	sigfillset(&all); /* the program's handlers run in its own threads */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	client_lock(c);
	c->keeper.turns = c->turns;
	c->keeper.turns_ns = clock_now_ns();
	c->keeper.running = pthread_create(&c->keeper.thread, &attributes, run_keeper, c) == 0;
	client_unlock(c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (!c->keeper.running)
		pthread_cond_destroy(&c->keeper.cond);
}

void keeper_wake(struct chan_client *c)
{
	if (c->keeper.running)
		pthread_cond_signal(&c->keeper.cond);
}

void keeper_stop(struct chan_client *c)
{
	if (!c->keeper.running)
		return;
	c->keeper.stop = true;
	keeper_wake(c);
	client_unlock(c);
	pthread_join(c->keeper.thread, NULL);
	client_lock(c);
	c->keeper.running = false;
	pthread_cond_destroy(&c->keeper.cond);
}
