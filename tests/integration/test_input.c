/* test_input.c - what clients do wrong: told clearly, and nobody else is affected. */
#include "tests/support/daemon.h"
#include "tests/support/peer.h"

#include "proto/limits.h"
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct test_daemon d;
static struct peer bystander; /* connected all the time */
static uint64_t bystanders_channel;
static uint64_t incarnation; /* of this run of the daemon */

static int setup(void **state)
{
	static const char *const arguments[] = {"--ops-in-flight-max=8", "--connections-max=6",
		"--channels-max=40", "--ends-max=20", "--stall-timeout=500ms", NULL};

	(void)state;
	daemon_start(&d, arguments);
	peer_dial(&bystander, d.url);
	incarnation = bystander.m.welcome->incarnation;
	bystanders_channel = peer_channel(&bystander, "bystander", CHAN_TYPE_STRING, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	peer_drop(&bystander);
	daemon_stop(&d);
	return 0;
}

/* The bystander's connection and channel work as before. */
static void assert_bystander_unaffected(void)
{
	uint64_t recv;

	peer_expect_done(&bystander, peer_send(&bystander, bystanders_channel, "still here"));
	recv = peer_recv(&bystander, bystanders_channel);
	peer_taken(&bystander, peer_expect_deliver(&bystander, recv, "still here"));
}

static void expect_goaway(struct peer *p, int status, const char *words)
{
	peer_expect(p, MESSAGE_GOAWAY);
	assert_int_equal(p->m.goaway.status, status);
	if (!strstr(p->m.goaway.message, words))
		fail_msg("'%s' does not say '%s'", p->m.goaway.message, words);
	peer_expect_end(p);
	peer_drop(p);
	assert_bystander_unaffected();
}

static void expect_refusal(struct peer *p, uint64_t seq, int status, const char *words)
{
	peer_expect_fail(p, seq, status);
	if (!strstr(p->m.fail.message, words))
		fail_msg("'%s' does not say '%s'", p->m.fail.message, words);
}

/* A frame that cannot be parsed ends that connection alone. */
static void test_malformed_frames(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *words;
	} cases[] = {
		{"\xff\xff\xff\xff\x0a\x00\x00\x00", 8, ""},        /* longer than any frame */
		{"\x00\x00\x00\x01\x0a", 5, ""},                    /* shorter than its prefix */
		{"\x00\x00\x00\x04\x0a\x80\x00\x00", 8, ""},        /* an unknown flag */
		{"\x00\x00\x00\x05\x0a\x00\x00\x01\xff", 9, ""},    /* not protobuf */
		{"\x00\x00\x00\x04\x63\x00\x00\x00", 8, "kind 99"}, /* an unknown kind */
		{"\x00\x00\x00\x04\x2a\x00\x00\x00", 8, "DONE"},    /* the broker's kind */
		{"GET / HTTP/1.1\r\n\r\n", 18, ""},
	};
	struct peer p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		peer_dial(&p, i % 2 ? d.url : d.tcp_url);
		peer_say_bytes(&p, cases[i].bytes, cases[i].len);
		expect_goaway(&p, CHAN_EPROTOCOL, cases[i].words);
	}
}

/* Operations before HELLO, a second HELLO, and versions and credentials that are not known. */
static void test_greeting(void **state)
{
	struct wire_hello hello = {0};
	struct message m = {.kind = MESSAGE_HELLO, .hello = &hello};
	struct peer p;

	(void)state;
	peer_connect(&p, d.url);
	peer_make(&p, "early", CHAN_TYPE_INT, 0);
	expect_goaway(&p, CHAN_EPROTOCOL, "before HELLO");

	hello.version_min = hello.version_max = 1;
	peer_dial(&p, d.url);
	peer_say(&p, &m);
	expect_goaway(&p, CHAN_EPROTOCOL, "second HELLO");

	hello.version_min = hello.version_max = 9;
	peer_connect(&p, d.url);
	peer_say(&p, &m);
	expect_goaway(&p, CHAN_ENOTSUP, "version 1");

	hello.version_min = 1;
	hello.mechanism = "kerberos";
	peer_connect(&p, d.url);
	peer_say(&p, &m);
	expect_goaway(&p, CHAN_ENOTSUP, "'kerberos'");

	hello.mechanism = "token";
	peer_connect(&p, d.url);
	peer_say(&p, &m);
	expect_goaway(&p, CHAN_EAUTH, "the token has 0 bytes");

	hello.mechanism = "";
	hello.session_id = (struct wire_bytes){(const uint8_t *)"0123456789abcdef", 16};
	hello.incarnation = 1;
	peer_connect(&p, d.url);
	peer_say(&p, &m);
	expect_goaway(&p, CHAN_ERESTARTED, "restarted");

	hello.incarnation = incarnation;
	peer_connect(&p, d.url);
	peer_say(&p, &m);
	expect_goaway(&p, CHAN_EUNKNOWN, "no such session");
}

