/*
 * memory.h - how much memory the process holds, against one ceiling for all of it.
 *
 * Each thing that clients make grow has a bound of its own; their sum is more than any machine has.
 * So whoever is about to take more looks here, and does with less, or refuses, while there is still
 * room for those who give something back. What counts is what the kernel counts: resident pages
 * that no file backs, so nothing is forgotten (TLS, stacks, the allocator's waste), but for rings: their
 * pages are brought by their clients (stream_ring.h), and bounded by rings_max.
 *
 * Any goroutine or thread; nothing here parks. The level is looked at anew every 1 to 100 ms,
 * the sooner the less is left, so the process may exceed a threshold by what it can take in a
 * millisecond; the last quarter is room for that, and for the stacks of those who wait.
 */
#ifndef CHAND_BASE_MEMORY_H
#define CHAND_BASE_MEMORY_H

#include "server/base/clock.h"
#include <stdbool.h>
#include <stdint.h>

enum memory_level {
	MEMORY_FREE,
	MEMORY_TIGHT,  /* above five eighths of the ceiling: nobody who has much gets more */
	MEMORY_SCARCE, /* above three quarters: only those who have next to nothing get more */
	MEMORY_FULL,   /* above the ceiling: nothing grows */
};

/* The ceiling in bytes; 0: memory_max_default. Also while the daemon runs. Where the kernel does
 * not tell what we hold, there is none. */
void memory_set_max(uint64_t bytes);

/* The ceiling in force; 0: none was set. */
uint64_t memory_max(void);

/* Three quarters of the machine's memory, or of what our control group may have. */
uint64_t memory_max_default(void);

/* What the process holds now; 0: unknown. A system call. */
uint64_t memory_held_bytes(void);

/* The level, as it was when anybody looked last: one load. */
enum memory_level memory_level(void);

/* The level now; looks anew if the last look is older than it may be. While it is not
 * free, gives back to the kernel once a second what the allocator keeps for itself. */
enum memory_level memory_look(int64_t now_ns);

/*
 * After a burst the allocator keeps what it held: pages that are free, but between others that are
 * not. Giving them back walks its lists, a millisecond for some ten megabytes, and what is used again
 * has to be fetched again. So it is done when there is much more than after the last time, and was
 * when it was looked at before.
 *
 * memory_is_unsettled: whether something was going on since (memory_look was called, and we hold
 * more than a few MiB), and nobody is at it; true for one caller. He calls memory_settle every
 * MEMORY_SETTLE_NS until it returns true: then nothing goes on any more, or gives it up at once.
 */
bool memory_is_unsettled(void);
bool memory_settle(void);
void memory_put_off(void);
#define MEMORY_SETTLE_NS (5 * NS_PER_S)

#endif
