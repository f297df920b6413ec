/*
 * stream.h - bytes to and from the broker, whatever carries them.
 *
 * A carrier is a table of functions and one file: stream_socket.c for unix: and tcp://,
 * stream_tls.c for tls://, stream_ring.c for unix: once there are rings.
 *
 * One thread may read while another writes.
 */
#ifndef CLIENT_STREAM_H
#define CLIENT_STREAM_H

#include "client/url.h"
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A read is given room for so many bytes at least: then nothing that poll does not know of stays
 * behind in the carrier. */
#define STREAM_READ_BYTES (64u * 1024u)

/* What stream_explain says at most. */
#define STREAM_WORDS_BYTES_MAX 512u

struct ring_end;
struct tls;
struct tls_connection;

struct stream {
	const struct stream_ops *ops; /* NULL: not open */
	int fd;                       /* the socket */
	struct tls *tls;              /* of the client, set before the dial */
	struct tls_connection *connection; /* stream_tls.c's own */
	struct ring_end *ring;             /* stream_ring.c's own */
};

struct stream_ops {
	/* A read that brings less than there was room for need not have brought all there was; one
	 * that ends in -EAGAIN has. */
	bool keeps_what_it_read_short;

	/* Opens it. 0, or a CHAN_E... with the thread's error set. */
	int (*dial)(struct stream *s, const struct url *url, int64_t deadline_ns);

	/* Bytes read, 0 at the end, or -errno. wait: blocks, for stream_wait_max's time at most and
	 * then -EAGAIN; without it -EAGAIN at once. -EINTR after a signal. */
	ssize_t (*read)(struct stream *s, void *bytes, size_t n, bool wait);

	/* Bytes written, or -errno; never waits (-EAGAIN), never raises SIGPIPE. */
	ssize_t (*write)(struct stream *s, const void *bytes, size_t n);

	/* Says that nothing more will be written; reading goes on. */
	void (*finish)(struct stream *s);

	/* Sets how long a read may wait; negative: for ever. */
	void (*wait_max)(struct stream *s, int64_t ns);

	/* As stream_await and stream_watch; NULL: as of a socket. */
	int (*await)(struct stream *s, short events, int timeout_ms);
	void (*watch)(struct stream *s, bool reader, bool output, struct pollfd *ret_poll);

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

/* Whether a read of up to size bytes that brought n has brought all there was. */
static inline bool stream_is_drained(const struct stream *s, ssize_t n, size_t size)
{
	return n < (ssize_t)size && (n < 0 || !s->ops->keeps_what_it_read_short);
}

/* Waits until it can be read (POLLIN, by the reader) or written (POLLOUT, by the writer, or by the
 * reader after a write found no room). More than 0; 0 after timeout_ms; or -errno. */
int stream_await(struct stream *s, short events, int timeout_ms);

/* What a program that polls has to poll, and for what: until there is something to read, or with output
 * room to write. By the reader, or not, where another thread is that. Asked twice in a row, with nothing
 * read between, it gives a descriptor and events that go together, whichever is of which answer. */
void stream_watch(struct stream *s, bool reader, bool output, struct pollfd *ret_poll);

/* Ends it in both directions: whoever waits in a read or polls what stream_watch said comes back. The
 * stream is still to be closed. */
void stream_cut(struct stream *s);

extern const struct stream_ops stream_socket_ops, stream_tls_ops;

/* ---- stream_ring.c: of a Unix socket ------------------------------------------------------------ */

/* Reads take the descriptors along that come with an offer from now on. With nobody reading or
 * writing. 0 or -ENOMEM. */
int stream_expect_rings(struct stream *s);

/* The reader: an offer of rings with so many bytes came, and of larger ones. 0; or -errno: it cannot be
 * used, its descriptors did not come say, and none will be. */
int stream_take_rings(struct stream *s, uint32_t ring_bytes, uint32_t larger_ring_bytes);

/* With both directions in the first rings, and once: makes the larger ones ready. 0; or -errno: they cannot
 * be used, or there are none. */
int stream_take_larger_rings(struct stream *s);

/* The reader: no offer will come. */
void stream_forgo_rings(struct stream *s);

/* The reader, the writer: from here on bytes go by the ring, or by the larger one. */
void stream_begin_ring_reading(struct stream *s);
void stream_begin_ring_writing(struct stream *s);

#endif
