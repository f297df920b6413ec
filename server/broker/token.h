/*
 * token.h - secrets by which clients say who they are, of which the broker keeps only digests.
 *
 * A token is text of 256 random bits (`chanctl token` makes one), so a plain SHA-256 cannot be
 * turned back, and needs no salt. What is presented is compared by its digest, in a time that
 * does not depend on where they differ. The broker's door to libcrypto.
 */
#ifndef BROKER_TOKEN_H
#define BROKER_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_DIGEST_BYTES 32u

/* What is shorter was not made by chance and could be guessed; what is longer is no token. */
#define TOKEN_BYTES_MIN 32u
#define TOKEN_BYTES_MAX 1024u

/* Loads what digests need, from files too; before there are goroutines. */
void token_prepare(void);

/* False: out of memory. */
bool token_digest(const void *token, size_t len, uint8_t ret_digest[static TOKEN_DIGEST_BYTES]);

/* Takes as long for every pair. */
bool token_digest_equal(
	const uint8_t a[static TOKEN_DIGEST_BYTES], const uint8_t b[static TOKEN_DIGEST_BYTES]);

/* "sha256:" and 64 hexadecimal digits, as the configuration has it. False: it is not that. */
bool token_digest_parse(const char *text, uint8_t ret_digest[static TOKEN_DIGEST_BYTES]);

#endif
