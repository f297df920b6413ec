/* test_stream_peer.c - who the kernel says is at the other end of a socket. */
#include "tests/support/goroutine_test.h"
#include "tests/support/skip.h"

#include "server/net/stream_peer.h"
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Nothing that belongs to another kind of stream is said. */
static void assert_no_certificate(const struct stream_peer *peer)
{
	assert_string_equal(peer->common_name, "");
	assert_int_equal(peer->name_count, 0);
}

static void test_unix(void **state)
{
	struct stream_peer peer;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	stream_peer_of_socket(fds[0], &peer);
	assert_int_equal(peer.kind, STREAM_UNIX);
	assert_int_equal(peer.pid, getpid());
	assert_int_equal(peer.uid, getuid());
	assert_int_equal(peer.gid, getgid());
	assert_string_equal(peer.address, "");
	assert_no_certificate(&peer);
	close(fds[0]);
	close(fds[1]);
}

/* Connects to a listener at an address of the loopback; what the accepting side is told. The port
 * of the connecting side, 0 where there is no such loopback. */
static uint16_t connect_and_ask(int family, int dual, struct stream_peer *ret_peer)
{
	struct sockaddr_storage at = {.ss_family = (sa_family_t)family}, from;
	socklen_t len =
		family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	int listening = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(dual ? AF_INET : family, SOCK_STREAM | SOCK_CLOEXEC, 0), accepted;
	uint16_t port;

	if (family == AF_INET)
		((struct sockaddr_in *)&at)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (!dual)
		((struct sockaddr_in6 *)&at)->sin6_addr = in6addr_loopback;
	if (bind(listening, (struct sockaddr *)&at, len) < 0) {
		close(listening);
		close(client);
		return 0;
	}
	assert_int_equal(listen(listening, 1), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&at, &len), 0);
	if (dual) {
		struct sockaddr_in v4 = {.sin_family = AF_INET,
			.sin_port = ((struct sockaddr_in6 *)&at)->sin6_port,
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

		assert_int_equal(connect(client, (struct sockaddr *)&v4, sizeof(v4)), 0);
	} else {
		assert_int_equal(connect(client, (struct sockaddr *)&at, len), 0);
	}
	accepted = accept(listening, NULL, NULL);
	stream_peer_of_socket(accepted, ret_peer);
	len = sizeof(from);
	assert_int_equal(getsockname(client, (struct sockaddr *)&from, &len), 0);
	port = ntohs(((struct sockaddr_in *)&from)->sin_port); /* at the same place in both */
	close(accepted);
	close(client);
	close(listening);
	return port;
}

static void assert_tcp(const struct stream_peer *peer, const char *address, uint16_t port)
{
	assert_int_equal(peer->kind, STREAM_TCP);
	assert_string_equal(peer->address, address);
	assert_int_equal(peer->port, port);
	assert_int_equal(peer->pid, -1);
	assert_true(peer->uid == (uid_t)-1 && peer->gid == (gid_t)-1);
	assert_no_certificate(peer);
}

static void test_ipv4(void **state)
{
	struct stream_peer peer;
	uint16_t port;

	(void)state;
	port = connect_and_ask(AF_INET, 0, &peer);
	assert_tcp(&peer, "127.0.0.1", port);
}

static void test_ipv6(void **state)
{
	struct stream_peer peer;
	uint16_t port;

	(void)state;
	port = connect_and_ask(AF_INET6, 0, &peer);
	if (!port)
		SKIP_TEST("there is no IPv6");
	assert_tcp(&peer, "::1", port);
}

/* One address has one text, by whichever socket it came. */
static void test_ipv4_by_ipv6(void **state)
{
	struct stream_peer peer;
	uint16_t port;

	(void)state;
	port = connect_and_ask(AF_INET6, 1, &peer);
	if (!port)
		SKIP_TEST("there is no IPv6");
	assert_tcp(&peer, "127.0.0.1", port);
}

/* A peer that is gone has no address any more; that is no failure. */
static void test_gone(void **state)
{
	struct stream_peer peer;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	stream_peer_of_socket(fd, &peer);
	assert_tcp(&peer, "", 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_ipv4),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_ipv4_by_ipv6),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests_name("stream_peer", tests, NULL, NULL);
}
