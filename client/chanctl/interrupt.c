#include "client/chanctl/interrupt.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "client/chanctl/exit_codes.h"

static int signal_fd = -1;
static int signal_seen;

static void end_at_once(int number)
{
	_exit(EXIT_SIGNAL + number);
}

void interrupt_prepare(void)
{
	struct sigaction end = {.sa_handler = end_at_once}, ignore = {.sa_handler = SIG_IGN};

	/* Also where SIGINT came ignored, as for `chanctl ... &` in a script: the promise to
	 * withdraw what waits holds there too. */
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

static void set_blocked(bool blocked)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &signals, NULL);
	if (blocked)
		signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

int interrupt_init(void)
{
	if (signal_fd < 0 && signal_seen == 0)
		set_blocked(true);
	return signal_fd;
}

int interrupt_signal(void)
{
	struct signalfd_siginfo info;

	if (signal_seen == 0 && signal_fd >= 0 && read(signal_fd, &info, sizeof(info)) > 0) {
		signal_seen = (int)info.ssi_signo;
		set_blocked(false);
	}
	return signal_seen;
}
