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

void writer_init(struct writer *w, struct writer_todo *todo)
{
	memset(w, 0, offsetof(struct writer, segments));
	w->todo = todo;
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
	outbox_free_list(w->spent);
	free_bulk(w->bulk_spent);
	buf_fini(&w->round);
}

/* ---- what there is to do ------------------------------------------------------------------- */

void writer_todo_add(struct writer_todo *t, struct outbox *list)
{
	if (!list)
		return;
	if (t->tail)
		t->tail->next = list;
	else
		t->head = list;
	while (list->next)
		list = list->next;
	t->tail = list;
}

size_t writer_todo_bytes(const struct writer_todo *t)
{
	size_t bytes = 0;

	for (const struct outbox *o = t->head; o; o = o->next)
		bytes += outbox_cost(o);
	for (const struct writer_bulk *b = t->bulk_head; b; b = b->next)
		bytes += b->value->len;
	return bytes;
}

void writer_todo_fini(struct writer_todo *t)
{
	outbox_free_list(t->head);
	free_bulk(t->bulk_head);
	*t = (struct writer_todo){0};
}

/* ---- the round ---------------------------------------------------------------------------- */

/* Notes that bytes were appended to w->round since it was `before` long. */
static void note(struct writer *w, size_t before, bool counted)
{
	struct writer_segment *s = w->segment_count ? &w->segments[w->segment_count - 1] : NULL;
	size_t n = buf_len(&w->round) - before;

	if (s && !s->value && s->counted == counted)
		s->len += (uint32_t)n;
	else if (n)
		w->segments[w->segment_count++] =
			(struct writer_segment){NULL, (uint32_t)before, (uint32_t)n, counted};
	w->round_bytes += n;
}

static void note_own(struct writer *w, size_t before)
{
	note(w, before, true);
}

/* Whole frames, encoded already. */
static int put_frames(struct writer *w, const void *bytes, size_t len, bool counted)
{
	size_t before = buf_len(&w->round);
	int rc = buf_append(&w->round, bytes, len);

	if (rc == 0)
		note(w, before, counted);
	return rc;
}

/* A part of a value, from where it is. */
static void put_foreign(struct writer *w, struct value *v, size_t offset, size_t len)
{
	if (len)
		w->segments[w->segment_count++] =
			(struct writer_segment){v, (uint32_t)offset, (uint32_t)len, true};
	w->round_bytes += len;
}

static int put_head(struct writer *w, const struct message *m, uint8_t flags, size_t payload_bytes)
{
	size_t before = buf_len(&w->round);
	int rc = wire_encode(&w->round, m, flags, (uint32_t)payload_bytes);

	if (rc < 0)
		return rc;
	note_own(w, before);
	w->frames++;
	return 0;
}

static int put_value_prefix(
	struct writer *w, const struct value *v, uint32_t attempt, uint64_t token)
{
	size_t before = buf_len(&w->round);
	int rc = wire_value_put_prefix(&w->round, v->len, attempt, token);

	if (rc == 0)
		note_own(w, before);
	return rc;
}

static int put_copied(struct writer *w, const void *bytes, size_t len)
{
	size_t before = buf_len(&w->round);
	int rc = buf_append(&w->round, bytes, len);

	if (rc == 0)
		note_own(w, before);
	return rc;
}

int writer_put_control(struct writer *w, const struct buf *frames)
{
	return put_frames(w, frames->bytes + frames->start, buf_len(frames), false);
}

static bool round_full(const struct writer *w)
{
	return w->round_bytes >= WRITER_ROUND_BYTES ||
	       w->segment_count + SEGMENTS_PER_STEP + 2 > WRITER_IOV_MAX;
}

/* ---- entries ------------------------------------------------------------------------------ */

static bool in_bulk(const struct writer *w, uint64_t seq)
{
	for (const struct writer_bulk *b = w->todo->bulk_head; b; b = b->next)
		if (b->seq == seq)
			return true;
	return false;
}

/* The token of the entry's i-th value. */
static uint64_t token_of(const struct outbox_entry *e, uint32_t i)
{
	return e->token ? e->token + i : 0;
}

/* The entry's next value, behind so many of a run. */
struct place {
	const struct outbox_run *run;
	uint32_t in_run;
};

static struct place next_place(const struct writer_todo *t)
{
	return (struct place){&t->head->runs[t->run], t->in_run};
}

static struct value *value_at(struct place p)
{
	return p.run->first + p.in_run;
}

static void go_on(struct place *p, uint32_t n)
{
	p->in_run += n;
	if (p->in_run < p->run->count)
		return;
	p->run++;
	p->in_run = 0;
}

/* Whether the value lies in its pack as it stands in a payload. */
static bool is_plain(struct place p, uint64_t token)
{
	return p.run->attempt <= 1 && token == 0;
}

/* How many values of a run, count_max at most, fit in so many bytes, and what they take. */
static uint32_t fit_run(
	struct place p, uint64_t token, uint32_t count_max, size_t bytes_max, size_t *ret_bytes)
{
	const struct value *v = value_at(p);
	uint32_t n = p.run->count - p.in_run;

