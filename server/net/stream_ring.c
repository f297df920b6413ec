#include "server/net/stream_ring.h"

#include "proto/ring.h"
#include "server/base/clock.h"
#include "server/runtime/runtime.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Memory with two rings, the client's and ours. */
struct pair {
	const char *name; /* in /proc/PID/maps */
	uint32_t ring_bytes;
	void *memory; /* the mapping; NULL: none (any more) */
	int fd;       /* until the memory is secured: then -1 */
};

/* The pairs in the order in which they are used. Who has gone on leaves the first one mapped, as the
 * client does, whose memory it is. */
enum { PAIRS = 2, PAIR_NONE = -1 };

struct stream_ring {
	struct stream_ops ops;           /* first, so that a stream's table leads here */
	const struct stream_ops *socket; /* what the stream was before */
	struct pair pairs[PAIRS];
	int bell_fd; /* ours */
	struct netpoll_bell *bell;
	int client_bell_fd; /* the client's, an eventfd that nobody else has */
	int watch_fd;       /* what the client has of it: an epoll descriptor; until it is offered */

	int reads; /* the reader's: what comes is in this pair's ring, or (PAIR_NONE) by the socket */
	struct ring_reader in;
	atomic_int writes; /* the writer's: the same of what leaves */
	struct ring_writer out;
	atomic_bool deaf, mute; /* shut down: nothing more is read, or written */
};

static struct stream_ring *ring_of(struct stream *s)
{
	return (struct stream_ring *)s->ops;
}

static void ring_client(const struct stream_ring *r)
{
	eventfd_write(r->client_bell_fd, 1);
}

