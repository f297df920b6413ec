#include "client/credentials.h"

#include "client/error.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The broker takes no longer ones. */
#define TOKEN_BYTES_MAX 1024u

static int keep(const char *token, size_t len, const char *where, struct credentials *c)
{
	if (len == 0 || len > TOKEN_BYTES_MAX)
		return error_say(CHAN_EINVAL, "dial: the token in %s has %s%u bytes", where,
			len ? "more than " : "", len ? TOKEN_BYTES_MAX : 0);
	c->token = malloc(len);
	if (!c->token)
		return error_say(CHAN_ENOMEM, "dial: out of memory");
	memcpy(c->token, token, len);
	c->len = len;
	return 0;
}

/* Reads as much of a file as fits. Bytes or -errno. */
static ssize_t read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1, rc = fd < 0 ? -errno : 0;
	size_t have = 0;

	while (rc == 0 && n != 0 && have < size) {
		n = read(fd, text + have, size - have);
		if (n < 0 && errno != EINTR)
			rc = -errno;
		have += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	return rc < 0 ? rc : (ssize_t)have;
}

static int keep_file(const char *path, struct credentials *c)
{
	char text[TOKEN_BYTES_MAX + 16];
	ssize_t n = read_file(path, text, sizeof(text));
	int rc;

	if (n < 0)
		return error_say(CHAN_EINVAL, "dial: the token's file %s cannot be read: %s", path,
			strerror((int)-n));
	while (n > 0 && strchr(" \t\r\n", text[n - 1]) && text[n - 1])
		n--;
	rc = keep(text, (size_t)n, path, c);
	explicit_bzero(text, sizeof(text));
	return rc;
}

int credentials_find(const struct chan_dial_options *options, struct credentials *ret_credentials)
{
	const char *token = getenv("CHAN_TOKEN"), *file = getenv("CHAN_TOKEN_FILE");

	*ret_credentials = (struct credentials){0};
	if (options->token)
		return keep(options->token, strlen(options->token), "the options", ret_credentials);
	if (options->token_file)
		return keep_file(options->token_file, ret_credentials);
	if (token && *token)
		return keep(token, strlen(token), "$CHAN_TOKEN", ret_credentials);
	return file && *file ? keep_file(file, ret_credentials) : 0;
}

void credentials_show(const struct credentials *c, struct wire_hello *hello)
{
	if (!c->token)
		return;
	hello->mechanism = "token";
	hello->token = (struct wire_bytes){(const uint8_t *)c->token, c->len};
}

void credentials_fini(struct credentials *c)
{
	if (c->token)
		explicit_bzero(c->token, c->len);
	free(c->token);
	*c = (struct credentials){0};
}
