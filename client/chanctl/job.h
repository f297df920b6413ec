/*
 * job.h - a command that runs for a value while we hold the value's lease.
 *
 * The lease is extended a third of its time after it was last. It counts from when we asked, so
 * that it is surely ours for as long as we think. Should no answer come, the command is told to
 * end early enough to be gone when the lease is over: nobody else gets the value while it still
 * runs, unless this machine stands still. The guard keeps to that where we cannot.
 */
#ifndef CHANCTL_JOB_H
#define CHANCTL_JOB_H

#include "chan/chan.h"
#include "client/chanctl/child.h"
#include "client/chanctl/options.h"

enum job_end {
	JOB_GOES_ON,
	JOB_TIMED_OUT,  /* it ran longer than it may */
	JOB_LEASE_LOST, /* the value is not ours any more, or may soon be not */
	JOB_CALLED_OFF, /* job_call_off */
};

/* How jobs are run; the same for all. */
struct job_rules {
	struct guard *guard;
	int64_t lease_ns;
	int64_t timeout_ns; /* how long a command may run; negative: for ever */
	int64_t grace_ns;   /* from SIGTERM to SIGKILL */
};

/* As --lease and --grace say; a command may run for ever. guard must outlive it. */
void job_rules_init(struct job_rules *rules, struct guard *guard, const struct options *options);

struct job {
	const struct job_rules *rules;
	struct chan *ch;
	struct chan_value value; /* under its lease; ours until job_fini */
	pid_t pid;               /* the command's, and its group; 0: none runs */
	enum job_end end;        /* why it was told to end */
	int64_t lease_end_ns;    /* the value is surely ours until then */
	int64_t asked_ns;        /* when the extension in flight was asked for; 0: none is */
	int64_t timeout_end_ns;  /* when the command is ended; GUARD_NEVER */
	bool lost;               /* the value is known to be not ours any more */
};

/* Takes over a value that was just received through ch, a lease with it. rules must outlive it. */
void job_init(struct job *j, const struct job_rules *rules, struct chan *ch,
	const struct chan_value *value);
void job_fini(struct job *j);

/* Starts the command; its times are the job's to set, and the facts. 0, or -errno as child_start.*/
int job_run(struct job *j, struct child_spec *spec);

/* Asks for an extension if it is time; tag is its completion's, which goes to job_extended. Notices
 * what has happened to the lease and the time. Returns when to call again at the latest. */
int64_t job_tick(struct job *j, void *tag);
void job_extended(struct job *j, const struct chan_completion *c);

/* Ends the command: SIGTERM now, SIGKILL after the grace. */
void job_call_off(struct job *j);

/* As child_look, for the command; where it has ended, it is gone with this. */
enum child_news job_look(struct job *j, int *ret_code);

#endif
