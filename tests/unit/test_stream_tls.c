/*
 * test_stream_tls.c - TLS streams as the daemon has them, against a client of OpenSSL's that blocks
 * in a thread of its own.
 */
#include "tests/support/certificates.h"
#include "tests/support/goroutine_test.h"
#include "tests/support/skip.h"

#include "server/net/handshakes.h"
#include "server/net/listener.h"
#include "server/net/stream_tls.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

static _Thread_local bool is_client; /* a thread that plays one */

static char dir[CERTIFICATES_DIR_BYTES], why[512];

static char *path_of(const char *name, char path[static CERTIFICATES_PATH_BYTES])
{
	return certificates_path(dir, name, path);
}

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

/* ---- what is configured --------------------------------------------------------------------- */

static int load(const char *certificate, const char *key, enum tls_clients clients,
	const char *client_ca, struct tls_context **ret)
{
	char paths[3][CERTIFICATES_PATH_BYTES];
	struct tls_settings s = {.clients = clients};

	s.certificate = path_of(certificate, paths[0]);
	s.key = *key ? path_of(key, paths[1]) : "";
	s.client_ca = *client_ca ? path_of(client_ca, paths[2]) : "";
	return tls_context_new(&s, ret, why, sizeof(why));
}

/* What cannot work is refused with the option, the file and the reason. */
static void test_wrong_files(void **state)
{
	static const struct {
		const char *certificate, *key, *client_ca, *words[3];
	} cases[] = {
		{"none.pem", "server.key", "", {"tls_certificate", "none.pem", "No such file"}},
		{"server.csr", "server.key", "",
			{"tls_certificate", "server.csr", "no start line"}},
		{"old-server.pem", "old-server.key", "",
			{"old-server.pem", "expired at 2020-01-02", "have a new one made"}},
		{"server.pem", "none.key", "", {"tls_key", "none.key", "No such file"}},
		{"server.pem", "other.key", "",
			{"other.key", "is not the key of the certificate in", "server.pem"}},
		{"server.pem", "", "", {"tls_key", "server.pem", "no private key"}},
		{"server.pem", "locked.key", "", {"tls_key", "locked.key", "passphrase"}},
		{"server.pem", "server.key", "none.pem", {"tls_client_ca", "none.pem", "No such"}},
		{"server.pem", "server.key", "server.key",
			{"tls_client_ca", "server.key", "no certificate"}},
	};
	struct tls_context *c;
	char command[256];

	(void)state;
	snprintf(command, sizeof(command),
		"openssl ec -aes128 -passout pass:secret -in %s/server.key -out %s/locked.key "
		"2>/dev/null",
		dir, dir);
	assert_int_equal(system(command), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(load(cases[i].certificate, cases[i].key,
					 *cases[i].client_ca ? TLS_CLIENTS_OPTIONAL : 0,
					 cases[i].client_ca, &c),
			-EINVAL);
		for (int w = 0; w < 3; w++)
			if (!strstr(why, cases[i].words[w]))
				fail_msg("'%s' does not say '%s'", why, cases[i].words[w]);
	}
	assert_int_equal(ERR_peek_error(), 0); /* nothing is left for others to stumble over */
}

/* ---- the client ------------------------------------------------------------------------------ */

struct client {
	void (*body)(struct client *c); /* what it does when it has shaken hands */
	const char *certificate, *key;  /* NULL: none */
	const char *protocol;           /* NULL: offers none */
	int version;                    /* 0: the highest */
	SSL_SESSION *resume;            /* in: NULL for none */

	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
	pthread_t thread;
	atomic_bool done;
	bool shook_hands, resumed;
	unsigned long error; /* of the handshake, or of the body */
	SSL_SESSION *session;
};

static struct listener *listener;
static struct tls_context *context;

