/*
 * stream_tls.h - streams over TLS, the daemon's side.
 *
 * A stream is made over an accepted socket, shakes hands, and then is a stream as others are. It
 * ends with a close_notify, from the peer as from us: an end without one is -ECONNRESET, since
 * anybody on the way can cut a connection.
 */
#ifndef NET_STREAM_TLS_H
#define NET_STREAM_TLS_H

#include "server/net/stream.h"
#include "server/net/tls.h"

/*
 * A stream over a connected, non-blocking socket, whose descriptor it owns from here on (it is
 * closed on failure too). Nothing is sent or read yet: until the handshake is done, only
 * stream_shutdown, stream_peer and stream_free may be called. 0, or -errno.
 */
int stream_tls_new(int fd, struct tls_context *context, struct stream **ret_stream);

/*
 * Goes on with the handshake: 0 when it is done. -EAGAIN: call it again once the stream is ready
 * for *ret_wants. Otherwise it has failed, with a sentence in why: -EPROTO when the peer is still
 * there and was told, else another -errno. Takes a millisecond of the processor at times, and never
 * parks.
 */
int stream_tls_handshake(
	struct stream *s, enum netpoll_mode *ret_wants, char *why, size_t why_bytes);

#endif
