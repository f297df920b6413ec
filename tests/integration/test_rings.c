#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/chan.h"
#include "tests/support/daemon.h"
#include "tests/support/peer.h"
#include "tests/support/proxy.h"
#include "tests/support/skip.h"
#include <libgen.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Connections that go over to shared memory: who gets that, who does not, and what becomes of it when
 * one of the two dies. (That all else stays as it is, the other programs of the suite show when they
 * are run with CHAN_RING_AFTER=1: with_rings.sh.) */

static struct test_daemon d;

static int setup(void **state)
{
	(void)state;
	test_time_limit();
	unsetenv("CHAN_RING_AFTER");
	daemon_start(&d, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	daemon_stop(&d);
	return 0;
}

static void expect_rings(pid_t pid, int n)
{
	for (int ms = 0; process_rings(pid) != n && ms < test_patience_ms(); ms++)
		usleep(1000);
	assert_int_equal(process_rings(pid), n);
}

static struct chan_client *dial_to(const char *url, int ring_after)
{
	struct chan_dial_options options = {.ring_after = ring_after};
	struct chan_client *c;

	if (chan_dial(url, &options, &c) < 0)
		fail_msg("%s", chan_error_text());
	return c;
}

static struct chan_client *dial(int ring_after)
{
	return dial_to(d.url, ring_after);
}

/* Some calls: as many as it takes to come to an agreement, and to use it. */
static void converse(struct chan_client *c, const char *name)
{
	struct chan_make_options temporary = {.temporary = true};
	struct chan_value v;
	struct chan *ch;

	assert_int_equal(chan_make(c, name, CHAN_TYPE_INT, 1, &temporary, &ch), 0);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(chan_send_int(ch, i), 0);
		assert_int_equal(chan_recv(ch, &v), 1);
		assert_int_equal(v.i, i);
	}
	chan_release(ch);
}

/* ---- who gets rings --------------------------------------------------------------------------- */

static void test_who_asks_gets_them(void **state)
{
	struct chan_client *c = dial(1);

	(void)state;
	converse(c, "asks");
	assert_int_equal(process_rings(getpid()), 1);
	assert_int_equal(process_rings(d.pid), 1);
	chan_hangup(c);
	assert_int_equal(process_rings(getpid()), 0);
	expect_rings(d.pid, 0);
}

static void test_who_does_not_want_them_has_none(void **state)
{
	struct chan_client *c = dial(-1), *remote = dial_to(d.tcp_url, 1);

	(void)state;
	converse(c, "never");
	converse(remote, "remote");
	assert_int_equal(process_rings(d.pid), 0);
	chan_hangup(c);
	chan_hangup(remote);
}

/* The variable speaks for who says nothing, and is not guessed at. */
static void test_the_variable(void **state)
{
	static const char *const wrong[] = {"junk", "1x", " ", "99999999999999999999", "4294967297"};
	struct chan_client *c;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		setenv("CHAN_RING_AFTER", wrong[i], 1);
		assert_int_equal(chan_dial(d.url, NULL, &c), CHAN_EINVAL);
		assert_non_null(strstr(chan_error_text(), wrong[i]));
		assert_non_null(strstr(chan_error_text(), "CHAN_RING_AFTER"));
		chan_hangup(dial(-1));
	}
	setenv("CHAN_RING_AFTER", "1", 1);
	c = dial(0);
	converse(c, "variable");
	assert_int_equal(process_rings(d.pid), 1);
	chan_hangup(c);
	expect_rings(d.pid, 0);
	setenv("CHAN_RING_AFTER", "", 1);
	chan_hangup(dial(0));
	unsetenv("CHAN_RING_AFTER");
}

/* Somebody else's processes are not trusted with them. */
static void be_somebody_else(void)
{
	struct chan_client *c;

	if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		_exit(1);
	c = dial(1);
	converse(c, "somebody");
	_exit(process_rings(getpid()) == 0 ? 0 : 1);
}

