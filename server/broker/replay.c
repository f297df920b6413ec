#include "server/broker/replay.h"

#include "chan/status.h"
#include "proto/endian.h"
#include "server/broker/broken.h"
#include <stdlib.h>

/* The length before each frame; it does not count itself. */
#define LENGTH_BYTES 4u

struct replay_value {
	uint64_t at;         /* so many bytes of our own stood before it, since the session began */
	struct value *value; /* one reference */
	size_t offset, len;
};

static void drop_values(struct replay *r, size_t n)
{
	while (n--)
		value_unref(r->values[r->value_first++].value);
}

void replay_fini(struct replay *r)
{
	drop_values(r, r->value_end - r->value_first);
	free(r->values);
	buf_fini(&r->own);
}

/* ---- keeping ------------------------------------------------------------------------------ */

int replay_keep(struct replay *r, const void *bytes, size_t n)
{
	int rc = buf_append(&r->own, bytes, n);

	if (rc == 0)
		r->bytes += n;
	return rc;
}

/* Room for one more: what was dropped at the front is used again once that is half. */
static int reserve_value(struct replay *r)
{
	uint32_t count = r->value_end - r->value_first, n;
	struct replay_value *p;

	if (r->value_end < r->value_size)
		return 0;
	if (r->value_first > count) {
		for (uint32_t i = 0; i < count; i++)
			r->values[i] = r->values[r->value_first + i];
		r->value_first = 0;
		r->value_end = count;
		return 0;
	}
	n = r->value_size ? 2 * r->value_size : 8;
	p = realloc(r->values, n * sizeof(*p));
	if (!p)
		return CHAN_ENOMEM;
	r->values = p;
	r->value_size = n;
	return 0;
}

int replay_keep_value(struct replay *r, struct value *v, size_t offset, size_t n)
{
	int rc = reserve_value(r);

	if (rc < 0)
		return rc;
	r->values[r->value_end++] =
		(struct replay_value){r->own_at + buf_len(&r->own), value_ref(v), offset, n};
	r->bytes += n;
	return 0;
}

void replay_sent(struct replay *r, uint64_t frames)
{
	uint64_t sent = atomic_load_explicit(&r->sent, memory_order_relaxed);

	/* The owner's alone. Pairs with the load in replay_seen: what the client says came of the frames. */
	atomic_store_explicit(&r->sent, sent + frames, memory_order_release);
}

/* ---- dropping ----------------------------------------------------------------------------- */

int replay_seen(struct replay *r, uint64_t frames)
{
	uint64_t seen = atomic_load(&r->seen);

	if (frames > atomic_load_explicit(&r->sent, memory_order_acquire))
		return CHAN_EPROTOCOL;
	while (frames > seen && !atomic_compare_exchange_weak(&r->seen, &seen, frames))
		;
	return 0;
}

static void drop_frame(struct replay *r)
{
	size_t left = LENGTH_BYTES + get_be32(buf_data(&r->own));

	r->bytes -= left;
	r->dropped++;
	while (left) {
		const struct replay_value *v = &r->values[r->value_first];
		bool has_value = r->value_first < r->value_end && v->at - r->own_at < left;
		size_t own = has_value ? (size_t)(v->at - r->own_at) : left;

		buf_consume(&r->own, own);
		r->own_at += own;
		left -= own;
		if (!has_value)
			break;
		left -= v->len;
		drop_values(r, 1);
	}
}

/* Nothing is kept: an idle session has no memory here. */
static void shed(struct replay *r)
{
	buf_fini(&r->own);
	free(r->values);
	r->values = NULL;
	r->value_first = r->value_end = r->value_size = 0;
}

static void drop_until(struct replay *r, uint64_t frames)
{
	while (r->dropped < frames)
		drop_frame(r);
	if (r->bytes == 0)
		shed(r);
}

void replay_drop_seen(struct replay *r)
{
	uint64_t seen = atomic_load(&r->seen);

	if (!r->again && r->dropped < seen)
		drop_until(r, seen);
}

/* ---- sending again ------------------------------------------------------------------------ */

int replay_resume(struct replay *r, uint64_t frames)
{
	if (BROKEN(resume_loses_frame) && replay_seen(r, frames + 1) == 0)
		frames++;
	if (frames < r->dropped || replay_seen(r, frames) < 0)
		return CHAN_EPROTOCOL;
	drop_until(r, frames);
	r->again_at = r->own_at;
	r->again_value = r->value_first;
	r->again = r->bytes > 0;
	return 0;
}

/* The next run: bytes of our own up to the next value, bytes_max at most, or that value. */
static struct iovec next_run(struct replay *r, size_t bytes_max)
{
	const struct replay_value *v =
		r->again_value < r->value_end ? &r->values[r->again_value] : NULL;
	uint64_t until = v ? v->at : r->own_at + buf_len(&r->own);
	struct iovec run;

	if (until - r->again_at > bytes_max)
		until = r->again_at + bytes_max;
	if (v && r->again_at == v->at) {
		r->again_value++;
		return (struct iovec){v->value->bytes + v->offset, v->len};
	}
	run = (struct iovec){
		buf_data(&r->own) + (r->again_at - r->own_at), (size_t)(until - r->again_at)};
	r->again_at = until;
	return run;
}

int replay_fill(struct replay *r, struct iovec *iov, int count, size_t bytes_max)
{
	size_t bytes = 0;
	int n = 0;

	while (r->again && n < count && bytes < bytes_max) {
		iov[n] = next_run(r, bytes_max);
		bytes += iov[n++].iov_len;
		r->again =
			r->again_at < r->own_at + buf_len(&r->own) || r->again_value < r->value_end;
	}
	return n;
}
