/* test_many.c - ten thousand connections that wait: one send wakes one, and idleness costs nothing.
 */
#include "tests/support/daemon.h"
#include "tests/support/peer.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* All is over before the daemon asks who waits for a sign of life, 5 s after the last: a machine
 * that does not connect them all in DIAL_SECONDS has fewer. */
enum { MANY = 10000, FEW = 100, DESCRIPTORS_BESIDE = 1000, DIAL_SECONDS = 1, IDLE_SECONDS = 3 };

static struct test_daemon d;
static struct peer *peers;
static int count; /* MANY, or what the limit on descriptors and the time allow */

static int setup(void **state)
{
	const char *sanitizer = getenv("TEST_SANITIZER"), *wrapper = getenv("TEST_WRAPPER");
	struct rlimit r;
	int wanted = MANY;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
	r.rlim_cur = r.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
	/* ThreadSanitizer keeps about 100 KiB for each goroutine, and all begin one at the end;
	 * under Valgrind all takes its time. */
	if (strcmp(sanitizer ? sanitizer : "", "thread") == 0 || (wrapper && *wrapper))
		wanted = MANY / 10;
	count = r.rlim_max < (rlim_t)wanted + DESCRIPTORS_BESIDE
			? (int)r.rlim_max - DESCRIPTORS_BESIDE
			: wanted;
	peers = calloc(MANY, sizeof(*peers));
	assert_non_null(peers);
	daemon_start(&d, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(peers);
	daemon_stop(&d);
	return 0;
}

/* How many peers have something to read; the index of the last. */
static int readable(int timeout_ms, int *ret_index)
{
	struct pollfd *pfds = calloc((size_t)count, sizeof(*pfds));
	int n;

	assert_non_null(pfds);
	for (int i = 0; i < count; i++)
		pfds[i] = (struct pollfd){.fd = peers[i].fd, .events = POLLIN};
	n = poll(pfds, (nfds_t)count, timeout_ms);
	for (int i = 0; i < count; i++)
		if (pfds[i].revents)
			*ret_index = i;
	free(pfds);
	return n;
}

static bool dialled_long_enough(const struct timespec *began)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - began->tv_sec > DIAL_SECONDS;
}

/* What one that waits may take of the daemon, nearly half more than it does. */
#define WAITING_BYTES_MAX 2000u

/* And of no checker. */
static bool memory_is_the_daemons(void)
{
	const char *sanitizer = getenv("TEST_SANITIZER"), *wrapper = getenv("TEST_WRAPPER");

	return !(sanitizer && *sanitizer) && !(wrapper && *wrapper);
}

static void begin_waiting(uint64_t channel)
{
	uint64_t resident = daemon_resident_bytes(&d);
	struct timespec began;

	clock_gettime(CLOCK_MONOTONIC, &began);
	for (int i = 0; i < count; i++) {
		if (i >= FEW && dialled_long_enough(&began)) {
			count = i;
			break;
		}
		peer_dial(&peers[i], d.url);
		peer_opened(&peers[i], "many", CHAN_RECV);
		peer_recv(&peers[i], channel);
		peer_expect_quiet(&peers[i]);
	}
	resident = daemon_resident_bytes(&d) - resident;
	if (count >= MANY / 2 && memory_is_the_daemons())
		assert_in_range(resident / (uint64_t)count, 1, WAITING_BYTES_MAX);
	print_message("# %d waiting connections: %lu bytes of the daemon's memory each\n", count,
		(unsigned long)(resident / (uint64_t)count));
}

/* Every send wakes one receiver, in the order in which they came; the idle daemon uses less than a
 * hundredth of a core. (In the first two seconds it looks at each connection once more, which
 * takes sanitizers longer.) */
static void test_many_waiting(void **state)
{
	const char *sanitizer = getenv("TEST_SANITIZER");
	uint64_t parts = sanitizer && *sanitizer ? 33 : 100, channel, before, used;
	struct peer producer;
	int index = -1;

	(void)state;
	peer_dial(&producer, d.url);
	channel = peer_channel(&producer, "many", CHAN_TYPE_STRING, 0);
	begin_waiting(channel);
	assert_int_equal(readable(0, &index), 0);

	before = daemon_cpu_ticks(&d);
	nanosleep(&(struct timespec){.tv_sec = IDLE_SECONDS}, NULL); /* the time that is measured */
	used = daemon_cpu_ticks(&d) - before;
	print_message("# idle for %d s: %lu ticks of %ld a second\n", IDLE_SECONDS,
		(unsigned long)used, sysconf(_SC_CLK_TCK));
	assert_true(used * parts <= (uint64_t)(sysconf(_SC_CLK_TCK) * IDLE_SECONDS));

	for (int i = 0; i < 3; i++) {
		uint64_t send = peer_send(&producer, channel, "wake");

		assert_int_equal(readable(test_patience_ms(), &index), 1);
		assert_int_equal(index, i);
		peer_taken(&peers[i], peer_expect_deliver(&peers[i], peers[i].seq - 1, "wake"));
		peer_expect_done(&producer, send);
		assert_int_equal(readable(0, &index), 0);
	}
	peer_stat(&producer, channel);
	assert_int_equal(producer.m.stats.channels[0].receivers_waiting, count - 3);
	for (int i = 0; i < count; i++)
		peer_drop(&peers[i]);
	peer_drop(&producer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_waiting),
	};

	test_time_limit();
	return cmocka_run_group_tests_name("many", tests, setup, teardown);
}
