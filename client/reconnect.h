/*
 * reconnect.h - the way back after a connection was lost.
 *
 * Attempts go to the URLs in turn: the first at once, each further one after a pause that chance
 * picks between nothing and a bound which doubles from RECONNECT_PAUSE_MIN_NS to
 * RECONNECT_PAUSE_MAX_NS, so that many clients of a broker that comes back do not come all at once.
 * They end with a resumed session; with the session, when the broker says that it is no more; or
 * with its time, when nobody answers. A connection that was resumed and brought nothing, not even
 * an answer to a PING, counts as an attempt that failed.
 */
#ifndef CLIENT_RECONNECT_H
#define CLIENT_RECONNECT_H

#include <stdint.h>

#define RECONNECT_PAUSE_MIN_NS 20000000LL
#define RECONNECT_PAUSE_MAX_NS 2000000000LL

struct chan_client;

struct reconnect {
	int64_t max_ns;     /* what the program allows; 0: as long as the session may live */
	int64_t give_up_ns; /* when it does not matter any more */
	int64_t next_ns;    /* when the next attempt is due */
	unsigned attempts;  /* that have failed since the loss */
	uint64_t frames;    /* that had come, or were known to have arrived, at the last resume */
	uint64_t chance;    /* state of the pauses' generator */
	char *why;          /* the connection was lost; NULL: out of memory */

	/* What an event loop polls while there is no socket: a timer that is due when chan_process
	 * has something to do. -1: there is none, or none was needed so far. */
	int timer_fd;
};

void reconnect_init(struct reconnect *r);
void reconnect_fini(struct reconnect *r);

/* How long to pause after so many failed attempts (1 or more). */
int64_t reconnect_pause_ns(struct reconnect *r, unsigned attempts);

/* What is below needs the lock. */

/* The connection is no more: begins to reconnect, or ends the session if that does not linger. A
 * thread that is in a system call on the stream comes back. Nothing if that was known. While
 * greeting, that fails with the status. */
void client_lost(struct chan_client *c, int greet_status, const char *why);

/* The same after a read or a write that failed with that errno. */
void client_broke(struct chan_client *c, int error);

/*
 * While there is no connection and the session lives: attempts to connect if that is due and both
 * roles are free (gives up the lock meanwhile, for 5 s at most), and ends what runs out of time.
 * Returns when there is something to do again; 0: there is a connection, or the session is over.
 */
int64_t client_reconnect(struct chan_client *c);

/* What chan_process does without a connection. */
void client_process_down(struct chan_client *c);

#endif
