/*
 * cmd_token.c - a new secret for a client, and what the daemon's configuration says of it.
 */
#include <errno.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "client/chanctl/chanctl.h"
#include "client/chanctl/complain.h"
#include "client/chanctl/exit_codes.h"

/* 256 bits by chance, which nobody guesses; and the same for a SHA-256. */
#define SECRET_BYTES 32u
#define SECRET_TEXT_BYTES (2 * SECRET_BYTES + 1)

/* What the daemon allows for the name of a section. */
#define NAME_BYTES_MAX 64u

static void format_hex(const unsigned char bytes[SECRET_BYTES], char text[SECRET_TEXT_BYTES])
{
	for (size_t i = 0; i < SECRET_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

/* False with errno. */
static bool make_token(char token[SECRET_TEXT_BYTES])
{
	unsigned char secret[SECRET_BYTES];

	if (getrandom(secret, sizeof(secret), 0) != sizeof(secret))
		return false;
	format_hex(secret, token);
	explicit_bzero(secret, sizeof(secret));
	return true;
}

static bool make_digest(const char *token, char digest[SECRET_TEXT_BYTES])
{
	unsigned char sha256[SECRET_BYTES];

	errno = ENOMEM;
	if (EVP_Digest(token, strlen(token), sha256, NULL, EVP_sha256(), NULL) != 1)
		return false;
	format_hex(sha256, digest);
	return true;
}

/* The token alone goes to stdout, so that it can go into a file as it is. */
static void print(const struct ctl *ctl, const char *name, const char *token, const char *digest)
{
	char text[SECRET_TEXT_BYTES + 8];
	json_t *json;

	snprintf(text, sizeof(text), "sha256:%s", digest);
	if (!ctl->options.json) {
		printf("%s\n", token);
		fprintf(stderr, "token \"%s\" { digest = \"%s\" }\n", name, text);
		return;
	}
	json = json_pack("{s:s, s:s, s:s}", "name", name, "token", token, "digest", text);
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
}

static bool name_valid(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= NAME_BYTES_MAX &&
	       strspn(name,
		       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/:") == n;
}

static int run(struct ctl *ctl)
{
	const char *name = ctl->options.operands[0].text;
	char token[SECRET_TEXT_BYTES], digest[SECRET_TEXT_BYTES];

	if (!name_valid(name)) {
		complain("token: '%s' is not a name: 1 to %u bytes of A-Z a-z 0-9 . _ - / :", name,
			NAME_BYTES_MAX);
		return EXIT_USAGE;
	}
	if (!make_token(token) || !make_digest(token, digest)) {
		complain("token: %s", strerror(errno));
		return EXIT_UNAVAILABLE;
	}
	print(ctl, name, token, digest);
	explicit_bzero(token, sizeof(token));
	return ctl_flush(ctl);
}

static const enum option_key no_options[] = {0};

const struct command command_token = {
	.name = "token",
	.brief = "make a secret by which a client says who it is",
	.usage = {"NAME",
		"Make a token. It goes to stdout, for the client ($CHAN_TOKEN_FILE, --token-file); "
		"what the daemon's configuration must say to know it as NAME goes to stderr. No "
		"daemon is asked.",
		no_options, 1, 1},
	.run = run,
};
