/* test_listener.c - listening sockets and what they accept. */
#include "tests/support/goroutine_test.h"

#include "server/net/listener.h"
#include "server/runtime/runtime.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

static char dir[64], path[96], url[128], why[512];
static struct listener *listener;
static atomic_int accepted;

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/chand-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sub/sock", dir);
	snprintf(url, sizeof(url), "unix:%s", path);
	return 0;
}

static int remove_dir(void **state)
{
	char sub[80];

	(void)state;
	snprintf(sub, sizeof(sub), "%s/sub", dir);
	rmdir(sub);
	return rmdir(dir);
}

static int bind_url(const char *text, uint32_t mode, struct listener **ret)
{
	struct address a;

	assert_int_equal(address_parse(text, &a, why, sizeof(why)), 0);
	return listener_bind(
		(struct sockaddr *)&a.sockets[0], a.lengths[0], mode, ret, why, sizeof(why));
}

/* Connects to where the listener really listens. */
static int dial(const struct listener *l)
{
	struct address a;
	int fd;

	expect(address_parse(listener_url(l), &a, why, sizeof(why)) == 0);
	fd = socket(a.sockets[0].ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(connect(fd, (struct sockaddr *)&a.sockets[0], a.lengths[0]) == 0);
	return fd;
}

static void accept_one(void *arg, struct stream *s)
{
	expect(arg == &accepted);
	accepted++;
	stream_free(s);
}

/* Each that connects is accepted; after the stop nobody is, and the socket's file has gone. */
static void accept_some(void)
{
	int fds[20];

	accepted = 0;
	expect(listener_start(listener, accept_one, &accepted) == 0);
	for (int i = 0; i < 20; i++)
		fds[i] = dial(listener);
	while (accepted < 20)
		go_yield();
	for (int i = 0; i < 20; i++)
		close(fds[i]);
	listener_stop(listener);
	expect(access(path, F_OK) < 0);
}

static void test_accept_unix(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 4; procs += 3) {
		assert_int_equal(bind_url(url, 0600, &listener), 0);
		assert_string_equal(listener_url(listener), url);
		run_on(procs, 0, accept_some);
	}
}

/* With port 0 the URL tells which port it is. */
static void test_accept_tcp(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 4; procs += 3) {
		assert_int_equal(bind_url("tcp://127.0.0.1:0", 0, &listener), 0);
		assert_true(strncmp(listener_url(listener), "tcp://127.0.0.1:", 16) == 0);
		assert_string_not_equal(listener_url(listener), "tcp://127.0.0.1:0");
		run_on(procs, 0, accept_some);
	}
}

static void name_congestion_control(int fd, char name[static 16])
{
	socklen_t size = 16;

	expect(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size) == 0);
}

static char accepted_with[16];

static void look_at_one(void *arg, struct stream *s)
{
	name_congestion_control(s->fd, accepted_with);
	accept_one(arg, s);
}

static void accept_to_look(void)
{
	int fd;

	accepted = 0;
	expect(listener_start(listener, look_at_one, &accepted) == 0);
	fd = dial(listener);
	while (accepted < 1)
		go_yield();
	close(fd);
	listener_stop(listener);
}

/* Whom no network can hold up is served without what networks need; others as the system says. */
static void test_congestion_control(void **state)
{
	int plain = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char default_name[16];

	(void)state;
	name_congestion_control(plain, default_name);
	close(plain);
	assert_int_equal(bind_url("tcp://127.0.0.1:0", 0, &listener), 0);
	run_on(1, 0, accept_to_look);
	assert_string_equal(accepted_with, "reno");
	assert_int_equal(bind_url("tcp://0.0.0.0:0", 0, &listener), 0);
	run_on(1, 0, accept_to_look);
	assert_string_equal(accepted_with, default_name);
}

static void stop(void)
{
	listener_stop(listener);
}

/* The file has the permissions that were asked for, whatever the umask; its directory is made. */
static void test_mode(void **state)
{
	mode_t mask = umask(0177);
	struct stat st;

	(void)state;
	assert_int_equal(bind_url(url, 0622, &listener), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0622);
	run_on(1, 0, stop);
	umask(mask);
}

