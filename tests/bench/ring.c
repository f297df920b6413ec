/*
 * ring.c - a prototype: how fast would the daemon be on one machine, if bytes went through shared
 * memory instead of a socket? A program for the harness, with its own stand-in for the daemon that
 * knows of no channels: what it takes from one client it gives to another. So it is to be compared
 * with the harness's relay, which does the same over sockets. RESULTS.md has the judgement.
 *
 *   ring broker PATH          serves on a Unix socket until it is killed
 *   ring ROLE ARGUMENTS       produce, consume, ping, pong, sync as peer has them; $BENCH_ADDR
 *
 * A client connects to the Unix socket and sends a byte that says its part (P to C, A to B and
 * back, E gets back what it says), and with it three descriptors: memory with two rings, one each
 * way, and two eventfds, the bells. The socket then only shows that the other side is gone.
 *
 * The broker trusts nothing that a client can write: it keeps its own position in each ring to
 * itself, reads the client's once a turn and checks that it lies within the ring, and looks at a
 * frame's length only in its own copy; memory that a client could shorten (without
 * F_SEAL_SHRINK) is refused.
 *
 * A bell is rung only if the other side has said that it sleeps. Where there is more than one
 * processor both sides look again for $RING_SPIN_US microseconds (5) before they say so.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/bench/clients.h"

enum {
	RING_BYTES = 256 << 10,      /* a power of two; several turns of a busy broker */
	FRAME_BYTES_MAX = 128 << 10, /* half a ring, so that one always fits some day */
	TURN_BYTES_MAX = 64 << 10,   /* of one client before the next has its turn */
	CLIENTS_MAX = 128,
	ALARM_S = 90,
};

/* Positions count bytes for ever; their low bits are the place in the ring. */
struct ring {
	_Alignas(128) _Atomic uint32_t written; /* by who writes */
	_Atomic uint32_t reader_sleeps;         /* by who reads */
	_Alignas(128) _Atomic uint32_t read;    /* by who reads */
	_Atomic uint32_t writer_sleeps;         /* by who writes */
	_Alignas(128) uint8_t bytes[RING_BYTES];
};

struct shared {
	struct ring up, down; /* to the broker, to the client */
};

/* One side's view of one ring. The own position is never read back from shared memory. */
struct end {
	struct ring *ring;
	uint32_t own;    /* up to here we have read, or written */
	uint32_t theirs; /* as it was last seen, and found to be possible */
	int bell;        /* of the other side */
};

static long spin_ns;

/* ---- one end ---- */

/* How much there is to read, or room to write. Negative: the other side says what cannot be. */
static int64_t end_readable(struct end *e)
{
	e->theirs = atomic_load_explicit(&e->ring->written, memory_order_acquire);
	return e->theirs - e->own <= RING_BYTES ? (int64_t)(e->theirs - e->own) : -1;
}

static int64_t end_writable(struct end *e)
{
	e->theirs = atomic_load_explicit(&e->ring->read, memory_order_acquire);
	return e->own - e->theirs <= RING_BYTES ? RING_BYTES - (int64_t)(e->own - e->theirs) : -1;
}

static void end_copy(uint8_t *to, const uint8_t *ring, uint32_t at, uint32_t n)
{
	uint32_t place = at % RING_BYTES, first = RING_BYTES - place < n ? RING_BYTES - place : n;

	memcpy(to, ring + place, first);
	memcpy(to + first, ring, n - first);
}

static void end_put(struct end *e, const void *bytes, uint32_t n)
{
	uint32_t place = e->own % RING_BYTES,
		 first = RING_BYTES - place < n ? RING_BYTES - place : n;

	memcpy(e->ring->bytes + place, bytes, first);
	memcpy(e->ring->bytes, (const uint8_t *)bytes + first, n - first);
	e->own += n;
}

static void ring_bell(int bell)
{
	if (write(bell, &(uint64_t){1}, sizeof(uint64_t)) < 0)
		err(1, "bell");
}

/* Shows the own position. Both sides store, then load what the other stores (sequentially
 * consistent): so either we see that they sleep, or they see what we have done. */
static void end_publish_written(struct end *e)
{
	atomic_store(&e->ring->written, e->own);
	if (atomic_load(&e->ring->reader_sleeps) && atomic_exchange(&e->ring->reader_sleeps, 0))
		ring_bell(e->bell);
}

