#include "server/net/stream_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void note_process(int fd, struct stream_peer *peer)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	peer->kind = STREAM_UNIX;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return;
	peer->pid = cred.pid;
	peer->uid = cred.uid;
	peer->gid = cred.gid;
}

static void note_ipv4(const struct in_addr *address, in_port_t port, struct stream_peer *peer)
{
	inet_ntop(AF_INET, address, peer->address, sizeof(peer->address));
	peer->port = ntohs(port);
}

static void note_ipv6(const struct sockaddr_in6 *sa, struct stream_peer *peer)
{
	struct in_addr v4;

	if (IN6_IS_ADDR_V4MAPPED(&sa->sin6_addr)) {
		memcpy(&v4, &sa->sin6_addr.s6_addr[12], sizeof(v4));
		note_ipv4(&v4, sa->sin6_port, peer);
		return;
	}
	inet_ntop(AF_INET6, &sa->sin6_addr, peer->address, sizeof(peer->address));
	peer->port = ntohs(sa->sin6_port);
}

static void note_address(int fd, struct stream_peer *peer)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	peer->kind = STREAM_TCP;
	if (getpeername(fd, (struct sockaddr *)&ss, &len) < 0)
		return;
	if (ss.ss_family == AF_INET)
		note_ipv4(&((struct sockaddr_in *)&ss)->sin_addr,
			((struct sockaddr_in *)&ss)->sin_port, peer);
	else if (ss.ss_family == AF_INET6)
		note_ipv6((struct sockaddr_in6 *)&ss, peer);
}

/* The kernel gives all groups or none, and says how many there are. */
int stream_peer_groups_of_socket(int fd, gid_t *groups, int max)
{
	socklen_t len = (socklen_t)max * (socklen_t)sizeof(gid_t);
	gid_t *all;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == 0)
		return (int)(len / sizeof(gid_t));
	if (errno != ERANGE)
		return 0;
	all = malloc(len);
	if (!all || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, all, &len) < 0)
		max = 0;
	else
		memcpy(groups, all, (size_t)max * sizeof(gid_t));
	free(all);
	return max;
}

void stream_peer_of_socket(int fd, struct stream_peer *ret_peer)
{
	int family = AF_UNSPEC;
	socklen_t len = sizeof(family);

	memset(ret_peer, 0, sizeof(*ret_peer));
	ret_peer->pid = -1;
	ret_peer->uid = (uid_t)-1;
	ret_peer->gid = (gid_t)-1;
	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len);
	if (family == AF_UNIX)
		note_process(fd, ret_peer);
	else
		note_address(fd, ret_peer);
}
