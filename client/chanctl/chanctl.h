/*
 * chanctl.h - one run of chanctl: what was asked, the connection, and how it is said that
 * something failed.
 */
#ifndef CHANCTL_CHANCTL_H
#define CHANCTL_CHANCTL_H

#include "chan/chan.h"
#include "client/chanctl/options.h"

struct ctl {
	const struct command *command;
	struct options options;
	struct chan_client *client; /* NULL until ctl_dial */
	int64_t linger_ns;          /* how long the session shall outlive a connection; 0: not */
	bool outlived;              /* by its session, to which nobody comes back */
};

/* A subcommand. To add one: a file that defines it, and a row in chanctl.c. */
struct command {
	const char *name;
	const char *brief; /* for the list of commands */
	struct usage usage;
	/* Does it and returns the exit code; on failure it has said why. */
	int (*run)(struct ctl *ctl);
};

extern const struct command command_make, command_send, command_recv, command_range, command_close,
	command_rm, command_ls, command_stat, command_ps, command_select, command_ping,
	command_bench, command_worker, command_lock, command_sem, command_top, command_token;

/* The timeout that was asked for, as libchan wants it: CHAN_TRY, CHAN_FOREVER or a time. */
int64_t ctl_timeout_ns(const struct ctl *ctl);

/* How every command dials: with what the global options say, and with a session to come back to
 * only where --reconnect or ctl->linger_ns says so. */
struct chan_dial_options ctl_dial_options(const struct ctl *ctl);

/* Of commands that stream, where --reconnect does not say otherwise. */
#define CTL_LINGER_NS INT64_C(30000000000)

/* For commands that are not over at once: the session shall outlive a connection for so long, if a
 * connection can be lost without us. On a Unix socket it cannot, and what we held shall go back at
 * once when we die. To be called before ctl_dial. */
void ctl_linger(struct ctl *ctl, int64_t linger_ns);

/* The same for commands that run others under a lease. On a Unix socket too, should we die, what we
 * held shall not be another's before the guard has ended what ran under it. */
void ctl_linger_for_commands(struct ctl *ctl, int64_t lease_ns);

/* Connects. 0, or the exit code after saying why. The connection ends with the program. */
int ctl_dial(struct ctl *ctl);

/* Connects where that has not happened, and opens an end as --create and --wait-create say.
 * 0 with the end, which lives as long as the connection, or the exit code after saying why. */
int ctl_open(struct ctl *ctl, const char *name, enum chan_direction direction,
	const struct chan_end_options *end, struct chan **ret_chan);

/* Says why the last call of libchan failed: its sentence tells what was asked, too. Returns the
 * exit code for the status. */
int ctl_failed(int status);

/* The same for a failure that a completion carries. */
int ctl_failed_with(const struct chan_error *error);

/* Ends what was written to stdout by stdio: 0, or EXIT_IO after saying why. */
int ctl_flush(const struct ctl *ctl);

#endif
