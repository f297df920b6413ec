/*
 * tls.h - what the TLS connections of a client have in common: whom they trust, what they show, and
 * the session that the next one resumes.
 */
#ifndef CLIENT_TLS_H
#define CLIENT_TLS_H

#include "chan/chan.h"

/* Offered by ALPN; what answers has to take it. */
#define TLS_PROTOCOL_NAME "chand/1"

struct tls;

/* Copies what the options say, or the environment where they say nothing. Files are read when the
 * first connection is made. NULL: out of memory. */
struct tls *tls_new(const struct chan_dial_options *options);

/* NULL is fine. Streams that were dialled with it are closed. */
void tls_free(struct tls *tls);

#endif
