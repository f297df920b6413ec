/*
 * stream_ring.c - a Unix socket's stream that goes over to a pair of rings in shared memory, which the
 * broker makes and offers (PROTOCOL.md part 20, proto/ring.h), and from there to a pair of larger ones.
 *
 * Each direction goes over by itself, between two frames. From when we read by the ring the descriptor to
 * poll is our bell, an epoll descriptor that came with the offer: it is ready when the broker has rung,
 * since there is something to read, or room; and when the socket is, which we add to it, and by which only
 * the end comes now. A thread that blocks in a read waits by a futex first, which is woken in half the time,
 * and for the bell only when nothing has come for a while, since a futex does not tell of a broker that has
 * died.
 */
#include "client/clock.h"
#include "client/stream.h"
#include "proto/ring.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* How long a read waits by the futex: longer than most round trips, shorter than anybody notices. Who
 * waits longer pays one system call more, once. */
#define DOZE_NS (10 * NS_PER_MS)

/* Memory with two rings, ours and the broker's, which came with an offer. */
struct pair {
	int fd;       /* not mapped yet; or -1 */
	void *memory; /* the mapping; NULL: none */
	uint32_t ring_bytes;
};

/* The pairs in the order in which they are used. */
enum { PAIRS = 2, PAIR_NONE = -1 };

struct ring_end {
	bool decided;    /* the reader's: no offer comes any more */
	int bell_fd;     /* the broker's bell, which we ring; or -1 */
	int own_bell_fd; /* ours, an epoll descriptor; or -1 */
	int wait_max_ms;

	/* Each mapped before either direction begins with it, and to the end: another thread than
	 * the writer may look into the one that the writer leaves. */
	struct pair pairs[PAIRS];
	atomic_int reads;      /* what comes is in this pair, or (PAIR_NONE) by the socket; the reader's */
	struct ring_reader in; /* the reader's */
	bool asked;            /* the reader's: our bell tells of what comes, or has been rung for it */
	atomic_int writes;     /* the same of what leaves; the writer's */
	struct ring_writer out;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void ring_bell(struct ring_end *r, enum ring_wait how)
{
	if (how != RING_AWAKE)
		eventfd_write(r->bell_fd, 1);
}

/* Waits by the word in which that stands, at most so long. 0, or -errno. */
static int doze(_Atomic uint32_t *waits, int64_t ns)
{
	struct timespec most = {ns / NS_PER_S, ns % NS_PER_S};

	return syscall(SYS_futex, waits, FUTEX_WAIT, RING_SLEEPS, &most, NULL, 0) < 0 ? -errno : 0;
}

/* ---- descriptors that come with an offer ------------------------------------------------------ */

/* As many as an offer brings: memory, the broker's bell, ours, and the memory of larger rings. */
enum { OFFERED = 4 };

/* Keeps the last ones that came: a broker that sends others offers nothing that can be used. */
static void keep_descriptors(struct ring_end *r, struct msghdr *m)
{
	int *const places[OFFERED] = {
		&r->pairs[0].fd, &r->bell_fd, &r->own_bell_fd, &r->pairs[1].fd};
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		int fds[OFFERED] = {-1, -1, -1, -1};

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
			c->cmsg_len > CMSG_LEN(sizeof(fds)))
			continue;
		memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
		for (int i = 0; i < OFFERED; i++) {
			close_fd(places[i]);
			*places[i] = fds[i];
		}
	}
}

/* As recv. There is no room for more descriptors than that, not even in what CMSG_SPACE pads: the kernel
 * drops the others. */
static ssize_t receive(struct stream *s, void *bytes, size_t n, bool wait)
{
	union {
		struct cmsghdr header; /* for its alignment */
		char space[CMSG_SPACE(OFFERED * sizeof(int))];
	} control;
	struct iovec iov = {bytes, n};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_LEN(OFFERED * sizeof(int))};
	ssize_t got = recvmsg(s->fd, &m, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));

	if (got < 0)
		return -errno;
	keep_descriptors(s->ring, &m);
	return got;
}

/* ---- reading ---------------------------------------------------------------------------------- */

