#include "server/broker/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

void token_prepare(void)
{
	uint8_t digest[TOKEN_DIGEST_BYTES];

	token_digest("", 0, digest);
}

bool token_digest(const void *token, size_t len, uint8_t ret_digest[static TOKEN_DIGEST_BYTES])
{
	return EVP_Digest(token, len, ret_digest, NULL, EVP_sha256(), NULL) == 1;
}

bool token_digest_equal(
	const uint8_t a[static TOKEN_DIGEST_BYTES], const uint8_t b[static TOKEN_DIGEST_BYTES])
{
	return CRYPTO_memcmp(a, b, TOKEN_DIGEST_BYTES) == 0;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

bool token_digest_parse(const char *text, uint8_t ret_digest[static TOKEN_DIGEST_BYTES])
{
	static const char scheme[] = "sha256:";

	if (strncmp(text, scheme, strlen(scheme)) != 0)
		return false;
	text += strlen(scheme);
	for (size_t i = 0; i < TOKEN_DIGEST_BYTES; i++, text += 2) {
		int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0)
			return false;
		ret_digest[i] = (uint8_t)(high << 4 | low);
	}
	return *text == '\0';
}
