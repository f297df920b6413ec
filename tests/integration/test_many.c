/* test_many.c - ten thousand connections that wait: one send wakes one, and idleness costs nothing.
 */
#include "tests/support/daemon.h"
#include "tests/support/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* The daemon asks who waits for a sign of life, 5 s after the last. What it takes while idle is measured
 * between two such times: a machine that does not connect them all in DIAL_NS has fewer, and one that
 * stood still meanwhile measures again. */
enum { MANY = 10000, FEW = 100, DESCRIPTORS_BESIDE = 1000, IDLE_SECONDS = 3, IDLE_TRIES = 5, RECV_SEQ = 2 };
#define NS_PER_S INT64_C(1000000000)
#define DIAL_NS (2 * NS_PER_S)

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

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* Whether there is more to hear for a peer than that it is asked for a sign of life. */
static bool has_news(const struct peer *p)
{
	uint8_t bytes[1024];
	ssize_t n = recv(p->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	struct frame f;
	long parsed;

	for (ssize_t at = 0; at < n; at += parsed) {
		parsed = frame_parse(bytes + at, (size_t)(n - at), &f);
		if (parsed <= 0 || f.kind != MESSAGE_PING)
			return true;
	}
	return n == 0;
}

static void expect_no_news(void)
{
	for (int i = 0; i < count; i++)
		if (has_news(&peers[i]))
			fail_msg("peer %d is told something", i);
}

/* Whether any peer was asked for a sign of life. */
static bool asked(void)
{
	char byte;

	for (int i = 0; i < count; i++)
		if (recv(peers[i].fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
			return true;
	return false;
}

/* All give a sign of life, so that none is asked for one soon. */
static void all_live(void)
{
	for (int i = 0; i < count; i++)
		peer_expect_quiet(&peers[i]);
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
	int64_t began_ns = now_ns();

	for (int i = 0; i < count; i++) {
		if (i >= FEW && now_ns() - began_ns > DIAL_NS) {
			count = i;
			break;
		}
		peer_dial(&peers[i], d.url);
		peer_opened(&peers[i], "many", CHAN_RECV);
		assert_int_equal(peer_recv(&peers[i], channel), RECV_SEQ);
		peer_expect_quiet(&peers[i]);
	}
	resident = daemon_resident_bytes(&d) - resident;
	if (count >= MANY / 2 && memory_is_the_daemons())
		assert_in_range(resident / (uint64_t)count, 1, WAITING_BYTES_MAX);
	print_message("# %d waiting connections: %lu bytes of the daemon's memory each\n", count,
		(unsigned long)(resident / (uint64_t)count));
}

/* Of a second on one core, what the daemon uses while it is idle, in ticks; or -1: it was not, since it
 * asked for signs of life. */
static double idle_ticks(void)
{
	uint64_t before = daemon_cpu_ticks(&d), used;
	int64_t began_ns = now_ns(), took_ns;

	nanosleep(&(struct timespec){.tv_sec = IDLE_SECONDS}, NULL); /* the time that is measured */
	used = daemon_cpu_ticks(&d) - before;
	took_ns = now_ns() - began_ns;
	return asked() ? -1 : (double)used * NS_PER_S / (double)took_ns;
}

/* Less than a hundredth of a core. (In the first two seconds it looks at each connection once more,
 * which takes sanitizers longer.) */
static void expect_idleness(void)
{
	const char *sanitizer = getenv("TEST_SANITIZER");
	double most = (double)sysconf(_SC_CLK_TCK) / (sanitizer && *sanitizer ? 33 : 100), used = -1;

	for (int i = 0; i < IDLE_TRIES && used < 0; i++) {
		all_live();
		used = idle_ticks();
	}
	print_message("# idle: %.2f ticks of %ld a second\n", used, sysconf(_SC_CLK_TCK));
	assert_true(used >= 0 && used <= most);
}

/* Every send wakes one receiver, in the order in which they came. */
static void expect_wakes(struct peer *producer, uint64_t channel)
{
	all_live();
	for (int i = 0; i < 3; i++) {
		uint64_t send = peer_send(producer, channel, "wake");

		peer_taken(&peers[i], peer_expect_deliver(&peers[i], RECV_SEQ, "wake"));
		peer_expect_done(producer, send);
		expect_no_news();
	}
}

static void test_many_waiting(void **state)
{
	struct peer producer;
	uint64_t channel;

	(void)state;
	peer_dial(&producer, d.url);
	channel = peer_channel(&producer, "many", CHAN_TYPE_STRING, 0);
	begin_waiting(channel);
	expect_no_news();
	expect_idleness();
	expect_wakes(&producer, channel);
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
