/*
 * credentials.h - what a client shows the broker to say who it is: a token, or nothing.
 */
#ifndef CLIENT_CREDENTIALS_H
#define CLIENT_CREDENTIALS_H

#include "chan/chan.h"
#include "proto/wire.h"

/* Zeroed: there are none. */
struct credentials {
	char *token;
	size_t len;
};

/*
 * The token that options give, or name a file of, or else $CHAN_TOKEN or the file $CHAN_TOKEN_FILE.
 * Of a file the white space at its end is left out. 0, with or without one; or CHAN_EINVAL or
 * CHAN_ENOMEM with the thread's error set.
 */
int credentials_find(const struct chan_dial_options *options, struct credentials *ret_credentials);

/* Sets the fields of a HELLO; they point into c. */
void credentials_show(const struct credentials *c, struct wire_hello *hello);

/* Wipes and frees. */
void credentials_fini(struct credentials *c);

#endif
