/*
 * stream_tls.c - streams over TLS.
 *
 * An SSL is for one thread at a time, and one thread may read while another writes: each call of
 * OpenSSL is made under the connection's lock. It never waits there, as our BIO asks the socket
 * with MSG_DONTWAIT; who may wait does so in poll, without the lock.
 *
 * Others poll the socket before they read, so nothing that has come may stay behind in OpenSSL: a
 * read goes on until OpenSSL has nothing left, taking no more from the socket meanwhile.
 */
#include "client/clock.h"
#include "client/error.h"
#include "client/stream.h"
#include "client/tls.h"
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* What one record holds. */
#define RECORD_BYTES 16384u

/* Of TLS 1.2; those of 1.3 are all good. */
#define CIPHERS_12 "ECDHE+AESGCM:ECDHE+CHACHA20"

#define NAMES_BYTES_MAX 256u /* of a certificate, in words */

struct tls {
	char *ca, *certificate, *key, *server_name; /* NULL: not given */
	bool insecure;
	SSL_CTX *ctx; /* NULL until the first dial */

	pthread_mutex_t lock; /* guards the session */
	SSL_SESSION *session; /* of the last connection, to be resumed; NULL: none */
	char *session_url;    /* with whom */
};

struct tls_connection {
	struct tls *tls;
	SSL *ssl;
	int fd;
	int64_t wait_max_ns;
	const char *name; /* whose certificate it has to be; valid during the dial */
	char *url;
	bool asked;   /* for a certificate of ours */
	bool no_fill; /* the BIO takes nothing from the socket */
	int status;   /* what a failure is to be called: CHAN_E...; 0: nothing is known */
	char words[STREAM_WORDS_BYTES_MAX]; /* and why */
	pthread_mutex_t lock; /* guards all of it, but for what is constant after the dial */
};

/* ---- the socket --------------------------------------------------------------------------- */

static int bio_write(BIO *bio, const char *bytes, int n)
{
	struct tls_connection *t = BIO_get_data(bio);
	ssize_t put;

	BIO_clear_retry_flags(bio);
	do
		put = send(t->fd, bytes, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (put < 0 && errno == EINTR);
	if (put < 0 && errno == EAGAIN)
		BIO_set_retry_write(bio);
	return (int)put;
}

static int bio_read(BIO *bio, char *bytes, int n)
{
	struct tls_connection *t = BIO_get_data(bio);
	ssize_t got = -1;

	BIO_clear_retry_flags(bio);
	errno = EAGAIN;
	if (!t->no_fill)
		do
			got = recv(t->fd, bytes, (size_t)n, MSG_DONTWAIT);
		while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN)
		BIO_set_retry_read(bio);
	else if (got == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	return (int)got;
}

static long bio_ctrl(BIO *bio, int what, long number, void *arg)
{
	(void)number;
	(void)arg;
	if (what == BIO_CTRL_EOF)
		return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	return what == BIO_CTRL_FLUSH;
}

static BIO_METHOD *socket_method;

static void make_method(void)
{
	socket_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "libchan socket");
	if (!socket_method)
		return;
	BIO_meth_set_write(socket_method, bio_write);
	BIO_meth_set_read(socket_method, bio_read);
	BIO_meth_set_ctrl(socket_method, bio_ctrl);
}

static BIO *bio_new(struct tls_connection *t)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	BIO *bio;

	pthread_once(&once, make_method);
	bio = socket_method ? BIO_new(socket_method) : NULL;
	if (!bio)
		return NULL;
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	return bio;
}

/* ---- what goes wrong ---------------------------------------------------------------------- */

/* Where what we were told is not what we can use: in words, and as a status. */
static int say(struct tls_connection *t, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int say(struct tls_connection *t, int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(t->words, sizeof(t->words), format, arguments);
	va_end(arguments);
	for (char *p = t->words; *p; p++) /* some of it comes from a certificate */
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	t->status = status;
	return status;
}

static const char *reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_error());

	return text ? text : "no reason is known";
}

static void common_name(X509_NAME *name, char text[static NAMES_BYTES_MAX])
{
	if (X509_NAME_get_text_by_NID(name, NID_commonName, text, NAMES_BYTES_MAX) < 0)
		snprintf(text, NAMES_BYTES_MAX, "(no name)");
}

static void format_date(const ASN1_TIME *time, char text[static 32])
{
	struct tm tm;

	snprintf(text, 32, "?");
	if (ASN1_TIME_to_tm(time, &tm))
		strftime(text, 32, "%Y-%m-%d %H:%M UTC", &tm);
}

