/*
 * wait.c - how threads share one connection.
 *
 * A thread that has to wait takes whichever role is free. It writes first what has gathered; then
 * it reads, and handles what it read for all; and where another reads already it sleeps until its
 * own operation is answered or the reader leaves, who wakes the next.
 *
 * A reader with nothing to write and no deadline of its own blocks in the read itself, where there is
 * a keeper for as long as that takes; otherwise it polls. What another thread does meanwhile reaches a
 * reader that is blocked only through the broker: client_wake asks it for a sign of life when it has to
 * (rare: withdrawing an operation that was never sent). Or by the connection's end (client_fail).
 */
#include "client/client.h"
#include "proto/limits.h"
#include "proto/status.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* The first byte of what a TLS server says to who speaks something else; no frame begins so. */
#define TLS_ALERT 0x15

/* The longest wait for the socket to take more. */
#define WRITE_TURN_NS (20 * NS_PER_MS)

/* How often a thread that waits for a connection looks for a signal. */
#define DOZE_MS 50

/* Threads that are woken in one go. */
#define WAKES_AT_ONCE 64u

void client_lock(struct chan_client *c)
{
	pthread_mutex_lock(&c->lock);
}

/* Those that are woken want the lock at once: so give it up first. What does not fit is signalled
 * with the lock held. */
void client_unlock(struct chan_client *c)
{
	pthread_cond_t *conds[WAKES_AT_ONCE];
	struct waiter *w;
	size_t i, n = 0;

	while ((w = c->waking)) {
		LL_DELETE2(c->waking, w, next_waking);
		w->waking = false;
		if (n < WAKES_AT_ONCE)
			conds[n++] = &w->cond;
		else
			pthread_cond_signal(&w->cond);
	}
	pthread_mutex_unlock(&c->lock);
	for (i = 0; i < n; i++)
		pthread_cond_signal(conds[i]);
}

/* Who reads comes back by the end of the connection: nothing will be said any more that the broker could
 * answer. */
void client_fail(struct chan_client *c, int status, const char *text)
{
	session_end(&c->session, c, status, text);
	if (c->reader && c->link == LINK_UP)
		stream_cut(&c->stream);
}

/* ---- waking ------------------------------------------------------------------------------- */

/* Has its thread look again. */
static void signal_waiter(struct chan_client *c, struct waiter *w)
{
	if (w->waking)
		return;
	w->waking = true;
	LL_PREPEND2(c->waking, w, next_waking);
}

static void wake_waiter(struct chan_client *c, struct waiter *w)
{
	w->ready = true;
	signal_waiter(c, w);
}

void client_wake(struct chan_client *c, struct waiter *w)
{
	wake_waiter(c, w);
	if (c->reader == w)
		session_ping(&c->session, 0);
}

void client_wake_any(struct chan_client *c)
{
	struct waiter *w;

	DL_FOREACH (c->waiters, w)
		if (w->any)
			client_wake(c, w);
}

void client_hand_on(struct chan_client *c)
{
	struct waiter *w;

	if (c->reading)
		return;
	if (c->link == LINK_DOWN && c->keeper.running) {
		keeper_wake(c);
		return;
	}
	DL_FOREACH (c->waiters, w) {
		if (w->ready)
			continue;
		signal_waiter(c, w);
		return;
	}
}

/* ---- reading ------------------------------------------------------------------------------ */

/* Handles the frames that are whole. */
static void handle_input(struct chan_client *c)
{
	struct session *s = &c->session;
	char text[2 * TEXT_BYTES_MAX]; /* not cleared as a whole, for each read */
	struct frame f;
	long n;
	int rc = 0;

	strcpy(text, "out of memory");
	while (s->end.status == 0 && rc == 0 && c->link != LINK_DOWN) {
		n = frame_parse(buf_data(&c->in), buf_len(&c->in), &f);
		if (n == 0)
			break;
		if (n < 0) {
			snprintf(text, sizeof(text), "what answers at %s %s",
				c->urls.list[c->url_at].text,
				buf_data(&c->in)[0] == TLS_ALERT ? "speaks TLS; dial it by tls://"
								 : "is no broker");
			rc = CHAN_EPROTOCOL;
			break;
		}
		wire_scratch_reset(c->scratch);
		rc = session_handle(s, c, &f, c->scratch, text, sizeof(text));
		buf_consume(&c->in, (size_t)n);
	}
	if (rc == 0 && s->doomed)
		client_fail(c, s->doomed, text);
	if (rc < 0 && c->link == LINK_GREETING)
		failure_set(&c->refusal, rc, text);
	else if (rc < 0)
		client_fail(c, rc, text);
	session_run_backlog(s);
	client_wake_any(c);
}

/* The end of what the broker says: its answer to BYE, or a loss. */
static void input_ended(struct chan_client *c, int error)
{
	if (error)
		client_broke(c, error);
	else if (c->said_goodbye)
		client_fail(c, CHAN_EUNREACHABLE, "the client has hung up");
	else
		client_lost(c, CHAN_EUNREACHABLE, "the broker closed it");
}

