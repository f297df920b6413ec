/* test_client_rings.c - libchan's side of rings, with a broker by hand that may mean no good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/clock.h"
#include "client/stream.h"
#include "proto/ring.h"
#include "tests/support/bell.h"
#include "tests/support/descriptors.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RING_BYTES 65536u
#define LARGER_RING_BYTES 131072u
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

static struct stream s; /* the client's */

static struct {
	int socket, memory, larger, bell; /* larger: memory */
	struct bell client_bell;
	void *pair, *larger_pair;
	struct ring_reader in;
	struct ring_writer out;
} broker;

/* Whether the kernel has no pages left (the linker has our objects call this for fallocate). */
static bool no_pages;

int __real_fallocate(int fd, int mode, off_t at, off_t n);
int __wrap_fallocate(int fd, int mode, off_t at, off_t n);
int __wrap_fallocate(int fd, int mode, off_t at, off_t n)
{
	if (!no_pages)
		return __real_fallocate(fd, mode, at, n);
	errno = ENOSPC;
	return -1;
}

/* ---- the broker by hand ---- */

static int set_up(void **state)
{
	int fds[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	s = (struct stream){.ops = &stream_socket_ops, .fd = fds[0]};
	broker.socket = fds[1];
	broker.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bell_init(&broker.client_bell) < 0)
		return -1;
	broker.memory = broker.larger = -1;
	broker.pair = broker.larger_pair = NULL;
	return stream_expect_rings(&s);
}

static int tear_down(void **state)
{
	(void)state;
	s.ops->close(&s);
	if (broker.pair)
		munmap(broker.pair, ring_pair_bytes(RING_BYTES));
	if (broker.larger_pair)
		munmap(broker.larger_pair, ring_pair_bytes(LARGER_RING_BYTES));
	if (broker.socket >= 0)
		close(broker.socket);
	close(broker.bell);
	bell_fini(&broker.client_bell);
	close(broker.memory);
	close(broker.larger);
	return 0;
}

static int memory_of(size_t bytes, int seals)
{
	int fd = memfd_create("rings", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void make_memory(size_t bytes, int seals)
{
	broker.memory = memory_of(bytes, seals);
}

/* With so many of: two descriptors, the client's bell, the larger memory, and one that is none of an
 * offer's. */
static void send_offer(int first, int second, size_t count)
{
	int fds[] = {first, second, broker.client_bell.hear, broker.larger, broker.socket};
	char text[8];

	assert_int_equal(descriptors_send(broker.socket, "offer", 5, fds, count), 5);
	assert_int_equal(s.ops->read(&s, text, sizeof(text), true), 5);
}

static void begin(void)
{
	size_t bytes = ring_pair_bytes(RING_BYTES);

	make_memory(bytes, SEALS);
	broker.pair = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, broker.memory, 0);
	ring_reader_init(&broker.in, ring_of_pair(broker.pair, RING_BYTES, 0), RING_BYTES);
	ring_writer_init(&broker.out, ring_of_pair(broker.pair, RING_BYTES, 1), RING_BYTES);
	send_offer(broker.memory, broker.bell, broker.larger < 0 ? 3 : 4);
	assert_int_equal(stream_take_rings(&s, RING_BYTES, LARGER_RING_BYTES), 0);
	stream_begin_ring_writing(&s);
	stream_begin_ring_reading(&s);
}

static void begin_with_larger(void)
{
	size_t bytes = ring_pair_bytes(LARGER_RING_BYTES);

	broker.larger = memory_of(bytes, SEALS);
	broker.larger_pair =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, broker.larger, 0);
	begin();
}

static void wake(enum ring_wait how, _Atomic uint32_t *waits)
{
	if (how == RING_SLEEPS)
		syscall(SYS_futex, waits, FUTEX_WAKE, 1, NULL, NULL, 0);
	else if (how == RING_POLLS)
		assert_int_equal(eventfd_write(broker.client_bell.ring, 1), 0);
}

static void broker_writes(const char *text)
{
	ring_put(&broker.out, text, strlen(text));
	wake(ring_show(&broker.out), &broker.out.memory->reader_waits);
}

