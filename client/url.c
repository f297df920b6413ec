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

void url_default(char text[URL_BYTES_MAX])
{
	const char *url = getenv("CHAN_URL");
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (url && *url) {
		snprintf(text, URL_BYTES_MAX, "%s", url);
		return;
	}
	if (runtime && *runtime) {
		snprintf(text, URL_BYTES_MAX, "unix:%s/chand.sock", runtime);
		if (access(text + strlen("unix:"), F_OK) == 0)
			return;
	}
	snprintf(text, URL_BYTES_MAX, "unix:%s", SYSTEM_SOCKET);
}

static int refuse(const char *text, const char *why)
{
	return error_say(CHAN_EINVAL,
		"the URL '%s' %s; write unix:PATH, tcp://HOST:PORT or tls://HOST:PORT", text, why);
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
	if (strlen(text) >= URL_BYTES_MAX)
		return refuse("...", "is too long");
	snprintf(ret_url->text, sizeof(ret_url->text), "%s", text);
	if (strncmp(text, "unix:", 5) == 0) {
		ret_url->scheme = URL_UNIX;
		snprintf(ret_url->path, sizeof(ret_url->path), "%s", text + 5);
		return ret_url->path[0] ? 0 : refuse(text, "names no path");
	}
	ret_url->scheme = strncmp(text, "tls://", 6) == 0 ? URL_TLS : URL_TCP;
	if (ret_url->scheme == URL_TCP && strncmp(text, "tcp://", 6) != 0)
		return refuse(text, "has no scheme that is known");
	return parse_authority(text, text + 6, ret_url);
}
