/*
 * config.h (server) - chand's options: their defaults, the file, the command line.
 *
 * Every option stands in one table (config.c) and exists in the file and, as --NAME=VALUE with
 * dashes for underscores, on the command line, which wins. conf/chand.conf shows them all. Sizes
 * take K, M and G (powers of 1024), spans of time ms, s and m. Who may do what stands in sections
 * of the file alone (config_access.h).
 */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "server/broker/broker.h"
#include "server/net/tls.h"
#include "server/privileges.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CONFIG_LISTEN_MAX = 16,
	CONFIG_TEXT_BYTES_MAX = 256,
	CONFIG_WHY_BYTES_MAX = 1024,
};

struct config {
	char listen[CONFIG_LISTEN_MAX][CONFIG_TEXT_BYTES_MAX];
	int64_t listen_count;
	char user[CONFIG_TEXT_BYTES_MAX];            /* "": stay who we are */
	char group[CONFIG_TEXT_BYTES_MAX];           /* "": the user's */
	int64_t socket_mode;                         /* permissions of Unix sockets' files */
	char tls_certificate[CONFIG_TEXT_BYTES_MAX]; /* "": no TLS */
	char tls_key[CONFIG_TEXT_BYTES_MAX];
	char tls_client_ca[CONFIG_TEXT_BYTES_MAX];
	int64_t tls_clients;  /* enum tls_clients */
	int64_t tls_v13_only; /* 0 or 1 */
	int64_t log_level;    /* enum log_level */
	int64_t procs;        /* 0: the number of cores */
	int64_t connections_max;
	int64_t rings_max;
	int64_t channels_max;
	int64_t capacity_max;
	int64_t value_bytes_max;
	int64_t buffered_bytes_max;
	int64_t memory_max; /* 0: memory_max_default (base/memory.h) */
	int64_t ops_in_flight_max;
	int64_t bytes_in_flight_max;
	int64_t ends_max;
	int64_t hello_timeout_ns;
	int64_t silence_timeout_ns;
	int64_t stall_timeout_ns;
	int64_t settle_timeout_ns;
	int64_t sessions_max;
	int64_t session_linger_max_ns;
	int64_t unseen_bytes_max;
	struct privileges privileges; /* what user and group say */
	struct access *access; /* rules, tokens, quotas: one reference; NULL: there are none */
};

/* What was said on the command line. Filled by config_parse_arguments. */
struct config_arguments {
	const char *file;  /* --config; NULL: none */
	bool check_config; /* only check, and exit */
	char **argv;       /* as given to main, which config_load reads again at every reload */
	int argc;
};

/*
 * Reads the command line; --help, --usage and --version print and exit here, and what is wrong
 * exits with status 64.
 */
void config_parse_arguments(int argc, char **argv, struct config_arguments *ret_arguments);

/*
 * The configuration in force: defaults, then the file, then the command line. Reads the file, so it
 * blocks. 0; or -EINVAL with a sentence in why, which begins with FILE:LINE: where it is about the
 * file. ret_config is written on success only.
 */
int config_load(const struct config_arguments *arguments, struct config *ret_config,
	char why[static CONFIG_WHY_BYTES_MAX]);

/* Gives up what it refers to. */
void config_release(struct config *c);

/* A whole number, and a size with its unit, as in the file. -1: it is not that. */
int64_t config_parse_count(const char *text);
int64_t config_parse_size(const char *text);

/* The options of `now` that a running daemon takes over from `then` differ in: fills names with
 * those of all others that differ, separated by blanks; false when there are none. For the reload's
 * log. */
bool config_needs_restart(
	const struct config *then, const struct config *now, char *names, size_t names_bytes);

/* What TLS listeners need; it points into c. */
struct tls_settings config_tls_settings(const struct config *c);

/* The limits of a broker. */
struct broker_options config_broker_options(const struct config *c);

#endif
