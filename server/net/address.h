/*
 * address.h - where to listen, as users write it.
 *
 *   unix:PATH           unix:/run/chand/chand.sock
 *   tcp://HOST:PORT     tcp://127.0.0.1:2426  tcp://[::1]:2426  tcp://:2426 (every interface)
 *   tls://HOST:PORT     the same, with TLS
 *
 * The port may be left out (2426), and may be 0: the kernel then chooses, and the log tells.
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ADDRESS_PORT_DEFAULT "2426"

/* Sockets that one URL may stand for: a host name has IPv4 and IPv6 addresses. */
enum { ADDRESS_SOCKETS_MAX = 8 };

struct address {
	struct sockaddr_storage sockets[ADDRESS_SOCKETS_MAX];
	socklen_t lengths[ADDRESS_SOCKETS_MAX];
	int count;
	bool tls;
};

/* Longest text of address_format, its NUL included. */
enum { ADDRESS_TEXT_BYTES_MAX = sizeof(struct sockaddr_un) + 16 };

/* Whether a URL has that form; nothing is looked up. 0, or as address_parse. */
int address_check(const char *url, char *why, size_t why_bytes);

/*
 * Parses a URL and looks its host up; may block in name service, so not from a goroutine.
 * 0; or -EINVAL (not such a URL), -ENOENT (unknown host), with a sentence in why.
 */
int address_parse(const char *url, struct address *ret_address, char *why, size_t why_bytes);

/* Whether it is a tls:// URL. */
bool address_is_tls(const char *url);

/* Whether it is an address that only this machine reaches: 127.0.0.0/8 or ::1. */
bool address_is_loopback(const struct sockaddr *sa);

/* The URL of one socket address; that of a TCP socket is tcp://, whatever goes over it. */
void address_format(
	const struct sockaddr *sa, socklen_t len, char text[static ADDRESS_TEXT_BYTES_MAX]);

/*
 * The listener of a daemon that was told none, written to url: unix:$XDG_RUNTIME_DIR/chand.sock, or
 * unix:/run/chand/chand.sock without that variable.
 */
void address_default(char *url, size_t url_bytes);

#endif
