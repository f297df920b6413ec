/*
 * options.h - every option of chanctl, in one table; a command names those it takes.
 *
 * The same option means the same wherever it is taken. Options stand anywhere before `--`; what
 * comes after it is literal, so that `-` there is a value and not stdin.
 */
#ifndef CHANCTL_OPTIONS_H
#define CHANCTL_OPTIONS_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chan/value.h"
#include "client/chanctl/framing.h"

enum option_key {
	/* The short ones are letters, as getopt wants them. */
	OPTION_NULL = '0',
	OPTION_COUNT = 'n',
	OPTION_JOBS = 'j',
	OPTION_URL = 0x100,
	OPTION_TLS_CA,
	OPTION_TLS_CERT,
	OPTION_TLS_KEY,
	OPTION_INSECURE,
	OPTION_JSON,
	OPTION_TOKEN_FILE,
	OPTION_RECONNECT,
	OPTION_TIMEOUT,
	OPTION_TRY,
	OPTION_CREATE,
	OPTION_WAIT_CREATE,
	OPTION_TYPE,
	OPTION_CAP,
	OPTION_AS,
	OPTION_LINES,
	OPTION_FRAME,
	OPTION_RAW,
	OPTION_FORMAT,
	OPTION_CLOSE,
	OPTION_REASON,
	OPTION_VALUES,
	OPTION_BYTES,
	OPTION_ROUND_TRIPS,
	OPTION_RETRY,
	OPTION_DEAD,
	OPTION_LEASE,
	OPTION_GRACE,
	OPTION_BACKOFF,
	OPTION_INTERVAL,
	OPTION_PRODUCERS,
	OPTION_ATTEMPTS,
	OPTION_ABORT,
};

struct operand {
	const char *text;
	bool literal; /* it came after `--` */
};

struct options {
	const char *url;                                /* NULL: libchan's default */
	const char *tls_ca, *tls_certificate, *tls_key; /* NULL: the same */
	bool insecure;
	const char *token_file; /* NULL: the same */
	int64_t reconnect_ns;   /* 0: not at all; negative: not given */
	bool json;
	int64_t timeout_ns; /* negative: none */
	bool try;
	bool create, wait_create;
	enum chan_type type; /* 0: not given */
	int64_t capacity;
	bool capacity_given;
	enum chan_type as; /* 0: not given */
	enum framing framing;
	const char *format; /* NULL: not given */
	bool close;
	const char *reason;                  /* NULL: none */
	uint64_t count;                      /* 0: not given */
	uint64_t values, bytes, round_trips; /* of bench; 0: not given */
	uint64_t jobs, retry;                /* of worker; 0: not given */
	const char *dead;                    /* a channel; NULL: none */
	int64_t lease_ns, grace_ns;          /* negative: not given */
	int64_t backoff_ns, interval_ns;     /* the same */
	int producers;                       /* of make; 0: not given */
	uint64_t attempts;                   /* the same */
	bool abort;
	struct operand *operands; /* ours */
	size_t operand_count;
};

/* How a command is called. */
struct usage {
	const char *arguments;          /* "NAME [VALUE...]" */
	const char *summary;            /* for --help: what it does, in sentences */
	const enum option_key *options; /* that it takes beside the global ones; ends with 0 */
	size_t operands_min, operands_max;
};

#define OPERANDS_ANY SIZE_MAX

void options_init(struct options *o);
void options_fini(struct options *o);

/* Parses what stands before the command: global options. summary is the text of --help.
 * Returns the index of the command in argv. Does not return for --help, --version and wrong
 * usage, which ends with exit code 64. */
int options_parse_global(struct options *o, int argc, char **argv, const char *summary);

/* Parses a command's options and operands; argv[0] is how the command is called. Does not return
 * for --help and wrong usage. */
void options_parse_command(struct options *o, const struct usage *usage, int argc, char **argv);

/* For commands that run a command: exits with 64 where it does not stand behind `--`, from the
 * operand at index on. Its own options must not be taken for ours. */
void options_require_command(const struct options *o, size_t index);

/* Says that the command line is wrong, and exits with 64. */
_Noreturn void options_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
