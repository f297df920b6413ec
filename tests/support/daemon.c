#include "tests/support/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGUMENTS_MAX = 32, LOG_BYTES_MAX = 256 * 1024 };

/* Between two looks at what another process does. */
enum { REST_MS = 2, PATIENCE_MS = 60000 };

static void rest(void)
{
	nanosleep(&(struct timespec){.tv_nsec = REST_MS * 1000000}, NULL);
}

int test_patience_ms(void)
{
	const char *ms = getenv("TEST_PATIENCE_MS");

	return ms && atoi(ms) > 0 ? atoi(ms) : PATIENCE_MS;
}

static int looks_max(void)
{
	return test_patience_ms() / REST_MS;
}

static const char *program(char path[static 512])
{
	const char *dir = getenv("top_builddir"), *name = getenv("CHAND_PROGRAM");

	snprintf(path, 512, "%s/%s", dir ? dir : ".", name ? name : "chand");
	return path;
}

/* Forks and execs chand with stdout and stderr on fd. */
static pid_t spawn(const char **argv, int fd)
{
	char path[512];
	pid_t pid;

	argv[0] = program(path);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that dies takes its daemon along */
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		execv(path, (char **)argv);
		dprintf(STDERR_FILENO, "cannot run %s: %s\n", path, strerror(errno));
		_exit(127);
	}
	return pid;
}

static int add_arguments(const char **argv, int argc, const char *const *more)
{
	for (; more && *more; more++) {
		assert_true(argc + 1 < ARGUMENTS_MAX);
		argv[argc++] = *more;
	}
	argv[argc] = NULL;
	return argc;
}

static char *read_file(const char *path)
{
	char *text = calloc(1, LOG_BYTES_MAX);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t got;

	assert_non_null(text);
	while (fd >= 0 && n + 1 < LOG_BYTES_MAX &&
		(got = read(fd, text + n, LOG_BYTES_MAX - 1 - n)) > 0)
		n += (size_t)got;
	if (fd >= 0)
		close(fd);
	return text;
}

void daemon_expect_log(const struct test_daemon *d, const char *wanted)
{
	for (int i = 0, last = looks_max() - 1; i <= last; i++) {
		char *text = read_file(d->log_path);
		bool found = strstr(text, wanted) != NULL;

		if (!found &&
			(i == last || (d->pid && waitpid(d->pid, NULL, WNOHANG | WNOWAIT) > 0)))
			print_error("the daemon said:\n%s", text);
		free(text);
		if (found)
			return;
		rest();
	}
	fail_msg("the daemon did not say '%s'", wanted);
}

void daemon_find_url(
	const struct test_daemon *d, const char *beginning, char *url, size_t url_bytes)
{
	char *text = read_file(d->log_path), *at = strstr(text, beginning);

	assert_non_null(at);
	snprintf(url, url_bytes, "%.*s", (int)strcspn(at, "\n"), at);
	free(text);
}

void daemon_start_again(struct test_daemon *d, const char *const *arguments)
{
	const char *argv[ARGUMENTS_MAX];
	int fd;

	if (!*d->dir)
		return;
	argv[1] = "--listen";
	argv[2] = d->url;
	argv[3] = "--listen";
	argv[4] = "tcp://127.0.0.1:0";
	add_arguments(argv, 5, arguments);
	fd = open(d->log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	d->pid = spawn(argv, fd);
	close(fd);
	daemon_expect_log(d, "ready");
	daemon_find_url(d, "tcp://127.0.0.1:", d->tcp_url, sizeof(d->tcp_url));
}

void daemon_start(struct test_daemon *d, const char *const *arguments)
{
	const char *external = getenv("CHAND_TEST_URL");

	memset(d, 0, sizeof(*d));
	if (external) {
		snprintf(d->url, sizeof(d->url), "%s", external);
		return;
	}
	snprintf(d->dir, sizeof(d->dir), "/tmp/chand-test-XXXXXX");
	assert_non_null(mkdtemp(d->dir));
	snprintf(d->url, sizeof(d->url), "unix:%s/sock", d->dir);
	snprintf(d->log_path, sizeof(d->log_path), "%s/log", d->dir);
	daemon_start_again(d, arguments);
}

void daemon_signal(const struct test_daemon *d, int sig)
{
	if (d->pid)
		assert_int_equal(kill(d->pid, sig), 0);
}

static int status_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int daemon_wait(struct test_daemon *d)
{
	int status;

	for (int i = 0; i < looks_max(); i++) {
		pid_t pid = waitpid(d->pid, &status, WNOHANG);

		if (pid == d->pid) {
			d->pid = 0;
			return status_of(status);
		}
		rest();
	}
	return -1;
}

/* Asserts that it ended as it should have. */
static void expect_ended(struct test_daemon *d, int wanted_status)
{
	int status = daemon_wait(d);
	char *text;

	if (status == wanted_status)
		return;
	text = read_file(d->log_path);
	print_error("the daemon said:\n%s", text);
	free(text);
	if (d->pid)
		kill(d->pid, SIGKILL);
	assert_int_equal(status, wanted_status);
}

void daemon_kill(struct test_daemon *d)
{
	if (!d->pid)
		return;
	daemon_signal(d, SIGKILL);
	expect_ended(d, 128 + SIGKILL);
}

void daemon_stop(struct test_daemon *d)
{
	char command[128];

	if (!*d->dir)
		return;
	if (d->pid) {
		daemon_signal(d, SIGTERM);
		expect_ended(d, 0);
	}
	snprintf(command, sizeof(command), "rm -rf %s", d->dir);
	assert_int_equal(system(command), 0);
}

uint64_t daemon_cpu_ticks(const struct test_daemon *d)
{
	char path[64], *text, *at;
	unsigned long user = 0, system = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)d->pid);
	text = read_file(path);
	at = strrchr(text, ')');
	assert_non_null(at);
	assert_int_equal(sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
				 &user, &system),
		2);
	free(text);
	return user + system;
}

uint64_t daemon_resident_bytes(const struct test_daemon *d)
{
	char path[64], *text;
	unsigned long pages = 0;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)d->pid);
	text = read_file(path);
	assert_int_equal(sscanf(text, "%*u %lu", &pages), 1);
	free(text);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t daemon_sleeps(const struct test_daemon *d)
{
	char path[300], *text, *at;
	uint64_t sleeps = 0;
	struct dirent *e;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)d->pid);
	tasks = opendir(path);
	assert_non_null(tasks);
	while ((e = readdir(tasks))) {
		if (*e->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)d->pid, e->d_name);
		text = read_file(path);
		at = strstr(text, "\nvoluntary_ctxt_switches:");
		assert_non_null(at);
		sleeps += strtoull(strchr(at, ':') + 1, NULL, 10);
		free(text);
	}
	closedir(tasks);
	return sleeps;
}

int process_maps(pid_t pid, const char *name)
{
	char path[64], line[512];
	FILE *maps;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		n += strstr(line, name) != NULL;
	fclose(maps);
	return n;
}

int process_rings(pid_t pid)
{
	return process_maps(pid, "chand-ring");
}

int daemon_run(const char *const *arguments, char *text, size_t text_bytes)
{
	const char *argv[ARGUMENTS_MAX];
	int fds[2], status;
	size_t n = 0;
	ssize_t got;
	pid_t pid;

	add_arguments(argv, 1, arguments);
	assert_int_equal(pipe(fds), 0);
	pid = spawn(argv, fds[1]);
	close(fds[1]);
	while ((got = read(fds[0], text + n, text_bytes - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status_of(status);
}
