/*
 * test_tls.c - TLS against a real daemon: what connections cost it, and that half handshakes cost
 * nobody else anything. Whom one side does not trust is tests/shell/tls.sh's.
 */
#include "chan/chan.h"
#include "tests/support/certificates.h"
#include "tests/support/daemon.h"
#include <netinet/in.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct test_daemon d;
static char certificates[CERTIFICATES_DIR_BYTES], url[64];

static void start(const char *more)
{
	char certificate[128], key[128], ca[CERTIFICATES_PATH_BYTES];
	const char *arguments[] = {
		"--listen", "tls://127.0.0.1:0", certificate, key, "--procs=2", more, NULL};

	snprintf(certificate, sizeof(certificate), "--tls-certificate=%s/server.pem", certificates);
	snprintf(key, sizeof(key), "--tls-key=%s/server.key", certificates);
	setenv("CHAN_TLS_CA", certificates_path(certificates, "ca.pem", ca), 1);
	daemon_start(&d, arguments);
	daemon_find_url(&d, "tls://127.0.0.1:", url, sizeof(url));
}

static int setup(void **state)
{
	struct rlimit r;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	certificates_make(certificates);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	certificates_remove(certificates);
	return 0;
}

/* Figures of memory mean something. */
static bool is_plain(void)
{
	const char *sanitizer = getenv("TEST_SANITIZER"), *wrapper = getenv("TEST_WRAPPER");

	return (!sanitizer || !*sanitizer || strcmp(sanitizer, "no") == 0) &&
	       (!wrapper || !*wrapper);
}

static struct chan_client *dial(void)
{
	struct chan_dial_options options = {.linger_ns = -1, .timeout_ns = 60000000000};
	struct chan_client *c;

	if (chan_dial(url, &options, &c) < 0)
		fail_msg("%s", chan_error_text());
	return c;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- half handshakes ------------------------------------------------------------------------- */

/* The first bytes of a ClientHello, which announce 512 more. */
static const unsigned char half_hello[] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};

static int connect_half(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(
		send(fd, half_hello, sizeof(half_hello), MSG_NOSIGNAL), sizeof(half_hello));
	return fd;
}

/* 512 at once are allowed, of 60 KiB each, in the heaps of two or three threads. */
enum { HALVES = 3000, HALVES_BYTES_MAX = 512 * 60 * 1024 * 3 };

/* Thousands that begin and do not go on: others get through, memory stays within what is allowed,
 * and their time ends. */
static void test_half_handshakes(void **state)
{
	static int fds[HALVES];
	struct chan_client *c;
	uint64_t before, grown;
	int64_t begun_ms;
	char byte;

	(void)state;
	start("--hello-timeout=8s"); /* outlasts a machine that stands still for a while */
	chan_hangup(dial());
	before = daemon_resident_bytes(&d);
	for (int i = 0; i < HALVES; i++)
		fds[i] = connect_half();
	begun_ms = now_ms();
	c = dial();
	assert_int_equal(chan_ping(c, NULL), 0);
	grown = daemon_resident_bytes(&d) - before;
	print_message("# %d half handshakes: %lu KiB of the daemon's memory; one more that was "
		      "whole took %d ms\n",
		HALVES, (unsigned long)grown / 1024, (int)(now_ms() - begun_ms));
	if (is_plain())
		assert_true(grown < HALVES_BYTES_MAX);
	for (int i = 0; i < HALVES; i++) { /* each is ended by the daemon */
		assert_true(recv(fds[i], &byte, 1, 0) <= 0);
		close(fds[i]);
	}
	assert_int_equal(chan_ping(c, NULL), 0);
	chan_hangup(c);
	daemon_stop(&d);
}

/* ---- idle connections ------------------------------------------------------------------------ */

enum { IDLE = 1000, IDLE_BYTES_MAX = 32 * 1024 };

static void test_idle(void **state)
{
	static struct chan_client *clients[IDLE];
	uint64_t resident, each;

	(void)state;
	start(NULL);
	for (int i = 0; i < 50; i++) /* what is kept for the next is there */
		chan_hangup(dial());
	resident = daemon_resident_bytes(&d);
	for (int i = 0; i < IDLE; i++)
		clients[i] = dial();
	each = (daemon_resident_bytes(&d) - resident) / IDLE;
	print_message("# %d idle connections: %lu bytes of the daemon's memory each\n", IDLE,
		(unsigned long)each);
	if (is_plain())
		assert_true(each < IDLE_BYTES_MAX);
	for (int i = 0; i < IDLE; i++)
		chan_hangup(clients[i]);
	daemon_stop(&d);
}

/* ---- large values ---------------------------------------------------------------------------- */

enum { LARGE_BYTES = 1000000, LARGE_COUNT = 20 };

static char large_byte(int value, size_t i)
{
	return (char)(i * 31 + i / 4093 + (size_t)value);
}

static void *send_large(void *arg)
{
	char *bytes = malloc(LARGE_BYTES);

	for (int n = 0; n < LARGE_COUNT; n++) {
		for (size_t i = 0; i < LARGE_BYTES; i++)
			bytes[i] = large_byte(n, i);
		if (chan_send_bytes(arg, bytes, LARGE_BYTES) < 0)
			break;
	}
	free(bytes);
	return NULL;
}

/* One connection carries large values in both directions at once. */
static void test_large_values(void **state)
{
	struct chan_make_options options = {.direction = CHAN_SEND | CHAN_RECV};
	struct chan_client *c;
	struct chan *ch;
	pthread_t sender;
	size_t len;
	void *bytes;

	(void)state;
	start(NULL);
	c = dial();
	assert_int_equal(chan_make(c, "large", CHAN_TYPE_BYTES, 3, &options, &ch), 0);
	assert_int_equal(pthread_create(&sender, NULL, send_large, ch), 0);
	for (int n = 0; n < LARGE_COUNT; n++) {
		if (chan_recv_bytes(ch, &bytes, &len) != 1)
			fail_msg("%s", chan_error_text());
		assert_int_equal(len, LARGE_BYTES);
		for (size_t i = 0; i < LARGE_BYTES; i++)
			if (((char *)bytes)[i] != large_byte(n, i))
				fail_msg("byte %zu of value %d is wrong", i, n);
		free(bytes);
	}
	pthread_join(sender, NULL);
	chan_release(ch);
	chan_hangup(c);
	daemon_stop(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_half_handshakes),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_large_values),
	};

	test_time_limit();
	return cmocka_run_group_tests_name("tls", tests, setup, teardown);
}
