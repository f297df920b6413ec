/*
 * ring.h - bytes from one process to another by way of memory that both have mapped.
 *
 * A ring is one direction: one side writes, the other reads. Positions count bytes for ever and
 * wrap around; their low bits are the place in the ring. Each side keeps its own position to itself
 * and only shows it, so that nothing which the other may have written into the memory leads it
 * astray: the other's position is checked with each look (it is never more than the ring's size
 * ahead, or behind), and bytes are copied out before anybody looks at what they are. The worst that
 * a hostile peer can do is to have nonsense read, as over a socket, or to be found out.
 *
 * Who has nothing to do says so in the memory, together with how it wants to be woken, looks once
 * more, and then sleeps. The other sees it with what it shows next, and takes the word back: so who
 * is awake is never woken, and no system call is made while both are busy.
 *
 * A page of shared memory that is not there when it is touched kills who touches it (SIGBUS): behind
 * the end of the file, or where the kernel finds no page for a hole, as it may under
 * vm.overcommit_memory=2. So the memory is an ordinary memfd whose maker, the broker, seals its size
 * (F_SEAL_SHRINK, F_SEAL_GROW). The client, the last to map it, seals it against what punches holes
 * (FALLOC_FL_PUNCH_HOLE, MADV_REMOVE) by F_SEAL_FUTURE_WRITE (Linux 5.1), which also forbids to map it
 * for writing; then it fills it by fallocate, which can fail in order. From then on no page can go, but by
 * the machine's own failure. The broker takes no memory that is not sealed and whole. It does not fill it
 * itself, since a page counts as the memory of who brought it, and the client may keep the memfd for
 * ever: so it could have a broker hold as much as it likes.
 *
 * Nothing here waits, wakes or maps; whoever uses it is the only one at its end of the ring.
 */
#ifndef PROTO_RING_H
#define PROTO_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Before a ring's bytes: a page, so that those can be mapped by themselves. */
#define RING_HEADER_BYTES 4096u

/* A ring's bytes are a power of two within these. Below a page nothing is gained; positions have 32
 * bits, so more than 2 GiB cannot be told apart, and far less is ever of use. */
#define RING_BYTES_MIN 4096u
#define RING_BYTES_MAX (64u * 1024u * 1024u)

/* How who waits wants to be woken; by the numbers of PROTOCOL.md. */
enum ring_wait {
	RING_AWAKE = 0,  /* it does not wait */
	RING_SLEEPS = 1, /* in a futex, on the very word that says so */
	RING_POLLS = 2,  /* for its bell */
};

/* The layout, for both sides and for everybody who implements the protocol: numbers are in the
 * machine's order. What one side writes all the time has cache lines of its own (two of them, as
 * processors fetch them in pairs), with the word by which the other asks to be woken for it. */
struct ring_memory {
	_Alignas(128) _Atomic uint32_t written; /* the writer's position */
	_Atomic uint32_t finished;              /* not 0: the writer writes no more */
	_Atomic uint32_t reader_waits;          /* enum ring_wait: set by the reader, taken back by
						 * the writer, who then wakes it */
	_Alignas(128) _Atomic uint32_t read;    /* the reader's position */
	_Atomic uint32_t writer_waits;          /* the same the other way round */
	_Alignas(RING_HEADER_BYTES) uint8_t bytes[];
};

/* Two rings of so many bytes each, one behind the other: what is mapped for a connection. */
static inline size_t ring_pair_bytes(uint32_t ring_bytes)
{
	return 2 * ((size_t)RING_HEADER_BYTES + ring_bytes);
}

/* The pair's first ring, or the second. */
static inline struct ring_memory *ring_of_pair(void *pair, uint32_t ring_bytes, int which)
{
	return (void *)((uint8_t *)pair + (size_t)which * (RING_HEADER_BYTES + ring_bytes));
}

/* ---- the writer's end ----------------------------------------------------------------------- */

struct ring_writer {
	struct ring_memory *memory;
	uint32_t bytes; /* of the ring */
	uint32_t own;   /* written up to here, shown or not */
};

void ring_writer_init(struct ring_writer *w, struct ring_memory *memory, uint32_t ring_bytes);

/* Bytes that there is room for; CHAN_EPROTOCOL: the reader shows a position that cannot be. */
long ring_room(const struct ring_writer *w);

/* Copies n bytes, for which there is room. The reader sees them after ring_show. */
void ring_put(struct ring_writer *w, const void *bytes, size_t n);

/* Shows what was put. Returns how the reader is to be woken; RING_AWAKE: not at all. */
enum ring_wait ring_show(struct ring_writer *w);

/* Says that nothing more will be written. Returns the same. */
enum ring_wait ring_finish(struct ring_writer *w);

/* Says that we wait for room, which is worth waking us for: half of the ring at least. False: there
 * is room by now, and we do not wait; CHAN_EPROTOCOL's case is left for ring_room to tell. */
bool ring_await_room(struct ring_writer *w, enum ring_wait how);

/* ---- the reader's end ----------------------------------------------------------------------- */

struct ring_reader {
	struct ring_memory *memory;
	uint32_t bytes; /* of the ring */
	uint32_t own;   /* read up to here */
	uint32_t end;   /* of a reader that was cut: nothing behind it is read */
	bool cut;
};

void ring_reader_init(struct ring_reader *r, struct ring_memory *memory, uint32_t ring_bytes);

/* Bytes that are there to be read; CHAN_EPROTOCOL: the writer shows a position that cannot be. */
long ring_available(const struct ring_reader *r);

/*
 * Copies up to size bytes out. Returns how many; 0: nothing is there; or CHAN_EPROTOCOL. *ret_wake
 * says how the writer is to be woken, who waited for this room.
 */
long ring_take(struct ring_reader *r, void *bytes, size_t size, enum ring_wait *ret_wake);

/* Says that we wait for something to read. False: there is something by now (or the end), and we do
 * not wait. */
bool ring_await_bytes(struct ring_reader *r, enum ring_wait how);

/* We have woken up by ourselves: true, or false if the writer has seen us wait, and wakes us. */
bool ring_stop_awaiting_bytes(struct ring_reader *r);

/* Whether all has been read that will ever come. */
bool ring_is_at_end(const struct ring_reader *r);

/* What the writer has shown up to now is all that will be read of it: it is known to be gone, or has
 * no more say. */
void ring_cut(struct ring_reader *r);

#endif
