/* stream_socket.c - streams that are sockets, TCP or Unix: what is written is what travels. */
#include "server/net/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static ssize_t socket_read(struct stream *s, void *bytes, size_t size)
{
	ssize_t n;

	do
		n = recv(s->fd, bytes, size, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* One piece by send: the kernel has no header and no list to fetch then. */
static ssize_t socket_writev(struct stream *s, const struct iovec *iov, int count)
{
	struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
	ssize_t n;

	do
		n = count == 1 ? send(s->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
			       : sendmsg(s->fd, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static void socket_shutdown(struct stream *s, int how)
{
	shutdown(s->fd, how);
}

static void socket_finish(struct stream *s)
{
	shutdown(s->fd, SHUT_WR);
}

static void socket_peer(struct stream *s, struct stream_peer *ret_peer)
{
	stream_peer_of_socket(s->fd, ret_peer);
}

static void socket_free(struct stream *s)
{
	netpoll_close(s->poll);
	close(s->fd);
	free(s);
}

static const struct stream_ops socket_ops = {
	.short_reads_drain = true,
	.read = socket_read,
	.writev = socket_writev,
	.shutdown = socket_shutdown,
	.finish = socket_finish,
	.peer = socket_peer,
	.free = socket_free,
};

int stream_socket_new(int fd, struct stream **ret_stream)
{
	struct stream *s = malloc(sizeof(*s));
	int rc = -ENOMEM;

	if (!s)
		goto fail;
	*s = (struct stream){.ops = &socket_ops, .fd = fd};
	rc = netpoll_open(fd, &s->poll);
	if (rc < 0)
		goto fail;
	*ret_stream = s;
	return 0;
fail:
	free(s);
	close(fd);
	return rc;
}