/* Who says nothing is sent away; who dials and hangs up is forgotten. */
static void test_no_hello(void **state)
{
	static const char *const hasty[] = {"--hello-timeout=300ms", NULL};
	struct test_daemon daemon; /* of its own: the other tests' greetings may be late */
	struct peer p;

	(void)state;
	daemon_start(&daemon, hasty);
	peer_connect(&p, daemon.tcp_url);
	expect_goaway(&p, CHAN_ETIMEDOUT, "HELLO");
	peer_connect(&p, daemon.url);
	peer_say_bytes(&p, "\x00\x00", 2);
	expect_goaway(&p, CHAN_ETIMEDOUT, "HELLO");
	peer_connect(&p, daemon.url);
	peer_drop(&p);
	daemon_stop(&daemon);
}

/* Sequence numbers must rise, also over the range that a SEND uses. */
static void test_numbers_rise(void **state)
{
	static const char *const two[] = {"a", "b"};
	uint64_t channel;
	struct peer p;

	(void)state;
	peer_dial(&p, d.url);
	channel = peer_channel(&p, "numbers", CHAN_TYPE_STRING, 10);
	peer_expect_done(&p, peer_send_many(&p, channel, 2, two));
	p.seq--;
	peer_send(&p, channel, "c");
	expect_goaway(&p, CHAN_EPROTOCOL, "must rise");
}

/* A payload that is not what its header announces. */
static void test_payload_mismatch(void **state)
{
	struct message m = {.kind = MESSAGE_SEND};
	struct peer p;

	(void)state;
	peer_dial(&p, d.url);
	m.seq = 1;
	m.send.channel = 1;
	m.send.count = 2;
	m.send.payload_bytes = 6;
	peer_say_payload(&p, &m, 0, "\0\0\0\0\1x", 6);
	expect_goaway(&p, CHAN_EPROTOCOL, "values");

	peer_dial(&p, d.url);
	m.send.count = 1;
	m.send.payload_bytes = 7;
	peer_say_payload(&p, &m, 0, "\0\0\0\0\1x", 6);
	expect_goaway(&p, CHAN_EPROTOCOL, "announces 7 bytes");

	peer_dial(&p, d.url);
	m.send.payload_bytes = 6;
	peer_say_payload(&p, &m, 0, "\0\0\0\0\7x", 6);
	expect_goaway(&p, CHAN_EPROTOCOL, "values");

	peer_dial(&p, d.url);
	m.send.count = 0;
	m.send.payload_bytes = 0;
	peer_say(&p, &m);
	expect_goaway(&p, CHAN_EPROTOCOL, "1 to 4096");
}

/* What an operation asks for and must not get is refused by a sentence; nothing changes, and the
 * connection goes on. */
static void test_refusals(void **state)
{
	struct message m;
	char name[400];
	struct peer p;
	uint64_t channel;

	(void)state;
	peer_dial(&p, d.url);
	expect_refusal(&p, peer_make(&p, "no spaces", CHAN_TYPE_INT, 0), CHAN_EINVAL, "A-Z");
	memset(name, 'x', sizeof(name));
	name[256] = '\0';
	expect_refusal(&p, peer_make(&p, name, CHAN_TYPE_INT, 0), CHAN_EINVAL, "255");
	expect_refusal(&p, peer_make(&p, "n", 77, 0), CHAN_EINVAL, "77");
	expect_refusal(&p, peer_make(&p, "n", CHAN_TYPE_INT, -1), CHAN_EINVAL, "capacity");
	expect_refusal(&p, peer_make(&p, "n", CHAN_TYPE_INT, CAPACITY_MAX_DEFAULT + 1), CHAN_EINVAL,
		"1048576");
	expect_refusal(&p, peer_open(&p, "n", CHAN_RECV), CHAN_ENOCHANNEL, "'n'");
	channel = peer_channel(&p, "n", CHAN_TYPE_INT, 3);
	expect_refusal(&p, peer_make(&p, "n", CHAN_TYPE_STRING, 5), CHAN_EEXIST, "int");
	expect_refusal(&p, peer_send(&p, channel, "12345678x"), CHAN_ETYPE, "int");
	expect_refusal(&p, peer_send(&p, 424242, "x"), CHAN_EINVAL, "424242");
	peer_opened(&bystander, "n", CHAN_RECV);
	expect_refusal(
		&bystander, peer_send(&bystander, channel, "12345678"), CHAN_EWRONGEND, "recei");

	m = (struct message){.kind = MESSAGE_RECV, .seq = ++p.seq};
	m.recv.channel = channel;
	m.recv.credit = CREDIT_MAX + 1;
	peer_say(&p, &m);
	peer_expect_fail(&p, m.seq, CHAN_ELIMIT);
	m.seq = ++p.seq;
	m.recv.credit = 1;
	m.recv.lease_ns = LEASE_NS_MAX + 1;
	peer_say(&p, &m);
	expect_refusal(&p, m.seq, CHAN_EINVAL, "86400000000000");
	peer_stat(&p, channel);
	assert_int_equal(p.m.stats.channels[0].length, 0);
	assert_int_equal(p.m.stats.channels[0].receivers_waiting, 0);
	peer_drop(&p);
	assert_bystander_unaffected();
}

