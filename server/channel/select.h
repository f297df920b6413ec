/*
 * select.h - Go's select over channels of this process.
 *
 *	struct select_case cases[] = {
 *		select_recv(in, &v),                    case v := <-in:
 *		select_send(out, &w),                   case out <- w:
 *	};
 *	switch (hchan_select(cases, 2, DEADLINE_NEVER)) {
 *	case 0: ...                                     cases[0].ok is the ok of `v, ok := <-in`
 *	case 1: ...
 *	}
 */
#ifndef CHAND_CHANNEL_SELECT_H
#define CHAND_CHANNEL_SELECT_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/clock.h"
#include "server/channel/hchan.h"
#include "server/channel/sudog.h"

enum select_op { SELECT_RECV, SELECT_SEND };

/* One case. The array belongs to the caller, who may use it again as it is after the call; it must
 * stay in place during it. It is all the memory that a select needs. */
struct select_case {
	struct hchan *c; /* NULL: never chosen */
	void *value;     /* as for hchan_recv, hchan_send; a send only reads it */
	enum select_op op;
	bool ok; /* out, of a receive that was chosen: false if closed and drained */
	/* private */
	uint16_t lock_order; /* [i]: which case has the i-th channel by address */
	struct sudog waiter;
};

#define select_recv(chan, to) ((struct select_case){.c = (chan), .value = (to), .op = SELECT_RECV})
#define select_send(chan, from)                                                                    \
	((struct select_case){.c = (chan), .value = (void *)(from), .op = SELECT_SEND})

/* The deadline of a select that does not wait: Go's `default`. */
#define SELECT_DEFAULT INT64_MIN

/* More cases in one select are a panic: it holds that many locks at once, if for a moment. */
#define HCHAN_SELECT_CASES_MAX 1000

/*
 * Waits until one of n cases can happen and does it; if several can, each with equal chance. The
 * others leave no trace. Returns its index.
 *
 * Without a case that can happen: SELECT_DEFAULT returns -EAGAIN at once, and only if there was an
 * instant during the call at which none could. Any other deadline_ns (see clock.h)
 * returns -ETIMEDOUT once it is reached, nothing having been done. A deadline that has passed
 * still takes what is ready. A closed channel is always ready: its receive with ok = false, its
 * send with a panic. n may be 0.
 */
int hchan_select(struct select_case *cases, int n, int64_t deadline_ns);

#endif
