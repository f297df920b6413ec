/*
 * events.h - the one place where chanctl waits: for the broker, a signal, stdin or stdout, and a
 * time, whichever comes first.
 */
#ifndef CHANCTL_EVENTS_H
#define CHANCTL_EVENTS_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "chan/chan.h"

enum {
	EVENT_SIGNAL = 1, /* interrupt_signal() says which */
	EVENT_FD = 2,     /* the descriptor is ready, or broken */
};

#define EVENTS_FOREVER INT64_MAX

/*
 * Waits, and lets libchan do its reading and writing. Take all completions first: they are not
 * waited for. fd is -1 or what else to look at, and wanted POLLIN, POLLOUT or 0: that it is broken
 * is seen in any case. deadline_ns is on clock_now_ns; a deadline that has passed asks without
 * waiting.
 *
 * Returns the events that were seen; 0 where something may have completed, or the time has come.
 */
int events_wait(struct chan_client *client, int fd, short wanted, int64_t deadline_ns);

/* The same for who handles signals otherwise: fds[0] is the client's, to be left empty, and the n-1
 * behind it are polled as they stand. */
void events_poll(struct chan_client *client, struct pollfd *fds, size_t n, int64_t deadline_ns);

#endif
