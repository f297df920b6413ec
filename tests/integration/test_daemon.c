/* test_daemon.c - the daemon as a process: sockets, signals, shutdown, exit statuses. */
#include "tests/support/daemon.h"
#include "tests/support/peer.h"
#include "tests/support/skip.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* Shutting down: who waits is answered ESHUTDOWN, what is out is settled, all are told GOAWAY, and
 * what was buffered is counted. */
static void test_shutdown(void **state)
{
	uint64_t channel, empty, delivery, waits, send;
	struct test_daemon d;
	struct peer p, q;

	(void)state;
	daemon_start(&d, NULL);
	peer_dial(&p, d.url);
	peer_dial(&q, d.tcp_url);
	channel = peer_channel(&p, "c", CHAN_TYPE_STRING, 3);
	empty = peer_channel(&p, "unbuffered", CHAN_TYPE_STRING, 0);
	peer_opened(&q, "c", CHAN_RECV);
	peer_opened(&q, "unbuffered", CHAN_RECV);
	peer_expect_done(&p, peer_send(&p, channel, "1"));
	peer_expect_done(&p, peer_send(&p, channel, "2"));
	send = peer_send(&p, empty, "x");
	delivery = peer_expect_deliver(&q, peer_recv(&q, empty), "x");
	waits = peer_recv(&q, empty);
	peer_expect_quiet(&q);

	daemon_signal(&d, SIGTERM);
	peer_expect_fail(&q, waits, CHAN_ESHUTDOWN);
	peer_taken(&q, delivery);
	peer_expect_done(&p, send);
	peer_expect(&p, MESSAGE_GOAWAY);
	assert_int_equal(p.m.goaway.status, CHAN_ESHUTDOWN);
	peer_expect_end(&p);
	peer_expect(&q, MESSAGE_GOAWAY);
	peer_expect_end(&q);
	peer_drop(&p);
	peer_drop(&q);
	assert_int_equal(daemon_wait(&d), 0);
	daemon_expect_log(&d, "2 buffered values were dropped");
	assert_int_equal(access(d.url + 5, F_OK), -1);
	daemon_stop(&d);
}

/* What is out and never settled holds the shutdown up no longer than configured. */
static void test_shutdown_does_not_wait_for_ever(void **state)
{
	static const char *const arguments[] = {"--settle-timeout=200ms", NULL};
	struct test_daemon d;
	struct peer p;
	uint64_t channel;

	(void)state;
	daemon_start(&d, arguments);
	peer_dial(&p, d.url);
	channel = peer_channel(&p, "c", CHAN_TYPE_STRING, 1);
	peer_expect_done(&p, peer_send(&p, channel, "v"));
	peer_expect_deliver(&p, peer_recv(&p, channel), "v");
	daemon_signal(&d, SIGINT);
	peer_expect(&p, MESSAGE_GOAWAY);
	assert_int_equal(daemon_wait(&d), 0);
	daemon_expect_log(&d, "not confirmed in time");
	peer_drop(&p);
	daemon_stop(&d);
}

/* A client that neither reads nor closes does not hold the shutdown up either. */
static void test_shutdown_with_a_dead_client(void **state)
{
	struct test_daemon d;
	struct peer p;

	(void)state;
	daemon_start(&d, NULL);
	peer_dial(&p, d.url);
	daemon_signal(&d, SIGTERM);
	assert_int_equal(daemon_wait(&d), 0);
	peer_drop(&p);
	daemon_stop(&d);
}

/* SIGQUIT prints every goroutine, and the daemon keeps running. */
static void test_sigquit(void **state)
{
	struct test_daemon d;
	struct peer p;

	(void)state;
	daemon_start(&d, NULL);
	peer_dial(&p, d.url);
	daemon_signal(&d, SIGQUIT);
	daemon_expect_log(&d, "goroutine 1 [");
	daemon_expect_log(&d, "broker");
	peer_channel(&p, "alive", CHAN_TYPE_INT, 0);
	peer_drop(&p);
	daemon_stop(&d);
}

enum { QUIET_SECONDS = 3, TRIES = 20 };

/* Once nobody says anything any more, the daemon sleeps without being woken, whether its clients have
 * gone or only say nothing. */
static void test_sleeps_when_idle(void **state)
{
	const char *sanitizer = getenv("TEST_SANITIZER");
	struct test_daemon d;
	struct peer stays, goes;
	uint64_t channel, before, sleeps = 1;

	(void)state;
	if (sanitizer && strstr(sanitizer, "thread"))
		SKIP_TEST("the sanitizer has a thread that wakes");
	daemon_start(&d, NULL);
	peer_dial(&stays, d.url);
	peer_dial(&goes, d.tcp_url);
	channel = peer_channel(&goes, "c", CHAN_TYPE_STRING, 1);
	peer_expect_done(&goes, peer_send(&goes, channel, "v"));
	peer_drop(&goes);
	for (int i = 0; i < TRIES && sleeps; i++) {
		before = daemon_sleeps(&d);
		nanosleep(&(struct timespec){.tv_sec = QUIET_SECONDS}, NULL); /* what is measured */
		sleeps = daemon_sleeps(&d) - before;
	}
	assert_int_equal(sleeps, 0);
	peer_drop(&stays);
	daemon_stop(&d);
}

