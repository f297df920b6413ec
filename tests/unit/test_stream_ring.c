/* test_stream_ring.c - a socket's stream that goes over to rings, and clients that mean no good. */
#include "tests/support/goroutine_test.h"

#include "proto/ring.h"
#include "server/net/stream_ring.h"
#include "server/runtime/runtime.h"
#include "tests/support/descriptors.h"
#include "tests/support/dice.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define STREAM_BYTES (3u * 1024u * 1024u)
#define NO_STALL DEADLINE_NEVER

static struct stream *ours;

/* Whether the kernel passes no descriptors (the linker has our objects call this for sendmsg). */
static bool no_rights;

ssize_t __real_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	if (!no_rights || !m->msg_controllen)
		return __real_sendmsg(fd, m, flags);
	errno = ETOOMANYREFS;
	return -1;
}

/* The client, by hand. */
static struct {
	int socket, bell, own_bell, memory, larger_memory; /* bell: the daemon's */
	uint8_t *pair, *larger_pair;
	struct ring_writer out;
	struct ring_reader in;
} client;

static void open_sockets(void)
{
	int fds[2];

	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	expect(stream_socket_new(fds[0], &ours) == 0);
	client.socket = fds[1];
}

static uint8_t *map_pair(int memory, uint32_t ring_bytes)
{
	void *pair = mmap(NULL, ring_pair_bytes(ring_bytes), PROT_READ | PROT_WRITE, MAP_SHARED,
		memory, 0);

	expect(pair != MAP_FAILED);
	return pair;
}

static void use_pair(uint8_t *pair, uint32_t ring_bytes)
{
	ring_writer_init(&client.out, ring_of_pair(pair, ring_bytes, 0), ring_bytes);
	ring_reader_init(&client.in, ring_of_pair(pair, ring_bytes, 1), ring_bytes);
}

/* Takes an offer of those words, with its descriptors. */
static void take_offer(const char *words)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(DESCRIPTORS_PASSED_MAX * sizeof(int))];
	} control;
	char text[64] = "";
	struct iovec iov = {text, sizeof(text)};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	int fds[4];

	expect(recvmsg(client.socket, &m, MSG_CMSG_CLOEXEC) == (ssize_t)strlen(words));
	expect(memcmp(text, words, strlen(words)) == 0);
	expect(control.header.cmsg_len == CMSG_LEN(sizeof(fds)));
	memcpy(fds, CMSG_DATA(&control.header), sizeof(fds));
	expect(ftruncate(fds[0], 0) < 0 && ftruncate(fds[3], 0) < 0); /* they are sealed */
	client.memory = fds[0];
	client.bell = fds[1];
	client.own_bell = fds[2];
	client.larger_memory = fds[3];
	client.pair = map_pair(client.memory, STREAM_RING_BYTES);
	client.larger_pair = map_pair(client.larger_memory, STREAM_LARGER_RING_BYTES);
	use_pair(client.pair, STREAM_RING_BYTES);
}

static void seal(int memory)
{
	expect(fcntl(memory, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0);
}

static void fill(int memory, uint32_t ring_bytes)
{
	expect(fallocate(memory, 0, 0, (off_t)ring_pair_bytes(ring_bytes)) == 0);
}

static void secure(void)
{
	seal(client.memory);
	fill(client.memory, STREAM_RING_BYTES);
}

static void get_offer(void)
{
	open_sockets();
	expect(stream_ring_new(ours) == 0);
	expect(stream_ring_offer(ours, "take these", 10, NO_STALL) == 0);
	take_offer("take these");
}

static void open_rings(void)
{
	get_offer();
	secure();
	expect(stream_ring_begin_reading(ours) == 0);
	stream_ring_begin_writing(ours);
}

static void close_rings(void)
{
	stream_free(ours);
	close(client.socket);
	close(client.bell);
	close(client.own_bell);
	close(client.memory);
	close(client.larger_memory);
	munmap(client.pair, ring_pair_bytes(STREAM_RING_BYTES));
	munmap(client.larger_pair, ring_pair_bytes(STREAM_LARGER_RING_BYTES));
}

static void client_shows(enum ring_wait how)
{
	if (how != RING_AWAKE)
		expect(eventfd_write(client.bell, 1) == 0);
}

static void client_writes(const char *text)
{
	ring_put(&client.out, text, strlen(text));
	client_shows(ring_show(&client.out));
}

static ssize_t write_text(const char *text)
{
	struct iovec iov = {(char *)text, strlen(text)};

	return stream_writev(ours, &iov, 1);
}

static ssize_t client_hears(void)
{
	struct epoll_event e;
	int n = epoll_wait(client.own_bell, &e, 1, 0);

	return n == 0 ? -EAGAIN : n;
}

static ssize_t client_reads_socket(void)
{
	char byte;
	ssize_t n = recv(client.socket, &byte, 1, MSG_DONTWAIT);

	return n < 0 ? -errno : n;
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 31 + i / 4093);
}

