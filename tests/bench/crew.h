/*
 * crew.h - many client processes that begin at once, and what they have done together.
 *
 *	crew_hire(&c, 16, producer, &load);     each prepares, then calls crew_begin
 *	crew_hire(&c, 16, consumer, &load);
 *	crew_start(&c);
 *	crew_begin(&c);                         when what they need is there, too
 *	crew_join(&c);                          when all have ended
 *	print(c.board->values / crew_seconds(&c));
 *	crew_dismiss(&c);
 *
 * A client that fails ends the program. Nothing here is for more than one thread; the parent has no
 * client of libchan when it starts them.
 */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { CREW_MAX = 256 };

/* In memory that all share. */
struct crew_board {
	pthread_barrier_t ready; /* all clients and the parent */
	_Atomic int64_t values;  /* what the clients say they have done */
	_Atomic int64_t bytes;
	_Atomic int64_t least, most; /* of what is compared */
	_Atomic int64_t began_ns; /* when all were ready */
	_Atomic int64_t ended_ns; /* when the last said that it had done its part */
};

struct crew {
	struct crew_board *board;
	int size;
	struct crew_member {
		void (*work)(struct crew *c, int number, const void *load);
		int number; /* among those that were hired with it */
		const void *load;
		int pid; /* while it runs */
	} members[CREW_MAX];
};

void crew_init(struct crew *c);

/* n processes that will run work(c, 0 .. n - 1, load), which lives as long as the crew. */
void crew_hire(struct crew *c, int n, void (*work)(struct crew *c, int number, const void *load),
	const void *load);

/* Starts them; they prepare. */
void crew_start(struct crew *c);

/* In every client and in the parent, once: waits until all of these call it. */
void crew_begin(struct crew *c);

/* Waits until all have ended. */
void crew_join(struct crew *c);

/* In a client: it has done this much and is at its end, but for hanging up. */
void crew_report(struct crew *c, int64_t values, int64_t bytes);

/* In each of several clients that are equals: it had this much. */
void crew_compare(struct crew *c, int64_t values);

/* What the least had of what the most had. */
double crew_slowest_share(const struct crew *c);

/* From the beginning to the last report. */
double crew_seconds(const struct crew *c);

void crew_dismiss(struct crew *c);

#endif
