/*
 * url.c - taking URLs apart.
 */
#include "client/url.h"
#include "client/error.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYSTEM_SOCKET "/run/chand/chand.sock"

void url_default(char text[URLS_BYTES_MAX])
{
	const char *url = getenv("CHAN_URL");
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (url && *url) {
		snprintf(text, URLS_BYTES_MAX, "%s", url);
		return;
	}
	if (runtime && *runtime) {
		snprintf(text, URLS_BYTES_MAX, "unix:%s/chand.sock", runtime);
		if (access(text + strlen("unix:"), F_OK) == 0)
			return;
	}
	snprintf(text, URLS_BYTES_MAX, "unix:%s", SYSTEM_SOCKET);
}

static const struct scheme {
	const char *prefix;
	enum url_scheme scheme;
} schemes[] = {
	{"unix:", URL_UNIX},
	{"tcp://", URL_TCP},
	{"tls://", URL_TLS},
};

static int refuse(const char *text, const char *why)
{
	return error_say(CHAN_EINVAL,
		"the URL '%s' %s; write unix:PATH, tcp://HOST:PORT or tls://HOST:PORT", text, why);
}

/* A scheme at the start of text, or NULL. */
static const struct scheme *find_scheme(const char *text)
{
	size_t i;

	for (i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
		if (strncmp(text, schemes[i].prefix, strlen(schemes[i].prefix)) == 0)
			return &schemes[i];
	return NULL;
}

/* HOST, HOST:PORT, [ADDRESS] or [ADDRESS]:PORT. */
static int parse_authority(const char *text, const char *authority, struct url *url)
{
	const char *host = authority, *host_end, *port;

	if (*host == '[') {
		host_end = strchr(++host, ']');
		if (!host_end)
			return refuse(text, "opens a bracket that it does not close");
		port = host_end + 1;
	} else {
		host_end = port = host + strcspn(host, ":");
		if (strchr(*port ? port + 1 : port, ':'))
			return refuse(text, "has several colons; put an IPv6 address in brackets");
	}
	if (host_end == host)
		return refuse(text, "names no host");
	if (*port && *port != ':')
		return refuse(text, "has something other than a port behind the host");
	port += *port == ':';
	if (strspn(port, "0123456789") != strlen(port) || strlen(port) > 5 || atol(port) > 65535)
		return refuse(text, "has a port that is not a number up to 65535");
	snprintf(url->host, sizeof(url->host), "%.*s", (int)(host_end - host), host);
	snprintf(url->port, sizeof(url->port), "%s", *port ? port : URL_PORT_DEFAULT);
	return 0;
}

int url_parse(const char *text, struct url *ret_url)
{
	const struct scheme *scheme;
	const char *rest;

	if (strlen(text) >= URL_BYTES_MAX)
		return refuse("...", "is too long");
	snprintf(ret_url->text, sizeof(ret_url->text), "%s", text);
	scheme = find_scheme(text);
	if (!scheme)
		return refuse(text, "has no scheme that is known");
	ret_url->scheme = scheme->scheme;
	rest = text + strlen(scheme->prefix);
	if (scheme->scheme != URL_UNIX)
		return parse_authority(text, rest, ret_url);
	snprintf(ret_url->path, sizeof(ret_url->path), "%s", rest);
	return *rest ? 0 : refuse(text, "names no path");
}

/* ---- several ------------------------------------------------------------------------------ */

/* The bytes of the first URL of text. */
static size_t first_bytes(const char *text)
{
	const char *comma = text;

	while ((comma = strchr(comma, ',')) && !find_scheme(comma + 1))
		comma++;
	return comma ? (size_t)(comma - text) : strlen(text);
}

static int append(struct url_list *urls, const char *text)
{
	struct url *grown = realloc(urls->list, (urls->count + 1) * sizeof(*grown));

	if (!grown)
		return error_say(CHAN_ENOMEM, "dial: out of memory");
	urls->list = grown;
	return url_parse(text, &grown[urls->count++]);
}

int url_list_parse(const char *text, struct url_list *ret_urls)
{
	char one[URL_BYTES_MAX];
	size_t n;
	int rc;

	*ret_urls = (struct url_list){0};
	do {
		n = first_bytes(text);
		if (n >= sizeof(one))
			return refuse("...", "is too long");
		if (ret_urls->count == URLS_MAX)
			return error_say(CHAN_EINVAL, "more than %u URLs are not tried", URLS_MAX);
		snprintf(one, sizeof(one), "%.*s", (int)n, text);
		rc = append(ret_urls, one);
		text += n;
	} while (rc == 0 && *text++ == ',');
	return rc;
}

void url_list_fini(struct url_list *urls)
{
	free(urls->list);
	*urls = (struct url_list){0};
}
