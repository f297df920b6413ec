/* test_client_ring.c - the client's end of a pair of rings, with a broker by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/stream.h"
#include "proto/ring.h"
#include "tests/support/bell.h"
#include "tests/support/descriptors.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define RING_BYTES RING_BYTES_MIN

static struct stream s;

static struct {
	int socket;
	struct bell client_bell;
	void *pair;
	struct ring_reader in;
} broker;

static int setup(void **state)
{
	int fds[2], memory = memfd_create("ring", MFD_ALLOW_SEALING), bell = eventfd(0, 0);
	char byte;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	s = (struct stream){.ops = &stream_socket_ops, .fd = fds[0]};
	broker.socket = fds[1];
	assert_int_equal(ftruncate(memory, (off_t)ring_pair_bytes(RING_BYTES)), 0);
	assert_int_equal(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	broker.pair = mmap(
		NULL, ring_pair_bytes(RING_BYTES), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	assert_ptr_not_equal(broker.pair, MAP_FAILED);
	ring_reader_init(&broker.in, ring_of_pair(broker.pair, RING_BYTES, 0), RING_BYTES);
	assert_int_equal(stream_expect_rings(&s), 0);
	assert_int_equal(bell_init(&broker.client_bell), 0);
	assert_int_equal(descriptors_send(broker.socket, "o", 1,
				 (int[]){memory, bell, broker.client_bell.hear}, 3),
		1);
	assert_int_equal(s.ops->read(&s, &byte, 1, false), 1);
	assert_int_equal(stream_take_rings(&s, RING_BYTES, 0), 0);
	stream_begin_ring_reading(&s);
	stream_begin_ring_writing(&s);
	close(memory);
	close(bell);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	s.ops->close(&s);
	close(broker.socket);
	bell_fini(&broker.client_bell);
	munmap(broker.pair, ring_pair_bytes(RING_BYTES));
	return 0;
}

static void fill(void)
{
	static const char bytes[RING_BYTES];

	assert_int_equal(s.ops->write(&s, bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(s.ops->write(&s, bytes, 1), -EAGAIN);
}

/* As a program does that polls: whether it need not wait. */
static int poll_watched(bool reader, bool output)
{
	struct pollfd p;

	stream_watch(&s, reader, output, &p);
	return poll(&p, 1, 0);
}

/* Makes room, and rings, as the writer waits by the bell. */
static void make_room(void)
{
	char bytes[RING_BYTES];
	enum ring_wait how;

	assert_int_equal(ring_take(&broker.in, bytes, sizeof(bytes), &how), sizeof(bytes));
	assert_int_equal(how, RING_POLLS);
	assert_int_equal(eventfd_write(broker.client_bell.ring, 1), 0);
}

static void test_room_is_told_by_the_bell(void **state)
{
	(void)state;
	fill();
	assert_int_equal(stream_await(&s, POLLIN | POLLOUT, 0), 0);
	assert_int_equal(poll_watched(true, true), 0);
	make_room();
	assert_int_equal(poll_watched(true, true), 1);
	assert_int_equal(stream_await(&s, POLLIN | POLLOUT, 60000), 1);
	assert_int_equal(s.ops->write(&s, "x", 1), 1);
}

/* Between the write that found no room and the wait another thread reads, and so takes the bell. */
static void test_who_reads_takes_no_word_of_room(void **state)
{
	char byte;

	(void)state;
	fill();
	make_room();
	assert_int_equal(s.ops->read(&s, &byte, 1, false), -EAGAIN);
	assert_int_equal(stream_await(&s, POLLIN | POLLOUT, 0), 1);
	assert_int_equal(poll_watched(true, true), 1);
	assert_int_equal(poll_watched(false, true), 1);
	assert_int_equal(s.ops->write(&s, "x", 1), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_room_is_told_by_the_bell),
		TEST(test_who_reads_takes_no_word_of_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
