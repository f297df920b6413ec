/*
 * dead_letter.h - values that were tried too often go to another channel.
 *
 * A value was *tried* when it was taken under a lease that ended without an ACK. Deliveries that
 * came back before they were taken do not count: no program has had the value, so they tell nothing
 * about it.
 */
#ifndef BROKER_DEAD_LETTER_H
#define BROKER_DEAD_LETTER_H

#include "server/broker/channel.h"
#include "server/broker/delivery.h"

/*
 * Moves a value that is its channel's and nobody's to the channel that attribute dead_letter names,
 * behind what was accepted there. False: it cannot go there, its channel has noted why, and nothing
 * has changed.
 */
bool dead_letter_send(struct engine *e, struct delivery *d);

#endif
