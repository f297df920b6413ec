/*
 * test_tls_dial.c - libchan's TLS streams against a server of OpenSSL's in a thread. What is said
 * when they cannot be had is tests/shell/tls.sh's.
 */
#include "client/clock.h"
#include "client/stream.h"
#include "client/tls.h"
#include "tests/support/certificates.h"
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static char dir[CERTIFICATES_DIR_BYTES];

static int make_certificates(void **state)
{
	(void)state;
	certificates_make(dir);
	return 0;
}

static int remove_certificates(void **state)
{
	(void)state;
	certificates_remove(dir);
	return 0;
}

/* ---- the server ------------------------------------------------------------------------------ */

static struct server {
	SSL_CTX *ctx;
	int listening;
	struct url url;
	void (*body)(SSL *ssl, int fd);
	pthread_t thread;
	bool resumed;
	char name[64]; /* that the client said */
} server;

static int choose(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_bytes,
	const unsigned char *offered, unsigned int offered_bytes, void *arg)
{
	(void)ssl;
	(void)arg;
	assert_int_equal(offered_bytes, 8);
	*ret_name = offered + 1;
	*ret_bytes = 7;
	return SSL_TLSEXT_ERR_OK;
}

static int open_server(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	char text[64], path[CERTIFICATES_PATH_BYTES];

	(void)state;
	server.ctx = SSL_CTX_new(TLS_server_method());
	certificates_path(dir, "server.pem", path);
	assert_int_equal(SSL_CTX_use_certificate_file(server.ctx, path, SSL_FILETYPE_PEM), 1);
	certificates_path(dir, "server.key", path);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(server.ctx, path, SSL_FILETYPE_PEM), 1);
	SSL_CTX_set_alpn_select_cb(server.ctx, choose, NULL);
	server.listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server.listening, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(server.listening, 8), 0);
	getsockname(server.listening, (struct sockaddr *)&at, &len);
	snprintf(text, sizeof(text), "tls://localhost:%u", ntohs(at.sin_port));
	assert_int_equal(url_parse(text, &server.url), 0);
	return 0;
}

static int close_server(void **state)
{
	(void)state;
	SSL_CTX_free(server.ctx);
	close(server.listening);
	return 0;
}

static void *serve_one(void *arg)
{
	int fd = accept(server.listening, NULL, NULL);
	SSL *ssl = SSL_new(server.ctx);
	const char *name;
	sigset_t pipe;

	(void)arg;
	/* OpenSSL's own sockets raise it; ours must not, so that elsewhere it kills the test. */
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1) {
		name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
		snprintf(server.name, sizeof(server.name), "%s", name ? name : "");
		server.resumed = SSL_session_reused(ssl);
		server.body(ssl, fd);
	}
	SSL_free(ssl);
	close(fd);
	return NULL;
}

/* ---- the client ------------------------------------------------------------------------------ */

static struct tls *new_tls(void)
{
	char ca[CERTIFICATES_PATH_BYTES];
	struct chan_dial_options options = {.tls_ca = certificates_path(dir, "ca.pem", ca)};
	struct tls *tls = tls_new(&options);

	assert_non_null(tls);
	return tls;
}

static struct stream dial(struct tls *tls, void (*body)(SSL *ssl, int fd))
{
	struct stream s = {.tls = tls};

	server.body = body;
	assert_int_equal(pthread_create(&server.thread, NULL, serve_one, NULL), 0);
	if (stream_dial(&s, &server.url, clock_deadline_ns(30 * NS_PER_S)) < 0)
		fail_msg("%s", chan_error_text());
	s.ops->wait_max(&s, 30 * NS_PER_S);
	return s;
}

static void hang_up(struct stream *s)
{
	s->ops->finish(s);
	s->ops->close(s);
	assert_int_equal(pthread_join(server.thread, NULL), 0);
}