static int dial(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_port = htons((uint16_t)atoi(strrchr(listener_url(listener), ':') + 1));
	expect(connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	return fd;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct client *c = SSL_get_app_data(ssl);

	SSL_SESSION_free(c->session);
	c->session = session;
	return 1;
}

static void set_up_client(struct client *c)
{
	char path[CERTIFICATES_PATH_BYTES];

	c->ctx = SSL_CTX_new(TLS_client_method());
	expect(SSL_CTX_load_verify_file(c->ctx, path_of("ca.pem", path)) == 1);
	SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
	/* A session in the context's own cache cannot be resumed any more when that has gone. */
	SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->ctx, keep_session);
	if (c->version)
		SSL_CTX_set_max_proto_version(c->ctx, c->version);
	if (c->certificate) {
		path_of(c->certificate, path);
		expect(SSL_CTX_use_certificate_file(c->ctx, path, SSL_FILETYPE_PEM) == 1);
		path_of(c->key, path);
		expect(SSL_CTX_use_PrivateKey_file(c->ctx, path, SSL_FILETYPE_PEM) == 1);
	}
	c->ssl = SSL_new(c->ctx);
	SSL_set_app_data(c->ssl, c);
	SSL_set_fd(c->ssl, c->fd);
	if (c->resume)
		SSL_set_session(c->ssl, c->resume);
	if (c->protocol) {
		unsigned char list[32] = {(unsigned char)strlen(c->protocol)};

		memcpy(list + 1, c->protocol, strlen(c->protocol));
		SSL_set_alpn_protos(c->ssl, list, (unsigned int)strlen(c->protocol) + 1);
	}
}

static void *client_run(void *arg)
{
	struct client *c = arg;

	is_client = true;
	c->fd = dial();
	set_up_client(c);
	c->shook_hands = SSL_connect(c->ssl) == 1;
	c->resumed = SSL_session_reused(c->ssl);
	if (c->shook_hands && c->body)
		c->body(c);
	if (!c->error)
		c->error = ERR_peek_error();
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
	atomic_store(&c->done, true);
	return NULL;
}

/* Goroutines may not wait for threads, so they yield until it is done. */
static void client_start(struct client *c)
{
	expect(pthread_create(&c->thread, NULL, client_run, c) == 0);
}

static void client_join(struct client *c)
{
	while (!atomic_load(&c->done))
		go_yield();
	pthread_join(c->thread, NULL);
}

/* ---- the daemon's side ----------------------------------------------------------------------- */

static struct stream *_Atomic accepted;
static atomic_int accepted_count, failed_count;
static struct lock failed_lock = LOCK_INIT(LOCK_RANK_OUTER); /* guards failed_why */
static char failed_why[256];                                 /* of the last that failed */

static void take_stream(void *arg, struct stream *s)
{
	(void)arg;
	accepted_count++;
	atomic_store(&accepted, s);
}

static void take_failure(const struct stream_peer *peer, const char *text)
{
	expect(peer->kind == STREAM_TLS);
	lock_acquire(&failed_lock);
	snprintf(failed_why, sizeof(failed_why), "%s", text);
	lock_release(&failed_lock);
	failed_count++;
}

/* Waits until so many have failed, and that the last is told by these words. */
static void expect_told(int count, const char *words)
{
	while (failed_count < count)
		go_yield();
	expect(failed_count == count);
	lock_acquire(&failed_lock);
	if (!strstr(failed_why, words))
		fprintf(stderr, "'%s' does not say '%s'\n", failed_why, words);
	expect(strstr(failed_why, words) != NULL);
	lock_release(&failed_lock);
}

static struct stream *next_stream(void)
{
	struct stream *s;

	while (!(s = atomic_exchange(&accepted, NULL)))
		go_yield();
	return s;
}

