/*
 * stream_peer.h - who is at the other end of a stream, as far as the kernel or a certificate says.
 *
 * Filled in when it is asked for, so that an idle stream does not carry it about.
 */
#ifndef NET_STREAM_PEER_H
#define NET_STREAM_PEER_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/types.h>

/* A name in a certificate is as long as a DNS name at most, or a URI of that length. */
enum { STREAM_NAME_BYTES_MAX = 256 };

/* Alternative names of one certificate that are looked at; those behind are not known. */
enum { STREAM_NAMES_MAX = 8 };

enum stream_kind {
	STREAM_UNIX,
	STREAM_TCP,
	STREAM_TLS,
};

/* Fields of other kinds are 0, empty, or (the numbers of a Unix peer) -1. */
struct stream_peer {
	enum stream_kind kind;

	/* STREAM_UNIX: the process that connected, as it was then (SO_PEERCRED); -1: not known. */
	pid_t pid;
	uid_t uid;
	gid_t gid;

	/* STREAM_TCP, STREAM_TLS: its address in digits (an IPv4 address that came by an IPv6
	 * socket as IPv4), empty where it has gone already; and its port. */
	char address[INET6_ADDRSTRLEN];
	uint16_t port;

	/*
	 * STREAM_TLS, of a client certificate that was verified; all empty where there is none. The
	 * subject's common name, and the alternative names in the certificate's order, each with
	 * its sort: "DNS:", "URI:", "email:" or "IP:". Control characters, NUL bytes and what is no
	 * UTF-8 do not occur: a name that holds them, or is too long, is left out.
	 */
	char common_name[STREAM_NAME_BYTES_MAX];
	char names[STREAM_NAMES_MAX][STREAM_NAME_BYTES_MAX];
	int name_count;
};

/* The supplementary groups of the process at the other end of a Unix socket, as they were when it
 * connected: how many, of which the first max are in groups; 0 where they are not known. */
int stream_peer_groups_of_socket(int fd, gid_t *groups, int max);

/* What the kernel knows about the peer of a socket. For kinds of streams; others call stream_peer.
 */
void stream_peer_of_socket(int fd, struct stream_peer *ret_peer);

#endif