static void test_who_is_somebody_else_has_none(void **state)
{
	char folder[sizeof(d.url)];
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		SKIP_TEST("only root can be somebody else");
	strcpy(folder, d.url + 5);
	assert_int_equal(chmod(folder, 0666), 0);
	assert_int_equal(chmod(dirname(folder), 0711), 0);
	pid = fork();
	if (pid == 0)
		be_somebody_else();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* As many as rings_max says, half of them for one user; the others go on over their sockets, and the
 * next has the place of who has gone. */
static void test_rings_max(void **state)
{
	static const char *const arguments[] = {"--rings-max", "4", NULL};
	struct chan_client *c[4];
	char name[16];

	(void)state;
	daemon_stop(&d);
	daemon_start(&d, arguments);
	for (int i = 0; i < 3; i++) {
		c[i] = dial(1);
		snprintf(name, sizeof(name), "max-%d", i);
		converse(c[i], name);
	}
	assert_int_equal(process_rings(d.pid), 2);
	chan_hangup(c[0]);
	expect_rings(d.pid, 1);
	c[3] = dial(1);
	converse(c[3], "max-3");
	assert_int_equal(process_rings(d.pid), 2);
	for (int i = 1; i < 4; i++)
		chan_hangup(c[i]);
}

static void test_rings_max_0(void **state)
{
	static const char *const arguments[] = {"--rings-max", "0", NULL};
	struct chan_client *c;

	(void)state;
	daemon_stop(&d);
	daemon_start(&d, arguments);
	c = dial(1);
	converse(c, "none");
	assert_int_equal(process_rings(d.pid), 0);
	chan_hangup(c);
	daemon_stop(&d);
	daemon_start(&d, NULL);
}

/* What relays bytes only loses the descriptors: the client does without, and the broker has its rings
 * for somebody else. */
static void test_a_relay_that_passes_no_descriptors(void **state)
{
	struct chan_client *c;
	struct proxy proxy;

	(void)state;
	proxy_start(&proxy, d.url, 1);
	c = dial_to(proxy.urls[0], 1);
	converse(c, "relayed");
	assert_int_equal(process_rings(getpid()), 0);
	expect_rings(d.pid, 0);
	converse(c, "relayed");
	chan_hangup(c);
	proxy_stop(&proxy);
}

/* ---- losses ----------------------------------------------------------------------------------- */

/* Of a process of its own, which may have no further thread (ThreadSanitizer) and is soon lost. */
static struct chan_client *dial_in_child(void)
{
	struct chan_dial_options options = {.ring_after = 1, .linger_ns = -1};
	struct chan_client *c;

	if (chan_dial(d.url, &options, &c) < 0)
		_exit(1);
	return c;
}

/* A receiver in a process of its own, over rings, that has a value and does not confirm it. */
static pid_t start_receiver(void)
{
	pid_t pid = fork();
	struct chan_open_options options = {.end = {.manual = true}};
	struct chan_client *c;
	struct chan *ch, *got;
	struct chan_value v;

	if (pid != 0)
		return pid;
	c = dial_in_child();
	converse(c, "receiver");
	if (chan_open(c, "mortal", CHAN_RECV, &options, &ch) == 0 &&
		chan_open(c, "got", CHAN_SEND, NULL, &got) == 0 && chan_recv(ch, &v) == 1 &&
		chan_send_int(got, v.i) == 0)
		pause();
	_exit(1);
}

static void test_a_client_is_killed(void **state)
{
	struct chan_client *c = dial(1);
	struct chan *mortal, *got;
	struct chan_value v;
	pid_t pid;

	(void)state;
	assert_int_equal(chan_make(c, "mortal", CHAN_TYPE_INT, 1, NULL, &mortal), 0);
	assert_int_equal(chan_make(c, "got", CHAN_TYPE_INT, 0, NULL, &got), 0);
	assert_int_equal(chan_send_int(mortal, 7), 0);
	pid = start_receiver();
	assert_true(pid > 0);
	assert_int_equal(chan_recv(got, &v), 1);
	assert_int_equal(process_rings(d.pid), 2);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	expect_rings(d.pid, 1);
	assert_int_equal(chan_recv(mortal, &v), 1);
	assert_int_equal(v.i, 7);
	chan_remove(c, "mortal");
	chan_remove(c, "got");
	chan_hangup(c);
}

/* Who waits by a ring for a broker that dies is told so, and goes on with the next one where there
 * may be one. */
static void test_the_broker_is_killed(void **state)
{
	struct chan_dial_options options = {.ring_after = 1, .linger_ns = -1};
	struct chan_client *c;
	struct chan_value v;
	struct chan *ch;
	pid_t killer;

	(void)state;
	assert_int_equal(chan_dial(d.url, &options, &c), 0);
	converse(c, "before");
	assert_int_equal(process_rings(getpid()), 1);
	assert_int_equal(chan_make(c, "silent", CHAN_TYPE_INT, 0, NULL, &ch), 0);
	killer = fork();
	if (killer == 0) {
		usleep(100000);
		kill(d.pid, SIGKILL);
		_exit(0);
	}
	assert_int_equal(chan_recv(ch, &v), CHAN_EUNKNOWN);
	waitpid(killer, NULL, 0);
	assert_int_equal(daemon_wait(&d), 128 + SIGKILL);
	chan_hangup(c);
	assert_int_equal(process_rings(getpid()), 0);
	daemon_start_again(&d, NULL);
}

static void test_the_broker_ends(void **state)
{
	struct chan_client *c = dial(1);
	struct chan_completion done;
	struct chan_op *op;
	struct chan *ch;

	(void)state;
	converse(c, "before");
	assert_int_equal(chan_make(c, "last", CHAN_TYPE_INT, 0, NULL, &ch), 0);
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, &op), 0);
	assert_int_equal(chan_ping(c, NULL), 0);
	daemon_signal(&d, SIGTERM);
	assert_int_equal(chan_op_wait(op, &done), 0);
	assert_int_equal(done.status, CHAN_ESHUTDOWN);
	chan_hangup(c);
	assert_int_equal(daemon_wait(&d), 0);
	daemon_start_again(&d, NULL);
}

