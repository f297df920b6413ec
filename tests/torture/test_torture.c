/*
 * test_torture.c - every call that can fail is made to fail, one after another, while two clients
 * converse: in the daemon, in the library, and while the daemon starts.
 *
 * For each kind of fault the n-th call fails, for n = 1, 2, ... until a whole conversation passes
 * without meeting one. After each, with nothing failing any more, every value must be accounted for
 * and another whole conversation must succeed: the daemon has degraded, answered and recovered.
 *
 * `make check` takes each STRIDE-th call, `make torture` all. TORTURE_STRIDE=k takes each k-th;
 * TORTURE_N=n (with TORTURE_KIND=MEMORY) just that one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/certificates.h"
#include "tests/support/daemon.h"
#include "tests/support/peer.h"
#include "tests/torture/conversation.h"
#include "tests/torture/faults.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define STRIDE 13

/* More calls of one kind than a conversation makes: if it still meets one there is no end to it. */
#define CALLS_MAX 20000

/* What the daemon may have grown by in a kind's rounds, but for caches it has a right to. */
#define GROWTH_BYTES_MAX (8u * 1024 * 1024)

static struct test_daemon under_test;
static struct fault_page *page; /* the daemon's */
static int conversations;

static int64_t number_from(const char *name, int64_t otherwise)
{
	const char *text = getenv(name);

	return text ? atoll(text) : otherwise;
}

static int64_t stride_in_force(void)
{
	return number_from("TORTURE_STRIDE", STRIDE);
}

static bool sanitized(void)
{
	const char *sanitizer = getenv("TEST_SANITIZER");

	return sanitizer && *sanitizer && strcmp(sanitizer, "no") != 0;
}

static char certificates[CERTIFICATES_DIR_BYTES];
static char tls_url[64];
static bool over_tls; /* conversations go; else by the Unix socket and TCP in turn */

static void start_daemon(void)
{
	char certificate[128], key[128], ca[CERTIFICATES_PATH_BYTES];
	const char *arguments[] = {"--listen", "tls://127.0.0.1:0", certificate, key, NULL};

	snprintf(certificate, sizeof(certificate), "--tls-certificate=%s/server.pem", certificates);
	snprintf(key, sizeof(key), "--tls-key=%s/server.key", certificates);
	setenv("CHAN_TLS_CA", certificates_path(certificates, "ca.pem", ca), 1);
	daemon_start(&under_test, arguments);
	daemon_find_url(&under_test, "tls://127.0.0.1:", tls_url, sizeof(tls_url));
}

static int setup(void **state)
{
	static char path[] = "/tmp/chand-faults-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	page = fault_page_new(path);
	setenv("CHAND_FAULTS", path, 1);
	setenv("CHAND_PROGRAM", "tests/torture/chand", 1);
	setenv("CHAND_PROCS", "1", 1); /* the n-th call is the same one in every run, almost */
	certificates_make(certificates);
	start_daemon();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	daemon_stop(&under_test);
	unlink(getenv("CHAND_FAULTS"));
	certificates_remove(certificates);
	return 0;
}

static void converse(struct talk *t, bool resumable)
{
	const char *plain_url = conversations % 2 ? under_test.tcp_url : under_test.url;

	*t = (struct talk){.url = over_tls ? tls_url : plain_url,
		.number = ++conversations,
		.resumable = resumable};
	talk_hold(t);
}

static void expect_nothing_wrong(struct talk *t, enum fault kind, int64_t n)
{
	talk_account(t);
	if (t->wrong[0])
		fail_msg("call %lld of %s: %s (%s)", (long long)n, fault_name(kind), t->wrong,
			t->excuse);
}

static void expect_recovery(enum fault kind, int64_t n)
{
	struct talk t;

	converse(&t, false);
	if (t.status < 0)
		fail_msg("after call %lld of %s, %s failed: %s", (long long)n, fault_name(kind),
			t.step, t.excuse);
	expect_nothing_wrong(&t, kind, n);
}

/* One conversation with a fault in it. Whether it was met. */
static bool suffer(struct fault_page *at, enum fault kind, int64_t n, int64_t run)
{
	struct talk t;
	bool met;

	fault_arm(at, kind, n, run);
	converse(&t, false);
	met = fault_disarm(at) > 0;
	if (!met && t.status < 0)
		fail_msg("without a fault %s failed: %s", t.step, t.excuse);
	expect_nothing_wrong(&t, kind, n);
	if (met)
		expect_recovery(kind, n);
	return met;
}

static void torture(struct fault_page *at, enum fault kind, int64_t run)
{
	int64_t stride = stride_in_force(), only = number_from("TORTURE_N", 0);
	uint64_t before = daemon_resident_bytes(&under_test), after;
	int64_t n = only ? only : 1;
	int failed = 0;

	while (suffer(at, kind, n, run)) {
		failed++;
		n += stride;
		if (only || n > CALLS_MAX)
			break;
	}
	assert_true(n < CALLS_MAX);
	after = daemon_resident_bytes(&under_test);
	print_message("# %s, %d at a time: %d calls failed; daemon %llu KiB, then %llu KiB\n",
		fault_name(kind), (int)run, failed, (unsigned long long)before / 1024,
		(unsigned long long)after / 1024);
	if (!sanitized()) /* which keep what was freed, and find leaks better */
		assert_true(after < before + GROWTH_BYTES_MAX);
}

