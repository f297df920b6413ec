#include "server/net/address.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than a host name may have. */
enum { HOST_BYTES_MAX = 256 };

static int parse_unix(const char *path, struct address *a, char *why, size_t why_bytes)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&a->sockets[0];
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(un->sun_path)) {
		snprintf(why, why_bytes, "a Unix socket's path has 1 to %zu bytes; this has %zu",
			sizeof(un->sun_path) - 1, n);
		return -EINVAL;
	}
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, n + 1);
	a->lengths[0] = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	a->count = 1;
	return 0;
}

/*
 * Splits HOST:PORT, [HOST]:PORT, HOST or :PORT into host and port, which points into text or is the
 * default. 0, or -EINVAL where text is none of these.
 */
static int split_host(const char *text, char host[static HOST_BYTES_MAX], const char **ret_port)
{
	const char *end, *rest;
	size_t n;

	if (*text == '[') {
		end = strchr(++text, ']');
		if (!end)
			return -EINVAL;
		rest = end + 1;
	} else {
		end = rest = text + strcspn(text, ":");
	}
	n = (size_t)(end - text);
	if (n >= HOST_BYTES_MAX)
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	if (*rest == ':' && rest[1])
		*ret_port = rest + 1;
	else if (!*rest)
		*ret_port = ADDRESS_PORT_DEFAULT;
	else
		return -EINVAL;
	n = strlen(*ret_port);
	return n <= 5 && strspn(*ret_port, "0123456789") == n && atoi(*ret_port) <= 65535 ? 0
											  : -EINVAL;
}

static int parse_tcp(const char *text, char host[static HOST_BYTES_MAX], const char **ret_port,
	char *why, size_t why_bytes)
{
	if (split_host(text, host, ret_port) == 0)
		return 0;
	snprintf(why, why_bytes,
		"'%.200s' is not HOST:PORT with a port up to 65535 (IPv6 addresses in brackets: "
		"[::1]:%s)",
		text, ADDRESS_PORT_DEFAULT);
	return -EINVAL;
}

static int look_up(const char *text, struct address *a, char *why, size_t why_bytes)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *list, *ai;
	char host[HOST_BYTES_MAX];
	const char *port;
	int rc;

	rc = parse_tcp(text, host, &port, why, why_bytes);
	if (rc < 0)
		return rc;
	rc = getaddrinfo(*host ? host : NULL, port, &hints, &list);
	if (rc != 0) {
		snprintf(why, why_bytes, "cannot look up '%s' port %s: %s", host, port,
			gai_strerror(rc));
		return -ENOENT;
	}
	for (ai = list; ai && a->count < ADDRESS_SOCKETS_MAX; ai = ai->ai_next) {
		memcpy(&a->sockets[a->count], ai->ai_addr, ai->ai_addrlen);
		a->lengths[a->count++] = ai->ai_addrlen;
	}
	freeaddrinfo(list);
	return 0;
}

bool address_is_tls(const char *url)
{
	return strncmp(url, "tls://", 6) == 0;
}

int address_check(const char *url, char *why, size_t why_bytes)
{
	struct address scratch;
	char host[HOST_BYTES_MAX];
	const char *port;

	if (strncmp(url, "unix:", 5) == 0)
		return parse_unix(url + 5, &scratch, why, why_bytes);
	if (strncmp(url, "tcp://", 6) == 0 || address_is_tls(url))
		return parse_tcp(url + 6, host, &port, why, why_bytes);
	snprintf(why, why_bytes, "'%.200s' is not unix:PATH, tcp://HOST:PORT or tls://HOST:PORT",
		url);
	return -EINVAL;
}

int address_parse(const char *url, struct address *ret_address, char *why, size_t why_bytes)
{
	int rc = address_check(url, why, why_bytes);

	if (rc < 0)
		return rc;
	*ret_address = (struct address){.tls = address_is_tls(url)};
	if (strncmp(url, "unix:", 5) == 0)
		return parse_unix(url + 5, ret_address, why, why_bytes);
	return look_up(url + strlen("tcp://"), ret_address, why, why_bytes);
}

bool address_is_loopback(const struct sockaddr *sa)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;

	if (sa->sa_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
	return sa->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

void address_format(
	const struct sockaddr *sa, socklen_t len, char text[static ADDRESS_TEXT_BYTES_MAX])
{
	char host[INET6_ADDRSTRLEN + 16], port[8];

	if (sa->sa_family == AF_UNIX) {
		const struct sockaddr_un *un = (const struct sockaddr_un *)sa;

		snprintf(text, ADDRESS_TEXT_BYTES_MAX, "unix:%.*s", (int)sizeof(un->sun_path),
			len > offsetof(struct sockaddr_un, sun_path) ? un->sun_path : "");
		return;
	}
	if (getnameinfo(sa, len, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
		snprintf(text, ADDRESS_TEXT_BYTES_MAX, "tcp://?");
		return;
	}
	snprintf(text, ADDRESS_TEXT_BYTES_MAX,
		sa->sa_family == AF_INET6 ? "tcp://[%s]:%s" : "tcp://%s:%s", host, port);
}

void address_default(char *url, size_t url_bytes)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");

	if (dir && *dir)
		snprintf(url, url_bytes, "unix:%s/chand.sock", dir);
	else
		snprintf(url, url_bytes, "unix:/run/chand/chand.sock");
}