/* Too many cases of a select. */
static void test_select_cases(void **state)
{
	static struct wire_case cases[SELECT_CASES_MAX + 1];
	struct message m = {.kind = MESSAGE_SELECT};
	struct buf out = {0};
	struct peer p;

	(void)state;
	peer_dial(&p, d.url);
	for (size_t i = 0; i <= SELECT_CASES_MAX; i++)
		cases[i] =
			(struct wire_case){.channel = bystanders_channel, .direction = CHAN_RECV};
	m.seq = ++p.seq;
	m.select.cases = cases;
	m.select.case_count = SELECT_CASES_MAX + 1;
	peer_say(&p, &m);
	expect_refusal(&p, m.seq, CHAN_EINVAL, "1024");
	buf_fini(&out);
	peer_drop(&p);
}

/* Operations in flight, channels and ends have bounds, which are named; below them all goes on. */
static void test_bounds(void **state)
{
	struct peer p;
	uint64_t channel, first = 0;
	char name[32];

	(void)state;
	peer_dial(&p, d.url);
	channel = peer_channel(&p, "bounds", CHAN_TYPE_STRING, 0);
	for (int i = 0; i < 8; i++)
		first = i == 0 ? peer_recv(&p, channel) : (peer_recv(&p, channel), first);
	expect_refusal(&p, peer_recv(&p, channel), CHAN_ELIMIT, "8 operations in flight");
	peer_drop(&p);

	peer_dial(&p, d.url);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "end/%d", i);
		peer_channel(&p, name, CHAN_TYPE_INT, 0);
	}
	expect_refusal(&p, peer_make(&p, "one/more", CHAN_TYPE_INT, 0), CHAN_ELIMIT, "limit 20");
	peer_drop(&p);

	peer_dial(&p, d.url);
	for (int i = 0;; i++) {
		struct message m = {.kind = MESSAGE_MAKE, .seq = ++p.seq};

		assert_true(i < 41);
		snprintf(name, sizeof(name), "channel/%d", i);
		m.make.name = name;
		m.make.type = CHAN_TYPE_INT;
		peer_say(&p, &m);
		peer_hear(&p);
		if (p.m.kind == MESSAGE_FAIL)
			break;
	}
	assert_int_equal(p.m.fail.status, CHAN_ELIMIT);
	assert_non_null(strstr(p.m.fail.message, "40 channels, the limit"));
	peer_drop(&p);
	assert_bystander_unaffected();
}

enum { DIALS_MAX = 1000 };

/* Dials, again while the daemon is at its limit: it learns that connections have ended when it
 * reads their ends. */
static void dial_when_there_is_room(struct peer *p, const char *url)
{
	struct message hello = {.kind = MESSAGE_HELLO,
		.hello = &(struct wire_hello){.version_min = 1, .version_max = 1}};

	for (int i = 0;; i++) {
		peer_connect(p, url);
		peer_say(p, &hello);
		peer_hear(p);
		if (p->m.kind == MESSAGE_WELCOME)
			return;
		assert_true(i < DIALS_MAX);
		peer_drop(p);
	}
}

/* One connection more than allowed is told so; when another ends there is room again. */
static void test_connections_max(void **state)
{
	struct peer peers[5], extra;

	(void)state;
	for (int i = 0; i < 5; i++)
		dial_when_there_is_room(&peers[i], i % 2 ? d.url : d.tcp_url);
	peer_connect(&extra, d.tcp_url);
	peer_say(
		&extra, &(struct message){.kind = MESSAGE_HELLO,
				.hello = &(struct wire_hello){.version_min = 1, .version_max = 1}});
	expect_goaway(&extra, CHAN_ELIMIT, "connections_max");
	for (int i = 0; i < 5; i++)
		peer_drop(&peers[i]);
	dial_when_there_is_room(&extra, d.url);
	peer_drop(&extra);
}