static void listen_with(enum tls_clients clients, int64_t timeout_ns)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	accepted_count = failed_count = 0;
	expect(load("server.pem", "server.key", clients, clients ? "ca.pem" : "", &context) == 0);
	expect(listener_bind((struct sockaddr *)&at, sizeof(at), 0, &listener, why, sizeof(why)) ==
		0);
	listener_use_tls(listener, context, timeout_ns, take_failure);
	expect(strncmp(listener_url(listener), "tls://127.0.0.1:", 16) == 0);
	expect(listener_start(listener, take_stream, NULL) == 0);
}

static void stop_listening(void)
{
	listener_stop(listener);
	tls_context_free(context);
}

/* Reads until the end or an error, parking; appends to bytes. The count, or -errno. */
static ssize_t read_to_end(struct stream *s, char *bytes, size_t size)
{
	size_t have = 0;
	ssize_t n;

	for (;;) {
		n = stream_read(s, bytes + have, size - have);
		if (n == -EAGAIN) {
			netpoll_wait(s->poll, NETPOLL_READ, DEADLINE_NEVER);
			continue;
		}
		if (n <= 0)
			return n < 0 ? n : (ssize_t)have;
		have += (size_t)n;
	}
}

/* ---- handshakes ------------------------------------------------------------------------------ */

static void say_hi_and_close(struct client *c)
{
	char bytes[16];

	expect(SSL_write(c->ssl, "hi", 2) == 2);
	expect(SSL_shutdown(c->ssl) == 0); /* sent, and not received yet */
	expect(SSL_read(c->ssl, bytes, sizeof(bytes)) == 5 && memcmp(bytes, "there", 5) == 0);
	expect(SSL_read(c->ssl, bytes, sizeof(bytes)) == 0);
	expect(SSL_get_error(c->ssl, 0) == SSL_ERROR_ZERO_RETURN);
}

/* Each side ends its half by itself, and the other hears of it. */
static void converse(int version, const char *protocol)
{
	struct client c = {.body = say_hi_and_close, .version = version, .protocol = protocol};
	struct iovec iov = {"there", 5};
	struct stream_peer peer;
	struct stream *s;
	char bytes[16];

	client_start(&c);
	s = next_stream();
	expect(read_to_end(s, bytes, sizeof(bytes)) == 2 && memcmp(bytes, "hi", 2) == 0);
	stream_peer(s, &peer);
	expect(peer.kind == STREAM_TLS && strcmp(peer.address, "127.0.0.1") == 0 && peer.port);
	expect(!*peer.common_name && peer.name_count == 0);
	expect(stream_write_all(s, &iov, 1, DEADLINE_NEVER) == 0);
	stream_finish(s);
	client_join(&c);
	expect(c.shook_hands && !c.error);
	SSL_SESSION_free(c.session);
	stream_free(s);
}

static void conversations(void)
{
	listen_with(TLS_CLIENTS_NONE, 60 * NS_PER_S);
	converse(0, TLS_PROTOCOL_NAME);
	converse(TLS1_2_VERSION, TLS_PROTOCOL_NAME);
	converse(0, NULL);
	stop_listening();
}

static void test_conversations(void **state)
{
	(void)state;
	run_everywhere(conversations);
}

/* Waits for one more failure, and that it is told by these words. */
static void expect_refused(struct client *c, const char *words)
{
	int before = failed_count;

	client_start(c);
	expect_told(before + 1, words);
	client_join(c);
	SSL_SESSION_free(c->session);
}

/* TLS 1.3: the client is through before the daemon is, and hears of a refusal when it reads. */
static void read_once(struct client *c)
{
	char byte;

	expect(SSL_read(c->ssl, &byte, 1) <= 0);
}

