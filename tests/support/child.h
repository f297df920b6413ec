/*
 * child.h - run a function in a child process, for what ends its process: how it ended, and what it
 * wrote to stderr. Not while a go_run is under way.
 */
#ifndef SUPPORT_CHILD_H
#define SUPPORT_CHILD_H

#include "tests/support/time_limit.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
	int status; /* as waitpid gives it */
	char err[65536];
};

/* fn may return: the child then ends with status 0. */
static inline void child_run(struct child *c, void (*fn)(void *arg), void *arg)
{
	size_t length = 0;
	int ends[2];
	ssize_t n;
	pid_t pid;

	fflush(NULL);
	if (pipe(ends) < 0 || (pid = fork()) < 0)
		abort();
	if (pid == 0) {
		test_time_limit();
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		fn(arg);
		_exit(0);
	}
	close(ends[1]);
	while ((n = read(ends[0], c->err + length, sizeof(c->err) - 1 - length)) > 0)
		length += (size_t)n;
	c->err[length] = '\0';
	close(ends[0]);
	waitpid(pid, &c->status, 0);
}

/* Did it exit by itself, with that status? */
static inline int child_exited(const struct child *c, int status)
{
	return WIFEXITED(c->status) && WEXITSTATUS(c->status) == status;
}

#endif
