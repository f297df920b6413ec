/*
 * stack.h - stacks of goroutines, and the walk over all of them.
 *
 * Address space is reserved in slabs of SLAB_BYTES; a slab is cut into stacks of equal size. From its
 * low end a stack is: one guard page, the part that grows down on demand, and in its highest page the
 * struct goroutine:
 *
 *	low                                                                    high
 *	| guard | . . . never touched . . . | frames -> | struct goroutine | colour |
 *	                                    |<------- first page: resident -------->|
 *
 * The colour is a few cache lines left free, different from stack to stack: were all goroutines at
 * one offset of their page, they would compete for the same few sets of the caches. The same holds for
 * what the CPU remembers of page tables, so the guard is more than the power of two that a stack has, and
 * first pages are an odd number of pages apart: 1,000 goroutines that yield in turn take 8.2 ns each instead
 * of 10.6, a sieve of 2,000 takes 51 ms instead of 67.
 *
 * A stack is bare (address space and no more), ready (guarded; it has no memory yet, or has given it
 * back) or used: then it belongs to a goroutine, dead or alive, or is a nursery (nursery.h). Bare ones
 * become ready a block at a time.
 */
#ifndef CHAND_RUNTIME_STACK_H
#define CHAND_RUNTIME_STACK_H

#include "server/runtime/goroutine.h"
#include "server/runtime/runtime.h"

/* Prepares for a run; the options' defaults are filled in. -ENOMEM. */
int stack_init(const struct go_options *options);

/* Unmaps everything; no goroutine exists any more. */
void stack_fini(void);

/*
 * Promises up to n stacks, for good: so many more may be in use at once, beside those that the pools
 * keep (stackpool.h). How many they are, at least one; -EAGAIN where `goroutines_max` are promised,
 * -ENOMEM. From any thread.
 */
int stack_promise(uint32_t n);

/* Takes a ready stack: guarded, its struct goroutine zero but for `slot`. Does not fail while no more
 * are in use than promised. From any thread. */
struct goroutine *stack_take(void);

/* Gives all memory of a dead goroutine's stack back, its struct included. */
void stack_free(struct goroutine *g);

/* Gives back what a dead goroutine's stack holds below its first page. */
void stack_trim(struct goroutine *g);

/* The page that is resident while g is parked: its struct and first frames. */
void *stack_first_page(const struct goroutine *g);

/* Where g's usable stack begins. */
void *stack_low(const struct goroutine *g);

/* Below whose stack `address` lies, in the guard; NULL where it lies in none. Callable from signal
 * handlers. */
struct goroutine *stack_guarded_at(const void *address);

/* Makes the guard page of g fault, or not, by its own mapping: for guard.c. 0 or -errno. */
int stack_protect(struct goroutine *g, bool guarded);

/* The next goroutine that has memory, from *cursor on (0 at first); NULL at the end. Takes no lock:
 * one that is freed meanwhile reads as G_IDLE. Callable from signal handlers. */
struct goroutine *stack_walk(uint32_t *cursor);

/* Bytes from the guard to the highest frame. */
size_t stack_usable_bytes(void);

#endif