static void write_all(struct stream *s, const void *bytes, size_t n)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};
	const char *at = bytes;

	while (n > 0) {
		ssize_t put = s->ops->write(s, at, n);

		if (put == -EAGAIN) {
			poll(&p, 1, 30000);
			continue;
		}
		assert_true(put > 0);
		at += put;
		n -= (size_t)put;
	}
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void echo(SSL *ssl, int fd)
{
	char bytes[4096];
	int n;

	(void)fd;
	while ((n = SSL_read(ssl, bytes, sizeof(bytes))) > 0)
		SSL_write(ssl, bytes, n);
	SSL_shutdown(ssl);
}

/* Reads until so many bytes have come. */
static void read_exactly(struct stream *s, char *bytes, size_t n)
{
	static char room[STREAM_READ_BYTES];
	size_t have = 0;

	while (have < n) {
		ssize_t got = s->ops->read(s, room, sizeof(room), true);

		assert_true(got > 0 && have + (size_t)got <= n);
		memcpy(bytes + have, room, (size_t)got);
		have += (size_t)got;
	}
}

/* The next connection of a client resumes the session of the last; another client's does not. */
static void test_resumption(void **state)
{
	const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	char bytes[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct tls *tls = new_tls(), *other = new_tls();

		SSL_CTX_set_max_proto_version(server.ctx, versions[i]);
		for (int round = 0; round < 4; round++) {
			struct stream s = dial(round < 3 ? tls : other, echo);

			write_all(&s, "hi", 2);
			read_exactly(&s, bytes, 2);
			hang_up(&s);
			assert_int_equal(server.resumed, round == 1 || round == 2);
			if (!server.resumed)
				assert_string_equal(server.name, "localhost");
		}
		tls_free(tls);
		tls_free(other);
	}
}

#define LARGE_BYTES (4u * 1024u * 1024u)

static char large(size_t i)
{
	return (char)(i * 31 + i / 4093);
}

static void *write_large(void *arg)
{
	char *bytes = malloc(LARGE_BYTES);

	for (size_t i = 0; i < LARGE_BYTES; i++)
		bytes[i] = large(i);
	write_all(arg, bytes, LARGE_BYTES);
	free(bytes);
	return NULL;
}

/* One thread writes while another reads. */
static void test_both_ways(void **state)
{
	char *bytes = malloc(LARGE_BYTES);
	struct tls *tls = new_tls();
	struct stream s = dial(tls, echo);
	pthread_t writer;

	(void)state;
	assert_int_equal(pthread_create(&writer, NULL, write_large, &s), 0);
	read_exactly(&s, bytes, LARGE_BYTES);
	pthread_join(writer, NULL);
	for (size_t i = 0; i < LARGE_BYTES; i++)
		if (bytes[i] != large(i))
			fail_msg("byte %zu is wrong", i);
	hang_up(&s);
	tls_free(tls);
	free(bytes);
}

enum { BURSTS = 50, RECORDS = 40 };

/* Records in one segment: several go into one read of the socket. */
static void send_bursts(SSL *ssl, int fd)
{
	char byte;

	(void)fd;
	for (int burst = 0; burst < BURSTS; burst++) {
		BIO *out = SSL_get_wbio(ssl), *buffer = BIO_new(BIO_f_buffer());

		BIO_set_write_buffer_size(buffer, 60000);
		SSL_set0_wbio(ssl, (BIO_up_ref(out), BIO_push(buffer, out)));
		for (int i = 0; i < RECORDS; i++)
			SSL_write(ssl, "0123456789", 10);
		(void)BIO_flush(buffer);
		BIO_up_ref(out);
		SSL_set0_wbio(ssl, out);
		if (SSL_read(ssl, &byte, 1) != 1)
			break;
	}
	SSL_shutdown(ssl);
}

/* Who polls before each read misses nothing: what has come is handed over whole. */
static void test_nothing_stays_behind(void **state)
{
	struct tls *tls = new_tls();
	struct stream s = dial(tls, send_bursts);
	struct pollfd p = {.fd = s.fd, .events = POLLIN};
	static char room[STREAM_READ_BYTES];

	(void)state;
	for (int burst = 0; burst < BURSTS; burst++) {
		ssize_t have = 0, got;

		while (have < 10 * RECORDS) {
			assert_int_equal(poll(&p, 1, 30000), 1);
			got = s.ops->read(&s, room, sizeof(room), false);
			assert_true(got > 0 || got == -EAGAIN);
			have += got > 0 ? got : 0;
		}
		assert_int_equal(have, 10 * RECORDS);
		write_all(&s, "x", 1);
	}
	assert_int_equal(s.ops->read(&s, room, sizeof(room), true), 0);
	hang_up(&s);
	tls_free(tls);
}

