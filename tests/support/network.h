/*
 * network.h - a network for tests that loses packets: clients in network namespaces of their own,
 * each joined to the daemon's by a pair of virtual Ethernet devices, its *link*.
 *
 * What a link does not carry vanishes, as behind a pulled cable: neither side is told, and TCP
 * sends again by its own clock. The proxy (proxy.h) can close and hold up, but not lose.
 *
 * This takes iproute2, and a kernel that lets us make namespaces: we are root, or it lets everybody
 * (user namespaces). Once there is a network, every function aborts the program when its own system
 * calls fail.
 */
#ifndef TESTS_SUPPORT_NETWORK_H
#define TESTS_SUPPORT_NETWORK_H

#include <stdbool.h>

enum { NETWORK_LINKS_MAX = 32, NETWORK_ADDRESS_MAX = 32 };

struct network {
	int links; /* 0: there is none, */
	char why_not[160];
	const char *bad_line; /* what makes links lose packets, to tc; NULL: nothing does */
	int spaces[NETWORK_LINKS_MAX]; /* the clients' namespaces */
	enum { LINK_WELL, LINK_CUT, LINK_LOSES } states[NETWORK_LINKS_MAX];
};

/* Makes one, in whose middle this process and all that it starts are from here on: a namespace with
 * links and a loopback, and without anything else. Where that cannot be, nothing changes, and
 * why_not tells. For programs of one thread so far. */
bool network_start(struct network *n, int links);
void network_stop(struct network *n);

/* The address of the middle as who is behind the link sees it. */
void network_address(int link, char ret_address[static NETWORK_ADDRESS_MAX]);

/* Takes this process, a client's, behind the link. */
void network_enter(const struct network *n, int link);

/* From now on nothing passes the link; or some of what passes is lost, if there is a bad_line; or
 * all is well again. */
void network_cut(struct network *n, int link);
void network_lose(struct network *n, int link);
void network_heal(struct network *n, int link);

#endif