/* Looks whether the socket has ended, and takes what bytes it has, which are of no use. */
static void look_at_socket(struct stream *s)
{
	char bytes[256];
	ssize_t n = recv(s->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		ring_cut(&s->ring->in);
}

/* The socket's mark among what our bell tells. The broker's own is another, or has us look for nothing. */
#define SOCKET_MARK UINT64_C(0x736f636b6574)

/* Takes what our bell says: who has been told of a ring is told no more of it. */
static void hear(struct stream *s)
{
	struct ring_end *r = s->ring;
	struct epoll_event told[2];
	int n = epoll_wait(r->own_bell_fd, told, 2, 0);

	for (int i = 0; i < n; i++)
		if (told[i].data.u64 == SOCKET_MARK)
			look_at_socket(s);
	r->asked = false;
}

/* Has our bell tell of what comes. False: something has come that it does not tell of, or the end. */
static bool ask_for_bell(struct ring_end *r)
{
	if (!r->asked)
		r->asked = ring_await_bytes(&r->in, RING_POLLS);
	return r->asked;
}

/* From here on our bell tells of what comes. 0: something has, or the end; or -EAGAIN. */
static int watch(struct stream *s)
{
	hear(s);
	return ask_for_bell(s->ring) ? -EAGAIN : 0;
}

/* Polls the socket, or as a reader our bell, which tells of it. More than 0; 0 after timeout_ms; or -errno. */
static int poll_watched(struct stream *s, short events, int timeout_ms)
{
	struct ring_end *r = s->ring;
	bool by_bell = r->reads != PAIR_NONE && (events & POLLIN);
	struct pollfd p = {.fd = by_bell ? r->own_bell_fd : s->fd, .events = events};
	int n = poll(&p, 1, timeout_ms);

	return n < 0 ? -errno : n;
}

/* 0: something came; -EAGAIN: nothing to read, but the bell was rung, or it took too long; -EINTR. */
static int sleep_for_bytes(struct stream *s)
{
	struct ring_reader *in = &s->ring->in;
	int rc;

	s->ring->asked = false;
	if (!ring_await_bytes(in, RING_SLEEPS))
		return 0;
	rc = doze(&in->memory->reader_waits, DOZE_NS);
	if (!ring_stop_awaiting_bytes(in) || (rc != -ETIMEDOUT && rc != -EINTR))
		return 0;
	if (rc == -EINTR)
		return rc;
	if (!ask_for_bell(s->ring))
		return 0;
	rc = poll_watched(s, POLLIN, s->ring->wait_max_ms);
	if (rc <= 0)
		return rc < 0 ? rc : -EAGAIN;
	hear(s);
	return !in->cut && ring_available(in) == 0 ? -EAGAIN : 0;
}

/* What a broker left that is gone is still read, as it would be from a socket. */
static ssize_t ring_read(struct stream *s, void *bytes, size_t n, bool wait)
{
	struct ring_end *r = s->ring;
	enum ring_wait how;
	long got;
	int rc;

	if (r->reads == PAIR_NONE)
		return r->decided ? stream_socket_ops.read(s, bytes, n, wait)
				  : receive(s, bytes, n, wait);
	do {
		got = ring_take(&r->in, bytes, n, &how);
		ring_bell(r, how);
		if (got != 0)
			return got > 0 ? got : -EPROTO;
		if (ring_is_at_end(&r->in))
			return 0;
		rc = wait ? sleep_for_bytes(s) : watch(s);
	} while (rc == 0);
	return rc;
}

/* ---- writing ---------------------------------------------------------------------------------- */

static ssize_t ring_write(struct stream *s, const void *bytes, size_t n)
{
	struct ring_end *r = s->ring;
	long room;

	if (r->writes == PAIR_NONE)
		return stream_socket_ops.write(s, bytes, n);
	do {
		room = ring_room(&r->out);
		if (room < 0)
			return -EPROTO;
	} while (room == 0 && !ring_await_room(&r->out, RING_POLLS));
	if (room == 0)
		return -EAGAIN;
	n = (size_t)room < n ? (size_t)room : n;
	ring_put(&r->out, bytes, n);
	ring_bell(r, ring_show(&r->out));
	return (ssize_t)n;
}

static void ring_finish_writing(struct stream *s)
{
	if (s->ring->writes != PAIR_NONE)
		ring_bell(s->ring, ring_finish(&s->ring->out));
	else
		stream_socket_ops.finish(s);
}

/* ---- waiting ---------------------------------------------------------------------------------- */

/* For room alone, by who is the writer: the bell may be heard by a reader. Who polls later is told by
 * it again. */
static int await_room(struct ring_end *r, int timeout_ms)
{
	if (!ring_await_room(&r->out, RING_SLEEPS))
		return 1;
	doze(&r->out.memory->writer_waits, timeout_ms * NS_PER_MS);
	return ring_await_room(&r->out, RING_POLLS) ? 0 : 1;
}

/* Whether who found no room need not wait for the bell: it was rung since, and perhaps heard by another
 * thread that only reads; or the writer has gone on to another ring. Who asks need not be the writer: so it
 * finds the memory by what the writer has set, and not by what it sets meanwhile. */
static bool was_told_of_room(struct ring_end *r)
{
	int at = r->writes;
	const struct pair *p;

	if (at == PAIR_NONE)
		return false;
	p = &r->pairs[at];
	return atomic_load(&ring_of_pair(p->memory, p->ring_bytes, 0)->writer_waits) == RING_AWAKE;
}

/* With POLLIN it is the reader that waits, and a write that found no room has asked for the bell. */
static int ring_await(struct stream *s, short events, int timeout_ms)
{
	struct ring_end *r = s->ring;

	if (r->writes != PAIR_NONE && !(events & POLLIN))
		return await_room(r, timeout_ms);
	if ((events & POLLOUT) && was_told_of_room(r))
		return 1;
	if (r->writes != PAIR_NONE)
		events = POLLIN;
	if (r->reads != PAIR_NONE && (events & POLLIN) && !ask_for_bell(r))
		return 1;
	return poll_watched(s, events, timeout_ms);
}

/* While we read by the socket that is to be polled. Then it is our bell; but where there is no need to wait it
 * is the socket, which takes bytes at any time. (An epoll descriptor is never ready for POLLOUT.) So it is the
 * descriptor alone that says so, and it does not matter whether events are asked for before it or after. */
static void ring_watch(struct stream *s, bool reader, bool output, struct pollfd *ret_poll)
{
	struct ring_end *r = s->ring;
	bool by_bell = r->reads != PAIR_NONE;
	bool room = output && (r->writes == PAIR_NONE || was_told_of_room(r));
	bool now = room || (by_bell && reader && !ask_for_bell(r));

	ret_poll->fd = by_bell && !now ? r->own_bell_fd : s->fd;
	ret_poll->events = by_bell || room ? POLLIN | POLLOUT : POLLIN;
}

/* ---- beginning and ending --------------------------------------------------------------------- */

static void ring_wait_max(struct stream *s, int64_t ns)
{
	s->ring->wait_max_ms = ns < 0 ? -1 : (int)(ns / NS_PER_MS);
	stream_socket_ops.wait_max(s, ns);
}

static void let_go_of_pair(struct pair *p)
{
	close_fd(&p->fd);
	if (p->memory)
		munmap(p->memory, ring_pair_bytes(p->ring_bytes));
	p->memory = NULL;
}

static void let_go(struct ring_end *r)
{
	close_fd(&r->bell_fd);
	close_fd(&r->own_bell_fd);
	for (int i = 0; i < PAIRS; i++)
		let_go_of_pair(&r->pairs[i]);
}

static void ring_close(struct stream *s)
{
	let_go(s->ring);
	free(s->ring);
	s->ring = NULL;
	stream_socket_ops.close(s);
}

static const struct stream_ops ring_ops = {
	.keeps_what_it_read_short = true,
	.read = ring_read,
	.write = ring_write,
	.finish = ring_finish_writing,
	.wait_max = ring_wait_max,
	.await = ring_await,
	.watch = ring_watch,
	.close = ring_close,
};

int stream_expect_rings(struct stream *s)
{
	struct ring_end *r = malloc(sizeof(*r));

	if (!r)
		return -ENOMEM;
	*r = (struct ring_end){.bell_fd = -1,
		.own_bell_fd = -1,
		.wait_max_ms = -1,
		.pairs = {{.fd = -1}, {.fd = -1}},
		.reads = PAIR_NONE,
		.writes = PAIR_NONE};
	s->ring = r;
	s->ops = &ring_ops;
	return 0;
}

/* Whether it is memory of that size at least which nobody can shorten under us: a memfd of ordinary
 * pages. (Of huge ones, which there may be none of, a part cannot be unmapped.) */
static bool can_be_used(int memory_fd, size_t bytes)
{
	int sealed = memory_fd < 0 ? -1 : fcntl(memory_fd, F_GET_SEALS);
	struct statfs fs;

	return sealed >= 0 && (sealed & F_SEAL_SHRINK) && fstatfs(memory_fd, &fs) == 0 &&
	       fs.f_type == TMPFS_MAGIC && lseek(memory_fd, 0, SEEK_END) >= (off_t)bytes;
}

/* From here on nobody can take a page of it away, and all are there: else a touch could kill us, where
 * now we can do without. 0, or -errno. */
static int secure(int memory_fd, size_t bytes)
{
	int rc = fcntl(memory_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE);

	if (rc == 0)
		do
			rc = fallocate(memory_fd, 0, 0, (off_t)bytes);
		while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : 0;
}

static bool is_ring_bytes(uint32_t n)
{
	return n >= RING_BYTES_MIN && n <= RING_BYTES_MAX && (n & (n - 1)) == 0;
}

/* Maps what may be used. 0, or -errno and nothing is left of it. */
static int map_pair(struct pair *p)
{
	size_t bytes = ring_pair_bytes(p->ring_bytes);
	int rc = -EINVAL;

	if (is_ring_bytes(p->ring_bytes) && can_be_used(p->fd, bytes)) {
		p->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
		if (p->memory == MAP_FAILED)
			p->memory = NULL;
		rc = p->memory ? secure(p->fd, bytes) : -errno;
	}
	close_fd(&p->fd);
	if (rc < 0)
		let_go_of_pair(p);
	return rc;
}

/* Has our bell tell of the socket, too. 0; or -errno: it is no such descriptor, for one. */
static int watch_socket(struct stream *s)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP, .data.u64 = SOCKET_MARK};

	return epoll_ctl(s->ring->own_bell_fd, EPOLL_CTL_ADD, s->fd, &e) < 0 ? -errno : 0;
}

