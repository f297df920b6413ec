/* test_stream.c - byte streams over sockets, read and written by goroutines. */
#include "tests/support/goroutine_test.h"

#include "server/net/stream.h"
#include "server/runtime/runtime.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define PATTERN_BYTES (3u * 1024u * 1024u)

static struct stream *ends[2];

static void open_pair(void)
{
	int fds[2];

	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	expect(stream_socket_new(fds[0], &ends[0]) == 0);
	expect(stream_socket_new(fds[1], &ends[1]) == 0);
}

static void close_pair(void)
{
	stream_free(ends[0]);
	stream_free(ends[1]);
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 31 + i / 4093);
}

/* Reads everything and checks it; what was read so far, then whether it ended. */
static atomic_size_t bytes_read;
static atomic_bool ended;

static void read_all(void *arg)
{
	static uint8_t bytes[65536];
	ssize_t n;

	(void)arg;
	while ((n = stream_read(ends[1], bytes, sizeof(bytes))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			expect(bytes[i] == pattern(bytes_read + (size_t)i));
		bytes_read += (size_t)n;
	}
	if (n == -EAGAIN)
		stream_on_readable(ends[1], read_all, NULL);
	else
		ended = true;
}

/* More than the socket holds, in uneven runs: the writer parks, readers begin as bytes come, and
 * all arrives in order. */
static void write_more_than_fits(void)
{
	uint8_t *bytes = malloc(PATTERN_BYTES);
	struct iovec iov[] = {{bytes, 0}, {bytes, 1}, {bytes + 1, 70000}, {bytes + 70001, 0},
		{bytes + 70001, PATTERN_BYTES - 70001}};

	for (size_t i = 0; i < PATTERN_BYTES; i++)
		bytes[i] = pattern(i);
	bytes_read = 0;
	ended = false;
	open_pair();
	stream_on_readable(ends[1], read_all, NULL);
	expect(stream_write_all(ends[0], iov, 5, DEADLINE_NEVER) == 0);
	stream_shutdown(ends[0], SHUT_WR);
	while (!ended)
		go_yield();
	expect(bytes_read == PATTERN_BYTES);
	close_pair();
	free(bytes);
}

static void test_write_more_than_fits(void **state)
{
	(void)state;
	run_everywhere(write_more_than_fits);
}

/* A peer that does not read at all is given up after the time that the writer allows. */
static void stall(void)
{
	static uint8_t bytes[4 * 1024 * 1024];
	struct iovec iov = {bytes, sizeof(bytes)};
	int64_t began_ns = clock_now_ns();

	open_pair();
	expect(stream_write_all(ends[0], &iov, 1, 20 * NS_PER_MS) == -ETIMEDOUT);
	expect(clock_now_ns() - began_ns >= 20 * NS_PER_MS);
	close_pair();
}

static void test_stall(void **state)
{
	(void)state;
	run_everywhere(stall);
}

/* Writing to who has gone is an error, not a signal; reading is the end. */
static void peer_gone(void)
{
	struct iovec iov = {"x", 1};
	char byte;

	open_pair();
	expect(stream_read(ends[0], &byte, 1) == -EAGAIN);
	stream_shutdown(ends[1], SHUT_RDWR);
	expect(stream_write_all(ends[0], &iov, 1, DEADLINE_NEVER) == -EPIPE);
	expect(stream_read(ends[0], &byte, 1) == 0);
	close_pair();
}

static void test_peer_gone(void **state)
{
	(void)state;
	run_everywhere(peer_gone);
}

/* A descriptor that cannot be polled is refused, and closed. */
static void not_a_socket(void)
{
	FILE *f = tmpfile();
	int fd = dup(fileno(f));
	struct stream *s;

	expect(stream_socket_new(fd, &s) == -EPERM);
	expect(close(fd) < 0);
	fclose(f);
}

static void test_not_a_socket(void **state)
{
	(void)state;
	run_on(1, 0, not_a_socket);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_more_than_fits),
		cmocka_unit_test(test_stall),
		cmocka_unit_test(test_peer_gone),
		cmocka_unit_test(test_not_a_socket),
	};

	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
