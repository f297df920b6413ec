/*
 * faults.h - makes the n-th system call or allocation of a kind fail, in a program that is linked with
 * $(fault_ldflags) and faults.c.
 *
 * What is told and what happened stands in one page that both sides map: the program under test
 * (the daemon, which finds the page's file in $CHAND_FAULTS) and the test, which arms it. Only calls
 * from our own objects are caught, not those within libraries: it is our own code that is on trial.
 */
#ifndef TESTS_TORTURE_FAULTS_H
#define TESTS_TORTURE_FAULTS_H

#include <stdatomic.h>
#include <stdint.h>

/* X(NAME, what fails) */
#define FAULT_LIST(X)                                                                              \
	X(MEMORY, "allocations: there is no memory")                                               \
	X(DESCRIPTORS, "calls that make a descriptor: too many are open (EMFILE)")                 \
	X(INTERRUPTS, "calls that a signal can interrupt (EINTR)")                                 \
	X(SHORT, "reads and writes: they move one byte")                                           \
	X(RESET, "reads and writes of sockets: the connection is reset")                           \
	X(SPACE, "writes to files: the disk is full (ENOSPC)")                                     \
	X(RINGS, "making rings (EMFILE), and passing their descriptors (ETOOMANYREFS)")            \
	X(THREADS, "starts of threads (EAGAIN)")                                                   \
	X(KERNEL, "random numbers, advice on memory, socket options (EINVAL)")

enum fault {
	FAULT_NONE,
#define FAULT_CONSTANT(name, what) FAULT_##name,
	FAULT_LIST(FAULT_CONSTANT)
#undef FAULT_CONSTANT
	FAULT_COUNT,
};

struct fault_page {
	_Atomic uint32_t kind; /* enum fault; FAULT_NONE: nothing fails */
	_Atomic int64_t left;  /* calls of that kind that still succeed */
	_Atomic int64_t run;   /* how many fail then, one after another */
	_Atomic int64_t every; /* if not 0: after one that fails so many further calls to the next */
	_Atomic int64_t hits;  /* how many have failed since it was armed */

	_Atomic int64_t deaths; /* of programs that map the page: ends without a way out of main */
};

/* The page in use: the file's that $CHAND_FAULTS names, or else one of the program's own. */
struct fault_page *fault_page(void);

/* Makes a page of its own file at path, for a program that is about to be started. */
struct fault_page *fault_page_new(const char *path);

/* Call n (from 1) of that kind, and run-1 after it, will fail. */
void fault_arm(struct fault_page *page, enum fault kind, int64_t n, int64_t run);

/* Call n (from 1) of that kind after the first client came will fail, and after it each every-th. */
void fault_arm_every(struct fault_page *page, enum fault kind, int64_t n, int64_t every);

/* Nothing fails from here on. Returns how many did. */
int64_t fault_disarm(struct fault_page *page);

const char *fault_name(enum fault kind);

#endif