	if (!is_plain(p, token)) {
		*ret_bytes = wire_value_bytes(v->len, p.run->attempt, token);
		return *ret_bytes <= bytes_max;
	}
	if (n > count_max)
		n = count_max;
	while (n > 0 && (*ret_bytes = value_run_bytes(v, n)) > bytes_max)
		n--;
	return n;
}

static struct message deliver_message(const struct outbox_entry *e, uint32_t count, size_t bytes)
{
	struct message m; /* only what its frame has: to clear the rest takes a sixth of making one */

	m.kind = MESSAGE_DELIVER;
	m.seq = e->seq;
	m.deliver.delivery = e->delivery;
	m.deliver.channel = e->channel;
	m.deliver.count = count;
	m.deliver.payload_bytes = bytes;
	m.deliver.case_index = e->case_index;
	return m;
}

/* Writes the frame that announces a value, with the value's prefix; its bytes become bulk. */
static int put_bulk_head(struct writer *w, const struct outbox_entry *e, struct place p)
{
	struct value *v = value_at(p);
	size_t total = wire_value_bytes(v->len, p.run->attempt, e->token);
	struct message m = deliver_message(e, 1, total);
	struct writer_bulk *b = malloc(sizeof(*b));
	struct writer_todo *t = w->todo;
	int rc;

	if (!b)
		return CHAN_ENOMEM;
	*b = (struct writer_bulk){
		.value = value_ref(v), .seq = e->seq, .delivery = e->delivery};
	if (t->bulk_tail)
		t->bulk_tail->next = b;
	else
		t->bulk_head = b;
	t->bulk_tail = b;
	t->head->bytes -= v->len; /* it counts until its last piece is written */
	rc = put_head(w, &m, FRAME_MORE, total - v->len);
	return rc < 0 ? rc : put_value_prefix(w, v, p.run->attempt, e->token);
}

/* Writes n values of a run; more than one are plain and small. */
static int put_run(struct writer *w, struct place p, uint64_t token, uint32_t n)
{
	struct value *v = value_at(p);
	int rc;

	if (is_plain(p, token) && v->len <= WRITER_COPY_BYTES_MAX)
		return put_copied(w, value_run(v), value_run_bytes(v, n));
	rc = put_value_prefix(w, v, p.run->attempt, token);
	if (rc == 0 && v->len <= WRITER_COPY_BYTES_MAX)
		return put_copied(w, v->bytes, v->len);
	if (rc == 0)
		put_foreign(w, v, 0, v->len);
	return rc;
}

/* How many values of the entry go into one frame, one at least, and what they take. */
static uint32_t fit_frame(const struct writer *w, const struct outbox_entry *e, size_t *ret_bytes)
{
	uint32_t room = (uint32_t)(WRITER_IOV_MAX - 2 - w->segment_count) / 2, foreign = 0;
	uint32_t n = 0, count_max = e->count < BATCH_VALUES_MAX ? e->count : BATCH_VALUES_MAX;
	struct place p = next_place(w->todo);
	size_t bytes = 0;

	while (n < count_max && (n == 0 || foreign < room)) {
		size_t left = (n == 0 ? FRAME_PAYLOAD_BYTES_MAX : DATA_BYTES) - bytes, more;
		uint32_t k = fit_run(p, token_of(e, n), count_max - n, left, &more);

		if (k == 0)
			break;
		foreign += value_at(p)->len > WRITER_COPY_BYTES_MAX;
		bytes += more;
		n += k;
		if (bytes >= DATA_BYTES)
			break;
		go_on(&p, k);
	}
	*ret_bytes = bytes;
	return n;
}

/* Writes one frame with values of the entry, from the next one on: as many as fit. */
static int put_small(struct writer *w, const struct outbox_entry *e, uint32_t *ret_count)
{
	size_t bytes, more;
	uint32_t n = fit_frame(w, e, &bytes);
	struct message m = deliver_message(e, n, bytes);
	struct place p = next_place(w->todo);
	int rc = put_head(w, &m, 0, bytes);

	for (uint32_t i = 0, k; rc == 0 && i < n; i += k) {
		k = fit_run(p, token_of(e, i), n - i, bytes, &more);
		rc = put_run(w, p, token_of(e, i), k);
		go_on(&p, k);
	}
	*ret_count = n;
	return rc;
}

/* So many values of the head are in rounds. */
static void move_on(struct writer_todo *t, uint32_t n)
{
	while (n > 0) {
		uint32_t left = t->head->runs[t->run].count - t->in_run, k = n < left ? n : left;

		n -= k;
		t->in_run = k < left ? t->in_run + k : 0;
		t->run += k == left;
	}
}

