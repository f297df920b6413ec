/*
 * tls.h - the daemon's certificate, and what it asks of clients: what all TLS streams share.
 *
 * TLS 1.2 and 1.3, forward secrecy and authenticated encryption only; no compression, no
 * renegotiation, no early data. Sessions are resumed by tickets, so that the daemon keeps nothing
 * for clients that have gone; their keys go with the context, so that nobody resumes what a
 * certificate authority vouched for that is not trusted any more.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdbool.h>
#include <stddef.h>

/* Offered by ALPN; a client that offers others only is refused. */
#define TLS_PROTOCOL_NAME "chand/1"

/* Whether a client needs a certificate. One that it shows must be good in any case but the first.
 */
enum tls_clients {
	TLS_CLIENTS_NONE, /* is not asked for one */
	TLS_CLIENTS_OPTIONAL,
	TLS_CLIENTS_REQUIRED,
};

/* Files in PEM form; "" where there is none. */
struct tls_settings {
	const char *certificate; /* ours, and behind it those that lead to the authority's */
	const char *key;         /* "": it stands in `certificate` */
	const char *client_ca;   /* authorities of clients' certificates */
	enum tls_clients clients;
	bool v13_only;
};

struct tls_context;
struct ssl_st;

/*
 * Reads the files, so it blocks. 0, or -ENOMEM or -EINVAL with a sentence in why: a file cannot be
 * read, the certificate has expired, the key is another one's.
 */
int tls_context_new(const struct tls_settings *settings, struct tls_context **ret_context,
	char *why, size_t why_bytes);

/* Nobody may use it any more; streams that it was for go on. NULL is fine. */
void tls_context_free(struct tls_context *context);

/* From here on new handshakes are as `fresh` says, which is used up; streams go on as they are. */
void tls_context_replace(struct tls_context *context, struct tls_context *fresh);

/* The server's side of a new connection over fd, for stream_tls.c: an SSL of OpenSSL, NULL without
 * memory. */
struct ssl_st *tls_context_open(struct tls_context *context, int fd);

#endif
