/*
 * exit_codes.h - what chanctl ends with: the one table from outcomes to exit codes.
 *
 * Scripts rely on these numbers; doc/chanctl.1.scd and tests/shell/exit_codes.sh repeat them.
 * A receive that ends because its channel is closed and drained is no failure of the receive, so
 * its commands end with EXIT_DRAINED where the table says EXIT_CLOSED.
 */
#ifndef CHANCTL_EXIT_CODES_H
#define CHANCTL_EXIT_CODES_H

enum exit_code {
	EXIT_DONE = 0,
	EXIT_DRAINED = 1,        /* a receive: the channel is closed and drained */
	EXIT_WOULD_BLOCK = 2,    /* --try, and nothing was ready */
	EXIT_CLOSED = 3,         /* send on a closed channel, close of a closed channel */
	EXIT_DEADLOCK = 4,       /* all participants are asleep */
	EXIT_ABORTED = 5,        /* the other side died, or the channel was removed meanwhile */
	EXIT_UNKNOWN = 6,        /* the outcome is not known */
	EXIT_USAGE = 64,         /* also a name, capacity or option value that is not valid */
	EXIT_DATA = 65,          /* a value does not fit the type, or is too large */
	EXIT_NO_CHANNEL = 66,    /* no such channel, stale, or it has other attributes */
	EXIT_UNAVAILABLE = 69,   /* broker not reachable, shutting down, or at a limit */
	EXIT_IO = 74,            /* stdin or stdout failed */
	EXIT_PROTOCOL = 76,      /* the broker or we broke the protocol */
	EXIT_NOT_PERMITTED = 77, /* not permitted, or the wrong end */
	EXIT_TIMED_OUT = 124,
	EXIT_OURS = 125,       /* a command was to run, or ran, and we failed */
	EXIT_CANNOT_RUN = 126, /* the command is there and cannot be run */
	EXIT_NOT_FOUND = 127,  /* there is no such command */
	EXIT_SIGNAL = 128,     /* + N: ended by signal N */
};

/* X(status, exit code), for every status of chan/status.h that is a failure. */
#define EXIT_CODE_LIST(X)                                                                          \
	X(ECLOSED, EXIT_CLOSED)                                                                    \
	X(EWOULDBLOCK, EXIT_WOULD_BLOCK)                                                           \
	X(ETIMEDOUT, EXIT_TIMED_OUT)                                                               \
	X(ECANCELED, EXIT_ABORTED)                                                                 \
	X(ENOCHANNEL, EXIT_NO_CHANNEL)                                                             \
	X(EEXIST, EXIT_NO_CHANNEL)                                                                 \
	X(ESTALE, EXIT_NO_CHANNEL)                                                                 \
	X(EREMOVED, EXIT_ABORTED)                                                                  \
	X(EABORTED, EXIT_ABORTED)                                                                  \
	X(EGONE, EXIT_UNKNOWN)                                                                     \
	X(ETYPE, EXIT_DATA)                                                                        \
	X(ETOOLARGE, EXIT_DATA)                                                                    \
	X(EINVAL, EXIT_USAGE)                                                                      \
	X(EWRONGEND, EXIT_NOT_PERMITTED)                                                           \
	X(EPERM, EXIT_NOT_PERMITTED)                                                               \
	X(ELIMIT, EXIT_UNAVAILABLE)                                                                \
	X(ENOTSUP, EXIT_UNAVAILABLE)                                                               \
	X(EPROTOCOL, EXIT_PROTOCOL)                                                                \
	X(ESHUTDOWN, EXIT_UNAVAILABLE)                                                             \
	X(ERESTARTED, EXIT_UNKNOWN)                                                                \
	X(EUNKNOWN, EXIT_UNKNOWN)                                                                  \
	X(EREDIRECT, EXIT_UNAVAILABLE)                                                             \
	X(EUNREACHABLE, EXIT_UNAVAILABLE)                                                          \
	X(ENOMEM, EXIT_UNAVAILABLE)                                                                \
	X(EAUTH, EXIT_NOT_PERMITTED)                                                               \
	X(EDEADLOCK, EXIT_DEADLOCK)

/* The exit code for a status of chan/status.h; EXIT_DONE for what is no failure. */
int exit_code_of(int status);

#endif
