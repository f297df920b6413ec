/*
 * child.h - a command that runs as a process group of its own, looked after by the guard.
 */
#ifndef CHANCTL_CHILD_H
#define CHANCTL_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "client/chanctl/guard.h"

struct child_spec {
	char **arguments;   /* ends with NULL */
	char *const *facts; /* "NAME=VALUE", for its environment; ends with NULL */
	int stdin_fd;       /* -1: ours */
	int terminal_fd;    /* of the terminal, which it gets if that is ours; -1: none */
	struct guard_times times;
};

/* Starts it as the leader of a group, whose number is that of the process. Signals are as a program
 * expects them. Blocks until it runs. 0, or -errno: child_exit_code says what that means. */
int child_start(const struct child_spec *spec, const struct guard *guard, pid_t *ret_pid);

/* What a shell would end with where a command did not start: 127 it was not found, 126 it cannot be
 * run, 125 we could not. */
int child_exit_code(int rc);

enum child_news {
	CHILD_RUNS,
	CHILD_STOPPED, /* told once */
	CHILD_ENDED,   /* *ret_code is its exit status, or 128 + the signal that ended it */
};

/* Does not block. What has ended is there, and its number with it, until child_bury. */
enum child_news child_look(pid_t pid, int *ret_code);

/* Lets go of one that has ended. whole_group: what is left of its group is killed. */
void child_bury(pid_t pid, const struct guard *guard, bool whole_group);

#endif