/* Wakes who says so in a word of the ring. */
static void wake(const struct stream_ring *r, enum ring_wait how, _Atomic uint32_t *waits)
{
	if (how == RING_SLEEPS)
		syscall(SYS_futex, waits, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	else if (how == RING_POLLS)
		ring_client(r);
}

/* ---- reading and writing ---------------------------------------------------------------------- */

/* What a client left that is gone is still read, as it would be from a socket. */
static ssize_t ring_read(struct stream *s, void *bytes, size_t size)
{
	struct stream_ring *r = ring_of(s);
	enum ring_wait how;
	long n;

	if (r->reads == PAIR_NONE)
		return r->socket->read(s, bytes, size);
	do {
		if (atomic_load(&r->deaf))
			return 0;
		if (netpoll_is_closed(s->poll))
			ring_cut(&r->in);
		n = ring_take(&r->in, bytes, size, &how);
		wake(r, how, &r->in.memory->writer_waits);
		if (n != 0)
			return n > 0 ? n : -EPROTO;
		if (ring_is_at_end(&r->in))
			return 0;
	} while (!ring_await_bytes(&r->in, RING_POLLS));
	return -EAGAIN;
}

/* As much as there is room for. Bytes, or -EPROTO. */
static ssize_t put(struct ring_writer *w, const struct iovec *iov, int count)
{
	long room = ring_room(w);
	size_t all = 0;

	if (room < 0)
		return -EPROTO;
	for (int i = 0; i < count && room > 0; i++) {
		size_t n = iov[i].iov_len < (size_t)room ? iov[i].iov_len : (size_t)room;

		ring_put(w, iov[i].iov_base, n);
		room -= (long)n;
		all += n;
	}
	return (ssize_t)all;
}

/* Whether nobody will read what is written. The poller tells of our own deafness as of the client's
 * end; then it is time that shows whether the client is there. */
static bool is_gone(const struct stream *s, struct stream_ring *r)
{
	return atomic_load(&r->mute) || (netpoll_is_closed(s->poll) && !atomic_load(&r->deaf));
}

static ssize_t ring_writev(struct stream *s, const struct iovec *iov, int count)
{
	struct stream_ring *r = ring_of(s);
	ssize_t n;

	if (atomic_load(&r->writes) == PAIR_NONE)
		return r->socket->writev(s, iov, count);
	do {
		if (is_gone(s, r))
			return -EPIPE;
		n = put(&r->out, iov, count);
		if (n < 0)
			return n;
	} while (n == 0 && !ring_await_room(&r->out, RING_POLLS));
	if (n == 0)
		return -EAGAIN;
	wake(r, ring_show(&r->out), &r->out.memory->reader_waits);
	return n;
}

/* ---- the end ---------------------------------------------------------------------------------- */

/* The socket tells both sides: the poller starts the reader, and the client finds the end there. */
static void ring_shutdown(struct stream *s, int how)
{
	struct stream_ring *r = ring_of(s);

	if (how != SHUT_WR)
		atomic_store(&r->deaf, true);
	if (how != SHUT_RD)
		atomic_store(&r->mute, true);
	r->socket->shutdown(s, how);
}

static void ring_finish_writing(struct stream *s)
{
	struct stream_ring *r = ring_of(s);

	if (atomic_load(&r->writes) != PAIR_NONE)
		wake(r, ring_finish(&r->out), &r->out.memory->reader_waits);
	else
		r->socket->finish(s);
}

static void ring_peer(struct stream *s, struct stream_peer *ret_peer)
{
	ring_of(s)->socket->peer(s, ret_peer);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/*
 * To forget a bell the kernel needs a lock of each epoll descriptor that watches it, which a client may hold
 * for long: a wait there hands over what it found to memory that a file system of the client's is slow to
 * bring, say. So a goroutine of its own closes what a client had any of, with a thread that may block. Those
 * are few. The others wait for one, and as long as all are at it nobody is given rings: so as many goroutines
 * wait at most as had some.
 */
#define CLOSING_MAX 8
#define CLOSING_REST_NS (10 * NS_PER_MS)

static atomic_int closing;

static bool begin_closing(void)
{
	int n = atomic_load(&closing);

	while (n < CLOSING_MAX)
		if (atomic_compare_exchange_weak(&closing, &n, n + 1))
			return true;
	return false;
}

static void close_patiently(void *fd)
{
	while (!begin_closing())
		go_sleep(CLOSING_REST_NS);
	blocking_enter();
	close((int)(intptr_t)fd);
	atomic_fetch_sub(&closing, 1);
	blocking_exit();
}

static void close_passed(int *fd)
{
	if (*fd >= 0 && go(close_patiently, (void *)(intptr_t)*fd) == 0)
		*fd = -1;
	close_fd(fd);
}

/* Before they are offered nobody else has any of them. */
static void close_bells(struct stream_ring *r)
{
	void (*close_bell)(int *) = r->watch_fd < 0 ? close_passed : close_fd;

	close_bell(&r->bell_fd);
	close_bell(&r->client_bell_fd);
	close_fd(&r->watch_fd);
}

static void release(struct stream_ring *r)
{
	netpoll_remove_bell(r->bell);
	r->bell = NULL;
	close_bells(r);
	for (struct pair *p = r->pairs; p < r->pairs + PAIRS; p++) {
		close_fd(&p->fd);
		if (p->memory)
			munmap(p->memory, ring_pair_bytes(p->ring_bytes));
		p->memory = NULL;
	}
}

static void ring_free(struct stream *s)
{
	struct stream_ring *r = ring_of(s);

	release(r);
	r->socket->free(s);
	free(r);
}

/* ---- the beginning ---------------------------------------------------------------------------- */

static const struct stream_ops ring_ops = {
	.short_reads_drain = true, /* as long as they are the socket's */
	.read = ring_read,
	.writev = ring_writev,
	.shutdown = ring_shutdown,
	.finish = ring_finish_writing,
	.peer = ring_peer,
	.free = ring_free,
};

/* Memory of this size, whatever its other holder does; no page of it is there yet. 0, or -errno. */
static int make_memory(struct pair *p)
{
	size_t bytes = ring_pair_bytes(p->ring_bytes);

	p->fd = memfd_create(p->name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (p->fd < 0 || ftruncate(p->fd, (off_t)bytes) < 0 ||
		fcntl(p->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return -errno;
	p->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
	if (p->memory != MAP_FAILED)
		return 0;
	p->memory = NULL;
	return -errno;
}

/* The client's: it gets to poll the eventfd, and not the eventfd. Told once for each ring, nothing is to be
 * taken from it, and a count of 64 bits is never full. 0, or -errno. */
static int make_client_bell(struct stream_ring *r)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};

	r->client_bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->watch_fd = epoll_create1(EPOLL_CLOEXEC);
	if (r->client_bell_fd < 0 || r->watch_fd < 0 ||
		epoll_ctl(r->watch_fd, EPOLL_CTL_ADD, r->client_bell_fd, &e) < 0)
		return -errno;
	return 0;
}

static int make_bells(struct stream_ring *r, struct stream *s)
{
	int rc = make_client_bell(r);

	if (rc < 0)
		return rc;
	r->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return r->bell_fd < 0 ? -errno : netpoll_add_bell(s->poll, r->bell_fd, &r->bell);
}

int stream_ring_new(struct stream *s)
{
	struct stream_ring *r;
	int rc = 0;

	if (atomic_load(&closing) == CLOSING_MAX)
		return -EBUSY;
	r = malloc(sizeof(*r));
	if (!r)
		return -ENOMEM;
	*r = (struct stream_ring){
		.ops = ring_ops,
		.socket = s->ops,
		.pairs = {{"chand-ring", STREAM_RING_BYTES, NULL, -1},
			{"chand-larger", STREAM_LARGER_RING_BYTES, NULL, -1}},
		.bell_fd = -1,
		.client_bell_fd = -1,
		.watch_fd = -1,
		.reads = PAIR_NONE,
		.writes = PAIR_NONE,
	};
	for (int i = 0; i < PAIRS && rc == 0; i++)
		rc = make_memory(&r->pairs[i]);
	if (rc == 0)
		rc = make_bells(r, s);
	if (rc < 0) {
		release(r);
		free(r);
		return rc;
	}
	s->ops = &r->ops; /* the writer may be at work, and goes on as before */
	return 0;
}

/* As stream_writev. */
static ssize_t send_with_descriptors(struct stream *s, const void *bytes, size_t n)
{
	struct stream_ring *r = ring_of(s);
	int fds[] = {r->pairs[0].fd, r->bell_fd, r->watch_fd, r->pairs[1].fd};
	union {
		struct cmsghdr header; /* for its alignment */
		char space[CMSG_SPACE(sizeof(fds))];
	} control = {.header = {
			     .cmsg_len = CMSG_LEN(sizeof(fds)),
			     .cmsg_level = SOL_SOCKET,
			     .cmsg_type = SCM_RIGHTS,
		     }};
	struct iovec iov = {(void *)bytes, n};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.space)};
	ssize_t put;

	memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
	do
		put = sendmsg(s->fd, &m, MSG_NOSIGNAL);
	while (put < 0 && errno == EINTR);
	return put < 0 ? -errno : put;
}

/* The kernel passes no descriptors now: too many are on their way for our user, it has no memory, or
 * a policy. Of a socket that is gone it says something else. */
static bool is_about_descriptors(ssize_t error)
{
	return error == -ETOOMANYREFS || error == -ENOMEM || error == -ENOBUFS ||
	       error == -EPERM || error == -EACCES;
}

int stream_ring_offer(struct stream *s, const void *bytes, size_t n, int64_t stall_ns)
{
	struct iovec rest;
	ssize_t put;
	int rc;

	while ((put = send_with_descriptors(s, bytes, n)) == -EAGAIN) {
		rc = netpoll_wait(s->poll, NETPOLL_WRITE, clock_deadline_ns(stall_ns));
		if (rc < 0)
			return rc;
	}
	if (put < 0)
		return is_about_descriptors(put) ? -ETOOMANYREFS : (int)put;
	close_passed(&ring_of(s)->watch_fd);
	rest = (struct iovec){(uint8_t *)bytes + put, n - (size_t)put};
	return stream_write_all(s, &rest, 1, stall_ns);
}

/* All pages are there, and the client can take none away any more. That it had to bring them means that
 * they are counted as its memory, and not as ours: it may keep them when it has left. 0, or -EPERM. */
static int check_memory(struct pair *p)
{
	int seals = fcntl(p->fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || !(seals & F_SEAL_FUTURE_WRITE))
		return -EPERM;
	/* Only once it is sealed. POSIX's unit of st_blocks is 512 bytes on Linux. */
	if (fstat(p->fd, &st) < 0 ||
		(uint64_t)st.st_blocks * 512 < ring_pair_bytes(p->ring_bytes))
		return -EPERM;
	close_fd(&p->fd);
	return 0;
}

int stream_ring_begin_reading(struct stream *s)
{
	struct stream_ring *r = ring_of(s);
	struct pair *next = &r->pairs[r->reads + 1];
	int rc;

	if (next == r->pairs + PAIRS)
		return -EPROTO;
	rc = check_memory(next);
	if (rc < 0)
		return rc;
	ring_reader_init(
		&r->in, ring_of_pair(next->memory, next->ring_bytes, 0), next->ring_bytes);
	r->reads++;
	r->ops.short_reads_drain = false;
	return 0;
}

void stream_ring_begin_writing(struct stream *s)
{
	struct stream_ring *r = ring_of(s);
	int next = atomic_load(&r->writes) + 1;
	struct pair *p = &r->pairs[next];

	ring_writer_init(&r->out, ring_of_pair(p->memory, p->ring_bytes, 1), p->ring_bytes);
	atomic_store(&r->writes, next);
}

void stream_ring_drop(struct stream *s)
{
	release(ring_of(s));
}
