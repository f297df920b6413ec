/*
 * stream.c - which carrier serves which scheme.
 */
#include "client/stream.h"
#include "client/error.h"

static const struct stream_ops *const carriers[] = {
	[URL_UNIX] = &stream_socket_ops,
	[URL_TCP] = &stream_socket_ops,
	[URL_TLS] = NULL,
};

int stream_dial(struct stream *s, const struct url *url, int64_t deadline_ns)
{
	const struct stream_ops *ops = carriers[url->scheme];
	int rc;

	if (!ops)
		return error_say(CHAN_ENOTSUP,
			"dial %s: tls:// is not supported yet; use tcp:// or unix:", url->text);
	s->fd = -1;
	rc = ops->dial(s, url, deadline_ns);
	if (rc == 0)
		s->ops = ops;
	return rc;
}
