/*
 * url.h - where a broker is: unix:PATH, tcp://HOST:PORT, tls://HOST:PORT, or several of them,
 * separated by commas.
 */
#ifndef CLIENT_URL_H
#define CLIENT_URL_H

#include <stddef.h>

#define URL_BYTES_MAX 512u
#define URL_PORT_DEFAULT "2426"

/* Ways to one broker: a few networks, a few names. */
#define URLS_MAX 16u
#define URLS_BYTES_MAX 4096u

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

struct url_list {
	struct url *list;
	size_t count;
};

/* The URLs to use when none are given: $CHAN_URL, or the default sockets (see chan_dial). */
void url_default(char text[URLS_BYTES_MAX]);

/* 0, or CHAN_EINVAL with the thread's error saying what a URL looks like. */
int url_parse(const char *text, struct url *ret_url);

/* The same for one or several; a comma separates only where a scheme follows, as paths may have
 * some. What is in *ret_urls is to be freed by url_list_fini in every case. */
int url_list_parse(const char *text, struct url_list *ret_urls);
void url_list_fini(struct url_list *urls);

#endif
