#include "server/net/stream.h"

#include "server/base/clock.h"
#include <errno.h>
#include <poll.h>

/* Takes n written bytes off the front of iov. */
static void iov_consume(struct iovec **iov, int *count, size_t n)
{
	while (*count > 0 && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		(*iov)++;
		(*count)--;
	}
	if (*count > 0) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
}

int stream_write_now(struct stream *s, struct iovec **iov, int *count)
{
	iov_consume(iov, count, 0); /* empty ones in front */
	while (*count > 0) {
		ssize_t n = stream_writev(s, *iov, *count);

		if (n < 0)
			return (int)n;
		iov_consume(iov, count, (size_t)n);
	}
	return 0;
}

static size_t iov_bytes(const struct iovec *iov, int count)
{
	size_t n = 0;

	for (int i = 0; i < count; i++)
		n += iov[i].iov_len;
	return n;
}

/* That it may be written to says little: a peer can ring a bell (stream_ring.h) and take nothing. */
int stream_write_all(struct stream *s, struct iovec *iov, int count, int64_t stall_ns)
{
	size_t left = SIZE_MAX, n;
	int64_t deadline_ns = 0;
	int rc;

	while ((rc = stream_write_now(s, &iov, &count)) == -EAGAIN) {
		n = iov_bytes(iov, count);
		if (n < left)
			deadline_ns = clock_deadline_ns(stall_ns);
		else if (clock_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
		left = n;
		rc = netpoll_wait(s->poll, NETPOLL_WRITE, deadline_ns);
		if (rc < 0)
			return rc;
	}
	return rc;
}

bool stream_gone(const struct stream *s)
{
	struct pollfd p = {.fd = s->fd};

	return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR);
}

void stream_free(struct stream *s)
{
	if (s)
		s->ops->free(s);
}
