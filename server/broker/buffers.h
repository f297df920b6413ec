/*
 * buffers.h - large buffers for reading and writing, kept between the turns that need one.
 *
 * Connections hold no buffer while idle, so each turn would ask malloc for a large piece and give
 * it back, which for pieces of this size costs more than all else in a turn of one small value. A
 * few are kept (stock.h), for about as many turns as run at once. Any goroutine.
 */
#ifndef BROKER_BUFFERS_H
#define BROKER_BUFFERS_H

#include "proto/buf.h"

/* Room of each, about: what one read takes at most. A system call is worth about a hundred small
 * values, and more than this brings little. */
#define BUFFER_BYTES (256u * 1024u)

/* An empty buf that has room for BUFFER_BYTES; without memory one that has none. */
struct buf buffer_take(void);

/* Gives back what buffer_take returned, whatever became of it; *b is empty and without room then.
 */
void buffer_give(struct buf *b);

/* Frees those that are kept for all. Others may be given back meanwhile, and later: a connection that
 * has gone may leave behind a goroutine that wrote to it and still has its buffer. */
void buffers_fini(void);

#endif