/* The sockets of both sides are shut, again and again; each time the next connection begins on its
 * socket, goes over again, and nothing is lost or comes twice. */
enum { CUTS = 30, CUT_VALUES = 40000 };

static void *produce(void *arg)
{
	struct chan *ch = arg;

	for (int i = 0; i < CUT_VALUES; i++)
		if (chan_send_int(ch, i) < 0)
			return "a send failed";
	return chan_close(ch, NULL) < 0 ? "the close failed" : NULL;
}

static void *consume(void *arg)
{
	struct chan_value v;
	int64_t i;

	for (i = 0; chan_recv(arg, &v) == 1; i++)
		if (v.i != i)
			return "another value";
	return i == CUT_VALUES ? NULL : "values are missing";
}

/* The n-th socket of this process that is connected to the daemon: whichever client's it is. */
static int connected_socket(int n)
{
	struct sockaddr_un peer;
	socklen_t size;

	for (int fd = 3; fd < 1024; fd++) {
		size = sizeof(peer);
		if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 &&
			peer.sun_family == AF_UNIX && strcmp(peer.sun_path, d.url + 5) == 0 &&
			n-- == 0)
			return fd;
	}
	return -1;
}

static void cut(int n)
{
	int fd = connected_socket(n);

	if (fd >= 0)
		shutdown(fd, SHUT_RDWR);
}

static void test_connections_are_lost(void **state)
{
	struct chan_client *in = dial(1), *out = dial(1);
	pthread_t producer, consumer;
	struct chan *to, *from;
	void *problem;

	(void)state;
	assert_int_equal(chan_make(out, "cut", CHAN_TYPE_INT, 100, NULL, &to), 0);
	assert_int_equal(chan_open(in, "cut", CHAN_RECV, NULL, &from), 0);
	assert_int_equal(pthread_create(&producer, NULL, produce, to), 0);
	assert_int_equal(pthread_create(&consumer, NULL, consume, from), 0);
	for (int i = 0; i < CUTS; i++) {
		usleep(20000);
		cut(i % 2);
	}
	pthread_join(producer, &problem);
	assert_null(problem);
	pthread_join(consumer, &problem);
	assert_null(problem);
	chan_remove(in, "cut");
	chan_hangup(in);
	chan_hangup(out);
	expect_rings(d.pid, 0);
}

/* ---- many bytes ------------------------------------------------------------------------------- */

#define LARGE_BYTES 1000000
#define LARGE_VALUES 40

/* Sends large values, in a process of its own. */
static pid_t start_sender(void)
{
	uint8_t *bytes = malloc(LARGE_BYTES);
	pid_t pid = fork();
	struct chan_client *c;
	struct chan_value v;
	struct chan *ch;

	if (pid != 0) {
		free(bytes);
		return pid;
	}
	c = dial_in_child();
	converse(c, "sender");
	if (chan_open(c, "large", CHAN_SEND, NULL, &ch) < 0)
		_exit(1);
	for (int i = 0; i < LARGE_VALUES; i++) {
		memset(bytes, i, LARGE_BYTES);
		v = chan_value_bytes(bytes, LARGE_BYTES);
		if (chan_send(ch, &v) < 0)
			_exit(1);
	}
	chan_hangup(c);
	_exit(0);
}

/* Each value is four times what the larger rings hold, to which both sides go on: so that their writers wait
 * for room in the ones and in the others. */