/* ---- going over ------------------------------------------------------------------------------ */

/* Each direction goes over by itself. */
static void go_over(void)
{
	char text[16];
	enum ring_wait how;

	open_sockets();
	expect(stream_ring_new(ours) == 0);
	expect(write_text("one") == 3);
	expect(stream_ring_offer(ours, "offer", 5, NO_STALL) == 0);
	expect(recv(client.socket, text, 3, 0) == 3);
	take_offer("offer");
	expect(write(client.socket, "begin", 5) == 5);
	expect(stream_read(ours, text, sizeof(text)) == 5);
	secure();
	expect(stream_ring_begin_reading(ours) == 0);
	expect(stream_read(ours, text, sizeof(text)) == -EAGAIN);
	client_writes("by ring");
	expect(write_text("by socket") == 9);
	atomic_store(&client.out.memory->writer_waits, RING_POLLS);
	expect(stream_read(ours, text, sizeof(text)) == 7);
	expect(client_hears() == 1);
	expect(recv(client.socket, text, sizeof(text), 0) == 9);
	stream_ring_begin_writing(ours);
	expect(ring_await_bytes(&client.in, RING_POLLS));
	expect(write_text("by ring") == 7);
	expect(client_hears() == 1);
	expect(ring_take(&client.in, text, sizeof(text), &how) == 7);
	expect(client_hears() == -EAGAIN);
	close_rings();
}

static void test_go_over(void **state)
{
	(void)state;
	run_everywhere(go_over);
}

/* Each direction by itself once more, and nothing of the first rings is looked at any more. */
static void go_on(void)
{
	static uint8_t bytes[STREAM_LARGER_RING_BYTES];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct ring_reader first;
	char text[16];
	enum ring_wait how;

	open_rings();
	client_writes("first");
	expect(stream_read(ours, text, sizeof(text)) == 5);
	first = client.in;
	use_pair(client.larger_pair, STREAM_LARGER_RING_BYTES);
	seal(client.larger_memory);
	expect(stream_ring_begin_reading(ours) == -EPERM); /* it is not whole */
	fill(client.larger_memory, STREAM_LARGER_RING_BYTES);
	expect(stream_ring_begin_reading(ours) == 0);
	expect(stream_ring_begin_reading(ours) == -EPROTO); /* there are no third ones */
	expect(stream_read(ours, text, sizeof(text)) == -EAGAIN);
	client_writes("second");
	expect(write_text("by the first") == 12);
	expect(stream_read(ours, text, sizeof(text)) == 6);
	expect(ring_available(&client.in) == 0);
	expect(ring_take(&first, text, sizeof(text), &how) == 12);
	stream_ring_begin_writing(ours);
	expect(ring_await_bytes(&client.in, RING_POLLS));
	expect(stream_writev(ours, &iov, 1) == sizeof(bytes));
	expect(client_hears() == 1);
	expect(ring_available(&client.in) == sizeof(bytes));
	stream_finish(ours);
	expect(ring_take(&client.in, bytes, sizeof(bytes), &how) == sizeof(bytes));
	expect(ring_is_at_end(&client.in));
	close_rings();
}

static void test_go_on_to_larger_rings(void **state)
{
	(void)state;
	run_everywhere(go_on);
}

static void decline(void)
{
	char text[16];

	open_sockets();
	expect(stream_ring_new(ours) == 0);
	expect(stream_ring_offer(ours, "offer", 5, NO_STALL) == 0);
	stream_ring_drop(ours);
	expect(write_text("on") == 2);
	expect(recv(client.socket, text, sizeof(text), 0) == 5); /* the kernel ends a read there */
	expect(recv(client.socket, text, sizeof(text), 0) == 2);
	expect(write(client.socket, "back", 4) == 4);
	expect(stream_read(ours, text, sizeof(text)) == 4);
	expect(stream_is_drained(ours, 4, sizeof(text)));
	stream_finish(ours);
	expect(client_reads_socket() == 0);
	stream_free(ours);
	close(client.socket);
}