static void end_publish_read(struct end *e)
{
	atomic_store(&e->ring->read, e->own);
	if (atomic_load(&e->ring->writer_sleeps) && atomic_exchange(&e->ring->writer_sleeps, 0))
		ring_bell(e->bell);
}

/* ---- the broker ---- */

struct peer {
	int socket, bell; /* bell: the one that the client rings */
	char part;
	struct shared *shared;
	struct end in, out;
	struct peer *to; /* who gets what it says; NULL: nobody yet */
};

static struct peer *peers[CLIENTS_MAX];
static int peer_count, epoll_fd;

static void peer_gone(struct peer *p)
{
	for (int i = 0; i < peer_count; i++) {
		if (peers[i]->to == p)
			peers[i]->to = NULL;
		if (peers[i] == p)
			peers[i--] = peers[--peer_count];
	}
	munmap(p->shared, sizeof(*p->shared));
	close(p->socket);
	close(p->bell);
	close(p->in.bell);
	free(p);
}

static void peer_join(struct peer *p)
{
	static const char mates[][2] = {{'P', 'C'}, {'C', 'P'}, {'A', 'B'}, {'B', 'A'}};

	if (p->part == 'E')
		p->to = p;
	for (size_t m = 0; m < sizeof(mates) / sizeof(mates[0]); m++)
		for (int i = 0; i < peer_count; i++)
			if (p->part == mates[m][0] && peers[i]->part == mates[m][1] &&
				!peers[i]->to) {
				p->to = peers[i];
				peers[i]->to = p;
				return;
			}
}

/* Takes frames from p and gives them to whom they go, as many as there is room for. 1: something
 * happened; 0; or -1: p has written nonsense. */
static int peer_turn(struct peer *p)
{
	static uint8_t frame[4 + FRAME_BYTES_MAX];
	int64_t readable = end_readable(&p->in), room, moved = 0;
	uint32_t length;

	if (!p->to)
		return 0;
	room = end_writable(&p->to->out);
	if (readable < 0 || room < 0)
		return -1;
	while (readable >= 4 && moved < TURN_BYTES_MAX) {
		end_copy(frame, p->in.ring->bytes, p->in.own, 4);
		memcpy(&length, frame, 4);
		if (length > FRAME_BYTES_MAX)
			return -1;
		if (readable < 4 + length || room < 4 + length)
			break;
		end_copy(frame + 4, p->in.ring->bytes, p->in.own + 4, length);
		end_put(&p->to->out, frame, 4 + length);
		p->in.own += 4 + length;
		readable -= 4 + length;
		room -= 4 + length;
		moved += 4 + length;
	}
	if (!moved)
		return 0;
	end_publish_written(&p->to->out);
	end_publish_read(&p->in);
	return 1;
}

static bool turn_of_all(void)
{
	bool moved = false;

	for (int i = 0; i < peer_count; i++) {
		int rc = peer_turn(peers[i]);

		moved |= rc > 0;
		if (rc < 0)
			peer_gone(peers[i--]);
	}
	return moved;
}

static void say_that_we_sleep(uint32_t sleeps)
{
	for (int i = 0; i < peer_count; i++) {
		atomic_store(&peers[i]->in.ring->reader_sleeps, sleeps);
		atomic_store(&peers[i]->out.ring->writer_sleeps, sleeps);
	}
}

/* The descriptors that came with the byte, or 0. */
static int receive_descriptors(int socket, char *ret_part, int fds[3])
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(3 * sizeof(int))];
	} control;
	struct iovec byte = {ret_part, 1};
	struct msghdr m = {.msg_iov = &byte,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};

	if (recvmsg(socket, &m, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&m) ||
		control.header.cmsg_len != CMSG_LEN(3 * sizeof(int)))
		return 0;
	memcpy(fds, CMSG_DATA(&control.header), 3 * sizeof(int));
	return 3;
}

static struct shared *map_shared(int memory)
{
	struct shared *s;

	if (memory < 0 || !(fcntl(memory, F_GET_SEALS) & F_SEAL_SHRINK) ||
		lseek(memory, 0, SEEK_END) != sizeof(*s))
		return NULL;
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	return s == MAP_FAILED ? NULL : s;
}

static void watch_descriptor(int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.fd = fd};

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
		err(1, "epoll");
}