static void stay_silent(SSL *ssl, int fd)
{
	char byte;

	SSL_read(ssl, &byte, 1);
	(void)fd;
}

static void *read_one(void *arg)
{
	static char room[STREAM_READ_BYTES];
	struct stream *s = arg;
	ssize_t n = s->ops->read(s, room, sizeof(room), true);

	return (void *)n;
}

/* A read waits no longer than it may, and comes back when the stream is cut. */
static void test_reads_end(void **state)
{
	struct tls *tls = new_tls();
	struct stream s = dial(tls, stay_silent);
	char text[STREAM_WORDS_BYTES_MAX];
	pthread_t reader;
	void *result;

	(void)state;
	s.ops->wait_max(&s, 10 * NS_PER_MS);
	assert_int_equal((ssize_t)read_one(&s), -EAGAIN);
	s.ops->wait_max(&s, 60 * NS_PER_S);
	assert_int_equal(pthread_create(&reader, NULL, read_one, &s), 0);
	shutdown(s.fd, SHUT_RDWR);
	pthread_join(reader, &result);
	/* The end without a close_notify, or what the server answered to that. */
	assert_true((ssize_t)result == -EPROTO || (ssize_t)result == -ECONNRESET);
	assert_int_equal(stream_explain(&s, ECONNRESET, text), CHAN_EUNREACHABLE);
	assert_true(strcmp(text, "the connection was cut") == 0 ||
		    strcmp(text, strerror(ECONNRESET)) == 0);
	assert_true(s.ops->write(&s, "x", 1) < 0); /* and no signal */
	hang_up(&s);
	tls_free(tls);
}

static void finish_first(SSL *ssl, int fd)
{
	char bytes[8];

	(void)fd;
	SSL_shutdown(ssl);
	assert_int_equal(SSL_read(ssl, bytes, sizeof(bytes)), 3);
	assert_int_equal(SSL_read(ssl, bytes, sizeof(bytes)), 0);
	assert_int_equal(SSL_get_error(ssl, 0), SSL_ERROR_ZERO_RETURN);
}

/* Each side ends its half; the other still may write. */
static void test_half_close(void **state)
{
	struct tls *tls = new_tls();
	struct stream s = dial(tls, finish_first);

	(void)state;
	assert_int_equal((ssize_t)read_one(&s), 0);
	write_all(&s, "bye", 3);
	hang_up(&s);
	tls_free(tls);
}

static void finish_and_go(SSL *ssl, int fd)
{
	(void)fd;
	SSL_shutdown(ssl);
}

/* The broker has said its last word and is gone: a write fails, and is not asked for again. */
static void test_write_to_gone(void **state)
{
	struct tls *tls = new_tls();
	struct stream s = dial(tls, finish_and_go);
	ssize_t put = 1;

	(void)state;
	assert_int_equal((ssize_t)read_one(&s), 0);
	assert_int_equal(pthread_join(server.thread, NULL), 0);
	while (put > 0) /* until the kernel has heard that nobody is there */
		put = s.ops->write(&s, "x", 1);
	assert_true(put == -EPIPE || put == -ECONNRESET);
	s.ops->close(&s);
	tls_free(tls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_resumption, open_server, close_server),
		cmocka_unit_test_setup_teardown(test_both_ways, open_server, close_server),
		cmocka_unit_test_setup_teardown(
			test_nothing_stays_behind, open_server, close_server),
		cmocka_unit_test_setup_teardown(test_reads_end, open_server, close_server),
		cmocka_unit_test_setup_teardown(test_half_close, open_server, close_server),
		cmocka_unit_test_setup_teardown(test_write_to_gone, open_server, close_server),
	};

	return cmocka_run_group_tests_name(
		"tls_dial", tests, make_certificates, remove_certificates);
}
