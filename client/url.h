/*
 * url.h - where a broker is: unix:PATH, tcp://HOST:PORT, tls://HOST:PORT.
 */
#ifndef CLIENT_URL_H
#define CLIENT_URL_H

#include <stddef.h>

#define URL_BYTES_MAX 512u
#define URL_PORT_DEFAULT "2426"

enum url_scheme {
	URL_UNIX,
	URL_TCP,
	URL_TLS,
};

struct url {
	enum url_scheme scheme;
	char text[URL_BYTES_MAX]; /* as it was given, or found */
	char path[URL_BYTES_MAX]; /* URL_UNIX */
	char host[URL_BYTES_MAX]; /* URL_TCP, URL_TLS: without brackets */
	char port[16];
};

/* The URL to use when none is given: $CHAN_URL, or the default sockets (see chan_dial). */
void url_default(char text[URL_BYTES_MAX]);

/* 0, or CHAN_EINVAL with the thread's error saying what a URL looks like. */
int url_parse(const char *text, struct url *ret_url);

#endif