/* The names that a certificate is for, as many as there is room for. */
static void certificate_names(X509 *certificate, char text[static NAMES_BYTES_MAX])
{
	const size_t size = NAMES_BYTES_MAX;
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	char ip[INET6_ADDRSTRLEN];
	size_t n = 0;

	common_name(X509_get_subject_name(certificate), text);
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && n < size; i++) {
		int sort, len;
		ASN1_STRING *value =
			GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &sort);

		if (sort != GEN_DNS && sort != GEN_IPADD)
			continue;
		len = ASN1_STRING_length(value);
		if (sort == GEN_IPADD)
			inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), ip,
				sizeof(ip));
		n += (size_t)snprintf(text + n, size - n, "%s%.*s", n ? ", " : "",
			sort == GEN_IPADD ? (int)strlen(ip) : len,
			sort == GEN_IPADD ? ip : (const char *)ASN1_STRING_get0_data(value));
	}
	GENERAL_NAMES_free(names);
}

/* Its certificate, or one of those between it and an authority, does not satisfy us. */
static int say_untrusted(struct tls_connection *t, X509 *certificate, int error)
{
	char text[NAMES_BYTES_MAX], date[32];

	switch (error) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		certificate_names(certificate, text);
		return say(t, CHAN_EAUTH,
			"its certificate is for %s and not for %s; dial it by a name that it has",
			text, t->name);
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		common_name(X509_get_issuer_name(certificate), text);
		return say(t, CHAN_EAUTH,
			"its certificate is signed by '%s', whom nobody here knows; name a file "
			"with "
			"that authority's certificate (CHAN_TLS_CA, --tls-ca)",
			text);
	case X509_V_ERR_CERT_HAS_EXPIRED:
		format_date(X509_get0_notAfter(certificate), date);
		return say(t, CHAN_EAUTH,
			"its certificate expired at %s; the broker needs a new one", date);
	default:
		return say(t, CHAN_EAUTH, "its certificate cannot be trusted: %s",
			X509_verify_cert_error_string(error));
	}
}

/* Of OpenSSL, which asks whether to go on. */
static int note_verified(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	X509 *certificate = X509_STORE_CTX_get_current_cert(store);

	if (!ok)
		say_untrusted(SSL_get_app_data(ssl),
			certificate ? certificate : X509_STORE_CTX_get0_cert(store),
			X509_STORE_CTX_get_error(store));
	return ok;
}

/* It did not like what we showed, or that we showed nothing. */
static int say_not_wanted(struct tls_connection *t, const char *why)
{
	if (!t->tls->certificate)
		return say(t, CHAN_EAUTH,
			"the broker wants a certificate of its clients; name ours and its key "
			"(CHAN_TLS_CERT and CHAN_TLS_KEY, --tls-cert and --tls-key)");
	return say(t, CHAN_EAUTH, "the broker does not take our certificate, %s: %s",
		t->tls->certificate, why);
}

/* An alert that a broker sends which asked for a certificate. */
static bool is_about_certificate(int alert)
{
	return (alert >= SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE &&
		       alert <= SSL_R_TLSV1_ALERT_ACCESS_DENIED) ||
	       alert == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED;
}

static int say_tls_error(struct tls_connection *t)
{
	switch (ERR_GET_REASON(ERR_peek_error())) {
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
		return say(t, CHAN_EPROTOCOL,
			"what answers does not speak TLS; dial it by tcp:// if it is to be "
			"without");
	case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
		return say(t, CHAN_EPROTOCOL, "what answers speaks TLS, but is no broker");
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
	case SSL_R_UNSUPPORTED_PROTOCOL:
		return say(t, CHAN_EPROTOCOL, "what answers wants another version of TLS");
	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
		return say(t, CHAN_EUNREACHABLE, "the connection was cut");
	case ERR_R_MALLOC_FAILURE:
		return say(t, CHAN_ENOMEM, "out of memory");
	}
	if (t->asked && is_about_certificate(ERR_GET_REASON(ERR_peek_error())))
		return say_not_wanted(t, reason());
	return say(t, CHAN_EPROTOCOL, "TLS failed: %s", reason());
}

/* What a call of OpenSSL that failed has come to: 0 at the end of the stream, -EAGAIN with what to
 * poll for, or another -errno with words. */
