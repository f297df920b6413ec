/*
 * guard.h - a process beside chanctl that ends commands when their time is up, whatever happens to
 * chanctl.
 *
 * A command may run for as long as its value's lease is surely ours. chanctl itself could not keep
 * to that: it may be stopped or killed while its commands run on. So it tells the guard until when
 * each may run, and tells it anew with every extension. At that time the guard sends SIGTERM to
 * the command's process group, and later SIGKILL to what is left of it. When chanctl is gone all
 * that it ran is ended at once.
 *
 * The guard is in a session of its own, so that no signal meant for chanctl's job reaches it, and
 * holds none of chanctl's descriptors open.
 */
#ifndef CHANCTL_GUARD_H
#define CHANCTL_GUARD_H

#include <stdint.h>
#include <sys/types.h>

/* Groups that it can look after at once; so many commands can run. */
#define GUARD_GROUPS_MAX 1024

#define GUARD_NEVER INT64_MAX

/* How long what runs may take to end in order when chanctl is gone and cannot say. */
#define GUARD_LAST_GRACE_NS INT64_C(5000000000)

struct guard {
	pid_t pid;
	int fd; /* orders go there; the guard sees by its end that we are gone. Close-on-exec. */
};

/* When a group is to be ended; on clock_now_ns. */
struct guard_times {
	int64_t term_ns;
	int64_t kill_ns;
};

/* Starts it. 0 or -errno. */
int guard_start(struct guard *ret_guard);

/* Ends it, with all that it still looks after. */
void guard_stop(struct guard *g);

/* From now on this group is to be ended so; times that have passed mean now. A group that is new
 * to it is looked after. Does not block. 0, or -errno: the guard is gone. A process that is about
 * to become a command calls it for itself. */
int guard_order(const struct guard *g, pid_t group, const struct guard_times *times);

/* The group's number is about to be free for others. */
int guard_forget(const struct guard *g, pid_t group);

#endif
