#include "config.h"

#include "client/chanctl/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/chanctl/exit_codes.h"

/* What we ignore shall not be ignored by the command, which inherits that. */
static void default_signals(void)
{
	const struct sigaction act = {.sa_handler = SIG_DFL};
	sigset_t none;

	sigaction(SIGPIPE, &act, NULL);
	sigaction(SIGTTOU, &act, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* What came while we were of chanctl's group came to chanctl too, which passes on what is for the
 * command. It waits as yet, because chanctl blocks what it watches. */
static void leave_group(void)
{
	static const struct timespec at_once;
	sigset_t all;

	setpgid(0, 0);
	sigfillset(&all);
	while (sigtimedwait(&all, NULL, &at_once) > 0)
		;
}

/* Makes this process the command. Returns -errno where that is not possible. */
static int become(const struct child_spec *spec, const struct guard *guard)
{
	int rc;

	leave_group();
	/* From here on the guard knows of us, so that chanctl may be killed at any point. */
	rc = guard_order(guard, getpid(), &spec->times);
	if (rc < 0)
		return rc;
	/* Before it could try to read; we ignore what the terminal sends to who takes it. */
	if (spec->terminal_fd >= 0 && tcgetpgrp(spec->terminal_fd) == getpgid(getppid()))
		tcsetpgrp(spec->terminal_fd, getpid());
	if (spec->stdin_fd >= 0 && dup2(spec->stdin_fd, STDIN_FILENO) < 0)
		return -errno;
	for (char *const *fact = spec->facts; *fact != NULL; fact++)
		if (putenv(*fact) != 0)
			return -errno;
	default_signals();
	execvp(spec->arguments[0], spec->arguments);
	return -errno;
}

/* What the process that was to become a command wrote, or 0 where it did not: it is one now. */
static int read_failure(int fd)
{
	int rc;
	ssize_t bytes;

	do
		bytes = read(fd, &rc, sizeof(rc));
	while (bytes < 0 && errno == EINTR);
	return bytes == sizeof(rc) ? rc : 0;
}

int child_start(const struct child_spec *spec, const struct guard *guard, pid_t *ret_pid)
{
	int ends[2], rc;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		rc = become(spec, guard);
		_exit(write(ends[1], &rc, sizeof(rc)) == sizeof(rc) ? child_exit_code(rc)
								    : EXIT_OURS);
	}
	rc = pid < 0 ? -errno : 0;
	close(ends[1]);
	if (rc == 0)
		rc = read_failure(ends[0]);
	close(ends[0]);
	if (rc == 0)
		*ret_pid = pid;
	else if (pid > 0)
		child_bury(pid, guard, false);
	return rc;
}

int child_exit_code(int rc)
{
	switch (rc) {
	case -ENOENT:
		return EXIT_NOT_FOUND;
	case -EAGAIN:
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
	case -EPIPE:
		return EXIT_OURS;
	default:
		return EXIT_CANNOT_RUN;
	}
}

enum child_news child_look(pid_t pid, int *ret_code)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
		*ret_code =
			info.si_code == CLD_EXITED ? info.si_status : EXIT_SIGNAL + info.si_status;
		return CHILD_ENDED;
	}
	if (waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOHANG) == 0 && info.si_pid != 0)
		return CHILD_STOPPED;
	return CHILD_RUNS;
}

void child_bury(pid_t pid, const struct guard *guard, bool whole_group)
{
	siginfo_t info;

	if (whole_group)
		kill(-pid, SIGKILL);
	/* Before its number can be another's. */
	guard_forget(guard, pid);
	while (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0 && errno == EINTR)
		;
}