/* Writes a frame of a DELIVER entry, and shortens the entry by what is in it. */
static int put_deliver(struct writer *w, struct outbox_entry *e)
{
	struct place p = next_place(w->todo);
	size_t bytes = wire_value_bytes(value_at(p)->len, p.run->attempt, e->token);
	uint32_t n = 1;
	int rc;

	if (bytes > FRAME_PAYLOAD_BYTES_MAX || in_bulk(w, e->seq))
		rc = put_bulk_head(w, e, p);
	else
		rc = put_small(w, e, &n);
	e->count -= n;
	e->delivery += n;
	e->token = token_of(e, n);
	move_on(w->todo, n);
	return rc;
}

static int put_done(struct writer *w, struct outbox_entry *e)
{
	struct message m;

	m.kind = MESSAGE_DONE;
	m.seq = e->seq;
	m.done.count = e->count;
	m.done.case_index = e->case_index;
	e->count = 0;
	return put_head(w, &m, 0, 0);
}

static int put_encoded(struct writer *w, struct outbox_entry *e)
{
	struct writer_todo *t = w->todo;
	bool counted = e->kind == OUTBOX_ENCODED;
	int rc = put_frames(w, buf_data(&t->head->encoded) + t->encoded, e->count, counted);

	t->encoded += e->count;
	e->count = 0;
	w->frames += counted;
	return rc;
}

static int put_entry(struct writer *w, struct outbox_entry *e)
{
	switch (e->kind) {
	case OUTBOX_DONE:
		return put_done(w, e);
	case OUTBOX_DELIVER:
		return put_deliver(w, e);
	case OUTBOX_ENCODED:
	case OUTBOX_CONTROL:
		break;
	}
	return put_encoded(w, e);
}

/* The head outbox is encoded to its end. */
static void retire_head(struct writer *w)
{
	struct writer_todo *t = w->todo;
	struct outbox *o = t->head;

	t->head = o->next;
	if (!t->head)
		t->tail = NULL;
	o->next = w->spent;
	w->spent = o;
	t->entry = t->run = t->encoded = 0;
	t->in_run = 0;
}

static int fill_entries(struct writer *w)
{
	struct writer_todo *t = w->todo;

	while (t->head && !round_full(w)) {
		struct outbox *o = t->head;
		struct outbox_entry *e = &o->entries[t->entry];
		int rc;

		if (t->entry == o->entry_count) {
			retire_head(w);
			continue;
		}
		if (e->kind != OUTBOX_DELIVER && in_bulk(w, e->seq))
			break; /* it ends a receive whose values are on their way: see writer.h */
		rc = put_entry(w, e);
		if (rc < 0)
			return rc;
		if (e->count == 0)
			t->entry++;
	}
	return 0;
}

/* One piece of the large value that began first. */
static int fill_piece(struct writer *w)
{
	struct writer_todo *t = w->todo;
	struct writer_bulk *b = t->bulk_head;
	struct message m = {.kind = MESSAGE_PIECE, .seq = b->delivery};
	size_t left = b->value->len - b->offset, n = left < DATA_BYTES ? left : DATA_BYTES;
	int rc;

	rc = put_head(w, &m, n < left ? FRAME_MORE : 0, n);
	if (rc < 0)
		return rc;
	put_foreign(w, b->value, b->offset, n);
	b->offset += n;
	if (n < left)
		return 0;
	t->bulk_head = b->next;
	if (!t->bulk_head)
		t->bulk_tail = NULL;
	b->next = w->bulk_spent;
	w->bulk_spent = b;
	return 0;
}

int writer_fill(struct writer *w)
{
	int rc = fill_entries(w);

	if (rc == 0 && w->todo->bulk_head)
		rc = fill_piece(w);
	return rc < 0 ? rc : writer_round(w);
}

int writer_round(struct writer *w)
{
	for (int i = 0; i < w->segment_count; i++) {
		const struct writer_segment *s = &w->segments[i];
		uint8_t *bytes = s->value ? s->value->bytes : buf_data(&w->round);

		w->iov[i] = (struct iovec){bytes + s->offset, s->len};
	}
	return w->segment_count;
}

int writer_keep(struct writer *w, struct replay *r)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < w->segment_count; i++) {
		const struct writer_segment *s = &w->segments[i];

		if (!s->counted)
			continue;
		rc = s->value ? replay_keep_value(r, s->value, s->offset, s->len)
			      : replay_keep(r, buf_data(&w->round) + s->offset, s->len);
	}
	if (rc == 0)
		replay_sent(r, w->frames);
	return rc;
}

size_t writer_written(struct writer *w)
{
	size_t bytes = 0;

	for (struct outbox *o = w->spent; o; o = o->next)
		bytes += outbox_cost(o);
	for (struct writer_bulk *b = w->bulk_spent; b; b = b->next)
		bytes += b->value->len;
	outbox_free_list(w->spent);
	free_bulk(w->bulk_spent);
	w->spent = NULL;
	w->bulk_spent = NULL;
	buf_consume(&w->round, buf_len(&w->round));
	w->segment_count = 0;
	w->round_bytes = 0;
	w->frames = 0;
	return bytes;
}
