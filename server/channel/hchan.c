/*
 * Channels between the goroutines of this process.
 *
 * Whenever c->lock is free:
 *   - recvq and sendq are not both occupied, except by selects (one that stands in both ends of an
 *     unbuffered channel, or one that another case has already ended and that is about to leave);
 *   - count > 0 implies that recvq is empty;
 *   - count < capacity implies that sendq is empty;
 *   - closed implies that both are empty.
 * hchan_check() asserts these.
 *
 * A value never rests when somebody waits for it: a sender that finds a receiver copies into the
 * receiver's variable; a receiver that finds a sender on a full buffer takes the oldest value and
 * puts the sender's in at the tail, in the same step.
 *
 * Goroutines are woken only after c->lock is released. What is woken may run at once on another
 * processor and free the channel; so nothing of it is touched after the unlock.
 */
#include "config.h"

#include "server/channel/hchan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/panic.h"
#include "server/runtime/golock.h"
#include "server/runtime/runtime.h"

static size_t load_count(struct hchan *c)
{
	return atomic_load_explicit(&c->count, memory_order_relaxed);
}

static void store_count(struct hchan *c, size_t count)
{
	atomic_store_explicit(&c->count, count, memory_order_relaxed);
}

static bool is_closed(struct hchan *c)
{
	return atomic_load_explicit(&c->closed, memory_order_relaxed);
}

struct hchan *hchan_new(size_t elem_bytes, size_t capacity, hchan_drop_fn *drop)
{
	struct hchan *c;
	size_t buffer_bytes, bytes;

	if (__builtin_mul_overflow(elem_bytes, capacity, &buffer_bytes) ||
		__builtin_add_overflow(buffer_bytes, sizeof(*c), &bytes) || bytes > PTRDIFF_MAX)
		return NULL;
	c = malloc(bytes);
	if (!c)
		return NULL;
	memset(c, 0, sizeof(*c));
	golock_init(&c->lock, LOCK_RANK_HCHAN);
	c->capacity = capacity;
	c->elem_bytes = elem_bytes;
	c->send_at = c->recv_at = c->buffer;
	c->end = c->buffer + buffer_bytes;
	c->drop = drop;
	atomic_init(&c->references, 1);
	return c;
}

struct hchan *hchan_ref(struct hchan *c)
{
	atomic_fetch_add_explicit(&c->references, 1, memory_order_relaxed);
	return c;
}

static char *slot_after(const struct hchan *c, char *slot)
{
	slot += c->elem_bytes;
	return slot == c->end ? (char *)c->buffer : slot;
}

static void drop_buffered(struct hchan *c)
{
	for (size_t left = load_count(c); left > 0; left--) {
		c->drop(c->recv_at);
		c->recv_at = slot_after(c, c->recv_at);
	}
}

void hchan_unref(struct hchan *c)
{
	if (!c || atomic_fetch_sub_explicit(&c->references, 1, memory_order_acq_rel) > 1)
		return;
	if (wait_queue_first(&c->sendq) || wait_queue_first(&c->recvq))
		panic("hchan: freed while a goroutine waits on it");
	if (c->drop)
		drop_buffered(c);
	free(c);
}

/* Most values are a pointer or a 64-bit integer: no call for those. */
static void copy_value(const struct hchan *c, void *to, const void *from)
{
	if (c->elem_bytes == sizeof(uint64_t))
		memcpy(to, from, sizeof(uint64_t));
	else if (c->elem_bytes > 0)
		memcpy(to, from, c->elem_bytes);
}

static void deliver(const struct hchan *c, void *to, const void *from)
{
	if (to)
		copy_value(c, to, from);
	else if (c->drop)
		panic("hchan: a value that needs a drop cannot be discarded");
}

static void deliver_zero(const struct hchan *c, void *to)
{
	if (to && c->elem_bytes > 0)
		memset(to, 0, c->elem_bytes);
}

static void buffer_put(struct hchan *c, const void *value)
{
	copy_value(c, c->send_at, value);
	c->send_at = slot_after(c, c->send_at);
	store_count(c, load_count(c) + 1);
}

static void buffer_get(struct hchan *c, void *value)
{
	deliver(c, value, c->recv_at);
	c->recv_at = slot_after(c, c->recv_at);
	store_count(c, load_count(c) - 1);
}

/* The two steps are inline here: they are what a channel costs. */
static inline __attribute__((always_inline)) int send_step(
	struct hchan *c, const void *value, struct goroutine **wake)
{
	struct sudog *receiver;

	if (is_closed(c))
		return -EPIPE;
	receiver = wait_queue_take(&c->recvq);
	if (receiver) {
		deliver(c, receiver->value, value);
		receiver->ok = true;
		*wake = receiver->g;
		return 0;
	}
	if (load_count(c) == c->capacity)
		return -EAGAIN;
	buffer_put(c, value);
	return 0;
}

static inline __attribute__((always_inline)) int recv_step(
	struct hchan *c, void *value, struct goroutine **wake)
{
	struct sudog *sender;

	if (load_count(c) > 0) {
		buffer_get(c, value);
		sender = wait_queue_take(&c->sendq);
		if (sender)
			buffer_put(c, sender->value);
	} else {
		if (is_closed(c)) {
			deliver_zero(c, value);
			return 0;
		}
		sender = wait_queue_take(&c->sendq);
		if (!sender)
			return -EAGAIN;
		deliver(c, value, sender->value);
	}
	if (sender) {
		sender->ok = true;
		*wake = sender->g;
	}
	return 1;
}

int hchan_send_locked(struct hchan *c, const void *value, struct goroutine **wake)
{
	return send_step(c, value, wake);
}

