/* network.c - by ip and tc, which are asked by their names; links are m0 ... in the middle. */
#include "tests/support/network.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What loses packets: by chance, or, where the kernel has no such thing, by a queue that is soon
 * full. */
static const char *const bad_lines[] = {
	"netem loss 15% delay 5ms 5ms", "tbf rate 256kbit burst 1600 limit 3200"};

/* Only what is tried may fail, and says why. */
static bool fail(struct network *n, const char *what)
{
	snprintf(n->why_not, sizeof(n->why_not), errno ? "%s: %s" : "%s", what, strerror(errno));
	return false;
}

static void must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	abort();
}

__attribute__((format(printf, 1, 2))) static bool run(const char *format, ...)
{
	char command[512];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	return system(command) == 0;
}

/* ---- making it ---- */

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

/* Who is not root may make namespaces as root of a user namespace. */
static bool leave(struct network *n)
{
	char users[64], groups[64];

	snprintf(users, sizeof(users), "0 %d 1", (int)getuid());
	snprintf(groups, sizeof(groups), "0 %d 1", (int)getgid());
	if (unshare(CLONE_NEWNET) == 0)
		return true;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return fail(n, "namespaces are not permitted");
	return (write_file("/proc/self/setgroups", "deny") &&
		       write_file("/proc/self/uid_map", users) &&
		       write_file("/proc/self/gid_map", groups)) ||
	       fail(n, "user namespaces are not permitted");
}

static int this_space(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* The client's device is c, whichever link it is of. */
static bool add_link(struct network *n, int link, int middle)
{
	char path[64];
	bool good;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), middle);
	if (unshare(CLONE_NEWNET) < 0 || (n->spaces[link] = this_space()) < 0)
		return fail(n, "a namespace could not be made");
	good = run("ip link add name c type veth peer name m%d netns %s", link, path) &&
	       run("ip addr add 10.26.%d.2/24 dev c && ip link set c up", link);
	if (setns(middle, CLONE_NEWNET) < 0)
		return fail(n, "a namespace could not be entered");
	good = good && run("ip addr add 10.26.%d.1/24 dev m%d", link, link) &&
	       run("ip link set m%d up", link);
	errno = 0;
	return good || fail(n, "ip could not make a link");
}

static void find_bad_line(struct network *n)
{
	for (size_t i = 0; i < sizeof(bad_lines) / sizeof(bad_lines[0]) && !n->bad_line; i++)
		if (run("tc qdisc add dev m0 root %s 2>/dev/null", bad_lines[i]) &&
			run("tc qdisc del dev m0 root"))
			n->bad_line = bad_lines[i];
}

static bool make(struct network *n, int links)
{
	int middle;

	if (!leave(n))
		return false;
	errno = 0;
	if (!run("ip link set lo up"))
		return fail(n, "ip (iproute2) does not work");
	middle = this_space();
	while (n->links < links && add_link(n, n->links, middle))
		n->links++;
	close(middle);
	find_bad_line(n);
	return n->links == links;
}

/* Another process tries first, as there is no way back. */
static bool try(struct network *n)
{
	struct network trial = {0};
	int ends[2];
	ssize_t got;
	pid_t pid;

	must(pipe2(ends, O_CLOEXEC) == 0, "pipe");
	fflush(NULL);
	pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0) {
		must(dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO) >= 0, "dup2");
		if (!make(&trial, 1) && write(ends[1], trial.why_not, sizeof(trial.why_not)) < 0)
			_exit(1);
		_exit(0);
	}
	close(ends[1]);
	got = read(ends[0], n->why_not, sizeof(n->why_not));
	close(ends[0]);
	waitpid(pid, NULL, 0);
	return got == 0;
}

/* Where ip and tc are is not on everybody's way. */
static void extend_path(void)
{
	const char *old = getenv("PATH");
	char path[4096];

	snprintf(path, sizeof(path), "%s:/usr/sbin:/sbin", old ? old : "/usr/bin:/bin");
	setenv("PATH", path, 1);
}

bool network_start(struct network *n, int links)
{
	memset(n, 0, sizeof(*n));
	extend_path();
	if (!try(n))
		return false;
	must(make(n, links), "network");
	return true;
}

void network_stop(struct network *n)
{
	while (n->links > 0)
		close(n->spaces[--n->links]);
}

/* ---- what it does ---- */

void network_address(int link, char ret_address[static NETWORK_ADDRESS_MAX])
{
	snprintf(ret_address, NETWORK_ADDRESS_MAX, "10.26.%d.1", link);
}

void network_enter(const struct network *n, int link)
{
	must(setns(n->spaces[link], CLONE_NEWNET) == 0, "setns");
}

/* Our side goes down, so that the other one knows of nothing and goes on sending. */
void network_cut(struct network *n, int link)
{
	must(run("ip link set m%d down", link), "ip");
	n->states[link] = LINK_CUT;
}

void network_lose(struct network *n, int link)
{
	must(run("tc qdisc add dev m%d root %s", link, n->bad_line), "tc");
	n->states[link] = LINK_LOSES;
}

void network_heal(struct network *n, int link)
{
	if (n->states[link] == LINK_CUT)
		must(run("ip link set m%d up", link), "ip");
	else if (n->states[link] == LINK_LOSES)
		must(run("tc qdisc del dev m%d root", link), "tc");
	n->states[link] = LINK_WELL;
}
