/*
 * stream.h - bytes both ways, over a socket, over what stands between (TLS), or beside it (rings).
 *
 * A function table is the seam: nothing above this layer knows what kind a stream is. Reads and
 * writes never wait; who gets -EAGAIN waits with stream_wait, or lets a goroutine begin with
 * stream_on_readable and holds no stack meanwhile. One reader and one writer may be at work at the
 * same time, each a goroutine; stream_shutdown may be called by anybody who keeps the stream alive.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "server/net/stream_peer.h"
#include "server/runtime/netpoll.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct stream;

/* What a kind of stream must define. All of them are called with the stream alive and never park.
 */
struct stream_ops {
	/* A read that brings less than it has room for has brought all there was. */
	bool short_reads_drain;
	/* Bytes read, 0 at the end of the stream, -EAGAIN, or another -errno: the stream is dead.
	 */
	ssize_t (*read)(struct stream *s, void *bytes, size_t size);
	/* Bytes written (perhaps fewer than given), -EAGAIN, or another -errno. */
	ssize_t (*writev)(struct stream *s, const struct iovec *iov, int count);
	/* As shutdown(2), and as harmless: no lock, no memory, callable from a timer's function. */
	void (*shutdown)(struct stream *s, int how);
	/* As stream_finish. */
	void (*finish)(struct stream *s);
	/* As stream_peer. */
	void (*peer)(struct stream *s, struct stream_peer *ret_peer);
	void (*free)(struct stream *s);
};

struct stream {
	_Atomic(const struct stream_ops *) ops; /* constant, but for stream_ring.h */
	struct netpoll_desc *poll;
	int fd;
};

/*
 * A stream over a connected, non-blocking socket, whose descriptor it owns from here on (it is
 * closed on failure too). 0, or -errno.
 */
int stream_socket_new(int fd, struct stream **ret_stream);

static inline ssize_t stream_read(struct stream *s, void *bytes, size_t size)
{
	return s->ops->read(s, bytes, size);
}

/* Whether a read of up to size bytes, which brought n, has brought all there was: stream_on_readable
 * will tell of more, without an -EAGAIN before. (With netpoll_is_closed's restriction: stream_poke.) */
static inline bool stream_is_drained(const struct stream *s, size_t n, size_t size)
{
	return s->ops->short_reads_drain && n < size && !netpoll_is_closed(s->poll);
}

/* Starts what stream_on_readable waits for, to find out whether there is something. */
static inline void stream_poke(struct stream *s)
{
	netpoll_poke(s->poll, NETPOLL_READ);
}

static inline ssize_t stream_writev(struct stream *s, const struct iovec *iov, int count)
{
	return s->ops->writev(s, iov, count);
}

static inline void stream_shutdown(struct stream *s, int how)
{
	s->ops->shutdown(s, how);
}

/* Tells the peer that nothing more will be written; it may go on writing. By the writer. */
static inline void stream_finish(struct stream *s)
{
	s->ops->finish(s);
}

/* The supplementary groups of a Unix peer: as stream_peer_groups_of_socket. */
static inline int stream_peer_groups(const struct stream *s, gid_t *groups, int max)
{
	return stream_peer_groups_of_socket(s->fd, groups, max);
}

/* Whether nothing can be written any more, as far as is known here: both sides were shut down, or the
 * connection is broken. */
bool stream_gone(const struct stream *s);

/* Who is at the other end (stream_peer.h); a few system calls each time. */
static inline void stream_peer(struct stream *s, struct stream_peer *ret_peer)
{
	s->ops->peer(s, ret_peer);
}

/*
 * Writes what can be written without waiting; *iov and *count are what is left. 0 when that is
 * nothing, -EAGAIN, or another -errno.
 */
int stream_write_now(struct stream *s, struct iovec **iov, int *count);

/*
 * Writes everything, parking where the peer does not keep up. iov is used up as it goes.
 * 0, -ETIMEDOUT when not one byte could be written for stall_ns, or another -errno.
 */
int stream_write_all(struct stream *s, struct iovec *iov, int count, int64_t stall_ns);

/* Starts a goroutine with fn(arg) when there is something to read, once; netpoll_on in netpoll.h.
 * (A macro, so that dumps show the caller's place.) */
#define stream_on_readable(s, fn, arg) netpoll_on_readable((s)->poll, fn, arg)

/* The same when something can be written. Not while a writer is at work. */
#define stream_on_writable(s, fn, arg) netpoll_on_writable((s)->poll, fn, arg)

/* Closes and frees. Nobody may wait on it any more; NULL is fine. */
void stream_free(struct stream *s);

#endif
