/*
 * daemon.h - a real chand of its own for a test, on a private Unix socket and on a TCP port that
 * the kernel chose.
 *
 * The daemon is $top_builddir/chand, or what CHAND_PROGRAM names there. Set CHAND_TEST_URL to let
 * the tests speak to one that runs already (in gdb, say); starting and stopping then do nothing.
 * Every function fails the test by cmocka's assertions, so they are for the main thread.
 */
#ifndef TESTS_SUPPORT_DAEMON_H
#define TESTS_SUPPORT_DAEMON_H

#include "tests/support/time_limit.h" /* which a program that starts a daemon calls first */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct test_daemon {
	pid_t pid; /* 0: not started by us, or ended */
	char dir[64];
	char url[128];     /* unix:... */
	char tcp_url[64];  /* tcp://127.0.0.1:PORT */
	char log_path[96]; /* its stderr */
};

/* How long a test may wait for what another process does before it fails: $TEST_PATIENCE_MS, or a
 * minute: generous, since machines may be slow and sanitizers slower; only failing tests wait for
 * so long. */
int test_patience_ms(void);

/* Starts one with further arguments (NULL at the end; NULL for none), and returns when it listens.
 */
void daemon_start(struct test_daemon *d, const char *const *arguments);

/* Sends a signal. */
void daemon_signal(const struct test_daemon *d, int sig);

/* Waits until it ends by itself or by a signal; its exit status (128 + signal), -1 if it does not.
 */
int daemon_wait(struct test_daemon *d);

/* Ends it by SIGKILL; asserts that it had not ended by itself. */
void daemon_kill(struct test_daemon *d);

/* After that: starts another in its place, with such arguments, at the same Unix socket and another
 * TCP port. Its log begins anew. */
void daemon_start_again(struct test_daemon *d, const char *const *arguments);

/* Ends it by SIGTERM, asserts that it exits with 0, and removes its directory. */
void daemon_stop(struct test_daemon *d);

/* Waits until its stderr contains the text; asserts that it came. */
void daemon_expect_log(const struct test_daemon *d, const char *text);

/* The URL that it listens on and that begins so, out of its log. */
void daemon_find_url(
	const struct test_daemon *d, const char *beginning, char *url, size_t url_bytes);

/* CPU time that it has used, in clock ticks (sysconf(_SC_CLK_TCK)); its resident memory in bytes.
 */
uint64_t daemon_cpu_ticks(const struct test_daemon *d);
uint64_t daemon_resident_bytes(const struct test_daemon *d);

/* How often its threads have gone to sleep, all together. */
uint64_t daemon_sleeps(const struct test_daemon *d);

/* What a process has mapped under that name. */
int process_maps(pid_t pid, const char *name);

/* Connections over rings that it has: mappings of such memory. */
int process_rings(pid_t pid);

/* Runs chand with arguments until it ends: exit status; what it wrote to stderr and stdout in text.
 */
int daemon_run(const char *const *arguments, char *text, size_t text_bytes);

#endif