static void test_what_is_declined_stays_a_socket(void **state)
{
	(void)state;
	run_everywhere(decline);
}

/* Too many descriptors are on their way for our user: nothing was said, and the socket goes on. */
static void withhold(void)
{
	char text[16];
	int before;

	open_sockets();
	before = descriptors_open();
	expect(stream_ring_new(ours) == 0);
	no_rights = true;
	expect(stream_ring_offer(ours, "offer", 5, NO_STALL) == -ETOOMANYREFS);
	no_rights = false;
	stream_ring_drop(ours);
	expect(descriptors_open() == before);
	expect(client_reads_socket() == -EAGAIN);
	expect(write_text("on") == 2);
	expect(recv(client.socket, text, sizeof(text), 0) == 2);
	expect(write(client.socket, "back", 4) == 4);
	expect(stream_read(ours, text, sizeof(text)) == 4);
	stream_free(ours);
	close(client.socket);
}

static void test_what_cannot_be_offered(void **state)
{
	(void)state;
	run_everywhere(withhold);
}

/* ---- many bytes ------------------------------------------------------------------------------ */

static atomic_size_t bytes_read;
static atomic_bool ended;

static void read_all(void *arg)
{
	static uint8_t bytes[65536];
	ssize_t n;

	(void)arg;
	while ((n = stream_read(ours, bytes, sizeof(bytes))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			expect(bytes[i] == pattern(bytes_read + (size_t)i));
		bytes_read += (size_t)n;
	}
	if (n == -EAGAIN) {
		stream_on_readable(ours, read_all, NULL);
		return;
	}
	expect(n == 0);
	ended = true;
}

static void client_writes_all(void)
{
	uint8_t run[5000];
	size_t sent = 0;

	while (sent < STREAM_BYTES) {
		size_t room = (size_t)ring_room(&client.out), n;

		if (room == 0) {
			if (ring_await_room(&client.out, RING_POLLS))
				while (client_hears() < 0)
					go_yield();
			continue;
		}
		n = room < sizeof(run) ? room : sizeof(run);
		n = n < STREAM_BYTES - sent ? n : STREAM_BYTES - sent;
		for (size_t i = 0; i < n; i++)
			run[i] = pattern(sent + i);
		ring_put(&client.out, run, n);
		client_shows(ring_show(&client.out));
		sent += n;
	}
	client_shows(ring_finish(&client.out));
}

static void read_stream(void)
{
	bytes_read = 0;
	ended = false;
	open_rings();
	read_all(NULL);
	client_writes_all();
	while (!ended)
		go_yield();
	expect(bytes_read == STREAM_BYTES);
	close_rings();
}

static void test_readers_begin_when_the_bell_is_rung(void **state)
{
	(void)state;
	run_everywhere(read_stream);
}

static void write_all(void)
{
	uint8_t *bytes = malloc(STREAM_BYTES);
	struct iovec iov[] = {{bytes, 0}, {bytes, 1}, {bytes + 1, 70000}, {bytes + 70001, 0},
		{bytes + 70001, STREAM_BYTES - 70001}};

	for (size_t i = 0; i < STREAM_BYTES; i++)
		bytes[i] = pattern(i);
	expect(stream_write_all(ours, iov, 5, NO_STALL) == 0);
	stream_finish(ours);
	free(bytes);
	ended = true; /* ours is not touched any more */
}

static void write_stream(void)
{
	static uint8_t bytes[3000];
	size_t got = 0;

	ended = false;
	open_rings();
	expect(go(write_all) == 0);
	while (!ring_is_at_end(&client.in)) {
		enum ring_wait how;
		long n = ring_take(&client.in, bytes, sizeof(bytes), &how);

		expect(n >= 0);
		for (long i = 0; i < n; i++)
			expect(bytes[i] == pattern(got + (size_t)i));
		got += (size_t)n;
		client_shows(how);
		if (n == 0 && ring_await_bytes(&client.in, RING_POLLS))
			while (client_hears() < 0)
				go_yield();
	}
	expect(got == STREAM_BYTES);
	while (!ended)
		go_yield();
	close_rings();
}

static void test_writers_park_until_there_is_room(void **state)
{
	(void)state;
	run_everywhere(write_stream);
}

static void stall(void)
{
	static uint8_t bytes[STREAM_RING_BYTES + 1];
	struct iovec iov = {bytes, sizeof(bytes)};
	int64_t began_ns = clock_now_ns();

	open_rings();
	expect(stream_write_all(ours, &iov, 1, 20 * NS_PER_MS) == -ETIMEDOUT);
	expect(clock_now_ns() - began_ns >= 20 * NS_PER_MS);
	close_rings();
}

static void test_stall(void **state)
{
	(void)state;
	run_everywhere(stall);
}

static atomic_bool ringing;

static void ring_all_the_time(void)
{
	while (ringing) {
		expect(eventfd_write(client.bell, 1) == 0);
		go_yield();
	}
	ended = true;
}

/* Who rings and takes nothing has the writer look again, but gains no time by that. */
static void stall_ringing(void)
{
	static uint8_t bytes[STREAM_RING_BYTES + 1];
	struct iovec iov = {bytes, sizeof(bytes)};

	open_rings();
	ended = false;
	ringing = true;
	expect(go(ring_all_the_time) == 0);
	expect(stream_write_all(ours, &iov, 1, 20 * NS_PER_MS) == -ETIMEDOUT);
	ringing = false;
	while (!ended)
		go_yield();
	close_rings();
}

static void test_ringing_is_no_progress(void **state)
{
	(void)state;
	run_everywhere(stall_ringing);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void wait_until_closed(void)
{
	while (!netpoll_is_closed(ours->poll))
		expect(netpoll_wait(ours->poll, NETPOLL_READ, clock_deadline_ns(5 * NS_PER_S)) ==
			0);
}

/* What it has written is read; what somebody with its memory adds later is not. */
static void client_dies(void)
{
	char text[16];

	open_rings();
	client_writes("last words");
	close(client.socket);
	wait_until_closed();
	expect(stream_read(ours, text, 4) == 4);
	client_writes("ghost");
	expect(stream_read(ours, text, sizeof(text)) == 6);
	expect(stream_read(ours, text, sizeof(text)) == 0);
	expect(write_text("x") == -EPIPE);
	expect(stream_gone(ours));
	client.socket = -1;
	close_rings();
}

static void test_client_dies(void **state)
{
	(void)state;
	run_everywhere(client_dies);
}

static void note_end(void *arg)
{
	char byte;

	(void)arg;
	expect(stream_read(ours, &byte, 1) == 0);
	ended = true;
}

/* From whatever thread: who waits for the client is started, though that says nothing, or more. */
static void shut_down(void)
{
	char byte;

	open_rings();
	ended = false;
	expect(stream_read(ours, &byte, 1) == -EAGAIN);
	stream_on_readable(ours, note_end, NULL);
	stream_shutdown(ours, SHUT_RD);
	while (!ended)
		go_yield();
	client_writes("more");
	expect(stream_read(ours, &byte, 1) == 0);
	expect(write_text("x") == 1);
	stream_shutdown(ours, SHUT_RDWR);
	expect(write_text("x") == -EPIPE);
	expect(client_reads_socket() == 0);
	close_rings();
}

static void test_shut_down(void **state)
{
	(void)state;
	run_everywhere(shut_down);
}

/* ---- clients that mean no good --------------------------------------------------------------- */

static void nonsense(void)
{
	char byte;

	open_rings();
	atomic_store(&client.out.memory->written, STREAM_RING_BYTES + 1);
	expect(stream_read(ours, &byte, 1) == -EPROTO);
	atomic_store(&client.in.memory->read, 1);
	expect(write_text("x") == -EPROTO);
	close_rings();
}

static void test_impossible_positions(void **state)
{
	(void)state;
	run_everywhere(nonsense);
}

/* A bell that nobody takes, or that a client has filled and made blocking, stops nobody. */
static void abuse_bells(void)
{
	char text[4];

	open_rings();
	expect(eventfd_write(client.bell, UINT64_MAX - 1) == 0);
	expect(fcntl(client.bell, F_SETFL, 0) == 0);
	for (int i = 0; i < 70000; i++) {
		enum ring_wait how;

		atomic_store(&client.in.memory->reader_waits, RING_POLLS);
		expect(write_text("x") == 1);
		expect(ring_take(&client.in, text, sizeof(text), &how) == 1);
	}
	client_writes("alive");
	expect(stream_read(ours, text, sizeof(text)) == 4);
	close_rings();
}

static void test_bells_that_are_abused(void **state)
{
	(void)state;
	run_everywhere(abuse_bells);
}

static void begin_unsealed(void)
{
	get_offer();
	expect(stream_ring_begin_reading(ours) == -EPERM);
	close_rings();
}

static void test_memory_that_is_not_sealed(void **state)
{
	(void)state;
	run_everywhere(begin_unsealed);
}

static size_t resident_bytes(void)
{
	struct stat st;

	expect(fstat(client.memory, &st) == 0);
	return (size_t)st.st_blocks * 512;
}

/* The daemon brings no page of the memory, which a client may keep, and takes only memory that is
 * whole; of that the client can take nothing away. */
static void punch(void)
{
	const size_t bytes = ring_pair_bytes(STREAM_RING_BYTES);
	const int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	get_offer();
	expect(resident_bytes() == 0);
	fill(client.memory, STREAM_RING_BYTES);
	expect(fallocate(client.memory, hole, 4096, 4096) == 0);
	seal(client.memory);
	expect(stream_ring_begin_reading(ours) == -EPERM);
	expect(resident_bytes() == bytes - 4096);
	fill(client.memory, STREAM_RING_BYTES);
	expect(stream_ring_begin_reading(ours) == 0);
	expect(fallocate(client.memory, hole, 4096, 8192) < 0);
	expect(madvise(client.pair, 4096, MADV_REMOVE) < 0);
	expect(resident_bytes() == bytes);
	client_writes("still there");
	close_rings();
}

static void test_memory_with_holes(void **state)
{
	(void)state;
	run_everywhere(punch);
}

static void scribble(struct dice *d)
{
	_Atomic uint32_t *words = (void *)client.pair;
	const uint32_t ring_words = (RING_HEADER_BYTES + STREAM_RING_BYTES) / 4;

	test_time_limit();
	for (;;) {
		uint32_t at = dice_choose(d, dice_choose(d, 4) ? 64 : ring_words);

		atomic_store_explicit(&words[dice_choose(d, 2) * ring_words + at],
			dice_choose(d, dice_choose(d, 2) ? 2 * STREAM_RING_BYTES : UINT32_MAX),
			memory_order_relaxed);
	}
}

/* A process that writes anything anywhere in the memory, all the time. */
static void face_scribbler(void)
{
	static uint8_t bytes[65536];
	struct dice d = {3};
	pid_t pid;

	open_rings();
	pid = fork();
	if (pid == 0)
		scribble(&d);
	expect(pid > 0);
	for (int i = 0; i < 20000; i++) {
		struct iovec iov[] = {{bytes, dice_choose(&d, 1000)}, {bytes, 1 + i % 60000}};
		ssize_t n = stream_read(ours, bytes, 1 + dice_choose(&d, sizeof(bytes)));

		expect(n == -EPROTO || n == -EAGAIN || (n >= 0 && n <= (ssize_t)sizeof(bytes)));
		n = stream_writev(ours, iov, 2);
		expect(n == -EPROTO || n == -EAGAIN || (n > 0 && n <= STREAM_RING_BYTES));
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close_rings();
}

static void test_scribbler(void **state)
{
	(void)state;
	run_everywhere(face_scribbler);
}

/* Descriptors that a client sends are dropped by the kernel, before and after it has rings. */
static void send_descriptor(void)
{
	int before;
	char byte;

	open_sockets();
	before = descriptors_open();
	expect(descriptors_send(client.socket, "x", 1, &client.socket, 1) == 1);
	expect(stream_read(ours, &byte, 1) == 1);
	expect(descriptors_open() == before);
	stream_free(ours);
	close(client.socket);
}

static void test_descriptors_of_clients_are_dropped(void **state)
{
	(void)state;
	run_everywhere(send_descriptor);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_go_over),
		cmocka_unit_test(test_go_on_to_larger_rings),
		cmocka_unit_test(test_what_is_declined_stays_a_socket),
		cmocka_unit_test(test_what_cannot_be_offered),
		cmocka_unit_test(test_readers_begin_when_the_bell_is_rung),
		cmocka_unit_test(test_writers_park_until_there_is_room),
		cmocka_unit_test(test_stall),
		cmocka_unit_test(test_ringing_is_no_progress),
		cmocka_unit_test(test_client_dies),
		cmocka_unit_test(test_shut_down),
		cmocka_unit_test(test_impossible_positions),
		cmocka_unit_test(test_bells_that_are_abused),
		cmocka_unit_test(test_memory_that_is_not_sealed),
		cmocka_unit_test(test_memory_with_holes),
		cmocka_unit_test(test_scribbler),
		cmocka_unit_test(test_descriptors_of_clients_are_dropped),
	};

	return cmocka_run_group_tests_name("stream_ring", tests, NULL, NULL);
}
