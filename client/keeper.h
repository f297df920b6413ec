/*
 * keeper.h - looks after a client whose session outlives its connection.
 *
 * While the program computes and no call reads, the keeper gives signs of life and reads what comes,
 * so that nothing is revoked; while a call waits in a read it gives them, too, and ends the connection of
 * a broker that gives none, so that the call need not wake for that; and it has a connection made again
 * that was lost, whoever waits. Where calls are made all the time it does nothing but look a few times a
 * heartbeat: they do not wake it.
 *
 * It is one thread for all clients of the process, and there while one of them wants it. What may block
 * it does not do: a connection that was lost is made again by a thread of its own.
 */
#ifndef CLIENT_KEEPER_H
#define CLIENT_KEEPER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct chan_client;

/* A client's part of it. */
struct keeper {
	bool running;
	bool stop;           /* it is to end */
	pthread_cond_t cond; /* of who makes the connection again, between two attempts */
	uint64_t turns;      /* client.turns when it last looked */
	int64_t turns_ns;    /* since when it has been that */

	/* Private to keeper.c, under the lock of the lists. */
	struct chan_client *client;
	struct keeper *prev, *next; /* of its list, while queued */
	int64_t look_ns;            /* its place there: when to look; the holder may read it */
	bool queued;
	bool held;  /* a thread of the keeper's has the client; it is not queued then */
	bool again; /* it was woken meanwhile */
	unsigned forks; /* of the process, when it began */
};

/* Starts it; where no thread can be had, the client is one without a keeper. */
void keeper_start(struct chan_client *c);

/* Ends it. Needs the lock, and gives it up while it waits. Nothing where none runs. */
void keeper_stop(struct chan_client *c);

/* Has it look now. Needs the lock. */
void keeper_wake(struct chan_client *c);

#endif
