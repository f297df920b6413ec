#include "server/net/tls.h"

#include "server/base/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of TLS 1.2; those of 1.3 are all good. */
#define CIPHERS_12 "ECDHE+AESGCM:ECDHE+CHACHA20"

/* How long a client may resume a session: its certificate is looked at again after that. */
#define TICKET_LIFETIME_S 3600

/* A chain of RSA-4096 certificates takes 10 KiB; whoever sends more before it is known, is cut. */
#define CLIENT_CHAIN_BYTES_MAX (32 * 1024)

struct tls_context {
	struct lock lock;
	SSL_CTX *ssl_context; /* guarded by lock; counted, each SSL holds it too */
};

/* ---- what is wrong ------------------------------------------------------------------------ */

struct why {
	char *text;
	size_t bytes;
};

static int fail(struct why why, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int fail(struct why why, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why.text, why.bytes, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

/* What OpenSSL says; the oldest of its errors is the one nearest to the cause. */
static const char *reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_error());

	return text ? text : "no reason is known";
}

/* OpenSSL's words for a file that is missing would not name the cause. */
static int check_readable(const char *option, const char *path, struct why why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fail(why, "%s: cannot read %s: %s", option, path, strerror(errno));
	close(fd);
	return 0;
}

/* ---- the files ---------------------------------------------------------------------------- */

/* In place of OpenSSL's question at the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *arg)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static int load_certificate(SSL_CTX *ctx, const char *path, struct why why)
{
	int rc = check_readable("tls_certificate", path, why);
	const ASN1_TIME *end;
	char date[32] = "?";
	struct tm tm;

	if (rc < 0)
		return rc;
	if (SSL_CTX_use_certificate_chain_file(ctx, path) != 1)
		return fail(why, "tls_certificate: %s holds no certificate that can be used: %s",
			path, reason());
	end = X509_get0_notAfter(SSL_CTX_get0_certificate(ctx));
	if (X509_cmp_current_time(end) > 0)
		return 0;
	if (ASN1_TIME_to_tm(end, &tm))
		strftime(date, sizeof(date), "%Y-%m-%d %H:%M UTC", &tm);
	return fail(why, "tls_certificate: %s expired at %s; have a new one made", path, date);
}

static int load_key(SSL_CTX *ctx, const char *path, const char *certificate, struct why why)
{
	int rc = check_readable("tls_key", path, why);

	if (rc < 0)
		return rc;
	/* It is compared with the certificate here already. */
	if (SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM) == 1 &&
		SSL_CTX_check_private_key(ctx) == 1)
		return 0;
	if (ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_X509)
		return fail(why, "tls_key: %s is not the key of the certificate in %s: %s", path,
			certificate, reason());
	return fail(why,
		"tls_key: %s holds no private key that can be used (one with a passphrase cannot): "
		"%s",
		path, reason());
}

static int load_client_ca(SSL_CTX *ctx, const char *path, struct why why)
{
	int rc = check_readable("tls_client_ca", path, why);
	STACK_OF(X509_NAME) * names;

	if (rc < 0)
		return rc;
	names = SSL_load_client_CA_file(path);
	if (!names || SSL_CTX_load_verify_file(ctx, path) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return fail(why, "tls_client_ca: %s holds no certificate that can be used: %s",
			path, reason());
	}
	SSL_CTX_set_client_CA_list(ctx, names);
	return 0;
}

static int load_files(SSL_CTX *ctx, const struct tls_settings *s, struct why why)
{
	int rc = load_certificate(ctx, s->certificate, why);

	if (rc == 0)
		rc = load_key(ctx, *s->key ? s->key : s->certificate, s->certificate, why);
	if (rc == 0 && s->clients != TLS_CLIENTS_NONE)
		rc = load_client_ca(ctx, s->client_ca, why);
	return rc;
}

/* ---- the rest ----------------------------------------------------------------------------- */

static int choose_protocol(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_bytes,
	const unsigned char *offered, unsigned int offered_bytes, void *arg)
{
	static const unsigned char ours[] = {
		sizeof(TLS_PROTOCOL_NAME) - 1, 'c', 'h', 'a', 'n', 'd', '/', '1'};
	unsigned char *name;

	(void)ssl;
	(void)arg;
	_Static_assert(sizeof(ours) == sizeof(TLS_PROTOCOL_NAME), "its length and its bytes");
	if (SSL_select_next_proto(&name, ret_bytes, ours, sizeof(ours), offered, offered_bytes) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret_name = name;
	return SSL_TLSEXT_ERR_OK;
}

static int verify_mode(enum tls_clients clients)
{
	switch (clients) {
	case TLS_CLIENTS_OPTIONAL:
		return SSL_VERIFY_PEER;
	case TLS_CLIENTS_REQUIRED:
		return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	default:
		return SSL_VERIFY_NONE;
	}
}

static void set_sessions(SSL_CTX *ctx)
{
	static const unsigned char ours[] = "chand";

	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets are the clients' */
	SSL_CTX_set_session_id_context(ctx, ours, sizeof(ours) - 1);
	SSL_CTX_set_timeout(ctx, TICKET_LIFETIME_S);
	SSL_CTX_set_num_tickets(ctx, 1);
}

static bool set_up(SSL_CTX *ctx, const struct tls_settings *s)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA);
	/* Idle connections hold no buffers of records, and writes begin again where they ended. */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1); /* a record's head and body by one system call */
	SSL_CTX_set_max_cert_list(ctx, CLIENT_CHAIN_BYTES_MAX);
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	SSL_CTX_set_verify(ctx, verify_mode(s->clients), NULL);
	set_sessions(ctx);
	return SSL_CTX_set_cipher_list(ctx, CIPHERS_12) == 1 &&
	       SSL_CTX_set_min_proto_version(ctx, s->v13_only ? TLS1_3_VERSION : TLS1_2_VERSION) ==
		       1;
}

int tls_context_new(const struct tls_settings *settings, struct tls_context **ret_context,
	char *why, size_t why_bytes)
{
	struct tls_context *context = malloc(sizeof(*context));
	SSL_CTX *ctx;
	int rc = -ENOMEM;

	ERR_clear_error();
	snprintf(why, why_bytes, "out of memory");
	ctx = SSL_CTX_new(TLS_server_method());
	if (context && ctx && set_up(ctx, settings))
		rc = load_files(ctx, settings, (struct why){why, why_bytes});
	ERR_clear_error();
	if (rc < 0) {
		SSL_CTX_free(ctx);
		free(context);
		return rc;
	}
	lock_init(&context->lock, LOCK_RANK_OUTER);
	context->ssl_context = ctx;
	*ret_context = context;
	return 0;
}

void tls_context_free(struct tls_context *context)
{
	if (!context)
		return;
	SSL_CTX_free(context->ssl_context);
	free(context);
}

void tls_context_replace(struct tls_context *context, struct tls_context *fresh)
{
	SSL_CTX *old;

	lock_acquire(&context->lock);
	old = context->ssl_context;
	context->ssl_context = fresh->ssl_context;
	lock_release(&context->lock);
	fresh->ssl_context = old;
	tls_context_free(fresh);
}

SSL *tls_context_open(struct tls_context *context, int fd)
{
	SSL_CTX *ctx;
	SSL *ssl;

	lock_acquire(&context->lock);
	ctx = context->ssl_context;
	SSL_CTX_up_ref(ctx);
	lock_release(&context->lock);
	ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	if (!ssl)
		return NULL;
	if (SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_accept_state(ssl);
	return ssl;
}
