/*
 * handshakes.h - the TLS handshakes of a listener that are under way, each in its own goroutine.
 *
 * Whoever can connect can begin a handshake, and let it lie. So each has a deadline, and of more
 * than HANDSHAKES_MAX the oldest gives way to the newest: one that a client means takes
 * milliseconds, and is hardly ever the oldest. Their computing (a signature takes up to two
 * milliseconds) occupies half of the processors at most, and lets others go first: what a flood of
 * handshakes delays is handshakes.
 */
#ifndef NET_HANDSHAKES_H
#define NET_HANDSHAKES_H

#include "server/net/stream.h"
#include "server/net/tls.h"

/* One that lies takes 60 KiB, while its goroutine waits for the client's next word; and malloc,
 * which keeps a heap for each thread, holds on to several times what all together take. */
enum { HANDSHAKES_MAX = 512 };

struct handshakes;

struct handshakes_options {
	struct tls_context *context;
	int64_t timeout_ns; /* of one */

	/* Gives streams that are ready their owner. On a goroutine of that stream; may park. */
	void (*done)(void *arg, struct stream *stream);
	void *done_arg;

	/* Told why one failed, to be logged; may be NULL. */
	void (*failed)(const struct stream_peer *peer, const char *why);
};

/* From a goroutine. NULL: out of memory. */
struct handshakes *handshakes_new(const struct handshakes_options *options);

/* Begins one on a socket that was accepted, and owns that from here on. From one goroutine. */
void handshakes_begin(struct handshakes *h, int fd);

/* Ends those under way, and frees; once it returns, `done` is not called any more. Parks. NULL is
 * fine. */
void handshakes_stop(struct handshakes *h);

#endif