static void test_more_than_a_ring_holds(void **state)
{
	struct chan_client *c = dial(1);
	struct chan_value v;
	struct chan *from;
	int status;
	pid_t pid;

	(void)state;
	converse(c, "receiver");
	assert_int_equal(process_maps(getpid(), "chand-larger"), 0);
	assert_int_equal(chan_make(c, "large", CHAN_TYPE_BYTES, 3, NULL, &from), 0);
	pid = start_sender();
	for (int i = 0; i < LARGE_VALUES; i++) {
		assert_int_equal(chan_recv(from, &v), 1);
		assert_int_equal(v.len, LARGE_BYTES);
		assert_int_equal(((const uint8_t *)v.bytes)[0], i);
		assert_int_equal(((const uint8_t *)v.bytes)[LARGE_BYTES - 1], i);
		chan_value_clear(&v);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(process_maps(getpid(), "chand-larger"), 1);
	chan_remove(c, "large");
	chan_hangup(c);
}

/* ---- clients that break the agreement --------------------------------------------------------- */

static void connect_with(struct peer *p, uint64_t features)
{
	peer_connect(p, d.url);
	peer_say(p, &(struct message){.kind = MESSAGE_HELLO,
			    .hello = &(struct wire_hello){
				    .version_min = 1, .version_max = 1, .features = features}});
	peer_expect(p, MESSAGE_WELCOME);
	assert_int_equal(p->m.welcome->features, features & FEATURE_RINGS);
}

static void say(struct peer *p, enum message_kind kind)
{
	peer_say(p, &(struct message){.kind = kind, .ring_decline = {.message = ""}});
}

static void expect_breach(struct peer *p)
{
	peer_expect(p, MESSAGE_GOAWAY);
	assert_int_equal(p->m.goaway.status, CHAN_EPROTOCOL);
	peer_drop(p);
}

static void test_breaches(void **state)
{
	struct peer p;

	(void)state;
	connect_with(&p, 5);
	say(&p, MESSAGE_RING_ASK); /* not granted */
	expect_breach(&p);
	connect_with(&p, 7);
	say(&p, MESSAGE_RING_BEGIN); /* not offered */
	expect_breach(&p);
	connect_with(&p, FEATURE_RINGS);
	say(&p, MESSAGE_RING_DECLINE);
	expect_breach(&p);
	connect_with(&p, FEATURE_RINGS);
	say(&p, MESSAGE_RING_ASK);
	peer_expect(&p, MESSAGE_RING_OFFER);
	say(&p, MESSAGE_RING_ASK); /* again */
	expect_breach(&p);
	connect_with(&p, FEATURE_RINGS);
	say(&p, MESSAGE_RING_ASK);
	peer_expect(&p, MESSAGE_RING_OFFER);
	peer_say_bytes(&p, "\0\0\0\4\7\0\0\0\0", 9); /* RING_BEGIN, and more */
	expect_breach(&p);
	connect_with(&p, FEATURE_RINGS);
	say(&p, MESSAGE_RING_ASK);
	peer_expect(&p, MESSAGE_RING_OFFER);
	say(&p, MESSAGE_RING_BEGIN); /* and the memory, which it does not even have, is not sealed */
	expect_breach(&p);
	connect_with(&p, FEATURE_RINGS);
	say(&p, MESSAGE_RING_ASK);
	peer_expect(&p, MESSAGE_RING_OFFER);
	say(&p, MESSAGE_RING_DECLINE);
	say(&p, MESSAGE_RING_DECLINE);
	expect_breach(&p);
	expect_rings(d.pid, 0);
}

/* Who asks and answers nothing holds what one connection may; a crowd of them all that there is, and
 * no more. */
static void test_askers_without_end(void **state)
{
	enum { CROWD = 200, RINGS_OF_ONE = 160 };
	static struct peer peers[CROWD];

	(void)state;
	for (int i = 0; i < CROWD; i++) {
		connect_with(&peers[i], FEATURE_RINGS);
		say(&peers[i], MESSAGE_RING_ASK);
		peer_expect(&peers[i],
			i < RINGS_OF_ONE ? MESSAGE_RING_OFFER : MESSAGE_RING_DECLINE);
	}
	assert_int_equal(process_rings(d.pid), RINGS_OF_ONE);
	for (int i = 0; i < CROWD; i++)
		peer_drop(&peers[i]);
	expect_rings(d.pid, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_asks_gets_them),
		cmocka_unit_test(test_who_does_not_want_them_has_none),
		cmocka_unit_test(test_who_is_somebody_else_has_none),
		cmocka_unit_test(test_the_variable),
		cmocka_unit_test(test_a_relay_that_passes_no_descriptors),
		cmocka_unit_test(test_a_client_is_killed),
		cmocka_unit_test(test_the_broker_is_killed),
		cmocka_unit_test(test_the_broker_ends),
		cmocka_unit_test(test_connections_are_lost),
		cmocka_unit_test(test_more_than_a_ring_holds),
		cmocka_unit_test(test_breaches),
		cmocka_unit_test(test_askers_without_end),
		cmocka_unit_test(test_rings_max),
		cmocka_unit_test(test_rings_max_0),
	};

	return cmocka_run_group_tests_name("rings", tests, setup, teardown);
}
