/*
 * stock.h - pieces of memory of one kind, kept for reuse: some by each processor for itself, the others
 * for all.
 *
 * What one turn of a reader gives back the next turn on the same processor takes, so most pieces go
 * from hand to hand without a lock: goroutines are not preempted, and nobody else uses what belongs to
 * the processor they run on. Pieces that are taken on one processor and given back on another pass by
 * the shared ones.
 *
 * While a piece is kept its first bytes are the stock's. Any thread; who runs on
 * no processor uses the shared ones.
 */
#ifndef BROKER_STOCK_H
#define BROKER_STOCK_H

#include "server/base/lock.h"
#include "server/runtime/runtime.h"
#include <stdbool.h>
#include <stdint.h>

struct stock_piece {
	struct stock_piece *next;
};

struct stock_pile {
	struct stock_piece *top;
	uint32_t count;
};

/* To be defined with STOCK_INIT. */
struct stock {
	uint32_t own_max, shared_max; /* pieces that a processor keeps, and that all do */
	struct lock lock;             /* guards shared */
	struct stock_pile shared;
	struct {
		_Alignas(64) struct stock_pile pile;
	} own[GO_PROCS_MAX]; /* by go_processor */
};

#define STOCK_INIT(own, shared)                                                                    \
	{                                                                                          \
		.own_max = (own), .shared_max = (shared), .lock = LOCK_INIT(LOCK_RANK_OUTER)       \
	}

/* A piece, the one that was given last if it can be; NULL: none is kept. */
void *stock_take(struct stock *s);

/* Keeps the piece; false: there is no room, it stays the caller's. */
bool stock_give(struct stock *s, void *piece);

/* One of the shared pieces, for who frees them all; NULL: there is none. The processors' own stay, as
 * their goroutines may be at them. */
void *stock_take_shared(struct stock *s);

#endif
