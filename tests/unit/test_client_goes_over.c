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
#include "proto/frame.h"
#include "proto/limits.h"
#include "proto/ring.h"
#include "tests/support/bell.h"
#include "tests/support/descriptors.h"
#include "tests/support/fake_broker.h"
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define RING_BYTES RING_BYTES_MIN
#define LARGER_RING_BYTES (2 * RING_BYTES_MIN)

static struct fake_broker broker;
static struct chan_client *c;
static int bell; /* the broker's */
static struct bell client_bell;
static void *pair, *larger_pair;
static struct ring_writer out; /* the broker's */

/* A client that has asked for rings, and for a channel, and was answered nothing yet. */
static int setup(void **state)
{
	const struct chan_dial_options options = {.ring_after = 1};

	(void)state;
	pair = larger_pair = NULL;
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
	assert_int_equal(bell_init(&client_bell), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_cut(&broker);
	chan_hangup(c);
	close(bell);
	bell_fini(&client_bell);
	if (pair)
		munmap(pair, ring_pair_bytes(RING_BYTES));
	if (larger_pair)
		munmap(larger_pair, ring_pair_bytes(LARGER_RING_BYTES));
	fake_stop(&broker);
	return 0;
}

static int make_memory(uint32_t ring_bytes, void **ret_pair)
{
	size_t bytes = ring_pair_bytes(ring_bytes);
	int fd = memfd_create("rings", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	*ret_pair = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(*ret_pair != MAP_FAILED);
	return fd;
}

static void offer(void)
{
	int fds[] = {make_memory(RING_BYTES, &pair), bell, client_bell.hear,
		make_memory(LARGER_RING_BYTES, &larger_pair)};
	struct message m = {
		.kind = MESSAGE_RING_OFFER, .ring_offer = {RING_BYTES, LARGER_RING_BYTES}};
	struct buf frame = {0};

	ring_writer_init(&out, ring_of_pair(pair, RING_BYTES, 1), RING_BYTES);
	assert_int_equal(wire_encode(&frame, &m, 0, 0), 0);
	assert_int_equal(
		descriptors_send(broker.fd, buf_data(&frame), buf_len(&frame), fds, 4),
		buf_len(&frame));
	buf_fini(&frame);
	close(fds[0]);
	close(fds[3]);
	fake_turn(c);
	fake_turn(c);
	fake_read(&broker, MESSAGE_RING_BEGIN);
}

static void say_by_ring(const struct message *m, int times)
{
	struct buf frame = {0};

	assert_int_equal(wire_encode(&frame, m, 0, 0), 0);
	for (int i = 0; i < times; i++)
		ring_put(&out, buf_data(&frame), buf_len(&frame));
	buf_fini(&frame);
	if (ring_show(&out) == RING_POLLS)
		assert_int_equal(eventfd_write(client_bell.ring, 1), 0);
}

/* The answer to the OPEN, by the ring. */
static void answer_by_ring(void)
{
	struct message m = {.kind = MESSAGE_OPENED, .seq = 1};

	m.opened.channel = 5;
	m.opened.name = "jobs";
	m.opened.type = CHAN_TYPE_INT;
	m.opened.direction = CHAN_BOTH;
	say_by_ring(&m, 1);
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

static void test_nothing_is_behind_the_begin(void **state)
{
	struct chan_completion done;

	(void)state;
	offer();
	begin("x", 1);
	done = fake_completion(c);
	assert_int_equal(done.status, CHAN_EPROTOCOL);
}

/* What comes by the socket later is no frame, and no word that anybody waits for. */
static void test_the_socket_is_not_read_any_more(void **state)
{
	(void)state;
	offer();
	begin("", 0);
	fake_write_bytes(&broker, "\0\1\377", 3);
	fake_turn(c);
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

/* What the client has written to its first ring. Returns how much that is. */
static long take_first(uint8_t bytes[static RING_BYTES])
{
	struct ring_reader in;
	enum ring_wait how;

	ring_reader_init(&in, ring_of_pair(pair, RING_BYTES, 0), RING_BYTES);
	return ring_take(&in, bytes, RING_BYTES, &how);
}

/* Half a ring of PINGs at once, which the client answers. */
static void say_much(void)
{
	say_by_ring(&(struct message){.kind = MESSAGE_PING, .ping = {.nonce = 1}},
		RING_BYTES / 2 / FRAME_PREFIX_BYTES);
	fake_turn(c);
}

static void go_on(void)
{
	say_by_ring(&(struct message){.kind = MESSAGE_RING_BEGIN}, 1);
	ring_writer_init(
		&out, ring_of_pair(larger_pair, LARGER_RING_BYTES, 1), LARGER_RING_BYTES);
	fake_turn(c);
}

/* RING_BEGIN is the last in the first ring; what the client says next is in the larger one. */
static void test_who_fills_a_ring_goes_on_to_a_larger_one(void **state)
{
	static const uint8_t ring_begin[] = {0, 0, 0, 4, MESSAGE_RING_BEGIN, 0, 0, 0};
	uint8_t bytes[RING_BYTES];
	struct ring_reader in;
	long n;

	(void)state;
	offer();
	begin("", 0);
	say_much();
	n = take_first(bytes);
	assert_true(n > RING_BYTES / 2);
	assert_memory_equal(bytes + n - sizeof(ring_begin), ring_begin, sizeof(ring_begin));
	ring_reader_init(
		&in, ring_of_pair(larger_pair, LARGER_RING_BYTES, 0), LARGER_RING_BYTES);
	assert_int_equal(ring_available(&in), 0);
	go_on();
	answer_by_ring();
	expect_answer();
	assert_int_equal(chan_start_open(c, "more", CHAN_BOTH, NULL, NULL, NULL), 0);
	fake_turn(c);
	assert_true(ring_available(&in) > 0);
	assert_int_equal(take_first(bytes), n);
}

/* The larger ones are begun by the client. */
static void test_no_larger_rings_before_the_client_wants_them(void **state)
{
	struct chan_completion done;

	(void)state;
	offer();
	begin("", 0);
	go_on();
	done = fake_completion(c);
	assert_int_equal(done.status, CHAN_EPROTOCOL);
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
		TEST(test_nothing_is_behind_the_begin),
		TEST(test_the_socket_is_not_read_any_more),
		TEST(test_what_was_in_the_ring_before),
		TEST(test_who_fills_a_ring_goes_on_to_a_larger_one),
		TEST(test_no_larger_rings_before_the_client_wants_them),
		TEST(test_no_begin_without_an_offer),
	};

	return cmocka_run_group_tests_name("client goes over", tests, NULL, NULL);
}