static int outcome(struct tls_connection *t, int result, short *ret_events)
{
	int error = SSL_get_error(t->ssl, result);

	switch (error) {
	case SSL_ERROR_WANT_READ:
		*ret_events = POLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		*ret_events = POLLOUT;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return errno ? -errno : -ECONNRESET;
	default:
		if (!t->status)
			say_tls_error(t);
		return -EPROTO;
	}
}

/* Before each call: what others left in the thread's queue of errors would be taken for ours. */
static void begin_call(void)
{
	ERR_clear_error();
	errno = 0;
}

/* ---- what is common ----------------------------------------------------------------------- */

/* An option, or the environment; *ok becomes false without memory. */
static char *take_text(const char *option, const char *variable, bool *ok)
{
	const char *text = option ? option : variable ? getenv(variable) : NULL;
	char *copy;

	if (!text || !*text)
		return NULL;
	copy = strdup(text);
	*ok = *ok && copy;
	return copy;
}

struct tls *tls_new(const struct chan_dial_options *options)
{
	struct tls *tls = calloc(1, sizeof(*tls));
	bool ok = true;

	if (!tls)
		return NULL;
	pthread_mutex_init(&tls->lock, NULL);
	tls->insecure = options->tls_insecure;
	tls->ca = take_text(options->tls_ca, "CHAN_TLS_CA", &ok);
	tls->certificate = take_text(options->tls_certificate, "CHAN_TLS_CERT", &ok);
	tls->key = take_text(options->tls_key, "CHAN_TLS_KEY", &ok);
	tls->server_name = take_text(options->tls_server_name, NULL, &ok);
	if (ok)
		return tls;
	tls_free(tls);
	return NULL;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->ctx);
	SSL_SESSION_free(tls->session);
	pthread_mutex_destroy(&tls->lock);
	free(tls->session_url);
	free(tls->ca);
	free(tls->certificate);
	free(tls->key);
	free(tls->server_name);
	free(tls);
}

/* Of OpenSSL: a session came that may be resumed. 1: it is ours. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_connection *t = SSL_get_app_data(ssl);
	struct tls *tls = t->tls;
	char *url = strdup(t->url);

	if (!url)
		return 0;
	pthread_mutex_lock(&tls->lock);
	SSL_SESSION_free(tls->session);
	free(tls->session_url);
	tls->session = session;
	tls->session_url = url;
	pthread_mutex_unlock(&tls->lock);
	return 1;
}

/* What was agreed with this broker before. */
static void offer_session(struct tls_connection *t)
{
	struct tls *tls = t->tls;

	pthread_mutex_lock(&tls->lock);
	if (tls->session && strcmp(tls->session_url, t->url) == 0)
		SSL_set_session(t->ssl, tls->session);
	pthread_mutex_unlock(&tls->lock);
}

/* Of OpenSSL: the broker asks for a certificate. 1: go on with what there is. */
static int note_asked(SSL *ssl, void *arg)
{
	struct tls_connection *t = SSL_get_app_data(ssl);

	(void)arg;
	t->asked = true;
	return 1;
}

