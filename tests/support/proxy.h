/*
 * proxy.h - a bad network for tests: a process between clients and a daemon that does to their
 * connections what it is told.
 *
 * It has *links*, each with a URL of its own; what is said of a link holds for every connection
 * through it. Unix or TCP towards the client as the target is. Every order is obeyed when its call
 * returns. Without orders bytes pass as they come; a side that closes, closes the other. What waits
 * to be passed on is bounded: beyond it the proxy reads no more.
 *
 * Every function aborts the program when its own system calls fail: there is no test without it.
 */
#ifndef TESTS_SUPPORT_PROXY_H
#define TESTS_SUPPORT_PROXY_H

#include <stdint.h>
#include <sys/types.h>

enum { PROXY_LINKS_MAX = 64 };

struct proxy {
	pid_t pid;
	int control; /* orders and their acknowledgements */
	char dir[64];
	int links;
	char urls[PROXY_LINKS_MAX][128];
};

/* Starts one with `links` links to target (unix:PATH or tcp://ADDRESS:PORT). */
void proxy_start(struct proxy *p, const char *target, int links);

/* Ends it, and with it all its connections; also while programs that the test has started go on. */
void proxy_stop(struct proxy *p);

/* Cuts all connections of a link, both sides; those to come are let through. Bytes on their way are
 * dropped. Returns how many there were. */
int proxy_cut(struct proxy *p, int link);

/* Cuts them when n more bytes have passed, both directions together: in the middle of a frame, as
 * often as not. n 0: not any more. */
void proxy_cut_after(struct proxy *p, int link, uint64_t n);

/* From now on: connections are cut as soon as they are accepted (and those there are, now). */
void proxy_refuse(struct proxy *p, int link);

/* From now on: nothing passes, nothing is read, no end is told; the connections stay. New ones are
 * accepted and hear nothing. */
void proxy_swallow(struct proxy *p, int link);

/* From now on: everything passes so much later. */
void proxy_delay(struct proxy *p, int link, int ms);

/* From now on: so many bytes pass in a second, in each direction of a connection. */
void proxy_throttle(struct proxy *p, int link, int64_t bytes_per_s);

/* All is well again; what had been swallowed or delayed comes through. */
void proxy_heal(struct proxy *p, int link);

#endif
