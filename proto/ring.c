#include "proto/ring.h"

#include "chan/status.h"
#include <string.h>

/* Both sides rely on the layout, whatever they were built with. */
_Static_assert(offsetof(struct ring_memory, written) == 0, "layout");
_Static_assert(offsetof(struct ring_memory, finished) == 4, "layout");
_Static_assert(offsetof(struct ring_memory, reader_waits) == 8, "layout");
_Static_assert(offsetof(struct ring_memory, read) == 128, "layout");
_Static_assert(offsetof(struct ring_memory, writer_waits) == 132, "layout");
_Static_assert(offsetof(struct ring_memory, bytes) == RING_HEADER_BYTES, "layout");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a lock of ours would be no lock of theirs");

/*
 * The order of things. Who writes stores bytes, then `written` (release, by being sequentially
 * consistent), and then looks at `reader_waits`; who reads sets `reader_waits` and then looks at
 * `written` (acquire, likewise). All four are sequentially consistent, so either the writer sees
 * that the reader waits, or the reader sees what was written. The same holds for `read`,
 * `writer_waits` and room; and what the reader has copied out it has copied before it shows `read`.
 */

/* Takes back the word of who waits: how it is to be woken. A number that is none wakes by the bell;
 * the common case, nobody, is a load. */
static enum ring_wait claim_waiting(_Atomic uint32_t *waits)
{
	uint32_t how;

	if (atomic_load(waits) == RING_AWAKE)
		return RING_AWAKE;
	how = atomic_exchange(waits, RING_AWAKE);
	return how == RING_AWAKE || how == RING_SLEEPS ? (enum ring_wait)how : RING_POLLS;
}

/* ---- the writer's end ----------------------------------------------------------------------- */

void ring_writer_init(struct ring_writer *w, struct ring_memory *memory, uint32_t ring_bytes)
{
	*w = (struct ring_writer){.memory = memory, .bytes = ring_bytes};
}

long ring_room(const struct ring_writer *w)
{
	uint32_t used = w->own - atomic_load(&w->memory->read);

	return used <= w->bytes ? (long)(w->bytes - used) : CHAN_EPROTOCOL;
}

void ring_put(struct ring_writer *w, const void *bytes, size_t n)
{
	size_t at = w->own & (w->bytes - 1), first = w->bytes - at < n ? w->bytes - at : n;

	memcpy(w->memory->bytes + at, bytes, first);
	memcpy(w->memory->bytes, (const uint8_t *)bytes + first, n - first);
	w->own += (uint32_t)n;
}

enum ring_wait ring_show(struct ring_writer *w)
{
	atomic_store(&w->memory->written, w->own);
	return claim_waiting(&w->memory->reader_waits);
}

enum ring_wait ring_finish(struct ring_writer *w)
{
	atomic_store(&w->memory->finished, 1);
	return claim_waiting(&w->memory->reader_waits);
}

bool ring_await_room(struct ring_writer *w, enum ring_wait how)
{
	atomic_store(&w->memory->writer_waits, how);
	if (ring_room(w) == 0)
		return true;
	atomic_store(&w->memory->writer_waits, RING_AWAKE);
	return false;
}

/* ---- the reader's end ----------------------------------------------------------------------- */

void ring_reader_init(struct ring_reader *r, struct ring_memory *memory, uint32_t ring_bytes)
{
	*r = (struct ring_reader){.memory = memory, .bytes = ring_bytes};
}

long ring_available(const struct ring_reader *r)
{
	uint32_t n = (r->cut ? r->end : atomic_load(&r->memory->written)) - r->own;

	return n <= r->bytes ? (long)n : CHAN_EPROTOCOL;
}

static void copy_out(struct ring_reader *r, void *bytes, size_t n)
{
	size_t at = r->own & (r->bytes - 1), first = r->bytes - at < n ? r->bytes - at : n;

	memcpy(bytes, r->memory->bytes + at, first);
	memcpy((uint8_t *)bytes + first, r->memory->bytes, n - first);
	r->own += (uint32_t)n;
}

long ring_take(struct ring_reader *r, void *bytes, size_t size, enum ring_wait *ret_wake)
{
	long available = ring_available(r);
	size_t n;

	*ret_wake = RING_AWAKE;
	if (available <= 0)
		return available;
	n = (size_t)available < size ? (size_t)available : size;
	copy_out(r, bytes, n);
	atomic_store(&r->memory->read, r->own);
	if ((size_t)available - n <= r->bytes / 2) /* as it was seen; who wrote meanwhile is awake */
		*ret_wake = claim_waiting(&r->memory->writer_waits);
	return (long)n;
}

bool ring_await_bytes(struct ring_reader *r, enum ring_wait how)
{
	atomic_store(&r->memory->reader_waits, how);
	if (ring_available(r) == 0 && !ring_is_at_end(r))
		return true;
	ring_stop_awaiting_bytes(r);
	return false;
}

bool ring_stop_awaiting_bytes(struct ring_reader *r)
{
	return atomic_exchange(&r->memory->reader_waits, RING_AWAKE) != RING_AWAKE;
}

/* What was written before `finished` is seen with it, so the position is looked at behind it. */
bool ring_is_at_end(const struct ring_reader *r)
{
	return (r->cut || atomic_load(&r->memory->finished)) && ring_available(r) == 0;
}

void ring_cut(struct ring_reader *r)
{
	if (r->cut)
		return;
	r->end = atomic_load(&r->memory->written);
	r->cut = true;
}
