/*
 * handoff.h - the steps by which values change hands. channel_pump calls the first three.
 */
#ifndef BROKER_HANDOFF_H
#define BROKER_HANDOFF_H

#include "server/broker/channel.h"

/* Waiting senders into the buffer, as far as there is room. */
void handoff_let_in(struct engine *e, struct channel *ch);

/* Buffered values to waiting receivers. */
void handoff_out(struct engine *e, struct channel *ch);

/*
 * A receive of one value that finds it in the buffer, and nobody before it: has it as if it had
 * stood first in line for an instant, without a record, which is half of the work of such a
 * receive. False: it has to stand, and nothing has changed.
 */
bool handoff_at_once(struct engine *e, struct party *p, const struct operation_request *r);

/* Senders and receivers of an unbuffered channel to each other. */
void handoff_pairs(struct engine *e, struct channel *ch);

/*
 * Settle a delivery that is out; all touch the channel. The party has forgotten the first two:
 * taken for good, the first n of its values (the channel was not removed, if they are a run), or
 * back to its place, not to be offered before delay_ns (of a value that is still its sender's: at
 * once). Leased, it stays the party's delivery.
 */
void handoff_taken(struct engine *e, struct delivery *d, uint32_t n);
void handoff_returned(struct engine *e, struct delivery *d, uint64_t delay_ns);
void handoff_leased(struct engine *e, struct party *p, struct delivery *d);

#endif
