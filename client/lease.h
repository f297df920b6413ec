/*
 * lease.h - which leases of values that the program holds are not known to be over.
 *
 * A session keeps a record of each value that was handed over under a lease, until it is settled or
 * the broker says that it is gone: in an array by rising id, as most come and go at its ends. The
 * broker bounds how many a session may hold. Needs the client's lock.
 */
#ifndef CLIENT_LEASE_H
#define CLIENT_LEASE_H

#include "client/session.h"

struct lease {
	uint64_t delivery;
	int64_t until_ns; /* by our clock, which may be before the broker's time */
};

/* A value is handed over, for so long from now on. */
void lease_hold(struct session *s, uint64_t delivery, int64_t lease_ns);

/* The deliveries are settled, or gone: their leases are over. */
void lease_forget(struct session *s, const struct wire_range *range);

/* An EXTEND was answered: what of its deliveries is not gone has its time from when it was asked.
 */
void lease_extended(struct session *s, const struct chan_op *extend);

#endif