/* Clients that are not wanted, and that it says so on both sides: the alert reaches them. */
static void refusals(void)
{
	static const struct {
		const char *certificate, *key, *protocol, *words;
		int version, reason;
	} cases[] = {
		{NULL, NULL, NULL, "peer did not return a certificate", 0,
			SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED},
		{NULL, NULL, NULL, "peer did not return a certificate", TLS1_2_VERSION,
			SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE},
		{"stranger.pem", "stranger.key", NULL, "unable to get local issuer certificate", 0,
			SSL_R_TLSV1_ALERT_UNKNOWN_CA},
		{"old-client.pem", "old-client.key", NULL, "certificate has expired", 0,
			SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED},
		{"server.pem", "server.key", NULL, "unsuitable certificate purpose", 0,
			SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE},
		{"client.pem", "client.key", "h2", "no application protocol", 0,
			SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL},
		{"client.pem", "client.key", NULL, "unsupported protocol", TLS1_1_VERSION,
			SSL_R_TLSV1_ALERT_PROTOCOL_VERSION},
	};

	listen_with(TLS_CLIENTS_REQUIRED, 60 * NS_PER_S);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct client c = {.body = read_once,
			.certificate = cases[i].certificate,
			.key = cases[i].key,
			.protocol = cases[i].protocol,
			.version = cases[i].version};

		expect_refused(&c, cases[i].words);
		if (ERR_GET_REASON(c.error) != cases[i].reason)
			fprintf(stderr, "case %zu: %s\n", i, ERR_reason_error_string(c.error));
		expect(ERR_GET_REASON(c.error) == cases[i].reason);
	}
	expect(accepted_count == 0);
	stop_listening();
}

static void test_refusals(void **state)
{
	(void)state;
	run_everywhere(refusals);
}

static void close_at_once(struct client *c)
{
	SSL_shutdown(c->ssl);
}

/* A verified certificate says who the client is. */
static void identity(void)
{
	static const char *const names[] = {"DNS:worker.example", "URI:spiffe://example/worker",
		"email:worker@example.org", "IP:192.0.2.7"};
	struct client c = {.body = close_at_once, .certificate = "client.pem", .key = "client.key"};
	struct stream_peer peer;
	struct stream *s;

	listen_with(TLS_CLIENTS_OPTIONAL, 60 * NS_PER_S);
	client_start(&c);
	s = next_stream();
	stream_peer(s, &peer);
	expect(strcmp(peer.common_name, "worker-1") == 0);
	expect(peer.name_count == 4);
	for (int i = 0; i < 4 && i < peer.name_count; i++)
		expect(strcmp(peer.names[i], names[i]) == 0);
	client_join(&c);
	SSL_SESSION_free(c.session);
	stream_free(s);
	stop_listening();
}

static void test_identity(void **state)
{
	(void)state;
	run_everywhere(identity);
}

static void read_to_the_end(struct client *c)
{
	char byte;

	while (SSL_read(c->ssl, &byte, 1) > 0)
		;
	SSL_shutdown(c->ssl);
}

/* One connection with a certificate, which may resume c's; whether it did, and still is known. */
static bool connect_again(int version, SSL_SESSION **session)
{
	struct client c = {.body = read_to_the_end,
		.certificate = "client.pem",
		.key = "client.key",
		.version = version,
		.resume = *session};
	struct stream_peer peer;
	struct stream *s;

	client_start(&c);
	s = next_stream();
	stream_peer(s, &peer);
	expect(strcmp(peer.common_name, "worker-1") == 0);
	stream_finish(s);
	client_join(&c);
	expect(c.shook_hands);
	if (c.session) { /* TLS 1.2 goes on with the old one */
		SSL_SESSION_free(*session);
		*session = c.session;
	}
	stream_free(s);
	return c.resumed;
}

/* Sessions are resumed, with whom they were of; but not once the context was replaced. */
static void resumption(void)
{
	const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct tls_context *fresh;

	listen_with(TLS_CLIENTS_REQUIRED, 60 * NS_PER_S);
	for (int i = 0; i < 2; i++) {
		SSL_SESSION *session = NULL;

		expect(!connect_again(versions[i], &session));
		expect(connect_again(versions[i], &session));
		expect(connect_again(versions[i], &session));
		expect(load("server.pem", "server.key", TLS_CLIENTS_REQUIRED, "ca.pem", &fresh) ==
			0);
		tls_context_replace(context, fresh);
		expect(!connect_again(versions[i], &session));
		SSL_SESSION_free(session);
	}
	stop_listening();
}

