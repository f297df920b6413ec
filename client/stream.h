/*
 * stream.h - bytes to and from the broker, whatever carries them.
 *
 * A carrier is a table of functions and one file: stream_socket.c for unix: and tcp://.
 * TLS is to be another row of stream_dial's table.
 *
 * One thread may read while another writes.
 */
#ifndef CLIENT_STREAM_H
#define CLIENT_STREAM_H

#include "client/url.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct stream {
	const struct stream_ops *ops; /* NULL: not open */
	int fd;                       /* to poll */
};

struct stream_ops {
	/* Opens it. 0, or a CHAN_E... with the thread's error set. */
	int (*dial)(struct stream *s, const struct url *url, int64_t deadline_ns);

	/* Bytes read, 0 at the end, or -errno. wait: blocks, for stream_wait_max's time at most and
	 * then -EAGAIN; without it -EAGAIN at once. -EINTR after a signal. */
	ssize_t (*read)(struct stream *s, void *bytes, size_t n, bool wait);

	/* Bytes written, or -errno; never waits (-EAGAIN), never raises SIGPIPE. */
	ssize_t (*write)(struct stream *s, const void *bytes, size_t n);

	/* Says that nothing more will be written; reading goes on. */
	void (*finish)(struct stream *s);

	/* Sets how long a read may wait. */
	void (*wait_max)(struct stream *s, int64_t ns);

	void (*close)(struct stream *s);
};

/* Opens a stream to the broker. CHAN_EUNREACHABLE, CHAN_ETIMEDOUT, CHAN_ENOTSUP; the thread's
 * error is set. */
int stream_dial(struct stream *s, const struct url *url, int64_t deadline_ns);

extern const struct stream_ops stream_socket_ops;

#endif
