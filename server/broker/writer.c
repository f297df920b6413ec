#include "server/broker/writer.h"

#include "chan/status.h"
#include "proto/limits.h"
#include <stdlib.h>
#include <string.h>

/* A payload of one frame that is filled with small values, and a piece of a large one. */
#define DATA_BYTES WRITER_ROUND_BYTES

/* Segments that one more entry may need: its frame's head, and a value that is not copied. */
#define SEGMENTS_PER_STEP 2

/* A large value, whose beginning has left. */
struct writer_bulk {
	struct writer_bulk *next;
	struct value *value; /* one reference */
	size_t offset;       /* bytes of it that are in rounds */
	uint64_t seq, delivery;
};

void writer_init(struct writer *w)
{
	memset(w, 0, offsetof(struct writer, segments));
}

static void free_bulk(struct writer_bulk *list)
{
	while (list) {
		struct writer_bulk *b = list;

		list = b->next;
		value_unref(b->value);
		free(b);
	}
}

void writer_fini(struct writer *w)
{
	outbox_free_list(w->head);
	outbox_free_list(w->spent);
	free_bulk(w->bulk_head);
	free_bulk(w->bulk_spent);
	buf_fini(&w->round);
}

void writer_add(struct writer *w, struct outbox *list)
{
	if (!list)
		return;
	if (w->tail)
		w->tail->next = list;
	else
		w->head = list;
	while (list->next)
		list = list->next;
	w->tail = list;
}

/* ---- the round ---------------------------------------------------------------------------- */

/* Notes that bytes were appended to w->round since it was `before` long. */
static void note_own(struct writer *w, size_t before)
{
	struct writer_segment *s = w->segment_count ? &w->segments[w->segment_count - 1] : NULL;
	size_t n = buf_len(&w->round) - before;

	if (s && !s->bytes)
		s->len += n;
	else if (n)
		w->segments[w->segment_count++] = (struct writer_segment){NULL, before, n};
	w->round_bytes += n;
}

static int put_own(struct writer *w, const void *bytes, size_t len)
{
	size_t before = buf_len(&w->round);
	int rc = buf_append(&w->round, bytes, len);

	if (rc == 0)
		note_own(w, before);
	return rc;
}

static void put_foreign(struct writer *w, const uint8_t *bytes, size_t len)
{
	if (len)
		w->segments[w->segment_count++] = (struct writer_segment){bytes, 0, len};
	w->round_bytes += len;
}

static int put_head(struct writer *w, const struct message *m, uint8_t flags, size_t payload_bytes)
{
	size_t before = buf_len(&w->round);
	int rc = wire_encode(&w->round, m, flags, (uint32_t)payload_bytes);

	if (rc == 0)
		note_own(w, before);
	return rc;
}

static int put_value_prefix(struct writer *w, const struct outbox_value *v, uint64_t token)
{
	size_t before = buf_len(&w->round);
	int rc = wire_value_put_prefix(&w->round, v->value->len, v->attempt, token);

	if (rc == 0)
		note_own(w, before);
	return rc;
}

static int put_value_copied(struct writer *w, const struct outbox_value *v, uint64_t token)
{
	size_t before = buf_len(&w->round);
	int rc = wire_value_put_prefix(&w->round, v->value->len, v->attempt, token);

	if (rc == 0)
		rc = buf_append(&w->round, v->value->bytes, v->value->len);
	if (rc == 0)
		note_own(w, before);
	return rc;
}

static int put_value(struct writer *w, const struct outbox_value *v, uint64_t token)
{
	int rc;

	if (v->value->len <= WRITER_COPY_BYTES_MAX)
		return put_value_copied(w, v, token);
	rc = put_value_prefix(w, v, token);
	if (rc == 0)
		put_foreign(w, v->value->bytes, v->value->len);
	return rc;
}

int writer_put_control(struct writer *w, const struct buf *frames)
{
	return put_own(w, frames->bytes + frames->start, buf_len(frames));
}

static bool round_full(const struct writer *w)
{
	return w->round_bytes >= WRITER_ROUND_BYTES ||
	       w->segment_count + SEGMENTS_PER_STEP + 2 > WRITER_IOV_MAX;
}

/* ---- entries ------------------------------------------------------------------------------ */

static bool in_bulk(const struct writer *w, uint64_t seq)
{
	for (const struct writer_bulk *b = w->bulk_head; b; b = b->next)
		if (b->seq == seq)
			return true;
	return false;
}

/* The token of the entry's i-th value. */
static uint64_t token_of(const struct outbox_entry *e, uint32_t i)
{
	return e->token ? e->token + i : 0;
}

/* What the entry's i-th value takes; v points to the entry's first. */
static size_t payload_bytes_of(
	const struct outbox_entry *e, const struct outbox_value *v, uint32_t i)
{
	return wire_value_bytes(v[i].value->len, v[i].attempt, token_of(e, i));
}

static struct message deliver_message(const struct outbox_entry *e, uint32_t count, size_t bytes)
{
	struct message m = {.kind = MESSAGE_DELIVER, .seq = e->seq};

	m.deliver.delivery = e->delivery;
	m.deliver.channel = e->channel;
	m.deliver.count = count;
	m.deliver.payload_bytes = bytes;
	m.deliver.case_index = e->case_index;
	return m;
}

/* Writes the frame that announces a value, with the value's prefix; its bytes become bulk. */
static int put_bulk_head(
	struct writer *w, const struct outbox_entry *e, const struct outbox_value *v)
{
	size_t total = payload_bytes_of(e, v, 0);
	struct message m = deliver_message(e, 1, total);
	struct writer_bulk *b = malloc(sizeof(*b));
	int rc;

