#include "server/net/handshakes.h"

#include "server/base/list.h"
#include "server/base/lock.h"
#include "server/net/stream_tls.h"
#include "server/runtime/runtime.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* How long, and for how much, what a refused client still sends is read: a socket that is closed
 * over unread bytes takes back the alert that told why. */
#define FAREWELL_NS (2 * NS_PER_S)
#define FAREWELL_BYTES_MAX 65536

enum { WHY_BYTES_MAX = 256 };

struct handshake {
	struct handshakes *all;
	struct stream *stream;
	int64_t deadline_ns;
	struct list link; /* guarded by all->lock, with what follows */
	bool displaced;   /* it gave way, and is not on the list any more */
};

struct handshakes {
	struct handshakes_options options;
	struct lock lock;          /* guards all below */
	struct list under_way;     /* oldest first */
	int count;                 /* on the list */
	int running;               /* goroutines; those that gave way too */
	int turns;                 /* how many may compute now */
	struct go_queue waiting;   /* for a turn */
	struct goroutine *stopper; /* who waits for running to be 0 */
};

/* ---- turns -------------------------------------------------------------------------------- */

static void take_turn(struct handshakes *all)
{
	lock_acquire(&all->lock);
	if (all->turns > 0) {
		all->turns--;
		lock_release(&all->lock);
		return;
	}
	go_queue_push(&all->waiting, go_self());
	go_park_unlock(&all->lock, WAIT_SEMACQUIRE);
	go_yield(); /* we were woken ahead of everybody */
}

static void give_turn(struct handshakes *all)
{
	struct goroutine *next;

	lock_acquire(&all->lock);
	next = go_queue_pop(&all->waiting);
	if (!next)
		all->turns++;
	lock_release(&all->lock);
	if (next)
		go_ready(next);
}

/* ---- one handshake ------------------------------------------------------------------------ */

/* 0, or -errno with why; -EPROTO: the peer is to hear of it. */
static int shake_hands(struct handshake *h, char why[static WHY_BYTES_MAX])
{
	enum netpoll_mode wants = NETPOLL_READ;
	int rc = -EAGAIN;

	while (rc == -EAGAIN) {
		rc = netpoll_wait(h->stream->poll, wants, h->deadline_ns);
		if (rc < 0 || clock_now_ns() >= h->deadline_ns) {
			snprintf(why, WHY_BYTES_MAX, "it did not end in time");
			return -ETIMEDOUT;
		}
		take_turn(h->all);
		go_takes_long();
		rc = stream_tls_handshake(h->stream, &wants, why, WHY_BYTES_MAX);
		give_turn(h->all);
	}
	return rc;
}

/* Until the peer has closed its side. */
static void see_off(struct stream *s)
{
	int64_t deadline_ns = clock_deadline_ns(FAREWELL_NS);
	size_t total = 0;
	char bytes[512];
	ssize_t n = 0;

	stream_shutdown(s, SHUT_WR);
	while (total < FAREWELL_BYTES_MAX && n >= 0) {
		n = recv(s->fd, bytes, sizeof(bytes), 0);
		if (n == 0)
			return;
		if (n < 0 && errno == EAGAIN)
			n = netpoll_wait(s->poll, NETPOLL_READ, deadline_ns);
		else
			total += n > 0 ? (size_t)n : 0;
	}
}

static void tell_failed(struct handshake *h, const char *why)
{
	struct stream_peer peer;

	if (!h->all->options.failed)
		return;
	stream_peer(h->stream, &peer);
	h->all->options.failed(&peer, why);
}

/* The handshake is over: nobody shuts its stream down any more. Whether it had to give way. */
static bool leave(struct handshake *h)
{
	struct handshakes *all = h->all;

	lock_acquire(&all->lock);
	if (!h->displaced) {
		list_remove(&h->link);
		all->count--;
	}
	lock_release(&all->lock);
	return h->displaced;
}

static void end_goroutine(struct handshakes *all)
{
	struct goroutine *stopper;

	lock_acquire(&all->lock);
	stopper = --all->running == 0 ? all->stopper : NULL;
	lock_release(&all->lock);
	if (stopper)
		go_ready(stopper);
}

static void handshake_run(struct handshake *h)
{
	struct handshakes *all = h->all;
	char why[WHY_BYTES_MAX];
	bool displaced;
	int rc = shake_hands(h, why);

	if (rc == -EPROTO) {
		tell_failed(h, why); /* while it is there to be named */
		see_off(h->stream);
	}
	displaced = leave(h);
	if (rc == 0 && !displaced) {
		all->options.done(all->options.done_arg, h->stream);
	} else {
		if (rc != -EPROTO)
			tell_failed(h, displaced ? "too many began after it" : why);
		stream_free(h->stream);
	}
	free(h);
	end_goroutine(all);
}

/* ---- all of them -------------------------------------------------------------------------- */

struct handshakes *handshakes_new(const struct handshakes_options *options)
{
	struct handshakes *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	all->options = *options;
	lock_init(&all->lock, LOCK_RANK_OUTER);
	list_init(&all->under_way);
	all->turns = (go_procs() + 1) / 2;
	return all;
}

/* Ends the oldest; all->lock is held. */
static void displace_oldest(struct handshakes *all)
{
	struct handshake *h = list_entry(list_pop_front(&all->under_way), struct handshake, link);

	h->displaced = true;
	all->count--;
	stream_shutdown(h->stream, SHUT_RDWR);
}

/* Puts h on the list; true where another had to go for it. */
static bool enter(struct handshakes *all, struct handshake *h)
{
	bool full;

	lock_acquire(&all->lock);
	full = all->count == HANDSHAKES_MAX;
	if (full)
		displace_oldest(all);
	list_push_back(&all->under_way, &h->link);
	all->count++;
	all->running++;
	lock_release(&all->lock);
	return full;
}

void handshakes_begin(struct handshakes *all, int fd)
{
	struct handshake *h;
	struct stream *s;

	if (stream_tls_new(fd, all->options.context, &s) < 0)
		return;
	h = malloc(sizeof(*h));
	if (!h) {
		stream_free(s);
		return;
	}
	*h = (struct handshake){
		.all = all, .stream = s, .deadline_ns = clock_deadline_ns(all->options.timeout_ns)};
	if (enter(all, h))
		go_yield(); /* for it to end, before the next comes in */
	if (go(handshake_run, h) == 0)
		return;
	leave(h);
	stream_free(s);
	free(h);
	end_goroutine(all);
}

void handshakes_stop(struct handshakes *all)
{
	struct handshake *h;

	if (!all)
		return;
	lock_acquire(&all->lock);
	LIST_FOREACH (h, &all->under_way, link)
		stream_shutdown(h->stream, SHUT_RDWR);
	if (all->running > 0) {
		all->stopper = go_self();
		go_park_unlock(&all->lock, WAIT_SEMACQUIRE);
	} else {
		lock_release(&all->lock);
	}
	free(all);
}
