/*
 * netpoll_sched.h - what the scheduler asks of the poller, and what a back end must define.
 */
#ifndef CHAND_RUNTIME_NETPOLL_SCHED_H
#define CHAND_RUNTIME_NETPOLL_SCHED_H

#include "server/runtime/goroutine.h"
#include "server/runtime/netpoll.h"

struct netpoll_direction;

/* What a poll has made ready; zero-initialised is empty. */
struct netpoll_ready {
	struct go_queue goroutines;
	size_t writers;                  /* of the goroutines: who waited to write */
	struct netpoll_direction *armed; /* whose netpoll_on functions are to be started */
};

/* ---- Asked by the scheduler ---- */

int netpoll_init(void);
void netpoll_fini(void);

/* Starts goroutines for ready->armed, on the caller's processor, and adds them to the others. */
void netpoll_start_armed(struct netpoll_ready *ready);

/* Looks without waiting, if there is anything to look for and nobody polls. */
void netpoll_try(struct netpoll_ready *ready);

/* Waits for descriptors and the first timer. False, at once, if there is nothing to wait for or
 * someone else does it: then the poller is sure to come back in time for every timer. */
bool netpoll_wait_for_work(struct netpoll_ready *ready);

/* There are descriptors or timers to wait for, and nobody does. */
bool netpoll_needs_poller(void);

/* Can a descriptor wake anyone? */
bool netpoll_has_waiters(void);

/* If someone polls, sees to it that it does not sleep past the first timer, nor when nothing can wake
 * it (then all are asleep, which is for the last to find out): for who leaves the looking to it. */
void netpoll_hurry(void);

/* Makes the poller come back, if there is one. */
void netpoll_interrupt(void);

/* ---- Defined by the back end ---- */

int backend_init(void);
void backend_fini(void);

/* Registers a direction of fd, edge-triggered, so that what is ready already is told too; 0 or -errno. */
int backend_add(int fd, enum netpoll_mode mode, struct netpoll_desc *desc, void **ret_handle);

/* The same for a bell: what comes on fd is readiness of desc in both directions. */
int backend_add_bell(int fd, struct netpoll_desc *desc, void **ret_handle);

/* Undoes either; netpoll_fire does not run for it afterwards. */
void backend_remove(void *handle);

/* Waits until the deadline (at most; 0: not at all), and calls netpoll_fire for what happened. One
 * thread at a time. */
void backend_poll(int64_t deadline_ns, struct netpoll_ready *ready);

/* Ends a backend_poll that waits, or the next one; from any thread. */
void backend_interrupt(void);

/* ---- Called by the back end ---- */

/* The peer has closed its side; before netpoll_fire for reading. */
void netpoll_note_closed(struct netpoll_desc *desc);

/* desc became ready in that direction. */
void netpoll_fire(struct netpoll_desc *desc, enum netpoll_mode mode, struct netpoll_ready *ready);

#endif