/* Where somebody answers, or where a file is that is no socket, nothing is replaced. */
static void test_taken(void **state)
{
	struct listener *second;
	int fd;

	(void)state;
	assert_int_equal(bind_url(url, 0600, &listener), 0);
	assert_int_equal(bind_url(url, 0600, &second), -EADDRINUSE);
	assert_non_null(strstr(why, path));
	run_on(1, 0, stop);

	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(bind_url(url, 0600, &listener), -EEXIST);
	assert_int_equal(unlink(path), 0);
}

/* Whether the other side closes the connection, accepted or refused; so does this one then. */
static bool is_let_go(int client)
{
	ssize_t n;
	char byte;

	blocking_enter();
	n = read(client, &byte, 1);
	blocking_exit();
	close(client);
	return n == 0;
}

/* When no descriptor is left, who connects is refused instead of left waiting; later all is well.
 */
static void run_out_of_descriptors(void)
{
	struct rlimit r, low;
	int client, extra;

	accepted = 0;
	expect(listener_start(listener, accept_one, &accepted) == 0);
	client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	extra = dup(client);
	close(extra);
	expect(getrlimit(RLIMIT_NOFILE, &r) == 0);
	low = r;
	low.rlim_cur = (rlim_t)extra;
	expect(setrlimit(RLIMIT_NOFILE, &low) == 0);
	struct address a;
	expect(address_parse(listener_url(listener), &a, why, sizeof(why)) == 0);
	expect(connect(client, (struct sockaddr *)&a.sockets[0], a.lengths[0]) == 0);
	expect(is_let_go(client));
	expect(accepted == 0);
	expect(setrlimit(RLIMIT_NOFILE, &r) == 0);

	/* Under valgrind accept(2) fails for a limit that it only plays, after the kernel has let
	 * the client in: it is gone before the listener refuses, who may then meet the next one. */
	while (!accepted)
		expect(is_let_go(dial(listener)));
	listener_stop(listener);
}

static void test_out_of_descriptors(void **state)
{
	(void)state;
	assert_int_equal(bind_url(url, 0600, &listener), 0);
	run_on(2, 0, run_out_of_descriptors);
}

/* Leaves a socket's file that nobody listens on. */
static void leave_stale_socket(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(un.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	close(fd);
}

enum { RACERS = 4, RACES = 40 };

struct race {
	int start[2], said[2], end[2]; /* pipes: closed, written, closed */
};

/* Binds when the race starts, says whether it could, and lives until the end. */
static void run_racer(const struct race *r)
{
	char byte;

	test_time_limit();
	close(r->start[1]);
	close(r->end[1]);
	if (read(r->start[0], &byte, 1) != 0)
		_exit(1);
	byte = bind_url(url, 0600, &listener) == 0;
	_exit(write(r->said[1], &byte, 1) != 1 || read(r->end[0], &byte, 1) != 0);
}

static int count_winners(const struct race *r)
{
	int won = 0;
	char byte;

	for (int i = 0; i < RACERS; i++) {
		assert_int_equal(read(r->said[0], &byte, 1), 1);
		won += byte;
	}
	return won;
}

static void run_race(struct race *r)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd, status;

	for (int i = 0; i < RACERS; i++)
		if (fork() == 0)
			run_racer(r);
	close(r->start[1]);
	assert_int_equal(count_winners(r), 1);
	memcpy(un.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	close(fd);
	close(r->end[1]);
	for (int i = 0; i < RACERS; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
}

/* Of several that find a stale socket at once exactly one gets it, and clients reach that one. */
static void test_race_for_a_stale_socket(void **state)
{
	struct race r;

	(void)state;
	for (int i = 0; i < RACES; i++) {
		leave_stale_socket();
		assert_int_equal(pipe(r.start) | pipe(r.said) | pipe(r.end), 0);
		run_race(&r);
		close(r.start[0]);
		close(r.said[0]);
		close(r.said[1]);
		close(r.end[0]);
		unlink(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accept_unix),
		cmocka_unit_test(test_accept_tcp),
		cmocka_unit_test(test_congestion_control),
		cmocka_unit_test(test_mode),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_race_for_a_stale_socket),
		cmocka_unit_test(test_out_of_descriptors),
	};

	return cmocka_run_group_tests_name("listener", tests, make_dir, remove_dir);
}
