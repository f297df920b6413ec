/*
 * stream_ring.h - a Unix socket's stream that goes over to a pair of rings in shared memory, and from
 * there to a pair of larger ones.
 *
 * The memory is made by us, sealed so that nobody can take a page of it away under us, filled by the client
 * (proto/ring.h), and handed over the socket with two bells: an eventfd that the client rings to have us
 * look, and an epoll descriptor, by which it hears of an eventfd that we ring. (Where it does not sleep in a
 * futex.) To ring and to hear makes nobody wait. The first we only poll. The second eventfd the client does
 * not have: of one that both hold it could fill the count, and take O_NONBLOCK away. (But to close any of
 * them may, see the .c; and what a client adds to the epoll descriptor counts as ours. So a client has to be
 * trusted with them.) To ring so and to hear takes the
 * kernel 0.6 us; a byte in a Unix socket took 1.5. A pipe would take 0.5, but who reads from it may keep its
 * lock for as long as it likes, by splicing into a socket that is full, and stop whoever writes.
 *
 * Each direction goes over by itself, between two frames. The socket stays: to show that one of the two has
 * gone.
 *
 * The stream stays the same object throughout, so that who holds it need not be told; it finds its
 * rings by its function table, which they bring along. A pointer in each stream would take memory from
 * ten thousand clients that only wait.
 *
 * Of one stream, in this order: stream_ring_new, stream_ring_offer, then either both
 * stream_ring_begin_reading and stream_ring_begin_writing, or stream_ring_drop; each once, but for those
 * two, which may both come once more: for the larger rings.
 */
#ifndef NET_STREAM_RING_H
#define NET_STREAM_RING_H

#include "server/net/stream.h"

/*
 * A ring's bytes, each way. Each page costs a microsecond to bring, and one for either side that touches
 * it: so for who asks and waits, with a few hundred bytes at once, 256 KiB took as long as 300 of its
 * round trips, and 16 KiB stay in the caches. Who has much to say goes on to the larger rings. Those are
 * several rounds of a busy writer (64 KiB): with less, one side stops while the other works.
 *
 * A connection takes twice that in memory, which its client brings, and three descriptors more; five until
 * it was offered, four until it has gone over, and two from when it has gone on to the larger rings.
 */
#define STREAM_RING_BYTES (16u * 1024u)
#define STREAM_LARGER_RING_BYTES (256u * 1024u)

/* Makes rings for a stream over a Unix socket. 0; or -errno, and nothing has changed: -EBUSY while clients
 * that are gone keep the kernel from letting go of theirs. By the reader. */
int stream_ring_new(struct stream *s);

/* As stream_write_all, of one piece, whose first byte takes the descriptors along: memory, our bell, the
 * client's bell, and the memory of the larger rings. -ETOOMANYREFS: the kernel does not pass them, for
 * whatever reason, and nothing was written. By the writer. */
int stream_ring_offer(struct stream *s, const void *bytes, size_t n, int64_t stall_ns);

/* Nothing more comes by the socket, or the ring: the rest is read from the next ring. 0; -EPERM: the client
 * did not seal the memory, or not fill it; or -EPROTO: there is no larger one. By the reader. */
int stream_ring_begin_reading(struct stream *s);

/* The rest is written to the next ring. By the writer, as often as reading has begun. */
void stream_ring_begin_writing(struct stream *s);

/* The client does without: gives back what the rings hold. By the writer. */
void stream_ring_drop(struct stream *s);

#endif