static struct pollfd watched(bool reader, bool output)
{
	struct pollfd p;

	stream_watch(&s, reader, output, &p);
	return p;
}

/* As a program does that polls: whether it need not wait. */
static int poll_watched(bool reader, bool output)
{
	struct pollfd p = watched(reader, output);

	return poll(&p, 1, 0);
}

/* ---- offers ---- */

/* It cannot be used, nothing of it stays open, and the socket is what it was. */
static void assert_useless(int first, int second, size_t count, uint32_t ring_bytes)
{
	int before = descriptors_open();
	char text[8];

	send_offer(first, second, count);
	assert_true(stream_take_rings(&s, ring_bytes, 0) < 0);
	assert_int_equal(descriptors_open(), before);
	assert_int_equal(s.ops->write(&s, "on", 2), 2);
	assert_int_equal(recv(broker.socket, text, sizeof(text), 0), 2);
	assert_int_equal(send(broker.socket, "back", 4, 0), 4);
	assert_int_equal(s.ops->read(&s, text, sizeof(text), true), 4);
}

static void test_no_descriptors(void **state)
{
	(void)state;
	assert_useless(-1, -1, 0, RING_BYTES);
}

static void test_one_descriptor(void **state)
{
	(void)state;
	make_memory(ring_pair_bytes(RING_BYTES), SEALS);
	assert_useless(broker.memory, -1, 1, RING_BYTES);
}

static void test_no_bell_of_ours(void **state)
{
	(void)state;
	make_memory(ring_pair_bytes(RING_BYTES), SEALS);
	assert_useless(broker.memory, broker.bell, 2, RING_BYTES);
}

/* What is no epoll descriptor might never be ready, or always. */
static void test_something_else_as_our_bell(void **state)
{
	int hear = broker.client_bell.hear;

	(void)state;
	make_memory(ring_pair_bytes(RING_BYTES), SEALS);
	broker.client_bell.hear = broker.memory;
	assert_useless(broker.memory, broker.bell, 3, RING_BYTES);
	broker.client_bell.hear = broker.bell;
	assert_useless(broker.memory, broker.bell, 3, RING_BYTES);
	broker.client_bell.hear = hear;
}

static void test_the_wrong_way_round(void **state)
{
	(void)state;
	make_memory(ring_pair_bytes(RING_BYTES), SEALS);
	assert_useless(broker.bell, broker.memory, 3, RING_BYTES);
}

static void test_memory_that_could_shrink(void **state)
{
	(void)state;
	make_memory(ring_pair_bytes(RING_BYTES), F_SEAL_GROW);
	assert_useless(broker.memory, broker.bell, 3, RING_BYTES);
}

/* Who holds it could take pages of it away again. */
static void test_memory_that_takes_no_further_seal(void **state)
{
	(void)state;
	make_memory(ring_pair_bytes(RING_BYTES), SEALS | F_SEAL_SEAL);
	assert_useless(broker.memory, broker.bell, 3, RING_BYTES);
}