/* What comes by a connection that was given up meanwhile will come again. */
int client_read(struct chan_client *c, bool wait)
{
	size_t room;
	ssize_t n;

	if (buf_reserve(&c->in, STREAM_READ_BYTES) < 0) {
		c->reader = NULL;
		client_fail(c, CHAN_ENOMEM, "out of memory");
		return 0;
	}
	client_unlock(c);
	room = c->in.size - c->in.end;
	n = c->stream.ops->read(&c->stream, c->in.bytes + c->in.end, room, wait);
	client_lock(c);
	c->reader = NULL;
	c->drained = stream_is_drained(&c->stream, n, room);
	if (n == -EAGAIN || n == -EINTR)
		return (int)n;
	if (n <= 0) {
		input_ended(c, (int)-n);
	} else if (c->link != LINK_DOWN) {
		c->session.unanswered_ns = 0;
		c->in.end += (size_t)n;
		rings_count_call(c, (size_t)n);
		handle_input(c);
	}
	return 0;
}

void client_check_life(struct chan_client *c)
{
	char why[64];

	if (c->link != LINK_UP || !session_is_dead(&c->session))
		return;
	snprintf(why, sizeof(why), "no answer in %lld s",
		(long long)((clock_now_ns() - c->session.unanswered_ns) / NS_PER_S));
	client_lost(c, CHAN_EUNREACHABLE, why);
}

void client_limit_reads(struct chan_client *c)
{
	bool for_ever = c->keeper.running && !c->withdraw_on_signal;

	c->stream.ops->wait_max(&c->stream, for_ever ? -1 : c->session.heartbeat_ns);
}

/* What comes after a read that had room for more, an end for instance, is for the next poll. */
void client_poll(struct chan_client *c)
{
	int rc;

	if (c->reading || c->link != LINK_UP || c->session.end.status < 0)
		return;
	c->reading = true;
	c->reader = NULL;
	c->turns++;
	do
		rc = client_read(c, false);
	while (rc == 0 && !c->drained && c->link == LINK_UP && c->session.end.status == 0);
	c->reading = false;
	client_hand_on(c);
}

int client_await_ready(struct chan_client *c, short events, int64_t deadline_ns)
{
	int ms = clock_poll_ms(deadline_ns, (int)(c->session.heartbeat_ns / NS_PER_MS));
	int n;

	client_unlock(c);
	n = stream_await(&c->stream, events, ms);
	client_lock(c);
	c->reader = NULL;
	if (n == 0)
		return -EAGAIN;
	return n < 0 ? n : 0;
}

static void take_reading(struct chan_client *c, struct waiter *w)
{
	c->reading = true;
	c->reader = w; /* until it returns from the system call */
	c->turns++;
}

/* Whether all there is to say is what was received: nobody waits for that. */
static bool only_confirms(const struct chan_client *c)
{
	return c->session.taken_count > 0 && !c->session.backlog && !client_has_unsent(c);
}

/* Reads what is there already: so confirmations that may come late leave when the program really
 * waits, and not by a frame for each value while values come faster than it takes them. */
static void peek_turn(struct chan_client *c, struct waiter *w)
{
	if (c->link != LINK_UP || c->reading || !only_confirms(c))
		return;
	take_reading(c, w);
	client_read(c, false);
	c->reading = false;
	if (c->link == LINK_DOWN)
		keeper_wake(c);
}

/* In the reader's role: waits for something to come and handles it. 0 or -EINTR. */
static int read_turn(struct chan_client *c, struct waiter *w, int64_t deadline_ns)
{
	bool output = c->choked && !c->writing;
	int rc = 0;

	take_reading(c, w);
	if (output || deadline_ns != DEADLINE_NONE) {
		rc = client_await_ready(
			c, (short)(output ? POLLIN | POLLOUT : POLLIN), deadline_ns);
		if (output)
			c->choked = false;
		if (rc == 0)
			rc = client_read(c, false);
	} else {
		rc = client_read(c, true);
	}
	c->reading = false;
	if (rc == -EAGAIN) {
		client_check_life(c);
		rc = 0;
	}
	if (!w->ready) /* also while a large value comes, for longer than we may be silent */
		session_ping(&c->session, c->session.heartbeat_ns);
	if (c->link == LINK_DOWN)
		keeper_wake(c);
	return rc;
}

/* Where another thread reads, and the socket takes no more of what is to be written. Not for long
 * at a time: should the reader leave meanwhile, this thread may be the one that is to follow it. */
static int write_turn(struct chan_client *c, int64_t deadline_ns)
{
	int64_t turn_ns = clock_now_ns() + WRITE_TURN_NS;
	int rc;

	c->writing = true;
	rc = client_await_ready(c, POLLOUT, turn_ns < deadline_ns ? turn_ns : deadline_ns);
	c->writing = false;
	c->choked = false;
	if (c->link == LINK_DOWN) /* the keeper waited for the role */
		keeper_wake(c);
	return rc == -EAGAIN ? 0 : rc;
}

/* ---- waiting ------------------------------------------------------------------------------ */

/* Sleeping gives the lock up, and so has to wake those that are to be woken first; after that
 * everything has to be looked at again. */