/* In place of OpenSSL's question at the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *arg)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static int check_readable(struct tls_connection *t, const char *what, const char *path)
{
	if (access(path, R_OK) == 0)
		return 0;
	return say(t, CHAN_EINVAL, "%s, %s, cannot be read: %s", what, path, strerror(errno));
}

static int load_authorities(struct tls_connection *t, SSL_CTX *ctx)
{
	const char *ca = t->tls->ca;
	struct stat st;
	int rc;

	if (!ca) {
		SSL_CTX_set_default_verify_paths(ctx);
		return 0;
	}
	rc = check_readable(t, "the authorities' certificates", ca);
	if (rc < 0)
		return rc;
	rc = stat(ca, &st) == 0 && S_ISDIR(st.st_mode) ? SSL_CTX_load_verify_dir(ctx, ca)
						       : SSL_CTX_load_verify_file(ctx, ca);
	return rc == 1 ? 0
		       : say(t, CHAN_EINVAL,
				 "%s holds no authority's certificate that can be used: %s", ca,
				 reason());
}

static int load_certificate(struct tls_connection *t, SSL_CTX *ctx)
{
	const char *certificate = t->tls->certificate;
	const char *key = t->tls->key ? t->tls->key : certificate;
	int rc;

	if (!certificate)
		return t->tls->key ? say(t, CHAN_EINVAL,
					     "a key is named, %s, and no certificate that it "
					     "belongs to (CHAN_TLS_CERT, --tls-cert)",
					     key)
				   : 0;
	rc = check_readable(t, "our certificate", certificate);
	if (rc == 0)
		rc = check_readable(t, "our certificate's key", key);
	if (rc < 0)
		return rc;
	if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1)
		return say(t, CHAN_EINVAL, "%s holds no certificate that can be used: %s",
			certificate, reason());
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_check_private_key(ctx) != 1)
		return say(t, CHAN_EINVAL,
			"%s holds no key without a passphrase that belongs to the certificate in "
			"%s: %s",
			key, certificate, reason());
	return 0;
}

static int set_up(struct tls_connection *t, SSL_CTX *ctx)
{
	static const unsigned char offer[] = {
		sizeof(TLS_PROTOCOL_NAME) - 1, 'c', 'h', 'a', 'n', 'd', '/', '1'};
	int rc;

	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_cipher_list(ctx, CIPHERS_12);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1); /* a record's head and body by one system call */
	if (!t->tls->insecure)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, note_verified);
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	SSL_CTX_set_cert_cb(ctx, note_asked, NULL);
	/* Not in the context's own cache, which holds sessions by nothing that we would ask for. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, keep_session);
	if (SSL_CTX_set_alpn_protos(ctx, offer, sizeof(offer)) != 0)
		return say(t, CHAN_ENOMEM, "out of memory");
	rc = t->tls->insecure ? 0 : load_authorities(t, ctx);
	return rc < 0 ? rc : load_certificate(t, ctx);
}

/* The context, made for the first connection. 0, or a status with words. */
static int prepare(struct tls_connection *t)
{
	SSL_CTX *ctx;
	int rc;

	if (t->tls->ctx)
		return 0;
	begin_call();
	ctx = SSL_CTX_new(TLS_client_method());
	rc = ctx ? set_up(t, ctx) : say(t, CHAN_ENOMEM, "out of memory");
	if (rc < 0) {
		SSL_CTX_free(ctx);
		return rc;
	}
	t->tls->ctx = ctx;
	return 0;
}

/* ---- dialling ----------------------------------------------------------------------------- */

