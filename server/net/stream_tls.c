/*
 * stream_tls.c - streams over TLS.
 *
 * An SSL is for one thread at a time, and a reader and a writer may be at work: each call of
 * OpenSSL is made under the stream's lock. It never waits there, since the socket does not, and is
 * about one record: ten microseconds.
 *
 * Either direction may now and then need the other (an update of keys, asked for by the peer, has
 * to leave before the next record does). Who cannot go on for that says so in read_waits or
 * write_waits, and gets -EAGAIN; when the other direction has moved, it pokes the one that waits.
 */
#include "server/net/stream_tls.h"

#include "server/base/lock.h"
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What one record holds. */
#define RECORD_BYTES 16384

/* The first byte of all that begins TLS. */
#define RECORD_HANDSHAKE 0x16

struct tls_stream {
	struct stream stream; /* first: what others know */
	struct tls_context *context;
	struct lock lock; /* guards all below, once the handshake is done */
	SSL *ssl;         /* NULL until the peer's first byte has come */
	int dead;         /* -errno of a failure, after which OpenSSL may not be asked again */
	bool read_waits, write_waits;
};

static struct tls_stream *tls_of(struct stream *s)
{
	return (struct tls_stream *)s;
}

/* ---- what OpenSSL answers ----------------------------------------------------------------- */

/* Before each call: what others left in the thread's queue of errors would be taken for ours. */
static void begin_call(void)
{
	ERR_clear_error();
	errno = 0;
}

static int errno_of_failure(int ssl_error)
{
	if (ssl_error == SSL_ERROR_SYSCALL)
		return errno ? -errno : -ECONNRESET;
	return ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING ? -ECONNRESET
										      : -EPROTO;
}

/* What a call that transferred nothing means: 0 at the end of the stream, -EAGAIN, or why it is
 * dead. *ret_wants is set with -EAGAIN. */
static int explain(struct tls_stream *t, int result, enum netpoll_mode *ret_wants)
{
	int error = SSL_get_error(t->ssl, result);

	switch (error) {
	case SSL_ERROR_WANT_READ:
		*ret_wants = NETPOLL_READ;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		*ret_wants = NETPOLL_WRITE;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		t->dead = errno_of_failure(error);
		return t->dead;
	}
}

/* ---- bytes -------------------------------------------------------------------------------- */

static ssize_t read_record(struct tls_stream *t, void *bytes, size_t size)
{
	enum netpoll_mode wants = NETPOLL_READ;
	int n;

	if (t->dead)
		return t->dead;
	begin_call();
	n = SSL_read(t->ssl, bytes, size < RECORD_BYTES ? (int)size : RECORD_BYTES);
	if (n <= 0)
		n = explain(t, n, &wants);
	t->read_waits = wants == NETPOLL_WRITE;
	return n;
}

static ssize_t tls_read(struct stream *s, void *bytes, size_t size)
{
	struct tls_stream *t = tls_of(s);
	bool poke;
	ssize_t n;

	lock_acquire(&t->lock);
	n = read_record(t, bytes, size);
	poke = t->write_waits;
	t->write_waits = false;
	lock_release(&t->lock);
	if (poke)
		netpoll_poke(s->poll, NETPOLL_WRITE);
	return n;
}

/* The front of iov in one piece of a record at most. Small pieces are copied to this thread's
 * buffer, good until the next call: each record costs 22 bytes and a system call. */
static const void *gather(const struct iovec *iov, int count, size_t *ret_len)
{
	static _Thread_local unsigned char record[RECORD_BYTES];
	size_t n = 0;

	if (count == 1 || iov->iov_len >= RECORD_BYTES) {
		*ret_len = iov->iov_len < RECORD_BYTES ? iov->iov_len : RECORD_BYTES;
		return iov->iov_base;
	}
	for (; count > 0 && n < RECORD_BYTES; iov++, count--) {
		size_t take = iov->iov_len < RECORD_BYTES - n ? iov->iov_len : RECORD_BYTES - n;

		if (take)
			memcpy(record + n, iov->iov_base, take);
		n += take;
	}
	*ret_len = n;
	return record;
}

static ssize_t write_record(struct tls_stream *t, const struct iovec *iov, int count)
{
	enum netpoll_mode wants = NETPOLL_WRITE;
	const void *bytes;
	size_t len;
	int n;

	if (t->dead)
		return t->dead;
	bytes = gather(iov, count, &len);
	if (len == 0)
		return 0;
	begin_call();
	n = SSL_write(t->ssl, bytes, (int)len);
	if (n <= 0)
		n = explain(t, n, &wants);
	if (n == 0) /* the peer had said that it would write no more, and now it is gone */
		n = t->dead = -EPIPE;
	t->write_waits = wants == NETPOLL_READ;
	return n;
}

