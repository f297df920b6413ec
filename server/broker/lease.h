/*
 * lease.h - values that wait for time: leased to a party that took them, or back and delayed.
 *
 * A value that is taken under a lease leaves the channel's capacity and length, and belongs to the
 * channel still. It is gone with an ACK; it comes back by a NACK, when its time is up, and when the
 * party ends. All of that touches the channel.
 */
#ifndef BROKER_LEASE_H
#define BROKER_LEASE_H

#include "server/broker/channel.h"
#include "server/broker/delivery.h"

struct party;

/* The party has taken the delivery, which is out no more and the channel's: its time begins. */
void lease_begin(struct engine *e, struct party *p, struct delivery *d);

/* Ways to end it, by which the party has it no more. */
void lease_finish(struct engine *e, struct delivery *d);
void lease_give_back(struct engine *e, struct delivery *d, uint64_t delay_ns);

/* It lasts so long from now on. */
void lease_extend(struct engine *e, struct delivery *d, uint64_t lease_ns);

/* Ends the leases and delays whose time is not after ns; holders are told by GONE. When the next
 * one ends: INT64_MAX if none does. */
void leases_expire(struct engine *e, int64_t ns);
int64_t leases_deadline_ns(const struct engine *e);

/* Drops those of a channel that is removed; holders are told by GONE. */
void leases_drop(struct engine *e, struct channel *ch);

/* A value that is the channel's and nobody's goes to its place in the buffer, one attempt older,
 * and is not offered before delay_ns. */
void value_come_back(struct engine *e, struct delivery *d, uint64_t delay_ns);

#endif