int hchan_recv_locked(struct hchan *c, void *value, struct goroutine **wake)
{
	return recv_step(c, value, wake);
}

/* Asserts the invariants at the top of this file. */
static void check_locked(struct hchan *c)
{
	struct sudog *sender = wait_queue_first(&c->sendq);
	struct sudog *receiver = wait_queue_first(&c->recvq);
	size_t count = load_count(c);

	if (sender && receiver && !(sender->race && receiver->race))
		panic("hchan: a sender and a receiver wait side by side");
	if (count > c->capacity)
		panic("hchan: %zu values in room for %zu", count, c->capacity);
	if (count > 0 && receiver)
		panic("hchan: a receiver waits although there are %zu values", count);
	if (count < c->capacity && sender)
		panic("hchan: a sender waits although there is room");
	if (is_closed(c) && (sender || receiver))
		panic("hchan: a goroutine waits on a closed channel");
}

void hchan_check(struct hchan *c)
{
	golock_acquire_here(&c->lock);
	check_locked(c);
	golock_release(&c->lock);
}

/* Ends a step: wakes whom it concerned, now that the lock is free. */
static void unlock_and_wake(struct hchan *c, struct goroutine *wake)
{
#ifdef CHAND_DEBUG
	check_locked(c);
#endif
	golock_release(&c->lock);
	if (wake)
		go_ready(wake);
}

/* A nil channel never becomes ready. */
static _Noreturn void wait_for_ever(enum wait_reason reason)
{
	go_park(NULL, NULL, reason);
	panic("hchan: woken from a nil channel");
}

/*
 * Stands in q and parks, with the lock held on entry and free on return; true when a value moved. Both
 * ends wait here, and their calls end in this one: who is woken returns along the calls by which the one
 * before left the processor, which is what the processor expects returns to do. A wrong guess is 4 ns.
 */
static __attribute__((noinline)) bool wait_in(
	struct hchan *c, struct wait_queue *q, void *value, enum wait_reason reason)
{
	struct sudog sg = {.g = go_self(), .value = value};

	wait_queue_put(q, &sg);
	golock_park(&c->lock, reason);
	if (!sg.ok && reason == WAIT_CHAN_SEND)
		hchan_panic_send_on_closed();
	return sg.ok;
}

void hchan_send(struct hchan *c, const void *value)
{
	struct goroutine *wake = NULL;
	int rc;

	if (!c)
		wait_for_ever(WAIT_CHAN_SEND_NIL);
	golock_acquire(&c->lock);
	rc = send_step(c, value, &wake);
	if (rc == -EAGAIN) {
		wait_in(c, &c->sendq, (void *)value, WAIT_CHAN_SEND);
		return;
	}
	unlock_and_wake(c, wake);
	if (rc)
		hchan_panic_send_on_closed();
}

bool hchan_recv(struct hchan *c, void *value)
{
	struct goroutine *wake = NULL;
	int rc;

	if (!c)
		wait_for_ever(WAIT_CHAN_RECEIVE_NIL);
	golock_acquire(&c->lock);
	rc = recv_step(c, value, &wake);
	if (rc == -EAGAIN)
		return wait_in(c, &c->recvq, value, WAIT_CHAN_RECEIVE);
	unlock_and_wake(c, wake);
	return rc;
}

bool hchan_try_send(struct hchan *c, const void *value)
{
	struct goroutine *wake = NULL;
	int rc;

	if (!c || !hchan_may_send(c))
		return false;
	golock_acquire_here(&c->lock);
	rc = send_step(c, value, &wake);
	unlock_and_wake(c, wake);
	if (rc == -EPIPE)
		hchan_panic_send_on_closed();
	return rc == 0;
}

int hchan_try_recv(struct hchan *c, void *value)
{
	struct goroutine *wake = NULL;
	int rc;

	if (!c || !hchan_may_recv(c))
		return -EAGAIN;
	golock_acquire_here(&c->lock);
	rc = recv_step(c, value, &wake);
	unlock_and_wake(c, wake);
	return rc;
}

/* What a waiter that was taken out of q is to find when it wakes. */
static void dismiss(const struct hchan *c, const struct wait_queue *q, struct sudog *sg)
{
	if (q == &c->recvq)
		deliver_zero(c, sg->value);
	sg->ok = false;
}

/* Takes the waiters out of q, to wake them with the news that c is closed, in their order. From the end:
 * see wait_trail_note. */
static void dismiss_all(struct hchan *c, struct wait_queue *q, struct go_queue *woken)
{
	struct go_queue all = {0};
	struct sudog *sg;

	while ((sg = wait_queue_take_last(q))) {
		dismiss(c, q, sg);
		go_ready_sooner(&all, sg->g);
	}
	go_queue_append(woken, &all);
}

void hchan_close(struct hchan *c)
{
	struct go_queue woken = {0};

	if (!c)
		go_panic("close of nil channel");
	golock_acquire_here(&c->lock);
	if (is_closed(c)) {
		golock_release(&c->lock);
		go_panic("close of closed channel");
	}
	atomic_store_explicit(&c->closed, true, memory_order_relaxed);
	dismiss_all(c, &c->recvq, &woken);
	dismiss_all(c, &c->sendq, &woken);
	unlock_and_wake(c, NULL);
	go_ready_all(&woken);
}

void hchan_panic_send_on_closed(void)
{
	go_panic("send on closed channel");
}

size_t hchan_len(struct hchan *c)
{
	return c ? load_count(c) : 0;
}

size_t hchan_cap(const struct hchan *c)
{
	return c ? c->capacity : 0;
}
