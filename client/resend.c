/*
 * resend.c - what is written, and kept for a resume.
 */
#include "client/resend.h"
#include "chan/status.h"
#include "proto/endian.h"
#include <stdlib.h>

/* A frame's length field counts what follows it. */
#define LENGTH_BYTES 4u

/* From here on memory passes from hand to hand; less is copied to where there is room. */
#define MOVE_BYTES_MIN 8192u

/* Small frames gather in chunks of about so many bytes, which are dropped as a whole. */
#define CHUNK_BYTES (64u * 1024u)

/* The broker confirms by itself so large a part of what may be kept (PROTOCOL.md part 4), and need not less. */
#define CONFIRMED_PARTS 4u

struct resend_chunk {
	struct resend_chunk *next;
	struct buf frames;
	size_t written; /* bytes of them that have left by this connection */
	size_t may;     /* bytes of them that may */
};

static size_t frame_bytes(const struct resend_chunk *k, size_t at)
{
	return LENGTH_BYTES + get_be32(buf_data(&k->frames) + at);
}

static size_t len_of(const struct resend_chunk *k)
{
	return buf_len(&k->frames);
}

/* ---- chunks ------------------------------------------------------------------------------- */

static void drop_first(struct resend *r)
{
	struct resend_chunk *k = r->first;

	r->first = k->next;
	if (!r->first)
		r->last = NULL;
	if (k->frames.size > r->spare.size && k->frames.size <= r->bytes_max) {
		buf_fini(&r->spare);
		r->spare = k->frames;
		r->spare.start = r->spare.end = 0;
	} else {
		buf_fini(&k->frames);
	}
	free(k);
}

void resend_fini(struct resend *r)
{
	while (r->first)
		drop_first(r);
	buf_fini(&r->spare);
	r->writing = r->entering = NULL;
}

/* A chunk behind the rest with that memory, which is the caller's no more. NULL: out of memory. */
static struct resend_chunk *new_chunk(struct resend *r, struct buf *frames)
{
	struct resend_chunk *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->frames = *frames;
	*frames = (struct buf){0};
	if (r->last)
		r->last->next = k;
	else
		r->first = k;
	r->last = k;
	return k;
}

/* The chunk that a copy of n bytes goes to, with room for them. NULL: out of memory. */
static struct resend_chunk *room_for(struct resend *r, size_t n)
{
	struct resend_chunk *k = r->last;

	if (!k || len_of(k) + n > CHUNK_BYTES)
		k = new_chunk(r, &r->spare);
	return k && buf_reserve(&k->frames, n) == 0 ? k : NULL;
}

/* Memory for what is said next, which is likely to be as much as was moved: to get there by
 * doubling took eight steps and a copy of all. Without any it grows when it must. */
static void refill(struct resend *r, struct buf *out, size_t moved)
{
	*out = r->spare;
	r->spare = (struct buf){0};
	if (!out->bytes)
		(void)buf_reserve(out, moved < CHUNK_BYTES ? moved : CHUNK_BYTES);
}

/* Puts all of out behind the rest. NULL: out of memory. */
static struct resend_chunk *append(struct resend *r, struct buf *out)
{
	size_t n = buf_len(out);
	struct resend_chunk *k;

	if (n >= MOVE_BYTES_MIN) {
		k = new_chunk(r, out);
		if (!k)
			return NULL;
		refill(r, out, n);
	} else {
		k = room_for(r, n);
		if (!k)
			return NULL;
		buf_append(&k->frames, buf_data(out), n); /* there is room */
		buf_consume(out, n);
	}
	r->bytes += n;
	return k;
}

/* ---- what may be written ------------------------------------------------------------------ */

/* Whether a frame of n bytes may be written. That it fits is what keeps 64 KiB frames within a megabyte: with
 * one more of them a stream over TCP lost 7 % (of 27 thousand a second). */
static bool fits(const struct resend *r, size_t n)
{
	return r->kept * CONFIRMED_PARTS <= r->bytes_max || r->kept + n <= r->bytes_max;
}

bool resend_has_room(const struct resend *r)
{
	return !r->keeps || fits(r, r->entering ? frame_bytes(r->entering, r->entering->may) : 1);
}

static void let_all(struct resend *r)
{
	for (; r->entering; r->entering = r->entering->next)
		r->entering->may = len_of(r->entering);
	r->kept = r->bytes;
	r->taken = r->put;
}

/* The next frames that there is room for. */
static void let_some(struct resend *r)
{
	struct resend_chunk *k;
	size_t n;

	while ((k = r->entering)) {
		n = frame_bytes(k, k->may);
		if (!fits(r, n))
			return;
		k->may += n;
		r->kept += n;
		r->taken++;
		if (k->may == len_of(k))
			r->entering = k->next;
	}
}

int resend_take(struct resend *r, struct buf *out, uint64_t total)
{
	struct resend_chunk *k;

	if (buf_len(out) > 0) {
		k = append(r, out);
		if (!k)
			return CHAN_ENOMEM;
		r->writing = r->writing ? r->writing : k;
		r->entering = r->entering ? r->entering : k;
	}
	r->put = total;
	if (!r->keeps || r->bytes <= r->bytes_max)
		let_all(r);
	else
		let_some(r);
	return 0;
}

size_t resend_unwritten(const struct resend *r, const uint8_t **ret_bytes)
{
	const struct resend_chunk *k = r->writing;
	size_t n = k ? k->may - k->written : 0;

	*ret_bytes = n > 0 ? buf_data(&k->frames) + k->written : NULL;
	return n;
}

void resend_wrote(struct resend *r, size_t n)
{
	struct resend_chunk *k = r->writing;

	k->written += n;
	if (k->written < len_of(k))
		return;
	r->writing = k->next;
	if (r->keeps)
		return;
	r->bytes -= len_of(k);
	r->kept -= len_of(k);
	drop_first(r);
}

/* ---- what the broker has ------------------------------------------------------------------ */

int resend_see(struct resend *r, uint64_t frames)
{
	if (!r->keeps)
		return 0;
	if (frames > r->taken)
		return CHAN_EPROTOCOL;
	if (frames > r->seen)
		r->seen = frames;
	return 0;
}

/* Drops what was seen of the first chunk. */
static void trim_first(struct resend *r)
{
	struct resend_chunk *k = r->first;
	size_t n = 0, bytes;

	for (; r->gone < r->seen && n < k->written; n += bytes, r->gone++) {
		bytes = frame_bytes(k, n);
		if (bytes > k->written - n)
			break;
	}
	buf_consume(&k->frames, n);
	k->written -= n;
	k->may -= n;
	r->bytes -= n;
	r->kept -= n;
}

/* What a broker says to have and was not written to it stays. */
void resend_trim(struct resend *r)
{
	while (r->keeps && r->first && r->gone < r->seen) {
		trim_first(r);
		if (len_of(r->first) > 0)
			break;
		drop_first(r);
	}
}

int resend_rewind(struct resend *r, uint64_t frames)
{
	struct resend_chunk *k;

	if (frames < r->seen || resend_see(r, frames) < 0)
		return CHAN_EPROTOCOL;
	for (k = r->first; k; k = k->next)
		k->written = k->may;
	resend_trim(r);
	for (k = r->first; k; k = k->next)
		k->written = 0;
	r->writing = r->first;
	return 0;
}
