/*
 * stream.h - bytes to and from the broker, whatever carries them.
 *
 * A carrier is a table of functions and one file: stream_socket.c for unix: and tcp://,
 * stream_tls.c for tls://.
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

/* A read is given room for so many bytes at least: then nothing that poll does not know of stays
 * behind in the carrier. */
#define STREAM_READ_BYTES (64u * 1024u)

/* What stream_explain says at most. */
#define STREAM_WORDS_BYTES_MAX 512u

struct tls;
struct tls_connection;

struct stream {
	const struct stream_ops *ops; /* NULL: not open */
	int fd;                       /* to poll */
	struct tls *tls;              /* of the client, set before the dial */
	struct tls_connection *connection; /* stream_tls.c's own */
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

	/* As stream_explain; NULL: the errno says it all. */
	int (*explain)(struct stream *s, int error, char *text);

	void (*close)(struct stream *s);
};

/* Opens a stream to the broker. CHAN_EUNREACHABLE, CHAN_ETIMEDOUT, and of TLS CHAN_EAUTH (one does
 * not trust the other), CHAN_EPROTOCOL (what answers is something else) and CHAN_EINVAL (a file
 * cannot be used); the thread's error is set. */
int stream_dial(struct stream *s, const struct url *url, int64_t deadline_ns);

/* What a read or a write that failed with the errno has come to, in words; returns what that is
 * called while greeting: CHAN_EUNREACHABLE, or as stream_dial. */
int stream_explain(struct stream *s, int error, char text[static STREAM_WORDS_BYTES_MAX]);

/* Ends it in both directions: whoever waits in a read or polls the descriptor comes back. The
 * stream is still to be closed. */
void stream_cut(struct stream *s);

extern const struct stream_ops stream_socket_ops, stream_tls_ops;

#endif