/* ---- in the daemon, and in the library ------------------------------------------------------ */

static void torture_daemon(void **state)
{
	enum fault kind = *(const enum fault *)*state;

	torture(page, kind, 1);
	torture(page, kind, 10);
}

static void torture_library(void **state)
{
	torture(fault_page(), *(const enum fault *)*state, 1);
}

static void torture_daemon_tls(void **state)
{
	over_tls = true;
	torture_daemon(state);
	over_tls = false;
}

static void torture_library_tls(void **state)
{
	over_tls = true;
	torture_library(state);
	over_tls = false;
}

/* ---- on the way between them ------------------------------------------------------------------ */

/* What a broken connection does to a session that can be resumed: nothing that anybody sees. */
static void torture_connections(void **state)
{
	enum fault kind = *(const enum fault *)*state;
	struct fault_page *sides[] = {page, fault_page()};
	int64_t hits;
	int failed = 0;
	struct talk t;

	for (size_t i = 0; i < 2; i++) {
		int64_t n = 1;

		do {
			fault_arm(sides[i], kind, n, 1);
			converse(&t, true);
			hits = fault_disarm(sides[i]);
			if (t.greeted && t.status < 0)
				fail_msg("call %lld of %s: %s failed, though its session could be "
					 "resumed: %s",
					(long long)n, fault_name(kind), t.step, t.excuse);
			expect_nothing_wrong(&t, kind, n);
			failed += hits > 0;
			n += stride_in_force();
		} while (hits > 0 && n < CALLS_MAX);
	}
	print_message("# %s: %d calls failed\n", fault_name(kind), failed);
}

/* ---- what a conversation does not meet ------------------------------------------------------ */

/* A full disk under the log: what cannot be written is lost, and nothing else. */
static void test_log_without_space(void **state)
{
	struct talk t;

	(void)state;
	for (int64_t n = 1; n <= 3; n++) {
		fault_arm(page, FAULT_SPACE, n, 3);
		daemon_signal(&under_test, SIGHUP);
		daemon_signal(&under_test, SIGQUIT);
		converse(&t, false);
		assert_int_equal(t.status, 0);
		while (atomic_load(&page->hits) == 0) /* the daemon gets to its signals */
			usleep(1000);
		fault_disarm(page);
		expect_nothing_wrong(&t, FAULT_SPACE, n);
	}
}

/* Rings that cannot be made or offered are none: the conversation goes on over its sockets, though its
 * sessions would not survive a connection. */
static void test_rings_that_cannot_be(void **state)
{
	int64_t n = 1, hits;
	struct talk t;

	(void)state;
	setenv("CHAN_RING_AFTER", "1", 1);
	do {
		conversations += conversations % 2; /* by the Unix socket */
		fault_arm(page, FAULT_RINGS, n, 1);
		converse(&t, false);
		hits = fault_disarm(page);
		if (t.status < 0)
			fail_msg("call %lld of %s: %s failed: %s", (long long)n,
				fault_name(FAULT_RINGS), t.step, t.excuse);
		expect_nothing_wrong(&t, FAULT_RINGS, n);
		n++;
	} while (hits > 0);
	assert_true(n > 3); /* two clients had them made, and were offered them */
	unsetenv("CHAN_RING_AFTER");
}

/* Asks for rings that will not be offered, and answers at once as if they had been. */
static void answer_too_early(struct peer *p, bool begin)
{
	peer_connect(p, under_test.url);
	peer_say(
		p, &(struct message){.kind = MESSAGE_HELLO,
			   .hello = &(struct wire_hello){
				   .version_min = 1, .version_max = 1, .features = FEATURE_RINGS}});
	peer_expect(p, MESSAGE_WELCOME);
	fault_arm(page, FAULT_RINGS, 2, 1); /* they are made, and not passed */
	peer_say(p, &(struct message){.kind = MESSAGE_RING_ASK});
	if (begin)
		peer_say(p, &(struct message){.kind = MESSAGE_RING_BEGIN});
	else /* RING_DECLINE, and a second RING_ASK, so that it ends by a breach, too */
		peer_say_bytes(p, "\0\0\0\4\10\0\0\0\0\0\0\4\6\0\0\0", 16);
}

/* Who answers an offer while the broker finds that it cannot make it: the answer is a breach, or comes
 * first and decides. Whichever it is, nothing of the rings stays behind. */