static void accept_peer(int listener)
{
	int socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC), fds[3];
	struct peer *p = calloc(1, sizeof(*p));
	char part;

	if (socket < 0 || peer_count == CLIENTS_MAX || !receive_descriptors(socket, &part, fds) ||
		!(p->shared = map_shared(fds[0]))) {
		close(socket);
		free(p);
		return;
	}
	close(fds[0]);
	p->socket = socket;
	p->part = part;
	p->bell = fds[1];
	p->in = (struct end){.ring = &p->shared->up, .bell = fds[2]};
	p->out = (struct end){.ring = &p->shared->down, .bell = fds[2]};
	watch_descriptor(socket, EPOLLIN | EPOLLRDHUP);
	watch_descriptor(p->bell, EPOLLIN | EPOLLET); /* never read: each ring is an event */
	peer_join(p);
	peers[peer_count++] = p;
}

static void handle_event(int listener, const struct epoll_event *e)
{
	if (e->data.fd == listener) {
		accept_peer(listener);
		return;
	}
	for (int i = 0; i < peer_count; i++)
		if (peers[i]->socket == e->data.fd) {
			while (peer_turn(peers[i]) > 0)
				continue; /* what it said last */
			peer_gone(peers[i]);
			return;
		}
}

static int broker(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(listener, CLIENTS_MAX) < 0)
		err(1, "%s", path);
	watch_descriptor(listener, EPOLLIN);
	for (;;) {
		struct epoll_event events[64];
		int64_t idle_ns = now_ns();
		bool moved;
		int n;

		do
			moved = turn_of_all();
		while (moved || (spin_ns && now_ns() - idle_ns < spin_ns));
		say_that_we_sleep(1);
		n = epoll_wait(epoll_fd, events, 64, turn_of_all() ? 0 : -1);
		say_that_we_sleep(0);
		for (int i = 0; i < n; i++)
			handle_event(listener, &events[i]);
	}
}

/* ---- a client ---- */

struct client {
	int bell; /* rung by the broker */
	struct end in, out;
};