int stream_take_rings(struct stream *s, uint32_t ring_bytes, uint32_t larger_ring_bytes)
{
	struct ring_end *r = s->ring;
	int rc;

	r->decided = true;
	r->pairs[0].ring_bytes = ring_bytes;
	r->pairs[1].ring_bytes = larger_ring_bytes;
	if (larger_ring_bytes <= ring_bytes)
		close_fd(&r->pairs[1].fd);
	rc = r->bell_fd < 0 ? -EINVAL : watch_socket(s);
	if (rc == 0)
		rc = map_pair(&r->pairs[0]);
	if (rc < 0) {
		let_go(r);
		return rc;
	}
	fcntl(r->bell_fd, F_SETFL, O_NONBLOCK);
	return 0;
}

int stream_take_larger_rings(struct stream *s)
{
	return map_pair(&s->ring->pairs[1]);
}

void stream_forgo_rings(struct stream *s)
{
	s->ring->decided = true;
}

void stream_begin_ring_reading(struct stream *s)
{
	struct ring_end *r = s->ring;
	struct pair *p = &r->pairs[r->reads + 1];

	ring_reader_init(&r->in, ring_of_pair(p->memory, p->ring_bytes, 1), p->ring_bytes);
	r->asked = false;
	r->reads++;
}

void stream_begin_ring_writing(struct stream *s)
{
	struct ring_end *r = s->ring;
	struct pair *p = &r->pairs[r->writes + 1];

	ring_writer_init(&r->out, ring_of_pair(p->memory, p->ring_bytes, 0), p->ring_bytes);
	r->writes++;
}