/* SIGHUP takes over what can be changed, names what cannot, and ignores a file that is wrong. */
static void test_sighup(void **state)
{
	char path[] = "/tmp/chand-test-conf-XXXXXX", argument[64];
	const char *const arguments[] = {argument, NULL};
	struct test_daemon d;
	struct peer p, q;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	snprintf(argument, sizeof(argument), "--config=%s", path);
	assert_int_equal(pwrite(fd, "connections_max = 10\n", 21, 0), 21);
	daemon_start(&d, arguments);
	peer_dial(&p, d.url);

	assert_int_equal(pwrite(fd, "connections_max = 1 \n#", 22, 0), 22);
	daemon_signal(&d, SIGHUP);
	daemon_expect_log(&d, "configuration reloaded");
	peer_connect(&q, d.url);
	peer_say(&q, &(struct message){.kind = MESSAGE_HELLO,
			     .hello = &(struct wire_hello){.version_min = 1, .version_max = 1}});
	peer_expect(&q, MESSAGE_GOAWAY);
	assert_int_equal(q.m.goaway.status, CHAN_ELIMIT);
	peer_drop(&q);

	assert_int_equal(pwrite(fd, "connections_max = 5 \nprocs = 3\n", 31, 0), 31);
	daemon_signal(&d, SIGHUP);
	daemon_expect_log(&d, "a restart is needed for: procs");
	assert_int_equal(pwrite(fd, "connections_max = so \n#", 23, 0), 23);
	daemon_signal(&d, SIGHUP);
	daemon_expect_log(&d, "nothing is changed");
	peer_dial(&q, d.url);
	peer_drop(&q);
	peer_drop(&p);
	daemon_stop(&d);
	close(fd);
	unlink(path);
}

/* A wrong configuration exits with 78, a wrong command line with 64, a taken address with 69. */
static void test_exit_statuses(void **state)
{
	char text[4096], listen[160];
	const char *const tls[] = {"--listen", "tls://localhost:1", NULL};
	const char *const nonsense[] = {"--listen", "http://localhost", NULL};
	const char *const stray[] = {"stray", NULL};
	const char *const checked[] = {"--check-config", "--listen=unix:/nonexistent/s", NULL};
	const char *const nowhere[] = {"--listen=unix:/nonexistent/dir/s", NULL};
	const char *const taken[] = {listen, NULL};
	const char *const nobody[] = {"--user=no-such-user-here", listen, NULL};
	const char *const nobody_checked[] = {"--user=no-such-user-here", "--check-config", NULL};
	struct test_daemon d;

	(void)state;
	assert_int_equal(daemon_run(tls, text, sizeof(text)), 78);
	assert_non_null(strstr(text, "needs a certificate (tls_certificate)"));
	assert_int_equal(daemon_run(nonsense, text, sizeof(text)), 64);
	assert_int_equal(daemon_run(stray, text, sizeof(text)), 64);
	assert_int_equal(daemon_run(checked, text, sizeof(text)), 0);
	assert_int_equal(daemon_run(nowhere, text, sizeof(text)), 69);

	daemon_start(&d, NULL);
	snprintf(listen, sizeof(listen), "--listen=%s", d.url);
	assert_int_equal(daemon_run(taken, text, sizeof(text)), 69);
	assert_non_null(strstr(text, "in use; a daemon answers there: stop it"));
	snprintf(listen, sizeof(listen), "--listen=%s", d.tcp_url);
	assert_int_equal(daemon_run(taken, text, sizeof(text)), 69);
	assert_non_null(strstr(text, "in use; stop who has it"));
	snprintf(listen, sizeof(listen), "--listen=%s2", d.url);
	assert_int_equal(daemon_run(nobody, text, sizeof(text)), 78);
	assert_int_equal(daemon_run(nobody_checked, text, sizeof(text)), 78);
	daemon_stop(&d);
}

/* A socket that a dead daemon left is replaced; its permissions are as configured; a file that is
 * no socket is left alone. */
