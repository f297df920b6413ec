/*
 * buffer.h - the values in a channel's buffer, in the order in which they leave.
 */
#ifndef BROKER_BUFFER_H
#define BROKER_BUFFER_H

#include "server/broker/channel.h"

struct delivery;

/*
 * Lets values in at the tail, as many as there is room and memory for; their references pass to
 * the channel, and they are counted in already. Returns how many.
 */
uint32_t buffer_accept(
	struct engine *e, struct channel *ch, struct value *const *values, uint32_t count);

/* The oldest value that was never out; there is one. */
struct value *buffer_peek(const struct channel *ch);

/* How many of the oldest, that one and at most max, are neighbours of one pack. */
uint32_t buffer_run(const struct channel *ch, uint32_t max);

/* So many are out now. */
void buffer_pop(struct channel *ch, uint32_t n);

/* Its order of acceptance. */
static inline uint64_t buffer_order(const struct channel *ch)
{
	return ch->accepted - ch->ring_count + 1;
}

/* The oldest delivery that came back, or NULL, and whether it goes before the ring's first. */
struct delivery *buffer_returned(const struct channel *ch);
bool buffer_returned_first(const struct channel *ch);
void buffer_pop_returned(struct channel *ch);

/* A delivery comes back, to its place by order of acceptance. */
void buffer_return(struct channel *ch, struct delivery *d);

/* A value, or the first of n neighbours, that was counted as buffered (in the buffer or out) is taken
 * or dropped. */
void buffer_forget(struct engine *e, struct channel *ch, struct value *v, uint32_t n);

/* Drops what is left. What is out, leased or delayed is not touched. */
void buffer_drop(struct engine *e, struct channel *ch);

/* Walks over all values, in no order: from a zeroed position, until NULL. */
struct buffer_position {
	uint32_t index;
	const struct heap_node *node;
	const struct list *delayed;
};
struct value *buffer_next(const struct channel *ch, struct buffer_position *at);

#endif
