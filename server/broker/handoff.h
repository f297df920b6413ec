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

/* Senders and receivers of an unbuffered channel to each other. */
void handoff_pairs(struct engine *e, struct channel *ch);

/* Settles a delivery that is out and that its party has forgotten. Touches the channel. */
void handoff_settle(struct engine *e, struct delivery *d, bool taken);

#endif
