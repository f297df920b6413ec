/*
 * stream.c - which carrier serves which scheme.
 */
#include "client/stream.h"
#include "chan/status.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const struct stream_ops *const carriers[] = {
	[URL_UNIX] = &stream_socket_ops,
	[URL_TCP] = &stream_socket_ops,
	[URL_TLS] = &stream_tls_ops,
};

int stream_dial(struct stream *s, const struct url *url, int64_t deadline_ns)
{
	const struct stream_ops *ops = carriers[url->scheme];
	int rc;

	s->fd = -1;
	rc = ops->dial(s, url, deadline_ns);
	if (rc == 0)
		s->ops = ops;
	return rc;
}

int stream_await(struct stream *s, short events, int timeout_ms)
{
	struct pollfd p = {.fd = s->fd, .events = events};
	int n;

	if (s->ops && s->ops->await)
		return s->ops->await(s, events, timeout_ms);
	n = poll(&p, 1, timeout_ms);
	return n < 0 ? -errno : n;
}

void stream_watch(struct stream *s, bool reader, bool output, struct pollfd *ret_poll)
{
	if (s->ops->watch)
		s->ops->watch(s, reader, output, ret_poll);
	else
		*ret_poll = (struct pollfd){
			.fd = s->fd, .events = output ? POLLIN | POLLOUT : POLLIN};
}

int stream_explain(struct stream *s, int error, char text[static STREAM_WORDS_BYTES_MAX])
{
	if (s->ops->explain)
		return s->ops->explain(s, error, text);
	snprintf(text, STREAM_WORDS_BYTES_MAX, "%s", strerror(error));
	return CHAN_EUNREACHABLE;
}

void stream_cut(struct stream *s)
{
	shutdown(s->fd, SHUT_RDWR);
}