static bool is_address(const char *name)
{
	unsigned char address[16];

	return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

/* Whose certificate it has to be; a name is said to the broker, too, which may have several. */
static bool set_name(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (is_address(name))
		return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
	return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static int open_ssl(struct tls_connection *t)
{
	BIO *bio;

	t->ssl = SSL_new(t->tls->ctx);
	if (!t->ssl)
		return say(t, CHAN_ENOMEM, "out of memory");
	SSL_set_app_data(t->ssl, t);
	bio = bio_new(t);
	if (!bio)
		return say(t, CHAN_ENOMEM, "out of memory");
	SSL_set_bio(t->ssl, bio, bio);
	if (!set_name(t->ssl, t->name))
		return say(t, CHAN_EINVAL, "'%s' can be no name of a certificate", t->name);
	offer_session(t);
	return 0;
}

/* 0, -EAGAIN, or -errno. */
static int await_socket(int fd, short events, int64_t deadline_ns)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n = poll(&p, 1, clock_poll_ms(deadline_ns, 3600 * 1000));

	return n < 0 ? -errno : n == 0 ? -EAGAIN : 0;
}

/* That it is a broker, and not something else whose certificate is good. */
static int check_protocol(struct tls_connection *t)
{
	const unsigned char *name;
	unsigned int bytes;

	SSL_get0_alpn_selected(t->ssl, &name, &bytes);
	if (bytes == strlen(TLS_PROTOCOL_NAME) && memcmp(name, TLS_PROTOCOL_NAME, bytes) == 0)
		return 0;
	return say(t, CHAN_EPROTOCOL, "what answers speaks TLS, but is no broker");
}

static int shake_hands(struct tls_connection *t, int64_t deadline_ns)
{
	short events = 0;
	int n, rc;

	for (;;) {
		begin_call();
		n = SSL_connect(t->ssl);
		if (n == 1)
			return check_protocol(t);
		rc = outcome(t, n, &events);
		if (rc == -EAGAIN && (rc = await_socket(t->fd, events, deadline_ns)) == 0)
			continue;
		if (rc == -EAGAIN)
			return say(t, CHAN_ETIMEDOUT, "no TLS handshake in time");
		if (rc == -EPROTO)
			return t->status;
		if (rc <= 0 && rc != -EINTR)
			return say(t, CHAN_EUNREACHABLE, "the connection was lost: %s",
				strerror(rc ? -rc : ECONNRESET));
	}
}

static void connection_free(struct tls_connection *t)
{
	SSL_free(t->ssl);
	free(t->url);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static int tls_dial(struct stream *s, const struct url *url, int64_t deadline_ns)
{
	struct tls_connection *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		return error_say(CHAN_ENOMEM, "dial %s: out of memory", url->text);
	pthread_mutex_init(&t->lock, NULL);
	t->tls = s->tls;
	t->name = s->tls->server_name ? s->tls->server_name : url->host;
	t->url = strdup(url->text);
	rc = t->url ? prepare(t) : say(t, CHAN_ENOMEM, "out of memory");
	if (rc < 0)
		goto fail;
	rc = stream_socket_ops.dial(s, url, deadline_ns);
	if (rc < 0) {
		connection_free(t);
		return rc;
	}
	t->fd = s->fd;
	rc = open_ssl(t);
	if (rc == 0)
		rc = shake_hands(t, deadline_ns);
	if (rc < 0) {
		close(s->fd);
		goto fail;
	}
	s->connection = t;
	return 0;
fail:
	error_say(rc, "dial %s: %s", url->text, t->words);
	connection_free(t);
	return rc;
}

/* ---- reading and writing ------------------------------------------------------------------ */

/* Reads all that has come, as far as there is room. Bytes, 0 at the end, or -errno. */
static ssize_t read_all(struct tls_connection *t, char *bytes, size_t n, short *ret_events)
{
	size_t have = 0;
	int got;

	do {
		begin_call();
		got = SSL_read(t->ssl, bytes + have, (int)(n - have));
		have += got > 0 ? (size_t)got : 0;
		t->no_fill = true;
	} while (got > 0 && n - have >= RECORD_BYTES && SSL_has_pending(t->ssl));
	t->no_fill = false;
	/* What ended it comes again at the next read. */
	return have > 0 ? (ssize_t)have : outcome(t, got, ret_events);
}

static ssize_t tls_read(struct stream *s, void *bytes, size_t n, bool wait)
{
	struct tls_connection *t = s->connection;
	int64_t deadline_ns;
	short events = 0;
	ssize_t got;
	int rc = 0;

	pthread_mutex_lock(&t->lock);
	deadline_ns = clock_deadline_ns(t->wait_max_ns);
	while ((got = read_all(t, bytes, n, &events)) == -EAGAIN && wait && rc == 0) {
		pthread_mutex_unlock(&t->lock);
		rc = await_socket(s->fd, events, deadline_ns);
		pthread_mutex_lock(&t->lock);
	}
	pthread_mutex_unlock(&t->lock);
	return got == -EAGAIN && rc < 0 ? rc : got;
}

static ssize_t tls_write(struct stream *s, const void *bytes, size_t n)
{
	struct tls_connection *t = s->connection;
	short events;
	int put;

	pthread_mutex_lock(&t->lock);
	begin_call();
	put = SSL_write(t->ssl, bytes, n < RECORD_BYTES ? (int)n : (int)RECORD_BYTES);
	if (put <= 0)
		put = outcome(t, put, &events);
	pthread_mutex_unlock(&t->lock);
	return put == 0 ? -EPIPE : put; /* the broker had ended its side, and now it is gone */
}

static void tls_finish(struct stream *s)
{
	struct tls_connection *t = s->connection;

	pthread_mutex_lock(&t->lock);
	begin_call();
	SSL_shutdown(t->ssl);
	pthread_mutex_unlock(&t->lock);
	shutdown(s->fd, SHUT_WR);
}

static void tls_wait_max(struct stream *s, int64_t ns)
{
	struct tls_connection *t = s->connection;

	pthread_mutex_lock(&t->lock);
	t->wait_max_ns = ns;
	pthread_mutex_unlock(&t->lock);
}

static int tls_explain(struct stream *s, int error, char *text)
{
	struct tls_connection *t = s->connection;
	int status;

	pthread_mutex_lock(&t->lock);
	snprintf(text, STREAM_WORDS_BYTES_MAX, "%s", *t->words ? t->words : strerror(error));
	status = t->status ? t->status : CHAN_EUNREACHABLE;
	pthread_mutex_unlock(&t->lock);
	return status;
}

static void tls_close(struct stream *s)
{
	connection_free(s->connection);
	close(s->fd);
	s->fd = -1;
	s->ops = NULL;
	s->connection = NULL;
}

const struct stream_ops stream_tls_ops = {
	.dial = tls_dial,
	.read = tls_read,
	.write = tls_write,
	.finish = tls_finish,
	.wait_max = tls_wait_max,
	.explain = tls_explain,
	.close = tls_close,
};
