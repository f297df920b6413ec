/*
 * buffer.c - what a buffered channel holds: a ring of values that were never out, and, in a heap,
 * those that were and came back. The latter are older, so they go first; but for dead letters of
 * other channels, whose place is where they came in.
 *
 * The ring is allocated from the second value on, grows by doubling, and is given back when it is
 * empty and was large.
 */
#include "server/broker/buffer.h"
#include "server/broker/broken.h"
#include "server/broker/state.h"
#include <stdlib.h>

#define RING_MIN 4u
#define RING_KEEP 128u /* an empty ring above it is given back */

uint64_t channel_room(const struct channel *ch)
{
	uint64_t capacity = ch->capacity, length = channel_length(ch);

	if (capacity && BROKEN(over_capacity))
		capacity++;
	return capacity > length ? capacity - length : 0;
}

bool channel_drained(const struct channel *ch)
{
	const struct channel_traffic *t = ch->traffic;

	return !channel_has_value(ch) && ch->in_flight == 0 && t->leased_count == 0 &&
	       t->delayed_count == 0;
}

/* Where the values lie: for one alone no memory is asked for. */
static struct value **ring_slots(struct channel *ch)
{
	return ch->ring_size == 1 ? &ch->only : ch->ring;
}

static uint32_t ring_at(const struct channel *ch, uint32_t i)
{
	return (ch->ring_first + i) & (ch->ring_size - 1);
}

static struct value *ring_value(const struct channel *ch, uint32_t i)
{
	return ring_slots((struct channel *)ch)[ring_at(ch, i)];
}

static void ring_free(struct channel *ch)
{
	if (ch->ring_size > 1)
		free(ch->ring);
	ch->ring = NULL;
	ch->ring_size = ch->ring_first = ch->ring_count = 0;
}

/* Room for n values more; n is not 0. */
static bool ring_grow(struct channel *ch, uint32_t n)
{
	uint32_t count = ch->ring_count, size = ch->ring_size ? ch->ring_size : 1;
	struct value **ring;

	if (n <= ch->ring_size - count)
		return true;
	if (count + n == 1) {
		ch->ring_size = 1;
		return true;
	}
	while (size < RING_MIN || size - count < n)
		size *= 2;
	ring = malloc(size * sizeof(*ring));
	if (!ring)
		return false;
	for (uint32_t i = 0; i < count; i++)
		ring[i] = ring_value(ch, i);
	ring_free(ch);
	ch->ring = ring;
	ch->ring_size = size;
	ch->ring_count = count;
	return true;
}

struct value *buffer_peek(const struct channel *ch)
{
	return ring_value(ch, BROKEN(lifo) ? ch->ring_count - 1 : 0);
}

uint32_t buffer_run(const struct channel *ch, uint32_t max)
{
	const struct value *v = buffer_peek(ch);
	uint32_t n = 1;

	if (BROKEN(lifo))
		return 1;
	if (max > ch->ring_count)
		max = ch->ring_count;
	while (n < max && ring_value(ch, n) == v + n)
		n++;
	return n;
}

void buffer_pop(struct channel *ch, uint32_t n)
{
	ch->ring_count -= n;
	if (!BROKEN(lifo))
		ch->ring_first = ring_at(ch, n);
	if (ch->ring_count == 0 && ch->ring_size > RING_KEEP)
		ring_free(ch);
}

uint32_t buffer_accept(
	struct engine *e, struct channel *ch, struct value *const *values, uint32_t count)
{
	uint64_t room = channel_room(ch), bytes = 0;
	struct value **slots;
	uint32_t n = count < room ? count : (uint32_t)room;

	if (n > 0 && !ring_grow(ch, n))
		n = ch->ring_size - ch->ring_count;
	slots = ring_slots(ch);
	for (uint32_t i = 0; i < n; i++) {
		slots[ring_at(ch, ch->ring_count + i)] = values[i];
		bytes += values[i]->len;
	}
	ch->ring_count += n;
	ch->bytes_buffered += bytes;
	ch->accepted += n;
	e->values_buffered += n;
	return n;
}

void buffer_forget(struct engine *e, struct channel *ch, struct value *v, uint32_t n)
{
	ch->bytes_buffered -= value_run_len(v, n);
	e->values_buffered -= n;
	engine_drop_run(e, ch->type, v, n);
}

void buffer_return(struct channel *ch, struct delivery *d)
{
	d->state = DELIVERY_RETURNED;
	ch->traffic->returned_count++;
	heap_insert(&ch->traffic->returned, &d->node, delivery_older);
}

bool buffer_returned_first(const struct channel *ch)
{
	const struct delivery *d = buffer_returned(ch);

	return d && (ch->ring_count == 0 || d->order < buffer_order(ch));
}

struct delivery *buffer_returned(const struct channel *ch)
{
	struct heap_node *first = ch->traffic->returned;

	return first ? list_entry(first, struct delivery, node) : NULL;
}

void buffer_pop_returned(struct channel *ch)
{
	struct channel_traffic *t = ch->traffic;

	t->returned_count--;
	heap_remove(&t->returned, t->returned, delivery_older);
}

static struct value *next_delayed(const struct channel *ch, struct buffer_position *at)
{
	at->delayed = at->delayed ? at->delayed->next : ch->traffic->delayed.next;
	if (at->delayed == &ch->traffic->delayed)
		return NULL;
	return list_entry(at->delayed, struct delivery, link)->value;
}

struct value *buffer_next(const struct channel *ch, struct buffer_position *at)
{
	if (at->index == 0)
		at->node = ch->traffic->returned;
	else if (at->node)
		at->node = heap_next(at->node);
	if (at->index == ch->traffic->returned_count + ch->ring_count)
		return next_delayed(ch, at);
	at->index++;
	if (at->node)
		return list_entry(at->node, struct delivery, node)->value;
	return ring_value(ch, at->index - 1 - ch->traffic->returned_count);
}

void buffer_drop(struct engine *e, struct channel *ch)
{
	struct delivery *d;

	while ((d = buffer_returned(ch))) {
		buffer_pop_returned(ch);
		buffer_forget(e, ch, d->value, 1);
		delivery_free(&e->deliveries, d);
	}
	for (uint32_t i = 0; i < ch->ring_count; i++)
		buffer_forget(e, ch, ring_value(ch, i), 1);
	ring_free(ch);
}