/* One that resumes takes the place of its connection that still stands. */
static void test_resume_at_connections_max(void **state)
{
	struct peer peers[4], p, old;

	(void)state;
	for (int i = 0; i < 4; i++)
		dial_when_there_is_room(&peers[i], d.url);
	for (int i = 0; !peer_try_lingering(&p, d.tcp_url, 60000); i++)
		assert_true(i < DIALS_MAX);
	old = p;
	p.in = (struct buf){0};
	p.parsed = 0;
	peer_resume(&p, d.tcp_url);
	peer_expect_end(&old);
	close(old.fd);
	buf_fini(&old.in);
	for (int i = 0; i < 4; i++)
		peer_drop(&peers[i]);
	peer_drop(&p);
}

/* A client that asks without end and reads nothing: soon nothing is read from it, and then it is
 * cut off; the daemon's memory stays bounded, and others do not notice. */
static void ask_and_never_read(struct message *m)
{
	uint64_t before = daemon_resident_bytes(&d), now, most = 0;
	struct pollfd pfd = {.events = POLLOUT};
	struct buf out = {0};
	struct peer p;
	ssize_t n = 0;

	peer_dial(&p, d.url);
	for (int i = 0; i < 1000000 && n >= 0; i++) {
		m->seq = ++p.seq;
		assert_int_equal(wire_encode(&out, m, 0, 0), 0);
		if (buf_len(&out) < 60000)
			continue;
		pfd.fd = p.fd;
		assert_true(poll(&pfd, 1, test_patience_ms()) > 0);
		n = send(p.fd, buf_data(&out), buf_len(&out), MSG_NOSIGNAL);
		buf_fini(&out);
		now = daemon_resident_bytes(&d);
		most = now > most ? now : most;
	}
	assert_true(n < 0); /* cut off */
	assert_bystander_unaffected();
	if (!getenv("TEST_SANITIZER") || !*getenv("TEST_SANITIZER"))
		assert_in_range(most, 0, before + 64 * 1024 * 1024);
	buf_fini(&out);
	peer_drop(&p);
}

static void test_never_reads(void **state)
{
	struct message m = {.kind = MESSAGE_STAT};

	(void)state;
	m.channel_ref.name = "bystander";
	ask_and_never_read(&m);
}

/* The same with answers a thousand times as long as what asks for them. */
static void test_never_reads_lists(void **state)
{
	struct message m = {.kind = MESSAGE_LIST};
	char name[NAME_BYTES_MAX + 1] = "";
	struct peer p;

	(void)state;
	memset(name, 'x', NAME_BYTES_MAX);
	peer_dial(&p, d.url);
	for (int i = 0; i < 18; i++) {
		name[0] = (char)('a' + i);
		peer_channel(&p, name, CHAN_TYPE_STRING, 0);
	}
	m.list.prefix = m.list.after = "";
	ask_and_never_read(&m);
	m = (struct message){.kind = MESSAGE_REMOVE};
	m.channel_ref.name = name;
	for (int i = 0; i < 18; i++) {
		name[0] = (char)('a' + i);
		m.seq = ++p.seq;
		peer_say(&p, &m);
		peer_expect_done(&p, m.seq);
	}
	peer_drop(&p);
}

/* Frames byte by byte are frames. */
static void test_slow_bytes(void **state)
{
	struct message m = {.kind = MESSAGE_MAKE, .seq = 1};
	struct buf out = {0};
	struct peer p;

	(void)state;
	m.make.name = "bystander";
	m.make.type = CHAN_TYPE_STRING;
	m.make.capacity = 1;
	peer_dial(&p, d.tcp_url);
	assert_int_equal(wire_encode(&out, &m, 0, 0), 0);
	for (size_t i = 0; i < buf_len(&out); i++) {
		peer_say_bytes(&p, buf_data(&out) + i, 1);
		if (i % 7 == 0)
			assert_bystander_unaffected(); /* the daemon has surely read what was sent
							*/
	}
	peer_expect(&p, MESSAGE_OPENED);
	buf_fini(&out);
	peer_drop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_malformed_frames),
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_no_hello),
		cmocka_unit_test(test_numbers_rise),
		cmocka_unit_test(test_payload_mismatch),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_select_cases),
		cmocka_unit_test(test_never_reads),
		cmocka_unit_test(test_never_reads_lists),
		cmocka_unit_test(test_slow_bytes),
		cmocka_unit_test(test_bounds),
		/* Last: the daemon may be at its limit for a moment after them. */
		cmocka_unit_test(test_connections_max),
		cmocka_unit_test(test_resume_at_connections_max),
	};

	test_time_limit();
	return cmocka_run_group_tests_name("input", tests, setup, teardown);
}
