/*
 * keeper.h - the thread of a client whose session outlives its connection.
 *
 * While the program computes and no call reads, it gives signs of life and reads what comes, so
 * that nothing is revoked; and it makes a connection again that was lost, whoever waits. Where
 * calls are made all the time it does nothing but look a few times a heartbeat: they do not wake
 * it.
 */
#ifndef CLIENT_KEEPER_H
#define CLIENT_KEEPER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct chan_client;

struct keeper {
	bool running;
	bool stop; /* it is to end */
	pthread_t thread;
	pthread_cond_t cond;
	uint64_t turns;   /* client.turns when it last looked */
	int64_t turns_ns; /* since when it has been that */
};

/* Starts it; where no thread can be had, the client is one without a keeper. */
void keeper_start(struct chan_client *c);

/* Ends it. Needs the lock, and gives it up while it waits. Nothing where none runs. */
void keeper_stop(struct chan_client *c);

/* Has it look now. Needs the lock. */
void keeper_wake(struct chan_client *c);

#endif
