/*
 * netpoll_libevent.c - the poller on libevent's event_base; the only file that knows of libevent.
 *
 * Every direction of a descriptor that anybody has waited for is one persistent, edge-triggered event,
 * added once. A timer descriptor gives the end of a wait to the nanosecond (libevent's own waits round up to milliseconds)
 * and is only set when the deadline changes; an event descriptor interrupts.
 */
#include "config.h"

#include "server/base/clock.h"
#include "server/runtime/netpoll_sched.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

static struct {
	struct event_base *base;
	int interrupt_fd;
	int timer_fd;
	struct event *interrupt_event;
	struct event *timer_event;
	int64_t timer_ns;            /* what timer_fd will still tell; the poller's */
	struct netpoll_ready *ready; /* of the backend_poll that runs */
} backend;

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* What libevent would write to stderr comes back from its calls as well. */
static void log_nothing(int severity, const char *text)
{
	(void)severity;
	(void)text;
}

static void prepare_once(void)
{
	event_set_log_callback(log_nothing);
	evthread_use_pthreads();
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	if (what & EV_CLOSED) {
		netpoll_note_closed(arg);
		/* With EV_CLOSED libevent says nothing of a hang-up to who waits for writing. */
		netpoll_fire(arg, NETPOLL_WRITE, backend.ready);
	}
	netpoll_fire(arg, NETPOLL_READ, backend.ready);
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	netpoll_fire(arg, NETPOLL_WRITE, backend.ready);
}

/* Edge-triggered too: each ring is told, and the count rises for ever. */
static void on_bell(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	netpoll_fire(arg, NETPOLL_READ, backend.ready);
	netpoll_fire(arg, NETPOLL_WRITE, backend.ready);
}

/* The interrupt and the timer are edge-triggered too, so there is nothing to read. */
static void on_interrupt(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* The end is told once, maybe to a look that did not wait for it: the next wait sets it anew. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	backend.timer_ns = DEADLINE_NEVER;
}

static struct event *add(int fd, short what, event_callback_fn fn, void *arg)
{
	struct event *event = event_new(backend.base, fd, what | EV_PERSIST | EV_ET, fn, arg);

	if (event && event_add(event, NULL) < 0) {
		event_free(event);
		return NULL;
	}
	return event;
}

int backend_init(void)
{
	struct event_config *config;

	pthread_once(&once, prepare_once);
	backend.timer_ns = DEADLINE_NEVER;
	backend.interrupt_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	backend.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	config = event_config_new();
	if (!config || backend.interrupt_fd < 0 || backend.timer_fd < 0)
		goto out;
	event_config_require_features(config, EV_FEATURE_ET | EV_FEATURE_O1 | EV_FEATURE_EARLY_CLOSE);
	/* No timers of libevent's are used: spare it the clock. */
	event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
	backend.base = event_base_new_with_config(config);
	if (!backend.base)
		goto out;
	backend.interrupt_event = add(backend.interrupt_fd, EV_READ, on_interrupt, NULL);
	backend.timer_event = add(backend.timer_fd, EV_READ, on_timer, NULL);
out:
	if (config)
		event_config_free(config);
	if (backend.interrupt_event && backend.timer_event)
		return 0;
	backend_fini();
	return -ENOMEM;
}

static void event_drop(struct event **event)
{
	if (*event)
		event_free(*event);
	*event = NULL;
}

void backend_fini(void)
{
	event_drop(&backend.interrupt_event);
	event_drop(&backend.timer_event);
	if (backend.base)
		event_base_free(backend.base);
	backend.base = NULL;
	if (backend.interrupt_fd >= 0)
		close(backend.interrupt_fd);
	if (backend.timer_fd >= 0)
		close(backend.timer_fd);
}

static int add_for(int fd, short what, event_callback_fn fn, struct netpoll_desc *desc,
	void **ret_handle)
{
	struct event *event;

	errno = 0;
	event = add(fd, what, fn, desc);
	if (!event)
		return errno ? -errno : -ENOMEM;
	*ret_handle = event;
	return 0;
}

int backend_add(int fd, enum netpoll_mode mode, struct netpoll_desc *desc, void **ret_handle)
{
	return mode == NETPOLL_READ ? add_for(fd, EV_READ | EV_CLOSED, on_read, desc, ret_handle)
				    : add_for(fd, EV_WRITE, on_write, desc, ret_handle);
}

int backend_add_bell(int fd, struct netpoll_desc *desc, void **ret_handle)
{
	return add_for(fd, EV_READ, on_bell, desc, ret_handle);
}

void backend_remove(void *handle)
{
	event_del_block(handle); /* waits for its function, if that runs on another thread */
	event_free(handle);
}

/* A deadline that is past fires at once: a timerfd has no way to say 0. */
static void set_timer(int64_t deadline_ns)
{
	struct itimerspec at = {0};

	if (deadline_ns == backend.timer_ns)
		return;
	backend.timer_ns = deadline_ns;
	if (deadline_ns != DEADLINE_NEVER) {
		at.it_value.tv_sec = deadline_ns / NS_PER_S;
		at.it_value.tv_nsec = deadline_ns > 0 ? deadline_ns % NS_PER_S : 1;
	}
	timerfd_settime(backend.timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

void backend_poll(int64_t deadline_ns, struct netpoll_ready *ready)
{
	backend.ready = ready;
	if (deadline_ns == 0) {
		event_base_loop(backend.base, EVLOOP_NONBLOCK);
		return;
	}
	set_timer(deadline_ns);
	event_base_loop(backend.base, EVLOOP_ONCE);
}

void backend_interrupt(void)
{
	eventfd_write(backend.interrupt_fd, 1);
}