/* Nobody says that there are any. */
static void test_memory_of_huge_pages(void **state)
{
	(void)state;
	broker.memory = memfd_create("rings", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
	if (broker.memory < 0 || ftruncate(broker.memory, 1 << 30) < 0 ||
		fcntl(broker.memory, F_ADD_SEALS, SEALS) < 0)
		skip();
	assert_useless(broker.memory, broker.bell, 3, RING_BYTES);
}

/* Holes that a broker has made are filled, and it makes no more. */
static void test_memory_that_has_holes(void **state)
{
	const int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	const size_t bytes = ring_pair_bytes(RING_BYTES);
	struct stat st;

	(void)state;
	begin();
	assert_int_equal(fstat(broker.memory, &st), 0);
	assert_int_equal(st.st_blocks * 512, bytes);
	assert_true(fallocate(broker.memory, hole, 0, 4096) < 0);
	assert_true(madvise(broker.pair, 4096, MADV_REMOVE) < 0);
}

/* A touch would kill us where there is no page. */
static void test_memory_that_cannot_be_filled(void **state)
{
	(void)state;
	make_memory(ring_pair_bytes(RING_BYTES), SEALS);
	no_pages = true;
	assert_useless(broker.memory, broker.bell, 3, RING_BYTES);
	no_pages = false;
}

static void test_memory_that_is_too_small(void **state)
{
	(void)state;
	make_memory(ring_pair_bytes(RING_BYTES) - 1, SEALS);
	assert_useless(broker.memory, broker.bell, 3, RING_BYTES);
}

static void test_sizes_that_are_none(void **state)
{
	(void)state;
	make_memory(ring_pair_bytes(RING_BYTES), SEALS);
	assert_useless(broker.memory, broker.bell, 3, RING_BYTES - 4096);
	assert_useless(broker.memory, broker.bell, 3, 0);
	assert_useless(broker.memory, broker.bell, 3, 2048);
	assert_useless(broker.memory, broker.bell, 3, 1u << 31);
}

/* The first that came are closed when others come. */
static void test_two_offers(void **state)
{
	int before;

	(void)state;
	make_memory(ring_pair_bytes(RING_BYTES), SEALS);
	send_offer(broker.memory, broker.bell, 3);
	before = descriptors_open();
	send_offer(broker.memory, broker.bell, 3);
	assert_int_equal(descriptors_open(), before);
}

/* What is beside an offer's does not come. */
static void test_five_descriptors(void **state)
{
	int before;

	(void)state;
	make_memory(ring_pair_bytes(RING_BYTES), SEALS);
	broker.larger = memory_of(ring_pair_bytes(LARGER_RING_BYTES), SEALS);
	before = descriptors_open();
	send_offer(broker.memory, broker.bell, 5);
	assert_int_equal(descriptors_open(), before + 4);
}

/* A socket that takes no more is waited for as ever, as long as no rings were begun. */
static void test_waiting_for_the_socket(void **state)
{
	(void)state;
	assert_int_equal(stream_await(&s, POLLIN | POLLOUT, 0), 1);
	assert_int_equal(stream_await(&s, POLLIN, 0), 0);
	assert_int_equal(watched(true, true).fd, s.fd);
	assert_int_equal(watched(true, true).events, POLLIN | POLLOUT);
	assert_int_equal(watched(true, false).events, POLLIN);
}

/* ---- larger rings ---- */

static void go_on_reading(void)
{
	stream_begin_ring_reading(&s);
	ring_writer_init(&broker.out, ring_of_pair(broker.larger_pair, LARGER_RING_BYTES, 1),
		LARGER_RING_BYTES);
}

static void go_on_writing(void)
{
	stream_begin_ring_writing(&s);
	ring_reader_init(&broker.in, ring_of_pair(broker.larger_pair, LARGER_RING_BYTES, 0),
		LARGER_RING_BYTES);
}

/* Each direction by itself; who waits is woken in the one as in the other. */
static void test_on_to_larger_rings(void **state)
{
	static char bytes[LARGER_RING_BYTES + 1];
	enum ring_wait how;

	(void)state;
	begin_with_larger();
	assert_int_equal(stream_take_larger_rings(&s), 0);
	assert_int_equal(s.ops->write(&s, "first", 5), 5);
	assert_int_equal(ring_take(&broker.in, bytes, sizeof(bytes), &how), 5);
	go_on_writing();
	assert_int_equal(s.ops->write(&s, bytes, sizeof(bytes)), LARGER_RING_BYTES);
	assert_int_equal(ring_available(&broker.in), LARGER_RING_BYTES);
	assert_int_equal(s.ops->write(&s, bytes, 1), -EAGAIN);
	assert_int_equal(poll_watched(true, true), 0);
	assert_int_equal(
		ring_take(&broker.in, bytes, LARGER_RING_BYTES, &how), LARGER_RING_BYTES);
	assert_int_equal(poll_watched(true, true), 1);
	broker_writes("first");
	assert_int_equal(s.ops->read(&s, bytes, sizeof(bytes), false), 5);
	go_on_reading();
	assert_int_equal(s.ops->read(&s, bytes, sizeof(bytes), false), -EAGAIN);
	assert_int_equal(poll_watched(true, false), 0);
	broker_writes("larger");
	assert_int_equal(poll_watched(true, false), 1);
	assert_int_equal(s.ops->read(&s, bytes, sizeof(bytes), true), 6);
}

/* The first ones do, then. */
static void assert_stays(void)
{
	int before = descriptors_open();
	char text[8];

	assert_true(stream_take_larger_rings(&s) < 0);
	assert_true(stream_take_larger_rings(&s) < 0);
	assert_true(descriptors_open() <= before);
	broker_writes("down");
	assert_int_equal(s.ops->read(&s, text, sizeof(text), true), 4);
	assert_int_equal(s.ops->write(&s, "up", 2), 2);
	assert_int_equal(ring_available(&broker.in), 2);
}

static void test_larger_rings_that_did_not_come(void **state)
{
	(void)state;
	begin();
	assert_stays();
}

/* They are let go of at once, and not asked for. */
static void test_larger_rings_that_are_not_larger(void **state)
{
	int before;

	(void)state;
	make_memory(ring_pair_bytes(RING_BYTES), SEALS);
	broker.larger = memory_of(ring_pair_bytes(RING_BYTES), SEALS);
	send_offer(broker.memory, broker.bell, 4);
	before = descriptors_open();
	assert_int_equal(stream_take_rings(&s, RING_BYTES, RING_BYTES), 0);
	assert_int_equal(descriptors_open(), before - 2);
	assert_true(stream_take_larger_rings(&s) < 0);
}

static void test_larger_rings_that_are_too_small(void **state)
{
	(void)state;
	broker.larger = memory_of(ring_pair_bytes(LARGER_RING_BYTES) - 1, SEALS);
	begin();
	assert_stays();
}

static void test_larger_rings_that_cannot_be_filled(void **state)
{
	(void)state;
	begin_with_larger();
	no_pages = true;
	assert_stays();
	no_pages = false;
}

/* ---- bytes ---- */

static void test_both_ways(void **state)
{
	enum ring_wait how;
	uint64_t rung;
	char text[8];

	(void)state;
	begin();
	assert_int_equal(s.ops->read(&s, text, sizeof(text), false), -EAGAIN);
	broker_writes("down");
	assert_int_equal(s.ops->read(&s, text, sizeof(text), false), 4);
	assert_true(ring_await_bytes(&broker.in, RING_POLLS));
	assert_int_equal(s.ops->write(&s, "up", 2), 2);
	assert_int_equal(eventfd_read(broker.bell, &rung), 0);
	assert_int_equal(ring_take(&broker.in, text, sizeof(text), &how), 2);
	s.ops->finish(&s);
	assert_true(ring_is_at_end(&broker.in));
	ring_finish(&broker.out);
	assert_int_equal(s.ops->read(&s, text, sizeof(text), true), 0);
}

/* The descriptor is readable as long as there is something to do, and not otherwise. */
static void test_the_descriptor_is_polled_by_level(void **state)
{
	struct pollfd p;
	char text[8];

	(void)state;
	begin();
	p = watched(true, false);
	assert_int_equal(poll(&p, 1, 0), 0);
	broker_writes("x");
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(poll_watched(true, false), 1);
	assert_int_equal(s.ops->read(&s, text, sizeof(text), false), 1);
	assert_int_equal(s.ops->read(&s, text, sizeof(text), false), -EAGAIN);
	assert_int_equal(poll(&p, 1, 0), 0);
}

/* What came before anybody asked for the bell is found by who asks; whether it is the descriptor or the events
 * that are asked for first, the two go together. */
static void test_what_came_before_the_question(void **state)
{
	struct pollfd first, second;
	char text[8];

	(void)state;
	begin();
	broker_writes("x"); /* and has no reason to ring */
	first = watched(true, false);
	second = watched(true, false);
	second.fd = first.fd;
	assert_int_equal(poll(&first, 1, 0), 1);
	assert_int_equal(poll(&second, 1, 0), 1);
	assert_int_equal(s.ops->read(&s, text, sizeof(text), false), 1);
	first = watched(true, false);
	broker_writes("y"); /* between the questions */
	second = watched(true, false);
	assert_int_equal(poll(&first, 1, 0), 1);
	assert_int_equal(poll(&second, 1, 0), 1);
	assert_int_equal(s.ops->read(&s, text, sizeof(text), false), 1);
	assert_int_equal(s.ops->read(&s, text, sizeof(text), false), -EAGAIN);
	assert_int_equal(poll_watched(true, false), 0);
}

static void *write_later(void *arg)
{
	usleep(*(useconds_t *)arg);
	broker_writes("late");
	return NULL;
}

/* Who waits is woken, be it soon, by the futex, or later, by the bell. */
static void test_blocking_reads_are_woken(void **state)
{
	useconds_t pauses_us[] = {100, 2000, 50000};
	pthread_t thread;
	char text[8];

	(void)state;
	begin();
	s.ops->wait_max(&s, 60 * NS_PER_S);
	for (int i = 0; i < 3; i++) {
		ssize_t n;

		assert_int_equal(pthread_create(&thread, NULL, write_later, &pauses_us[i]), 0);
		do
			n = s.ops->read(&s, text, sizeof(text), true);
		while (n == -EAGAIN || n == -EINTR); /* by a stop, for one */
		assert_int_equal(n, 4);
		pthread_join(thread, NULL);
	}
}

static void test_a_wait_has_an_end(void **state)
{
	char text[8];
	ssize_t n;

	(void)state;
	begin();
	s.ops->wait_max(&s, 20 * NS_PER_MS);
	do
		n = s.ops->read(&s, text, sizeof(text), true);
	while (n == -EINTR);
	assert_int_equal(n, -EAGAIN);
	assert_int_equal(stream_await(&s, POLLIN, 1), 0);
}

static void *read_later(void *arg)
{
	static char bytes[RING_BYTES];
	enum ring_wait how;

	usleep(*(useconds_t *)arg);
	ring_take(&broker.in, bytes, sizeof(bytes), &how);
	wake(how, &broker.in.memory->writer_waits);
	return NULL;
}

static void test_room_is_waited_for(void **state)
{
	static char bytes[RING_BYTES];
	useconds_t pause_us = 2000;
	pthread_t thread;

	(void)state;
	begin();
	for (int i = 0; i < 2; i++) {
		assert_int_equal(s.ops->write(&s, bytes, sizeof(bytes)), sizeof(bytes));
		assert_int_equal(s.ops->write(&s, bytes, 1), -EAGAIN);
		assert_int_equal(stream_await(&s, i ? POLLIN | POLLOUT : POLLOUT, 1), 0);
		assert_int_equal(pthread_create(&thread, NULL, read_later, &pause_us), 0);
		assert_int_equal(stream_await(&s, i ? POLLIN | POLLOUT : POLLOUT, 60000), 1);
		pthread_join(thread, NULL);
	}
}

/* ---- brokers that die, or lie ---- */

static void die(void)
{
	close(broker.socket);
	broker.socket = -1;
}

static void *die_later(void *arg)
{
	usleep(*(useconds_t *)arg);
	die();
	return NULL;
}

static void test_the_broker_dies(void **state)
{
	useconds_t pauses_us[] = {0, 1000, 30000};
	pthread_t thread;
	char text[8];

	for (int i = 0; i < 3; i++) {
		if (i > 0)
			set_up(state);
		begin();
		broker_writes("last");
		assert_int_equal(pthread_create(&thread, NULL, die_later, &pauses_us[i]), 0);
		assert_int_equal(s.ops->read(&s, text, sizeof(text), true), 4);
		assert_int_equal(s.ops->read(&s, text, sizeof(text), true), 0);
		pthread_join(thread, NULL);
		if (i < 2)
			tear_down(state);
	}
}

/* A program that polls is told by our bell, which tells of the socket. */
static void test_the_broker_dies_unheard(void **state)
{
	char text[8];

	(void)state;
	begin();
	assert_int_equal(poll_watched(true, false), 0);
	broker_writes("last");
	die();
	assert_int_equal(poll_watched(true, false), 1);
	assert_int_equal(s.ops->read(&s, text, sizeof(text), false), 4);
	assert_int_equal(poll_watched(true, false), 1);
	assert_int_equal(s.ops->read(&s, text, sizeof(text), false), 0);
}

/* Shuts the connection down and stays alive, as for a client that is too slow. */
static void test_the_broker_shuts_down(void **state)
{
	char text[8];

	(void)state;
	begin();
	assert_int_equal(s.ops->read(&s, text, sizeof(text), false), -EAGAIN);
	broker_writes("last");
	assert_int_equal(s.ops->read(&s, text, sizeof(text), false), 4);
	assert_int_equal(s.ops->read(&s, text, sizeof(text), false), -EAGAIN);
	assert_int_equal(poll_watched(true, false), 0);
	assert_int_equal(shutdown(broker.socket, SHUT_RDWR), 0);
	assert_int_equal(poll_watched(true, false), 1);
	assert_int_equal(s.ops->read(&s, text, sizeof(text), false), 0);
}

/* Another thread cuts it, who polls comes back. */
static void test_it_is_cut(void **state)
{
	char text[8];

	(void)state;
	begin();
	assert_int_equal(poll_watched(true, false), 0);
	stream_cut(&s);
	assert_int_equal(poll_watched(true, false), 1);
	assert_int_equal(s.ops->read(&s, text, sizeof(text), false), 0);
}

static void test_impossible_positions(void **state)
{
	char text[8];

	(void)state;
	begin();
	atomic_store(&broker.out.memory->written, RING_BYTES + 1);
	assert_int_equal(s.ops->read(&s, text, sizeof(text), true), -EPROTO);
	assert_int_equal(s.ops->read(&s, text, sizeof(text), false), -EPROTO);
	atomic_store(&broker.in.memory->read, 1);
	assert_int_equal(s.ops->write(&s, "x", 1), -EPROTO);
}

/* One that rings without a reason keeps nobody busy for ever. */
static void test_a_bell_without_a_reason(void **state)
{
	char text[8];

	(void)state;
	begin();
	for (int i = 0; i < 100; i++)
		assert_int_equal(eventfd_write(broker.client_bell.ring, 1), 0);
	assert_int_equal(s.ops->read(&s, text, sizeof(text), false), -EAGAIN);
	assert_int_equal(s.ops->read(&s, text, sizeof(text), false), -EAGAIN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_descriptors),
		TEST(one_descriptor),
		TEST(no_bell_of_ours),
		TEST(something_else_as_our_bell),
		TEST(the_wrong_way_round),
		TEST(memory_that_could_shrink),
		TEST(memory_that_takes_no_further_seal),
		TEST(memory_of_huge_pages),
		TEST(memory_that_has_holes),
		TEST(memory_that_cannot_be_filled),
		TEST(memory_that_is_too_small),
		TEST(sizes_that_are_none),
		TEST(two_offers),
		TEST(five_descriptors),
		TEST(waiting_for_the_socket),
		TEST(on_to_larger_rings),
		TEST(larger_rings_that_are_not_larger),
		TEST(larger_rings_that_did_not_come),
		TEST(larger_rings_that_are_too_small),
		TEST(larger_rings_that_cannot_be_filled),
		TEST(both_ways),
		TEST(the_descriptor_is_polled_by_level),
		TEST(what_came_before_the_question),
		TEST(blocking_reads_are_woken),
		TEST(a_wait_has_an_end),
		TEST(room_is_waited_for),
		TEST(the_broker_dies),
		TEST(the_broker_dies_unheard),
		TEST(the_broker_shuts_down),
		TEST(it_is_cut),
		TEST(impossible_positions),
		TEST(a_bell_without_a_reason),
	};

	return cmocka_run_group_tests_name("client rings", tests, NULL, NULL);
}