static ssize_t tls_writev(struct stream *s, const struct iovec *iov, int count)
{
	struct tls_stream *t = tls_of(s);
	bool poke;
	ssize_t n;

	lock_acquire(&t->lock);
	n = write_record(t, iov, count);
	poke = n > 0 && t->read_waits;
	if (poke)
		t->read_waits = false;
	lock_release(&t->lock);
	if (poke)
		netpoll_poke(s->poll, NETPOLL_READ);
	return n;
}

/* ---- the end ------------------------------------------------------------------------------ */

static void tls_shutdown(struct stream *s, int how)
{
	shutdown(s->fd, how);
}

/* Should the socket take no more, the end goes without a word: who does not read does not miss it.
 */
static void tls_finish(struct stream *s)
{
	struct tls_stream *t = tls_of(s);

	lock_acquire(&t->lock);
	if (t->ssl && !t->dead) {
		begin_call();
		SSL_shutdown(t->ssl);
	}
	lock_release(&t->lock);
	shutdown(s->fd, SHUT_WR);
}

static void tls_free(struct stream *s)
{
	struct tls_stream *t = tls_of(s);

	netpoll_close(s->poll);
	SSL_free(t->ssl);
	close(s->fd);
	free(t);
}

/* ---- the peer's certificate --------------------------------------------------------------- */

/* Whether text can stand in a log and in a rule: no byte of it is a control character. */
static bool is_plain(const unsigned char *text, int len)
{
	if (len <= 0)
		return false;
	for (int i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] == 0x7f ||
			(text[i] == 0xc2 && i + 1 < len && text[i + 1] < 0xa0))
			return false;
	return true;
}

/* The last common name is the most specific. */
static void note_common_name(X509 *certificate, struct stream_peer *peer)
{
	X509_NAME *subject = X509_get_subject_name(certificate);
	unsigned char *text = NULL;
	int at = -1, next, len;

	while ((next = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0)
		at = next;
	if (at < 0)
		return;
	len = ASN1_STRING_to_UTF8(
		&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (is_plain(text, len) && (size_t)len < sizeof(peer->common_name))
		memcpy(peer->common_name, text, (size_t)len);
	OPENSSL_free(text);
}

static void note_name(struct stream_peer *peer, const char *sort, const void *text, int len)
{
	if (is_plain(text, len) && strlen(sort) + (size_t)len < STREAM_NAME_BYTES_MAX)
		snprintf(peer->names[peer->name_count++], STREAM_NAME_BYTES_MAX, "%s%.*s", sort,
			len, (const char *)text);
}

static void note_ip(struct stream_peer *peer, const ASN1_OCTET_STRING *ip)
{
	int family = ASN1_STRING_length(ip) == 4 ? AF_INET : AF_INET6;
	char text[INET6_ADDRSTRLEN];

	if (family == AF_INET6 && ASN1_STRING_length(ip) != 16)
		return;
	inet_ntop(family, ASN1_STRING_get0_data(ip), text, sizeof(text));
	note_name(peer, "IP:", text, (int)strlen(text));
}

static void note_alternative(struct stream_peer *peer, const GENERAL_NAME *name)
{
	static const char *const sorts[] = {
		[GEN_EMAIL] = "email:", [GEN_DNS] = "DNS:", [GEN_URI] = "URI:"};
	int sort;
	ASN1_STRING *text = GENERAL_NAME_get0_value(name, &sort);

	if (sort == GEN_IPADD)
		note_ip(peer, text);
	else if (sort == GEN_EMAIL || sort == GEN_DNS || sort == GEN_URI)
		note_name(peer, sorts[sort], ASN1_STRING_get0_data(text), ASN1_STRING_length(text));
}

static void note_certificate(X509 *certificate, struct stream_peer *peer)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

	note_common_name(certificate, peer);
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && peer->name_count < STREAM_NAMES_MAX; i++)
		note_alternative(peer, sk_GENERAL_NAME_value(names, i));
	GENERAL_NAMES_free(names);
	ERR_clear_error();
}

static void tls_peer(struct stream *s, struct stream_peer *ret_peer)
{
	struct tls_stream *t = tls_of(s);
	X509 *certificate;

	stream_peer_of_socket(s->fd, ret_peer);
	ret_peer->kind = STREAM_TLS;
	lock_acquire(&t->lock);
	certificate =
		t->ssl && SSL_is_init_finished(t->ssl) ? SSL_get1_peer_certificate(t->ssl) : NULL;
	lock_release(&t->lock);
	if (!certificate)
		return;
	note_certificate(certificate, ret_peer);
	X509_free(certificate);
}