static void sleep_turn(struct chan_client *c, struct waiter *w, int64_t deadline_ns)
{
	struct timespec until = {deadline_ns / NS_PER_S, deadline_ns % NS_PER_S};

	if (c->waking) {
		client_unlock(c);
		client_lock(c);
	} else if (deadline_ns == DEADLINE_NONE) {
		pthread_cond_wait(&w->cond, &c->lock);
	} else {
		pthread_cond_timedwait(&w->cond, &c->lock, &until);
	}
}

/* Nothing but being woken interrupts who sleeps on a condition: who has signals withdraw operations
 * looks for them. */
static int doze(struct chan_client *c, struct waiter *w, int64_t until_ns)
{
	int rc;

	if (!c->withdraw_on_signal || c->waking) {
		sleep_turn(c, w, until_ns);
		return 0;
	}
	client_unlock(c);
	rc = poll(NULL, 0, clock_poll_ms(until_ns, DOZE_MS)) < 0 ? -errno : 0;
	client_lock(c);
	return rc;
}

/* Without a connection: who waits makes it, unless there is a keeper to do that. The keeper may be
 * busy with an attempt, so who waits looks after what runs out of time. */
static int reconnect_turn(struct chan_client *c, struct waiter *w, int64_t deadline_ns)
{
	int64_t next_ns;

	if (c->keeper.running)
		next_ns = session_expire(&c->session, clock_now_ns());
	else
		next_ns = client_reconnect(c);
	if (next_ns == 0 || w->ready)
		return 0;
	return doze(c, w, next_ns < deadline_ns ? next_ns : deadline_ns);
}

/* Sends off what has gathered, and confirmations. */
static void say_all(struct chan_client *c, const struct waiter *w)
{
	if (w->hears || c->session.backlog)
		session_ask(&c->session, c);
	else
		client_let_ride(c);
	session_confirm(&c->session);
	client_flush(c);
}

static int wait_turn(struct chan_client *c, struct waiter *w, int64_t deadline_ns)
{
	peek_turn(c, w);
	if (w->ready)
		return 0;
	say_all(c, w);
	if (w->ready || c->session.end.status < 0)
		return 0;
	if (c->link != LINK_UP)
		return reconnect_turn(c, w, deadline_ns);
	if (!c->reading)
		return read_turn(c, w, deadline_ns);
	if (c->choked && !c->writing)
		return write_turn(c, deadline_ns);
	sleep_turn(c, w, deadline_ns);
	return 0;
}

static struct waiter *waiter_new(void)
{
	struct waiter *w = calloc(1, sizeof(*w));
	pthread_condattr_t attributes;

	if (!w)
		return NULL;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&w->cond, &attributes);
	pthread_condattr_destroy(&attributes);
	return w;
}

/* For op, or with NULL for whatever happens. Without memory nobody can wait, and the session ends:
 * NULL. */
static struct waiter *waiter_take(struct chan_client *c, const struct chan_op *op)
{
	struct waiter *w = c->idle_waiters;

	if (w)
		LL_DELETE(c->idle_waiters, w);
	else
		w = waiter_new();
	if (!w) {
		client_fail(c, CHAN_ENOMEM, "out of memory");
		return NULL;
	}
	w->any = !op;
	w->hears = !op || op->kind == OP_SEND;
	w->ready = false;
	return w;
}

static void waiter_give_back(struct chan_client *c, struct waiter *w)
{
	LL_PREPEND(c->idle_waiters, w);
}

void client_free_waiters(struct chan_client *c)
{
	struct waiter *w, *next;

	LL_FOREACH_SAFE (c->idle_waiters, w, next) {
		pthread_cond_destroy(&w->cond);
		free(w);
	}
}

static int wait_with(struct chan_client *c, struct waiter *w, int64_t deadline_ns)
{
	int rc = 0;

	DL_APPEND(c->waiters, w);
	while (!w->ready && rc == 0) {
		if (w->any && c->session.end.status < 0)
			break;
		rc = wait_turn(c, w, deadline_ns);
		if (rc == 0 && !w->ready && deadline_ns != DEADLINE_NONE &&
			clock_now_ns() >= deadline_ns)
			rc = CHAN_ETIMEDOUT;
	}
	DL_DELETE(c->waiters, w);
	client_hand_on(c);
	return w->ready ? 0 : rc;
}

int client_wait_any(struct chan_client *c, int64_t deadline_ns)
{
	struct waiter *w = waiter_take(c, NULL);
	int rc;

	if (!w)
		return CHAN_ENOMEM;
	rc = wait_with(c, w, deadline_ns);
	waiter_give_back(c, w);
	return rc;
}

void client_wait_op(struct chan_client *c, struct chan_op *op)
{
	struct waiter *w;
	int rc;

	if (op->state == OP_DONE)
		return;
	w = waiter_take(c, op);
	if (!w)
		return; /* the session's end has ended op */
	op->waiter = w;
	while (op->state != OP_DONE) {
		rc = wait_with(c, w, DEADLINE_NONE);
		if (rc == -EINTR && c->withdraw_on_signal)
			session_cancel(&c->session, op);
	}
	op->waiter = NULL;
	waiter_give_back(c, w);
}