static void test_resumption(void **state)
{
	(void)state;
	run_everywhere(resumption);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

#define PATTERN_BYTES (2u * 1024u * 1024u)

static char pattern(size_t i)
{
	return (char)(i * 31 + i / 4093);
}

/* Sends and receives the pattern at once without blocking, and now and then has the keys of both
 * directions changed, which makes each need the other. */
static void exchange(struct client *c)
{
	size_t sent = 0, received = 0, updates = 0;
	char out[5000], in[7000];

	SSL_set_mode(c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	while (sent < PATTERN_BYTES || received < PATTERN_BYTES) {
		size_t n = PATTERN_BYTES - sent < sizeof(out) ? PATTERN_BYTES - sent : sizeof(out);
		int rc;

		for (size_t i = 0; i < n; i++)
			out[i] = pattern(sent + i);
		rc = n ? SSL_write(c->ssl, out, (int)n) : 0;
		sent += rc > 0 ? (size_t)rc : 0;
		rc = SSL_read(c->ssl, in, sizeof(in));
		for (int i = 0; i < rc; i++)
			expect(in[i] == pattern(received + (size_t)i));
		received += rc > 0 ? (size_t)rc : 0;
		if (SSL_version(c->ssl) == TLS1_3_VERSION && received / 100000 > updates) {
			updates++;
			SSL_key_update(c->ssl, SSL_KEY_UPDATE_REQUESTED);
		}
	}
	fcntl(c->fd, F_SETFL, 0);
	ERR_clear_error();
	SSL_shutdown(c->ssl);
	expect(SSL_read(c->ssl, in, sizeof(in)) == 0);
}

static atomic_int parts_done;

static void write_pattern(struct stream *s)
{
	char *bytes = malloc(PATTERN_BYTES);
	struct iovec iov[] = {{bytes, 0}, {bytes, 1}, {bytes + 1, 4000}, {bytes + 4001, 70000},
		{bytes + 74001, 0}, {bytes + 74001, PATTERN_BYTES - 74001}};

	for (size_t i = 0; i < PATTERN_BYTES; i++)
		bytes[i] = pattern(i);
	expect(stream_write_all(s, iov, 6, DEADLINE_NEVER) == 0);
	free(bytes);
	parts_done++;
}

static void read_pattern(struct stream *s)
{
	char *bytes = malloc(PATTERN_BYTES + 1);

	expect(read_to_end(s, bytes, PATTERN_BYTES + 1) == PATTERN_BYTES);
	for (size_t i = 0; i < PATTERN_BYTES; i++)
		expect(bytes[i] == pattern(i));
	free(bytes);
	parts_done++;
}

/* A reader and a writer at work at once. */
static void both_ways(void)
{
	const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	listen_with(TLS_CLIENTS_NONE, 60 * NS_PER_S);
	for (int i = 0; i < 2; i++) {
		struct client c = {.body = exchange, .version = versions[i]};
		struct stream *s;

		parts_done = 0;
		client_start(&c);
		s = next_stream();
		go(write_pattern, s);
		go(read_pattern, s);
		while (parts_done < 2)
			go_yield();
		stream_finish(s);
		client_join(&c);
		expect(!c.error);
		SSL_SESSION_free(c.session);
		stream_free(s);
	}
	stop_listening();
}

static void test_both_ways(void **state)
{
	(void)state;
	run_everywhere(both_ways);
}

static void cut(struct client *c)
{
	SSL_write(c->ssl, "hi", 2);
	shutdown(c->fd, SHUT_WR); /* no close_notify */
}

static void send_garbage(struct client *c)
{
	send(c->fd, "\x17\x03\x03\x00\x04nope", 9, 0);
}

/* A connection that is cut has not ended, and what is no record of the peer's is not read. */
static void broken_streams(void)
{
	void (*const bodies[])(struct client *) = {cut, send_garbage};
	const int errors[] = {-ECONNRESET, -EPROTO};

	listen_with(TLS_CLIENTS_NONE, 60 * NS_PER_S);
	for (int i = 0; i < 2; i++) {
		struct client c = {.body = bodies[i]};
		struct iovec iov = {"x", 1};
		struct stream *s;
		char bytes[16];

		client_start(&c);
		s = next_stream();
		expect(read_to_end(s, bytes, sizeof(bytes)) == errors[i]);
		expect(stream_read(s, bytes, sizeof(bytes)) == errors[i]);
		expect(stream_write_all(s, &iov, 1, DEADLINE_NEVER) == errors[i]);
		client_join(&c);
		SSL_SESSION_free(c.session);
		stream_finish(s);
		stream_free(s);
	}
	stop_listening();
}

static void test_broken_streams(void **state)
{
	(void)state;
	run_everywhere(broken_streams);
}

/* A client that has said its last word and is gone: a write fails, and is not asked for again. */
static void write_to_gone(void)
{
	const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct iovec iov = {"x", 1};

	listen_with(TLS_CLIENTS_NONE, 60 * NS_PER_S);
	for (int i = 0; i < 2; i++) {
		struct client c = {.body = close_at_once, .version = versions[i]};
		struct stream *s;
		ssize_t n = 1;
		char byte;

		client_start(&c);
		s = next_stream();
		expect(read_to_end(s, &byte, 1) == 0);
		client_join(&c);
		while (n > 0) /* until the kernel has heard that nobody is there */
			n = stream_writev(s, &iov, 1);
		expect(n == -EPIPE || n == -ECONNRESET);
		expect(stream_writev(s, &iov, 1) == n);
		SSL_SESSION_free(c.session);
		stream_free(s);
	}
	stop_listening();
}

static void test_write_to_gone(void **state)
{
	(void)state;
	run_everywhere(write_to_gone);
}

/* ---- those who do not shake hands ------------------------------------------------------------ */

/* Half a ClientHello, from as many as there may be and more: the oldest go, and who means it gets
 * through. */
static void half_handshakes(void)
{
	enum { EXTRA = 50, ALL = HANDSHAKES_MAX + EXTRA };
	struct client c = {.body = say_hi_and_close};
	static int fds[ALL];
	struct iovec iov = {"there", 5};
	struct stream *s;
	char byte;

	listen_with(TLS_CLIENTS_NONE, 60 * NS_PER_S);
	for (int i = 0; i < ALL; i++) {
		fds[i] = dial();
		expect(send(fds[i], "\x16\x03\x01", 3, MSG_NOSIGNAL) == 3);
	}
	client_start(&c);
	s = next_stream();
	expect(stream_write_all(s, &iov, 1, DEADLINE_NEVER) == 0);
	stream_finish(s);
	client_join(&c);
	expect(c.shook_hands && !c.error);
	SSL_SESSION_free(c.session);
	stream_free(s);

	expect_told(EXTRA + 1, "too many began after it"); /* the last for who meant it */
	blocking_enter();
	expect(recv(fds[0], &byte, 1, 0) <= 0);
	blocking_exit();
	expect(recv(fds[ALL - 1], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	stop_listening(); /* with the others under way */
	expect(failed_count == ALL);
	for (int i = 0; i < ALL; i++)
		close(fds[i]);
}

static void test_half_handshakes(void **state)
{
	struct rlimit r;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	if (r.rlim_cur < 3 * HANDSHAKES_MAX)
		SKIP_TEST("it takes more descriptors than may be open");
	run_everywhere(half_handshakes);
}

/* Whether bytes come or not: the deadline is of the whole. */
static void deadlines(void)
{
	int fds[3];

	listen_with(TLS_CLIENTS_NONE, 50 * NS_PER_MS);
	for (int i = 0; i < 3; i++)
		fds[i] = dial();
	send(fds[1], "\x16\x03\x01", 3, MSG_NOSIGNAL);
	while (failed_count < 3) {
		send(fds[2], "\x16\x03\x01\x40", 1, MSG_NOSIGNAL);
		go_yield();
	}
	expect(accepted_count == 0);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	stop_listening();
}

static void test_deadlines(void **state)
{
	(void)state;
	run_everywhere(deadlines);
}

/* A client that does not speak TLS gets an alert, and is told from one that says nothing. */
static void plain_clients(void)
{
	char bytes[7];
	ssize_t n;
	int fd;

	listen_with(TLS_CLIENTS_NONE, 60 * NS_PER_S);
	fd = dial();
	expect(send(fd, "\0\0\0\x12\1\0\0\x0e", 8, 0) == 8);
	expect_told(1, "does not speak TLS");
	blocking_enter(); /* it has been sent, and the kernel may take its time */
	n = recv(fd, bytes, 7, MSG_WAITALL);
	blocking_exit();
	expect(n == 7);
	expect(memcmp(bytes, "\x15\3\1\0\2\2\x46", 7) == 0);
	close(fd);
	close(dial());
	expect_told(2, "said nothing");
	stop_listening();
}

static void test_plain_clients(void **state)
{
	(void)state;
	run_everywhere(plain_clients);
}

/* ---- OpenSSL without memory ------------------------------------------------------------------ */

static atomic_long allocations_left; /* until the one that fails; below 1: none does */

static void *allocate(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	if (!is_client && atomic_fetch_sub(&allocations_left, 1) == 1)
		return NULL;
	return malloc(n);
}

static void *reallocate(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	if (!is_client && n && atomic_fetch_sub(&allocations_left, 1) == 1)
		return NULL;
	return realloc(p, n);
}

static void release(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

static void try_to_talk(struct client *c)
{
	char byte;

	SSL_write(c->ssl, "hi", 2);
	SSL_shutdown(c->ssl);
	while (SSL_read(c->ssl, &byte, 1) > 0)
		;
	ERR_clear_error();
}

/* One connection, in which the n-th allocation fails; false: it had not so many. */
static bool suffer(long n)
{
	struct client c = {.body = try_to_talk, .certificate = "client.pem", .key = "client.key"};
	int before = failed_count;
	struct iovec iov = {"there", 5};
	struct stream_peer peer;
	struct stream *s = NULL;
	char bytes[16];

	atomic_store(&allocations_left, n);
	client_start(&c);
	while (!s && failed_count == before) {
		go_yield();
		s = atomic_exchange(&accepted, NULL);
	}
	if (s) {
		stream_peer(s, &peer);
		read_to_end(s, bytes, sizeof(bytes));
		stream_write_all(s, &iov, 1, DEADLINE_NEVER);
		stream_finish(s);
		stream_free(s);
	}
	client_join(&c);
	SSL_SESSION_free(c.session);
	return atomic_exchange(&allocations_left, 0) < 1;
}

/* Whichever allocation fails, only that connection does. */
static void no_memory(void)
{
	long n = 1;

	listen_with(TLS_CLIENTS_REQUIRED, 60 * NS_PER_S);
	while (suffer(n))
		n += 1 + n / 50;
	expect(n > 100);
	stop_listening();
}

static void test_no_memory(void **state)
{
	(void)state;
	run_on(2, 0, no_memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrong_files),
		cmocka_unit_test(test_conversations),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_resumption),
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_broken_streams),
		cmocka_unit_test(test_write_to_gone),
		cmocka_unit_test(test_half_handshakes),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_plain_clients),
		cmocka_unit_test(test_no_memory),
	};

	CRYPTO_set_mem_functions(allocate, reallocate, release);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name(
		"stream_tls", tests, make_certificates, remove_certificates);
}