	if (!b)
		return CHAN_ENOMEM;
	*b = (struct writer_bulk){
		.value = value_ref(v->value), .seq = e->seq, .delivery = e->delivery};
	if (w->bulk_tail)
		w->bulk_tail->next = b;
	else
		w->bulk_head = b;
	w->bulk_tail = b;
	w->head->bytes -= v->value->len; /* it counts until its last piece is written */
	rc = put_head(w, &m, FRAME_MORE, total - v->value->len);
	return rc < 0 ? rc : put_value_prefix(w, v, e->token);
}

/* Writes one frame with values of the entry, from the next one on: as many as fit. */
static int put_small(struct writer *w, const struct outbox_entry *e, const struct outbox_value *v,
	uint32_t *ret_count)
{
	size_t bytes = payload_bytes_of(e, v, 0);
	uint32_t n = 1, foreign = v->value->len > WRITER_COPY_BYTES_MAX;
	uint32_t room = (uint32_t)(WRITER_IOV_MAX - 2 - w->segment_count) / 2;
	struct message m;
	int rc;

	while (n < e->count && n < BATCH_VALUES_MAX && foreign < room &&
		bytes + payload_bytes_of(e, v, n) <= DATA_BYTES) {
		foreign += v[n].value->len > WRITER_COPY_BYTES_MAX;
		bytes += payload_bytes_of(e, v, n++);
	}
	m = deliver_message(e, n, bytes);
	rc = put_head(w, &m, 0, bytes);
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = put_value(w, &v[i], token_of(e, i));
	*ret_count = n;
	return rc;
}

/* Writes a frame of a DELIVER entry, and shortens the entry by what is in it. */
static int put_deliver(struct writer *w, struct outbox_entry *e, const struct outbox_value *v)
{
	uint32_t n = 1;
	int rc;

	if (payload_bytes_of(e, v, 0) > FRAME_PAYLOAD_BYTES_MAX || in_bulk(w, e->seq))
		rc = put_bulk_head(w, e, v);
	else
		rc = put_small(w, e, v, &n);
	e->count -= n;
	e->delivery += n;
	e->token = token_of(e, n);
	w->value += n;
	return rc;
}

static int put_done(struct writer *w, struct outbox_entry *e)
{
	struct message m = {.kind = MESSAGE_DONE, .seq = e->seq};

	m.done.count = e->count;
	m.done.case_index = e->case_index;
	e->count = 0;
	return put_head(w, &m, 0, 0);
}

static int put_encoded(struct writer *w, struct outbox_entry *e)
{
	int rc = put_own(w, buf_data(&w->head->encoded) + w->encoded, e->count);

	w->encoded += e->count;
	e->count = 0;
	return rc;
}

static int put_entry(struct writer *w, struct outbox_entry *e)
{
	switch (e->kind) {
	case OUTBOX_DONE:
		return put_done(w, e);
	case OUTBOX_DELIVER:
		return put_deliver(w, e, &w->head->values[w->value]);
	case OUTBOX_ENCODED:
		break;
	}
	return put_encoded(w, e);
}

/* The head outbox is encoded to its end. */
static void retire_head(struct writer *w)
{
	struct outbox *o = w->head;

	w->head = o->next;
	if (!w->head)
		w->tail = NULL;
	o->next = w->spent;
	w->spent = o;
	w->entry = w->value = w->encoded = 0;
}

static int fill_entries(struct writer *w)
{
	while (w->head && !round_full(w)) {
		struct outbox *o = w->head;
		struct outbox_entry *e = &o->entries[w->entry];
		int rc;

		if (w->entry == o->entry_count) {
			retire_head(w);
			continue;
		}
		if (e->kind != OUTBOX_DELIVER && in_bulk(w, e->seq))
			break; /* it ends a receive whose values are on their way: see writer.h */
		rc = put_entry(w, e);
		if (rc < 0)
			return rc;
		if (e->count == 0)
			w->entry++;
	}
	return 0;
}

/* One piece of the large value that began first. */
static int fill_piece(struct writer *w)
{
	struct writer_bulk *b = w->bulk_head;
	struct message m = {.kind = MESSAGE_PIECE};
	size_t n, left;
	int rc;

	if (!b)
		return 0;
	left = b->value->len - b->offset;
	n = left < DATA_BYTES ? left : DATA_BYTES;
	m.seq = b->delivery;
	rc = put_head(w, &m, n < left ? FRAME_MORE : 0, n);
	if (rc < 0)
		return rc;
	put_foreign(w, b->value->bytes + b->offset, n);
	b->offset += n;
	if (n < left)
		return 0;
	w->bulk_head = b->next;
	if (!w->bulk_head)
		w->bulk_tail = NULL;
	b->next = w->bulk_spent;
	w->bulk_spent = b;
	return 0;
}

int writer_fill(struct writer *w)
{
	int rc = fill_entries(w);

	if (rc == 0)
		rc = fill_piece(w);
	if (rc < 0)
		return rc;
	for (int i = 0; i < w->segment_count; i++) {
		const struct writer_segment *s = &w->segments[i];
		const uint8_t *bytes = s->bytes ? s->bytes : buf_data(&w->round) + s->offset;

		w->iov[i] = (struct iovec){(void *)bytes, s->len};
	}
	return w->segment_count;
}

size_t writer_written(struct writer *w)
{
	size_t bytes = 0;

	for (struct outbox *o = w->spent; o; o = o->next)
		bytes += o->bytes;
	for (struct writer_bulk *b = w->bulk_spent; b; b = b->next)
		bytes += b->value->len;
	outbox_free_list(w->spent);
	free_bulk(w->bulk_spent);
	w->spent = NULL;
	w->bulk_spent = NULL;
	buf_consume(&w->round, buf_len(&w->round));
	w->segment_count = 0;
	w->round_bytes = 0;
	return bytes;
}