static void send_descriptors(int socket, char part, const int fds[3])
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(3 * sizeof(int))];
	} control = {.header = {CMSG_LEN(3 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec byte = {&part, 1};
	struct msghdr m = {.msg_iov = &byte,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};

	memcpy(CMSG_DATA(&control.header), fds, 3 * sizeof(int));
	if (sendmsg(socket, &m, 0) != 1)
		err(1, "sendmsg");
}

static struct client connect_as(char part)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int memory = memfd_create("ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int to_broker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), to_us = eventfd(0, EFD_CLOEXEC);
	const char *url = getenv("BENCH_ADDR");
	struct shared *s;

	if (!url || strncmp(url, "unix:", 5) != 0)
		errx(1, "BENCH_ADDR is no unix:PATH");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", url + 5);
	if (connect(socket_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		ftruncate(memory, sizeof(*s)) < 0 ||
		fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		err(1, "%s", url);
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	send_descriptors(socket_fd, part, (int[]){memory, to_broker, to_us});
	return (struct client){
		.bell = to_us,
		.in = {.ring = &s->down, .bell = to_broker},
		.out = {.ring = &s->up, .bell = to_broker},
	};
}

/* Waits until there is so much to read (or room to write): spins, then sleeps. */
static void wait_until(struct client *c, struct end *e, int64_t (*look)(struct end *),
	_Atomic uint32_t *sleeps, int64_t wanted)
{
	int64_t began_ns = spin_ns ? now_ns() : 0;
	uint64_t rung;

	while (look(e) < wanted) {
		if (spin_ns && now_ns() - began_ns < spin_ns)
			continue;
		atomic_store(sleeps, 1);
		if (look(e) < wanted && read(c->bell, &rung, sizeof(rung)) < 0)
			err(1, "read");
		atomic_store(sleeps, 0);
	}
}

/* Room for a frame; the frame is in the ring, but not shown yet. */
static void put_frame(struct client *c, const void *bytes, uint32_t n)
{
	if (RING_BYTES - (int64_t)(c->out.own - c->out.theirs) < 4 + (int64_t)n) {
		end_publish_written(&c->out);
		wait_until(c, &c->out, end_writable, &c->out.ring->writer_sleeps, 4 + (int64_t)n);
	}
	end_put(&c->out, &n, 4);
	end_put(&c->out, bytes, n);
}

static void get_frame(struct client *c, void *bytes, uint32_t n)
{
	uint32_t length;

	if (c->in.theirs - c->in.own < 4 + n) {
		end_publish_read(&c->in);
		wait_until(c, &c->in, end_readable, &c->in.ring->reader_sleeps, 4 + (int64_t)n);
	}
	end_copy((uint8_t *)&length, c->in.ring->bytes, c->in.own, 4);
	if (length != n)
		errx(1, "a frame of %u bytes", length);
	end_copy(bytes, c->in.ring->bytes, c->in.own + 4, n);
	c->in.own += 4 + n;
}

/* ---- roles ---- */

static void check(const uint8_t *value, int64_t number)
{
	if (memcmp(value, &number, sizeof(number)) != 0)
		errx(1, "another value than %lld", (long long)number);
}

static void produce(long n, long bytes)
{
	struct client c = connect_as('P');
	uint8_t *value = calloc(1, (size_t)bytes);
	long shown = 0;

	say("start_ns", now_ns());
	for (int64_t i = 0; i < n; i++) {
		memcpy(value, &i, sizeof(i));
		put_frame(&c, value, (uint32_t)bytes);
		shown += bytes;
		if (shown < TURN_BYTES_MAX / 4)
			continue;
		end_publish_written(&c.out);
		shown = 0;
	}
	end_publish_written(&c.out);
	wait_until(&c, &c.out, end_writable, &c.out.ring->writer_sleeps, RING_BYTES);
}

static void consume(long n, long bytes)
{
	struct client c = connect_as('C');
	uint8_t *value = calloc(1, (size_t)bytes);

	say_ready();
	for (int64_t i = 0; i < n; i++) {
		get_frame(&c, value, (uint32_t)bytes);
		check(value, i);
	}
	end_publish_read(&c.in);
	say("end_ns", now_ns());
}

static void ping(long n, long bytes)
{
	struct client c = connect_as('A');
	uint8_t *value = calloc(1, (size_t)bytes);
	int64_t *ns = calloc((size_t)n, sizeof(*ns));

	for (int64_t i = -n / 10; i < n; i++) {
		int64_t began_ns = now_ns();

		memcpy(value, &i, sizeof(i));
		put_frame(&c, value, (uint32_t)bytes);
		end_publish_written(&c.out);
		get_frame(&c, value, (uint32_t)bytes);
		check(value, i);
		if (i >= 0)
			ns[i] = now_ns() - began_ns;
	}
	say_percentiles(ns, n);
}

static void pong(long n, long bytes)
{
	struct client c = connect_as('B');
	uint8_t *value = calloc(1, (size_t)bytes);

	say_ready();
	for (int64_t i = -n / 10; i < n; i++) {
		get_frame(&c, value, (uint32_t)bytes);
		put_frame(&c, value, (uint32_t)bytes);
		end_publish_written(&c.out);
	}
	wait_until(&c, &c.out, end_writable, &c.out.ring->writer_sleeps, RING_BYTES);
}

/* One connection; the harness's row with many is left out. */
static void sync_sends(long n, long bytes)
{
	struct client c = connect_as('E');
	uint8_t *value = calloc(1, (size_t)bytes);
	int64_t began_ns = now_ns();

	for (int64_t i = 0; i < n; i++) {
		put_frame(&c, value, (uint32_t)bytes);
		end_publish_written(&c.out);
		get_frame(&c, value, (uint32_t)bytes);
	}
	say("rate", n * INT64_C(1000000000) / (now_ns() - began_ns));
}

static int play(const char *role, long a, long b, long c)
{
	if (strcmp(role, "produce") == 0)
		produce(a, b);
	else if (strcmp(role, "consume") == 0)
		consume(a, b);
	else if (strcmp(role, "ping") == 0)
		ping(a, b);
	else if (strcmp(role, "pong") == 0)
		pong(a, b);
	else if (strcmp(role, "sync") == 0 && a == 1)
		sync_sends(b, c);
	else
		return strcmp(role, "setup") == 0 ? 0 : 3;
	return 0;
}

static long number(int argc, char **argv, int i)
{
	return i < argc ? atol(argv[i]) : 0;
}

int main(int argc, char **argv)
{
	const char *spin_us = getenv("RING_SPIN_US");
	cpu_set_t cpus;
	int rc;

	sched_getaffinity(0, sizeof(cpus), &cpus);
	spin_ns = CPU_COUNT(&cpus) > 1 ? (spin_us ? atol(spin_us) : 5) * 1000 : 0;
	if (argc == 3 && strcmp(argv[1], "broker") == 0)
		return broker(argv[2]);
	alarm(ALARM_S);
	rc = play(argc > 1 ? argv[1] : "", number(argc, argv, 2), number(argc, argv, 3),
		number(argc, argv, 4));
	say_cpu();
	return rc;
}