static void test_answers_that_meet_a_failing_offer(void **state)
{
	struct peer p;

	(void)state;
	daemon_stop(&under_test);
	setenv("CHAND_PROCS", "2", 1); /* reader and writer may be at work at once */
	start_daemon();
	for (int i = 0; i < 100; i++) {
		answer_too_early(&p, i % 2);
		do
			peer_hear(&p);
		while (p.m.kind == MESSAGE_RING_DECLINE);
		assert_int_equal(p.m.kind, MESSAGE_GOAWAY);
		assert_int_equal(p.m.goaway.status, CHAN_EPROTOCOL);
		peer_drop(&p);
		fault_disarm(page);
	}
	for (int ms = 0; process_rings(under_test.pid) > 0 && ms < test_patience_ms(); ms++)
		usleep(1000);
	assert_int_equal(process_rings(under_test.pid), 0);
	daemon_stop(&under_test);
	setenv("CHAND_PROCS", "1", 1);
	start_daemon();
}

/* Starts a daemon with a fault armed: it says "ready", and ends at SIGTERM with 0, or says why not
 * and ends with a status that the manual knows. */
static void start_and_stop(enum fault kind, int64_t n)
{
	char log[64], text[4096] = "";
	pid_t pid;
	int fds[2], status;
	size_t got = 0;
	ssize_t more;

	snprintf(log, sizeof(log), "unix:/tmp/chand-torture-%d.sock", (int)getpid());
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		execl("tests/torture/chand", "chand", "--listen", log, NULL);
		_exit(127);
	}
	close(fds[1]);
	while (!strstr(text, "ready") && got < sizeof(text) - 1 &&
		(more = read(fds[0], text + got, sizeof(text) - 1 - got)) > 0)
		got += (size_t)more;
	fault_disarm(page);
	if (strstr(text, "ready"))
		kill(pid, SIGTERM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fds[0]);
	unlink(log + strlen("unix:"));
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (status != (strstr(text, "ready") ? 0 : status) ||
		(status && status != EX_UNAVAILABLE && status != EX_OSERR && status != EX_CONFIG))
		fail_msg("call %lld of %s: the daemon ended with %d: %s", (long long)n,
			fault_name(kind), status, text);
	if (status != 0)
		assert_true(strlen(text) > 0);
}

static void torture_start(void **state)
{
	enum fault kind = *(const enum fault *)*state;
	int64_t n = 1, stride = stride_in_force();
	int failed = -1;

	do {
		failed++;
		fault_arm(page, kind, n, 1);
		start_and_stop(kind, n);
		n += stride;
	} while (atomic_load(&page->hits) > 0 && n < CALLS_MAX);
	print_message("# %s: %d calls failed\n", fault_name(kind), failed);
}

#define KIND_CONSTANT(name, what) FAULT_##name,
static enum fault kinds[] = {FAULT_LIST(KIND_CONSTANT)};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]), TESTS_MAX = 6 * KINDS + 3 };

/* Sets of kinds: those that only a connection feels, and all. */
#define OF_CONNECTIONS (1u << FAULT_INTERRUPTS | 1u << FAULT_SHORT | 1u << FAULT_RESET)
#define OF_ALL UINT32_MAX

/* Without space the word that tells of a start may be lost. */
#define OF_START (OF_ALL & ~(1u << FAULT_SPACE))

/* A test for each kind of the set, but those that another is named for alone. */
static size_t add_tests(struct CMUnitTest *tests, const char *where, uint32_t set,
	void (*test)(void **state))
{
	static char names[TESTS_MAX][48];
	static size_t used;
	const char *only = getenv("TORTURE_KIND");
	size_t count = 0;

	for (size_t i = 0; i < KINDS; i++) {
		const char *name = fault_name(kinds[i]);
		int length = (int)strcspn(name, ":");

		if (!(set & 1u << kinds[i]))
			continue;
		if (only && strncmp(name, only, (size_t)length) != 0)
			continue;
		snprintf(names[used], sizeof(names[used]), "%s: %.*s", where, length, name);
		tests[count++] = (struct CMUnitTest){names[used++], test, NULL, NULL, &kinds[i]};
	}
	return count;
}

int main(void)
{
	struct CMUnitTest tests[TESTS_MAX];
	size_t count = 0;

	test_time_limit();
	count += add_tests(tests + count, "in the daemon", OF_ALL, torture_daemon);
	count += add_tests(tests + count, "in the library", OF_ALL, torture_library);
	count += add_tests(tests + count, "in the daemon, by TLS", OF_ALL, torture_daemon_tls);
	count += add_tests(tests + count, "in the library, by TLS", OF_ALL, torture_library_tls);
	count += add_tests(
		tests + count, "on the way", OF_CONNECTIONS, torture_connections);
	count += add_tests(tests + count, "at the start", OF_START, torture_start);
	tests[count++] = (struct CMUnitTest){
		"rings that cannot be", test_rings_that_cannot_be, NULL, NULL, NULL};
	tests[count++] = (struct CMUnitTest){"answers that meet a failing offer",
		test_answers_that_meet_a_failing_offer, NULL, NULL, NULL};
	tests[count++] = (struct CMUnitTest){
		"a log without space", test_log_without_space, NULL, NULL, NULL};
	return _cmocka_run_group_tests("torture", tests, count, setup, teardown);
}
