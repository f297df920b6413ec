/*
 * gate.h - at most so many goroutines inside at once, while memory is scarce.
 *
 * A reader holds a buffer and a batch, together up to 700 KiB. Usually they are few, as there are
 * few processors; but when all connections send more than the broker keeps up with, each comes to
 * hold its own. The gate is open while memory is free (base/memory.h): who enters then is not even
 * counted, which spares each turn of a reader two locked instructions (and may leave a few inside beside
 * those, when memory becomes scarce). Otherwise those who come late wait before they hold anything.
 */
#ifndef BROKER_GATE_H
#define BROKER_GATE_H

#include <stdatomic.h>
#include <stdbool.h>

struct hchan;

struct gate {
	unsigned int max;
	atomic_uint inside, waiting;
	struct hchan *wakeups; /* a token for each that left while others waited, up to max */
};

/* 0 or -ENOMEM. A gate stays: who leaves it may be the last to do anything. */
int gate_init(struct gate *g, unsigned int max);

/* Parks while max are counted inside and memory is not free. Whether the caller is counted, for
 * gate_leave. */
bool gate_enter(struct gate *g);
void gate_leave(struct gate *g, bool counted);

#endif