static void test_stale_socket(void **state)
{
	static const char *const arguments[] = {"--socket-mode=0604", NULL};
	struct test_daemon d, again;
	char text[4096], listen[160];
	const char *const plain[] = {listen, NULL};
	struct stat st;
	struct peer p;
	int fd;

	(void)state;
	daemon_start(&d, arguments);
	assert_int_equal(stat(d.url + 5, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0604);
	daemon_signal(&d, SIGKILL);
	assert_int_equal(daemon_wait(&d), 128 + SIGKILL);
	assert_int_equal(access(d.url + 5, F_OK), 0);

	/* The same socket, among those of another test daemon. */
	snprintf(listen, sizeof(listen), "--listen=%s", d.url);
	daemon_start(&again, plain);
	peer_dial(&p, d.url);
	peer_drop(&p);
	daemon_stop(&again);

	snprintf(listen, sizeof(listen), "--listen=unix:%s/file", d.dir);
	fd = mkstemp(strcpy(text, "/tmp/chand-test-file-XXXXXX"));
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(rename(text, listen + strlen("--listen=unix:")), 0);
	assert_int_equal(daemon_run(plain, text, sizeof(text)), 69);
	assert_non_null(strstr(text, "is not a socket"));
	daemon_stop(&d);
}

/* The line of /proc/PID/status that begins with name, or "". */
static void process_status(const struct test_daemon *d, const char *name, char line[static 128])
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)d->pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, 128, f) && strncmp(line, name, strlen(name)) != 0)
		*line = '\0';
	fclose(f);
}

/* Started as root with a user configured, the daemon is that user in everything, and the socket is
 * the user's. */
static void test_privileges(void **state)
{
	static const char *const arguments[] = {"--user=nobody", NULL};
	struct passwd *nobody = getpwnam("nobody");
	struct test_daemon d;
	char expected[128], line[128];
	struct stat st;
	struct peer p;

	(void)state;
	if (geteuid() != 0 || !nobody)
		SKIP_TEST("it takes root, and a user nobody");
	daemon_start(&d, arguments);
	snprintf(expected, sizeof(expected), "Uid:\t%u\t%u\t%u\t%u\n", nobody->pw_uid,
		nobody->pw_uid, nobody->pw_uid, nobody->pw_uid);
	process_status(&d, "Uid:", line);
	assert_string_equal(line, expected);
	process_status(&d, "CapEff:", line);
	assert_string_equal(line, "CapEff:\t0000000000000000\n");
	process_status(&d, "CapPrm:", line);
	assert_string_equal(line, "CapPrm:\t0000000000000000\n");
	process_status(&d, "NoNewPrivs:", line);
	assert_string_equal(line, "NoNewPrivs:\t1\n");
	assert_int_equal(stat(d.url + 5, &st), 0);
	assert_int_equal(st.st_uid, nobody->pw_uid);
	peer_dial(&p, d.url);
	peer_drop(&p);
	daemon_stop(&d);
}

/* With a group of its own; and none of root's groups stays. */
static void test_group(void **state)
{
	static const char *const arguments[] = {"--user=nobody", "--group=daemon", NULL};
	struct group *group = getgrnam("daemon");
	char expected[128], line[128];
	struct test_daemon d;
	struct stat st;

	(void)state;
	if (geteuid() != 0 || !group)
		SKIP_TEST("it takes root, and a group daemon");
	daemon_start(&d, arguments);
	snprintf(expected, sizeof(expected), "Gid:\t%u\t%u\t%u\t%u\n", group->gr_gid, group->gr_gid,
		group->gr_gid, group->gr_gid);
	process_status(&d, "Gid:", line);
	assert_string_equal(line, expected);
	snprintf(expected, sizeof(expected), "Groups:\t%u \n", group->gr_gid);
	process_status(&d, "Groups:", line);
	assert_string_equal(line, expected);
	assert_int_equal(stat(d.url + 5, &st), 0);
	assert_int_equal(st.st_gid, group->gr_gid);
	daemon_stop(&d);
}

/* A daemon that is nobody's but its own gives up gaining rights, too. */
static void test_no_new_privileges(void **state)
{
	struct test_daemon d;
	char line[128];

	(void)state;
	daemon_start(&d, NULL);
	process_status(&d, "NoNewPrivs:", line);
	assert_string_equal(line, "NoNewPrivs:\t1\n");
	daemon_stop(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shutdown),
		cmocka_unit_test(test_shutdown_does_not_wait_for_ever),
		cmocka_unit_test(test_shutdown_with_a_dead_client),
		cmocka_unit_test(test_sigquit),
		cmocka_unit_test(test_sleeps_when_idle),
		cmocka_unit_test(test_sighup),
		cmocka_unit_test(test_exit_statuses),
		cmocka_unit_test(test_stale_socket),
		cmocka_unit_test(test_privileges),
		cmocka_unit_test(test_group),
		cmocka_unit_test(test_no_new_privileges),
	};

	test_time_limit();
	return cmocka_run_group_tests_name("daemon", tests, NULL, NULL);
}
