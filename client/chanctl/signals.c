#include "client/chanctl/signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

static bool ignored(int number)
{
	struct sigaction act;

	return sigaction(number, NULL, &act) == 0 && act.sa_handler == SIG_IGN;
}

int signals_open(const int *numbers)
{
	const struct sigaction act = {.sa_handler = SIG_DFL};
	sigset_t set;
	int fd;

	/* Where our parent ignored it, the statuses of our commands would be thrown away. */
	sigaction(SIGCHLD, &act, NULL);
	sigemptyset(&set);
	for (; *numbers != 0; numbers++)
		if (!ignored(*numbers))
			sigaddset(&set, *numbers);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	sigprocmask(SIG_BLOCK, &set, NULL);
	return fd;
}

int signals_next(int fd)
{
	struct signalfd_siginfo info;

	return read(fd, &info, sizeof(info)) == sizeof(info) ? (int)info.ssi_signo : 0;
}

bool signals_pause(bool whole_job)
{
	static const struct timespec at_once;
	sigset_t stop, go_on;
	bool continued;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	sigemptyset(&go_on);
	sigaddset(&go_on, SIGCONT);
	sigprocmask(SIG_BLOCK, &go_on, NULL);
	kill(whole_job ? 0 : getpid(), SIGTSTP);
	/* It was blocked, so that it stops us here. */
	sigprocmask(SIG_UNBLOCK, &stop, NULL);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	continued = sigtimedwait(&go_on, NULL, &at_once) == SIGCONT;
	sigprocmask(SIG_UNBLOCK, &go_on, NULL);
	return continued;
}
