/*
 * listener.h - a listening socket, and the goroutine that accepts from it.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "server/net/address.h"
#include "server/net/stream.h"
#include "server/net/tls.h"
#include <stddef.h>
#include <stdint.h>

struct listener;

/* What gives accepted streams their owner: the stream is the function's. Runs on the accepting
 * goroutine, or with TLS on one of the stream's own; may park. */
typedef void listener_accept_fn(void *arg, struct stream *stream);

/*
 * Binds one socket address and listens; before the runtime runs, so that privileges can be dropped
 * between. The file of a Unix socket gets permissions `unix_mode`; one that is left over from a
 * daemon that died is replaced, one that somebody answers on is not (-EADDRINUSE). Missing parent
 * directories are not made, but for the last one (0755), which /run loses at every boot.
 * 0, or -errno with a sentence in why.
 */
int listener_bind(const struct sockaddr *sa, socklen_t len, uint32_t unix_mode,
	struct listener **ret_listener, char *why, size_t why_bytes);

/*
 * From here on its streams speak TLS, and come to their owner when they have shaken hands, for
 * which they have `timeout_ns`. failed (may be NULL) is told, perhaps by several at once, of those
 * that have not. Before the start; the context is to outlive it.
 */
void listener_use_tls(struct listener *l, struct tls_context *context, int64_t timeout_ns,
	void (*failed)(const struct stream_peer *peer, const char *why));

/* The URL that it really listens on (a port that the kernel chose included). Lives as long as it.
 */
const char *listener_url(const struct listener *l);

/*
 * Starts accepting in a goroutine of its own. When descriptors or memory run out, it tells the
 * peers so where it can by closing their connections, and goes on when there are some again.
 * From a goroutine. 0, or -errno.
 */
int listener_start(struct listener *l, listener_accept_fn *accept_fn, void *arg);

/* Stops accepting (once it returns, accept_fn is not called any more), removes a Unix socket's
 * file, frees. From a goroutine if it was started; parks until the accepting goroutine has ended.
 */
void listener_stop(struct listener *l);

#endif
