/*
 * flight.h - operations in flight: sent and not answered, found by their sequence numbers.
 *
 * An operation of several values has a run of numbers for each frame that carried some of them.
 * Runs enter with rising numbers and leave in any order, so they stand in an array sorted by
 * number; what has left leaves a gap, and gaps are squeezed out when the array would have to grow.
 */
#ifndef CLIENT_FLIGHT_H
#define CLIENT_FLIGHT_H

#include <stddef.h>
#include <stdint.h>

struct chan_op;

struct flight_run {
	uint64_t seq;       /* of its first value */
	struct chan_op *op; /* NULL: a gap */
	uint32_t count;     /* numbers seq .. seq + count - 1 */
	uint32_t left;      /* of them not answered */
	uint32_t base;      /* index of the first value within the operation */
	uint32_t bytes;     /* of payload, counted against the session's limit */
};

struct flight {
	struct flight_run *runs;
	size_t first, end, size; /* runs[first .. end - 1] are in use */
	size_t gaps;             /* among them */
};

void flight_fini(struct flight *f);

/* Adds a run whose seq is above all others. The pointer is good until the next add. NULL: out of
 * memory. */
struct flight_run *flight_add(struct flight *f, uint64_t seq, uint32_t count, struct chan_op *op);

/* The run that holds seq, or NULL. */
struct flight_run *flight_find(struct flight *f, uint64_t seq);

void flight_remove(struct flight *f, struct flight_run *run);

#endif
