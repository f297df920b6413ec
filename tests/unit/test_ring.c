/* test_ring.c - bytes through a ring: whole, in order, and whatever the other side writes into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/status.h"
#include "proto/ring.h"
#include "tests/support/dice.h"
#include "tests/support/time_limit.h"
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES RING_BYTES_MIN

static struct ring_memory *memory;
static struct ring_writer w;
static struct ring_reader r;

/* Memory that a child shares, followed by what cannot be read: a copy beyond the ring is seen. */
static int set_up(void **state)
{
	size_t n = RING_HEADER_BYTES + BYTES;
	uint8_t *map =
		mmap(NULL, n + 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)state;
	if (map == MAP_FAILED || mprotect(map + n, 4096, PROT_NONE) < 0)
		return -1;
	memory = (struct ring_memory *)map;
	ring_writer_init(&w, memory, BYTES);
	ring_reader_init(&r, memory, BYTES);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return munmap(memory, RING_HEADER_BYTES + BYTES + 4096);
}

static void write_text(const char *text)
{
	ring_put(&w, text, strlen(text));
	ring_show(&w);
}

static long take(void *bytes, size_t size)
{
	enum ring_wait wake;

	return ring_take(&r, bytes, size, &wake);
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static void test_bytes_come_in_order_and_once_shown(void **state)
{
	char text[16] = "";

	(void)state;
	assert_int_equal(take(text, sizeof(text)), 0);
	ring_put(&w, "ab", 2);
	assert_int_equal(take(text, sizeof(text)), 0);
	assert_int_equal(ring_show(&w), RING_AWAKE);
	write_text("cd");
	assert_int_equal(take(text, 3), 3);
	assert_memory_equal(text, "abc", 3);
	assert_int_equal(take(text, sizeof(text)), 1);
	assert_int_equal(text[0], 'd');
	assert_int_equal(ring_room(&w), BYTES);
}

/* Runs of every length over many times the ring, and positions that go beyond 32 bits. */
static void test_positions_wrap_around(void **state)
{
	uint8_t bytes[BYTES], got[BYTES];
	uint32_t start = UINT32_MAX - 3 * BYTES / 2;
	uint8_t next = 0;

	(void)state;
	w.own = r.own = start;
	atomic_store(&memory->written, start);
	atomic_store(&memory->read, start);
	for (size_t n = 1; n <= BYTES; n = n * 5 / 4 + 1) {
		for (size_t i = 0; i < n; i++)
			bytes[i] = next++;
		ring_put(&w, bytes, n);
		ring_show(&w);
		assert_int_equal(ring_room(&w), BYTES - n);
		assert_int_equal(take(got, sizeof(got)), n);
		assert_memory_equal(got, bytes, n);
	}
	assert_true(w.own < start); /* it did */
}

static void test_end(void **state)
{
	char text[4];

	(void)state;
	assert_false(ring_is_at_end(&r));
	write_text("x");
	assert_int_equal(ring_finish(&w), RING_AWAKE);
	assert_false(ring_is_at_end(&r));
	assert_int_equal(take(text, sizeof(text)), 1);
	assert_true(ring_is_at_end(&r));
}

/* Whose writer is gone reads what that has shown, and nothing that somebody adds. */
static void test_cut(void **state)
{
	char text[4];

	(void)state;
	write_text("ab");
	ring_cut(&r);
	write_text("cd");
	ring_cut(&r);
	assert_false(ring_is_at_end(&r));
	assert_int_equal(take(text, sizeof(text)), 2);
	assert_memory_equal(text, "ab", 2);
	assert_int_equal(take(text, sizeof(text)), 0);
	assert_true(ring_is_at_end(&r));
}

/* ---- waking --------------------------------------------------------------------------------- */

static void test_who_waits_for_bytes_is_woken_once(void **state)
{
	(void)state;
	assert_true(ring_await_bytes(&r, RING_SLEEPS));
	ring_put(&w, "a", 1);
	assert_int_equal(ring_show(&w), RING_SLEEPS);
	ring_put(&w, "b", 1);
	assert_int_equal(ring_show(&w), RING_AWAKE);
	assert_false(ring_await_bytes(&r, RING_POLLS)); /* something is there */
	ring_put(&w, "c", 1);
	assert_int_equal(ring_show(&w), RING_AWAKE);
}

static void test_the_end_wakes(void **state)
{
	(void)state;
	assert_true(ring_await_bytes(&r, RING_POLLS));
	assert_int_equal(ring_finish(&w), RING_POLLS);
	assert_false(ring_await_bytes(&r, RING_POLLS));
}

static void test_who_stops_waiting_hears_whether_it_was_seen(void **state)
{
	(void)state;
	assert_true(ring_await_bytes(&r, RING_SLEEPS));
	assert_true(ring_stop_awaiting_bytes(&r));
	assert_true(ring_await_bytes(&r, RING_SLEEPS));
	write_text("a");
	assert_false(ring_stop_awaiting_bytes(&r));
}

/* Who waits for room is woken when half of the ring is free, not for each byte. */
static void test_room_is_told_by_halves(void **state)
{
	static uint8_t bytes[BYTES];
	enum ring_wait wake;

	(void)state;
	assert_false(ring_await_room(&w, RING_POLLS));
	ring_put(&w, bytes, BYTES);
	ring_show(&w);
	assert_int_equal(ring_room(&w), 0);
	assert_true(ring_await_room(&w, RING_POLLS));
	assert_int_equal(ring_take(&r, bytes, BYTES / 2 - 1, &wake), BYTES / 2 - 1);
	assert_int_equal(wake, RING_AWAKE);
	assert_int_equal(ring_take(&r, bytes, 1, &wake), 1);
	assert_int_equal(wake, RING_POLLS);
	assert_int_equal(ring_take(&r, bytes, 1, &wake), 1);
	assert_int_equal(wake, RING_AWAKE);
	assert_int_equal(ring_room(&w), BYTES / 2 + 1);
}

/* ---- the other side says nonsense ------------------------------------------------------------ */

static void test_impossible_positions(void **state)
{
	char text[4];

	(void)state;
	atomic_store(&memory->written, BYTES + 1);
	assert_int_equal(ring_available(&r), CHAN_EPROTOCOL);
	assert_int_equal(take(text, sizeof(text)), CHAN_EPROTOCOL);
	assert_false(ring_await_bytes(&r, RING_POLLS)); /* so that it is found out */
	atomic_store(&memory->written, -1u);
	assert_int_equal(take(text, sizeof(text)), CHAN_EPROTOCOL);
	atomic_store(&memory->read, 1); /* of nothing that was written */
	assert_int_equal(ring_room(&w), CHAN_EPROTOCOL);
	assert_false(ring_await_room(&w, RING_POLLS));
}

static void test_a_wish_that_is_none_is_the_bell(void **state)
{
	(void)state;
	atomic_store(&memory->reader_waits, 4711);
	assert_int_equal(ring_show(&w), RING_POLLS);
}

/* A process that writes anything anywhere, all the time. */
static void scribble(struct dice *d)
{
	_Atomic uint32_t *words = (void *)memory;

	test_time_limit();
	for (;;) {
		/* Headers more often than bytes, and positions that may well be possible ones. */
		uint32_t at = dice_choose(d, dice_choose(d, 4) ? 64 : (RING_HEADER_BYTES + BYTES) / 4);

		atomic_store_explicit(&words[at],
			dice_choose(d, dice_choose(d, 2) ? 2 * BYTES : UINT32_MAX),
			memory_order_relaxed);
	}
}

/* Whatever it does, each call comes back, within bounds, with something that it may return. */
static void test_scribbler(void **state)
{
	static uint8_t bytes[BYTES];
	struct dice ours = {1}, theirs = {2};
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		scribble(&theirs);
	assert_true(pid > 0);
	for (int i = 0; i < 300000; i++) {
		enum ring_wait wake;
		long n = ring_take(&r, bytes, 1 + dice_choose(&ours, BYTES), &wake);
		long room = ring_room(&w);

		assert_true(n == CHAN_EPROTOCOL || (n >= 0 && n <= BYTES));
		assert_true(room == CHAN_EPROTOCOL || (room >= 0 && room <= BYTES));
		if (room > 0)
			ring_put(&w, bytes, (size_t)room);
		assert_in_range(ring_show(&w), RING_AWAKE, RING_POLLS);
		ring_await_bytes(&r, RING_POLLS);
		ring_await_room(&w, RING_SLEEPS);
		ring_is_at_end(&r);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* ---- two processes --------------------------------------------------------------------------- */

/* Who waits here looks again and again; what is tested is that nobody is forgotten, so who was told
 * that it may wait counts on the other's word. */
static void await_taken_back(_Atomic uint32_t *waits)
{
	while (atomic_load(waits) != RING_AWAKE)
		sched_yield();
}

#define STREAM_BYTES (8u * 1024u * 1024u)

static void write_stream(void)
{
	uint8_t run[777];
	size_t sent = 0;

	while (sent < STREAM_BYTES) {
		long room = ring_room(&w);
		size_t n = sizeof(run) < STREAM_BYTES - sent ? sizeof(run) : STREAM_BYTES - sent;

		if (room == 0) {
			if (ring_await_room(&w, RING_POLLS))
				await_taken_back(&memory->writer_waits);
			continue;
		}
		n = (size_t)room < n ? (size_t)room : n;
		for (size_t i = 0; i < n; i++)
			run[i] = (uint8_t)((sent + i) * 31 >> 3);
		ring_put(&w, run, n);
		ring_show(&w);
		sent += n;
	}
	ring_finish(&w);
}

static void test_nothing_is_lost_and_nobody_forgotten(void **state)
{
	uint8_t bytes[1000];
	size_t got = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		test_time_limit();
		write_stream();
		_exit(0);
	}
	assert_true(pid > 0);
	while (!ring_is_at_end(&r)) {
		long n = take(bytes, sizeof(bytes));

		assert_true(n >= 0);
		for (long i = 0; i < n; i++)
			assert_int_equal(bytes[i], (uint8_t)((got + (size_t)i) * 31 >> 3));
		got += (size_t)n;
		if (n == 0 && ring_await_bytes(&r, RING_POLLS))
			await_taken_back(&memory->reader_waits);
	}
	assert_int_equal(got, STREAM_BYTES);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bytes_come_in_order_and_once_shown),
		TEST(positions_wrap_around),
		TEST(end),
		TEST(cut),
		TEST(who_waits_for_bytes_is_woken_once),
		TEST(the_end_wakes),
		TEST(who_stops_waiting_hears_whether_it_was_seen),
		TEST(room_is_told_by_halves),
		TEST(impossible_positions),
		TEST(a_wish_that_is_none_is_the_bell),
		TEST(scribbler),
		TEST(nothing_is_lost_and_nobody_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
