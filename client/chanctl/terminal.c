#include "client/chanctl/terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

int terminal_open(void)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);

	/* Who takes a terminal back is in its background, and would be stopped for it. */
	if (fd >= 0)
		sigaction(SIGTTOU, &ignore, NULL);
	return fd;
}

bool terminal_is_ours(int fd)
{
	return fd >= 0 && tcgetpgrp(fd) == getpgrp();
}

static void pass(int fd, pid_t from, pid_t to)
{
	if (fd >= 0 && tcgetpgrp(fd) == from)
		tcsetpgrp(fd, to);
}

void terminal_give(int fd, pid_t group)
{
	pass(fd, getpgrp(), group);
}

void terminal_take(int fd, pid_t group)
{
	pass(fd, group, getpgrp());
}
