/*
 * netpoll.h - wait for a descriptor to become readable or writable.
 *
 * A descriptor is registered edge-triggered, and from then on the poller tells what happens to it. So
 * read (but see netpoll_is_closed) or write until EAGAIN before you wait: readiness is reported when
 * it arises, once, and remembered until someone waits for it. The descriptor must be non-blocking.
 *
 * For writing it is registered when someone waits for that the first time. Few ever do; and a Unix
 * socket that is registered so wakes the poller whenever its peer has read something.
 *
 * For each of the two directions at most one waits at a time: a goroutine in netpoll_wait, or an
 * armed netpoll_on. The two directions are independent.
 *
 * An idle descriptor takes about 250 bytes and no stack: arm it with netpoll_on, whose function
 * begins a goroutine only when there is something to do.
 */
#ifndef CHAND_RUNTIME_NETPOLL_H
#define CHAND_RUNTIME_NETPOLL_H

#include "server/runtime/errno.h"
#include "server/runtime/goroutine.h"

#include <stdbool.h>
#include <stdint.h>

struct netpoll_desc;

/* What netpoll_on starts, and from where: constant, so that an armed descriptor needs only know it. */
struct netpoll_call {
	struct go_site site;
	void (*fn)(void *arg);
};

enum netpoll_mode {
	NETPOLL_READ,
	NETPOLL_WRITE,
};

/*
 * Registers fd; the caller keeps owning fd, and closes it after netpoll_close.
 * From goroutines. -ENOMEM, -EBADF, or what the kernel said (-EPERM for a regular file: those never wait).
 */
int netpoll_open(int fd, struct netpoll_desc **ret_desc);

/*
 * Unregisters and frees. A goroutine parked in netpoll_wait wakes with -ECANCELED; an armed
 * netpoll_on is withdrawn: after the return its function will not be started any more. No other
 * call on the descriptor may begin once this one has. NULL is fine. May block for microseconds
 * or yield, never parks.
 */
void netpoll_close(struct netpoll_desc *desc);

/*
 * Parks until fd is ready in that direction (end of stream, hangup and errors are readiness too:
 * the read or write that follows tells), or the deadline.
 * 0, -ETIMEDOUT, -ECANCELED after netpoll_close (do not touch desc again), or for writing -ENOMEM.
 * Readiness counts before the deadline, so a past deadline makes it a test of what the poller has told.
 * Spurious returns of 0 are possible: try, and wait again.
 */
int netpoll_wait(struct netpoll_desc *desc, enum netpoll_mode mode, int64_t deadline_ns);

/*
 * Arms, for one time: when fd becomes ready in that direction, or is ready already, fn(arg) is started
 * in a new goroutine (which may find that there is nothing to read after all: readiness is remembered,
 * not verified). Never blocks and never runs fn inside the call. Should no goroutine be
 * startable at that moment, the start is tried again every 10 ms.
 */
#define netpoll_on(desc, mode, fn, arg)                                                             \
	({                                                                                          \
		static const struct netpoll_call netpoll_call_ = {                                  \
			{__FILE__, __func__, #fn, __LINE__}, fn};                                   \
		netpoll_on_at(&netpoll_call_, desc, mode, arg);                                     \
	})
void netpoll_on_at(const struct netpoll_call *call, struct netpoll_desc *desc,
	enum netpoll_mode mode, void *arg);

#define netpoll_on_readable(desc, fn, arg) netpoll_on(desc, NETPOLL_READ, fn, arg)
#define netpoll_on_writable(desc, fn, arg) netpoll_on(desc, NETPOLL_WRITE, fn, arg)

/*
 * Whether the peer has closed its side, as far as the poller has told. While it has not, a read from a
 * stream socket that brings less than there was room for has brought all there was, and whoever waits
 * next is told of more: there is no need to find that out by EAGAIN. One thing is not told for sure, an
 * error that arose together with the last bytes. So who relies on this pokes the descriptor once, some
 * time after.
 */
bool netpoll_is_closed(const struct netpoll_desc *desc);

/*
 * Makes it so that fd is ready in that direction, whatever the kernel says: who waits is woken or
 * started, or the next that waits will not. For who stands between a descriptor and its reader or
 * writer, and knows that there is something to do. From goroutines.
 */
void netpoll_poke(struct netpoll_desc *desc, enum netpoll_mode mode);

/*
 * A bell: a second descriptor that tells of desc, an eventfd that somebody else rings. Each time it is
 * rung desc counts as ready, in both directions. For streams whose bytes do not go by desc's own
 * descriptor, which goes on telling of the peer's end. Nobody needs to read the bell.
 *
 * The caller keeps owning fd, and removes the bell before it closes fd, and before netpoll_close of
 * desc. 0, or as netpoll_open.
 */
struct netpoll_bell;
int netpoll_add_bell(struct netpoll_desc *desc, int fd, struct netpoll_bell **ret_bell);

/* It tells nothing any more after the return. May block for microseconds. NULL is fine. */
void netpoll_remove_bell(struct netpoll_bell *bell);

/* Withdraws what netpoll_on armed: true if fn has not been started and will not be (what `arg` owns
 * is the caller's again), false if it was, or nothing is armed. */
bool netpoll_off(struct netpoll_desc *desc, enum netpoll_mode mode);

#endif
