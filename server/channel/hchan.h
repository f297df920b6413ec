/*
 * hchan.h - Go's channels between the goroutines of this process.
 *
 *	struct hchan *c = hchan_make(int, 10);          c := make(chan int, 10)
 *	hchan_send(c, &v);                              c <- v
 *	hchan_recv(c, &v);                              v = <-c
 *	ok = hchan_recv(c, &v);                         v, ok = <-c
 *	hchan_range(c, v) { ... }                       for v = range c { ... }
 *	hchan_close(c);                                 close(c)
 *	hchan_len(c), hchan_cap(c)                      len(c), cap(c)
 *	hchan_send(NULL, &v), hchan_recv(NULL, &v)      a nil channel: wait for ever
 *
 * select is in select.h. Everything here is to be called from a goroutine; what "waits" parks the
 * goroutine, never the thread. (hchan_send and hchan_recv may go on on another thread although they did
 * not wait: where two processors fight for the channel, see rival.h of the runtime.)
 *
 * Values are copied by memcpy: `elem_bytes` from the sender's memory to the receiver's, through the
 * buffer or directly. A channel of pointers therefore moves ownership: from the moment a send is
 * called the object is the channel's, or already the receiver's; if a try or a select does not
 * send, it stays the caller's. What is still buffered when the channel is freed goes to `drop`.
 *
 * Wrong use is a bug of this program and ends it as in Go, with exit status 2 and
 *	panic: send on closed channel        (also when the close comes while the send waits)
 *	panic: close of closed channel
 *	panic: close of nil channel
 *
 * A reference must be held for as long as a call on the channel is under way. There is one
 * leniency, which the common "done" channel needs: whoever got the value (or saw the close) may
 * drop the last reference although the other side's call has not returned yet. That does not hold
 * for a select with two cases of this channel, which takes the one that did not happen out of it.
 */
#ifndef CHAND_CHANNEL_HCHAN_H
#define CHAND_CHANNEL_HCHAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/channel/sudog.h"
#include "server/runtime/golock.h"

/* Disposes of one value; `value` points at its bytes in the buffer (at the pointer, then, in a
 * channel of pointers). Called by whoever drops the last reference, with no lock held. */
typedef void hchan_drop_fn(void *value);

/* Private to server/channel; use the functions. Guarded by `lock` but for `references`; fields
 * that are atomic are written under the lock and may be read without it, as a hint. */
struct hchan {
	struct golock lock;
	atomic_bool closed;
	_Atomic size_t count;          /* values in the buffer */
	size_t capacity;               /* constant */
	size_t elem_bytes;             /* constant */
	char *send_at, *recv_at, *end; /* the slot that is filled, emptied next; behind the last */
	struct wait_queue sendq, recvq;
	hchan_drop_fn *drop; /* constant; may be NULL */
	atomic_uint references;
	_Alignas(max_align_t) char buffer[]; /* capacity * elem_bytes, a ring */
};

/* New channel with one reference, the caller's. elem_bytes may be 0 (a signal), capacity 0 is
 * unbuffered; drop may be NULL. Returns NULL if there is no memory or the size overflows: check it,
 * as NULL is also the nil channel, on which every operation waits for ever. */
struct hchan *hchan_new(size_t elem_bytes, size_t capacity, hchan_drop_fn *drop);

/* make(chan type, capacity), of values that need no drop. */
#define hchan_make(type, capacity) hchan_new(sizeof(type), (capacity), NULL)

/* Takes another reference; returns c. Any thread. */
struct hchan *hchan_ref(struct hchan *c);

/* Gives a reference back; the last one drops what is buffered and frees the channel, in which
 * nobody may then be waiting. NULL is ignored. Any thread; does not wait. */
void hchan_unref(struct hchan *c);

/* Sends *value. Waits until a receiver has it (unbuffered) or it is in the buffer. value may be
 * NULL if elem_bytes is 0. Panics on a closed channel. */
void hchan_send(struct hchan *c, const void *value);

/* Receives into *value, waiting for one. Returns true; or false, with *value zeroed, once the
 * channel is closed and drained. value may be NULL to discard what comes, if the channel has no
 * drop function. */
bool hchan_recv(struct hchan *c, void *value);

/* As hchan_send, but never waits: returns false, with nothing done, if the send would (always so
 * on NULL). */
bool hchan_try_send(struct hchan *c, const void *value);

/* As hchan_recv, but never waits. Returns 1 if a value came, 0 if the channel is closed and drained
 * (*value zeroed), -EAGAIN if the receive would wait (*value untouched; always so on NULL). */
int hchan_try_recv(struct hchan *c, void *value);

/* Closes c: waiting receivers get "closed", waiting senders panic, what is buffered stays to be
 * received. Does not wait. Panics on a closed or NULL channel. */
void hchan_close(struct hchan *c);

/* Values in the buffer, and room for them; 0 for NULL. The former is old as soon as it is known,
 * if others use the channel. */
size_t hchan_len(struct hchan *c);
size_t hchan_cap(const struct hchan *c);

/* Receives into variable v until c is closed and drained; v is then zero. */
#define hchan_range(c, v) while (hchan_recv((c), &(v)))

/* Asserts the invariants (listed in hchan.c). Takes the lock. For tests; debug builds do so
 * after every operation. */
void hchan_check(struct hchan *c);

/*
 * Internal to server/channel from here on: what select.c builds on.
 */

/*
 * May a receive (send) happen now? Without the lock. A true is a hint; a false was so at an instant
 * during the call, which is what a non-blocking operation needs to say "would wait": at the first
 * load nothing was there, and a channel that is open at the later load was open then too. (The
 * first load is an acquire so that the second is later. That the queue of a buffered channel is
 * not looked at follows from the invariants: a sender waits only while the buffer is full.)
 */
static inline bool hchan_may_recv(struct hchan *c)
{
	if (c->capacity > 0 ? atomic_load_explicit(&c->count, memory_order_acquire) > 0
			    : atomic_load_explicit(&c->sendq.first, memory_order_acquire) != NULL)
		return true;
	return atomic_load_explicit(&c->closed, memory_order_relaxed);
}

static inline bool hchan_may_send(struct hchan *c)
{
	if (c->capacity > 0 ? atomic_load_explicit(&c->count, memory_order_acquire) < c->capacity
			    : atomic_load_explicit(&c->recvq.first, memory_order_acquire) != NULL)
		return true;
	return atomic_load_explicit(&c->closed, memory_order_relaxed);
}

/* One step under the lock. 0 done, -EAGAIN would wait, -EPIPE closed. Stores in *wake whom the
 * caller must hand to go_ready() once the lock is free; leaves it alone if there is nobody. */
int hchan_send_locked(struct hchan *c, const void *value, struct goroutine **wake);

/* Likewise. 1 received, 0 closed and drained (*value zeroed), -EAGAIN would wait. */
int hchan_recv_locked(struct hchan *c, void *value, struct goroutine **wake);

/* Ends the program: a send on a closed channel. Hold no lock. */
_Noreturn void hchan_panic_send_on_closed(void);

#endif