/* ---- the beginning ------------------------------------------------------------------------ */

static const struct stream_ops tls_ops = {
	.read = tls_read,
	.writev = tls_writev,
	.shutdown = tls_shutdown,
	.finish = tls_finish,
	.peer = tls_peer,
	.free = tls_free,
};

int stream_tls_new(int fd, struct tls_context *context, struct stream **ret_stream)
{
	struct tls_stream *t = calloc(1, sizeof(*t));
	int rc = -ENOMEM;

	if (!t)
		goto fail;
	t->stream = (struct stream){.ops = &tls_ops, .fd = fd};
	t->context = context;
	lock_init(&t->lock, LOCK_RANK_OUTER);
	rc = netpoll_open(fd, &t->stream.poll);
	if (rc < 0)
		goto fail;
	*ret_stream = &t->stream;
	return 0;
fail:
	free(t);
	close(fd);
	return rc;
}

/* A client that does not speak TLS is told so in the one way that no client of TLS takes for
 * anything else: by an alert (fatal, protocol version). */
static int refuse_plain(struct tls_stream *t, char *why, size_t why_bytes)
{
	static const unsigned char alert[] = {0x15, 3, 1, 0, 2, 2, 70};

	send(t->stream.fd, alert, sizeof(alert), MSG_NOSIGNAL);
	snprintf(why, why_bytes, "the client does not speak TLS");
	return -EPROTO;
}

/* The peer's first byte decides whether there will be TLS. 0, or as the handshake. */
static int begin_handshake(
	struct tls_stream *t, enum netpoll_mode *ret_wants, char *why, size_t why_bytes)
{
	unsigned char first;
	ssize_t n;

	do
		n = recv(t->stream.fd, &first, 1, MSG_PEEK);
	while (n < 0 && errno == EINTR); /* the poller tells of this byte only once */
	*ret_wants = NETPOLL_READ;
	if (n < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (n <= 0) {
		snprintf(why, why_bytes, "the client said nothing and left");
		return -ECONNRESET;
	}
	if (first != RECORD_HANDSHAKE)
		return refuse_plain(t, why, why_bytes);
	t->ssl = tls_context_open(t->context, t->stream.fd);
	if (t->ssl)
		return 0;
	snprintf(why, why_bytes, "out of memory");
	return -ENOMEM;
}

static int explain_handshake(
	struct tls_stream *t, int result, enum netpoll_mode *ret_wants, char *why, size_t why_bytes)
{
	int rc = explain(t, result, ret_wants);
	const char *text = ERR_reason_error_string(ERR_peek_error());
	long verified = SSL_get_verify_result(t->ssl);

	if (rc == -EAGAIN)
		return rc;
	if (rc == 0)
		rc = t->dead = -ECONNRESET;
	if (verified != X509_V_OK)
		snprintf(why, why_bytes, "the client's certificate was refused: %s",
			X509_verify_cert_error_string(verified));
	else
		snprintf(why, why_bytes, "%s", text && rc == -EPROTO ? text : strerror(-rc));
	return rc;
}

/* A session that is resumed brings the certificate of its beginning, which is not checked again. */
static bool has_expired(SSL *ssl)
{
	X509 *certificate = SSL_session_reused(ssl) ? SSL_get0_peer_certificate(ssl) : NULL;

	return certificate && X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0;
}

static int shake(struct tls_stream *t, enum netpoll_mode *ret_wants, char *why, size_t why_bytes)
{
	int n;

	if (!t->ssl && (n = begin_handshake(t, ret_wants, why, why_bytes)) < 0)
		return n;
	begin_call();
	n = SSL_do_handshake(t->ssl);
	if (n != 1)
		return explain_handshake(t, n, ret_wants, why, why_bytes);
	if (!has_expired(t->ssl))
		return 0;
	snprintf(why, why_bytes, "the client's certificate has expired since its session began");
	t->dead = -EPROTO;
	return t->dead;
}

int stream_tls_handshake(
	struct stream *s, enum netpoll_mode *ret_wants, char *why, size_t why_bytes)
{
	int rc = shake(tls_of(s), ret_wants, why, why_bytes); /* nobody else works on it yet */

	/* What the client said behind its last word may be in OpenSSL's buffer already. */
	if (rc == 0)
		netpoll_poke(s->poll, NETPOLL_READ);
	return rc;
}
