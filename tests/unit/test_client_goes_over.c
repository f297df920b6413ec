/*
 * test_client_goes_over.c - how libchan goes over to rings (client/rings.c), with a broker by hand:
 * what it says when, and what of the broker's it takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/chan.h"
#include "proto/limits.h"
#include "proto/ring.h"
#include "tests/support/fake_broker.h"
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define RING_BYTES RING_BYTES_MIN

static struct fake_broker broker;
static struct chan_client *c;
static int bell;
static void *pair;
static struct ring_writer out; /* the broker's */

/* A client that has asked for rings, and for a channel, and was answered nothing yet. */
static int setup(void **state)
{
	const struct chan_dial_options options = {.ring_after = 1};

	(void)state;
	pair = NULL;
	fake_start(&broker);
	broker.features = FEATURE_RINGS;
	assert_int_equal(fake_dial(&broker, &options, &c), 0);
	assert_int_equal(fake_read(&broker, MESSAGE_HELLO)->hello->features, FEATURE_RINGS);
	assert_int_equal(chan_start_open(c, "jobs", CHAN_BOTH, NULL, NULL, NULL), 0);
	fake_turn(c);
	fake_turn(c);
	fake_read(&broker, MESSAGE_OPEN);
	fake_read(&broker, MESSAGE_RING_ASK);
	bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(bell >= 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_cut(&broker);
	chan_hangup(c);
	close(bell);
	if (pair)
		munmap(pair, ring_pair_bytes(RING_BYTES));
	fake_stop(&broker);
	return 0;
}

static int make_memory(void)
{
	size_t bytes = ring_pair_bytes(RING_BYTES);
	int fd = memfd_create("rings", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	pair = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(pair != MAP_FAILED);
	ring_writer_init(&out, ring_of_pair(pair, RING_BYTES, 1), RING_BYTES);
	return fd;
}

static void offer(void)
{
	int fds[] = {make_memory(), bell};
	union {
		struct cmsghdr header; /* for its alignment */
		char space[CMSG_SPACE(sizeof(fds))];
	} control = {.header = {CMSG_LEN(sizeof(fds)), SOL_SOCKET, SCM_RIGHTS}};
	struct message m = {.kind = MESSAGE_RING_OFFER, .ring_offer = {.ring_bytes = RING_BYTES}};
	struct buf frame = {0};
	struct iovec iov;
	struct msghdr header = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.space)};

	memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
	assert_int_equal(wire_encode(&frame, &m, 0, 0), 0);
	iov = (struct iovec){buf_data(&frame), buf_len(&frame)};
	assert_int_equal(sendmsg(broker.fd, &header, 0), buf_len(&frame));
	buf_fini(&frame);
	close(fds[0]);
	fake_turn(c);
	fake_turn(c);
	fake_read(&broker, MESSAGE_RING_BEGIN);
}

/* The answer to the OPEN, by the ring. */
static void answer_by_ring(void)
{
	struct message m = {.kind = MESSAGE_OPENED, .seq = 1};
	struct buf frame = {0};

	m.opened.channel = 5;
	m.opened.name = "jobs";
	m.opened.type = CHAN_TYPE_INT;
	m.opened.direction = CHAN_BOTH;
	assert_int_equal(wire_encode(&frame, &m, 0, 0), 0);
	ring_put(&out, buf_data(&frame), buf_len(&frame));
	buf_fini(&frame);
	if (ring_show(&out) == RING_POLLS)
		fake_write_bytes(&broker, "", 1);
}

/* RING_BEGIN, and what comes with it in one piece. */
static void begin(const char *behind, size_t n)
{
	struct message m = {.kind = MESSAGE_RING_BEGIN};
	struct buf bytes = {0};

	assert_int_equal(wire_encode(&bytes, &m, 0, 0), 0);
	assert_int_equal(buf_append(&bytes, behind, n), 0);
	fake_write_bytes(&broker, buf_data(&bytes), buf_len(&bytes));
	buf_fini(&bytes);
	fake_turn(c);
}

static void expect_answer(void)
{
	struct chan_completion done;

	fake_turn(c);
	done = fake_completion(c);
	assert_int_equal(done.status, 0);
	assert_true(chan_connected(c));
}

static void test_what_follows_comes_by_the_ring(void **state)
{
	(void)state;
	offer();
	begin("", 0);
	answer_by_ring();
	expect_answer();
}

/* The bell may be rung as soon as the broker has gone over: its bytes are no frames, and no breach.
 */
static void test_bells_right_behind_the_begin(void **state)
{
	(void)state;
	offer();
	begin("\0\1\377", 3);
	answer_by_ring();
	expect_answer();
}

/* What is there already is found without a bell. */
static void test_what_was_in_the_ring_before(void **state)
{
	(void)state;
	offer();
	answer_by_ring();
	begin("", 0);
	expect_answer();
}

static void test_no_begin_without_an_offer(void **state)
{
	struct chan_completion done;

	(void)state;
	begin("", 0);
	done = fake_completion(c);
	assert_int_equal(done.status, CHAN_EPROTOCOL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_follows_comes_by_the_ring),
		TEST(test_bells_right_behind_the_begin),
		TEST(test_what_was_in_the_ring_before),
		TEST(test_no_begin_without_an_offer),
	};

	return cmocka_run_group_tests_name("client goes over", tests, NULL, NULL);
}
