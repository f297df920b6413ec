/*
 * semaphore.h - channels whose values are permits.
 *
 * They are made with so many signals in them, in one step, so that no two who make it put in twice
 * as many, and none dies between making and filling. Nobody may send there: a permit that comes
 * from elsewhere would let one more in. Who takes one under a lease and gives it back holds a lock
 * or a semaphore.
 */
#ifndef BROKER_SEMAPHORE_H
#define BROKER_SEMAPHORE_H

#include "server/broker/attributes.h"
#include "server/broker/channel.h"

struct call;

/* How many it was made with; 0: it is an ordinary channel. */
static inline uint32_t permits_of(const struct channel *ch)
{
	return ch->attributes ? ch->attributes->permits : 0;
}

/* Puts them into a channel that was just made, on the account of who makes it. 0, or CHAN_ENOMEM or
 * CHAN_ELIMIT (there is no room for so many values) with the channel to be removed. */
int permits_fill(struct call *c, struct channel *ch);

#endif
