/* test_resume.c - sessions that outlive their connections, against a real daemon. */
#include "tests/support/daemon.h"
#include "tests/support/peer.h"

#include "proto/limits.h"
#include "proto/status.h"
#include <inttypes.h>
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

#define LINGER_MS 60000u
#define UNSEEN_BYTES (256u * 1024u)

static struct test_daemon d;

static int setup(void **state)
{
	static const char *const arguments[] = {"--silence-timeout=1s", "--session-linger-max=1m",
		"--unseen-bytes-max=256K", "--stall-timeout=1m", NULL};

	(void)state;
	daemon_start(&d, arguments);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	daemon_stop(&d);
	return 0;
}

/* ---- what was answered, as text -----------------------------------------------------------------
 */

static char story[8192];
static size_t story_bytes;

static void forget(void)
{
	story[0] = '\0';
	story_bytes = 0;
}

__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	story_bytes +=
		(size_t)vsnprintf(story + story_bytes, sizeof(story) - story_bytes, format, args);
	va_end(args);
	assert_true(story_bytes < sizeof(story));
}

static void tell_values(const struct peer *p)
{
	const uint8_t *at = p->payload;
	size_t left = p->payload_bytes;
	struct wire_value v;

	for (uint32_t i = 0; wire_value_next(&at, &left, &v) > 0; i++)
		tell("got %" PRIu64 " #%" PRIu64 " %.*s x%" PRIu32 "\n", p->m.seq,
			p->m.deliver.delivery + i, (int)v.len, (const char *)v.bytes, v.attempt);
}

/* Adds the message heard last; runs count as what they stand for. */
static void tell_heard(const struct peer *p)
{
	switch (p->m.kind) {
	case MESSAGE_DONE:
		for (uint32_t i = 0; i < p->m.done.count; i++)
			tell("done %" PRIu64 "\n", p->m.seq + i);
		break;
	case MESSAGE_FAIL:
		tell("fail %" PRIu64 " %s\n", p->m.seq, status_name(p->m.fail.status));
		break;
	case MESSAGE_DELIVER:
		tell_values(p);
		break;
	case MESSAGE_GONE:
		for (size_t i = 0; i < p->m.settle.deliveries.count; i++)
			tell("gone #%" PRIu64 " x%" PRIu64 "\n",
				p->m.settle.deliveries.list[i].first,
				p->m.settle.deliveries.list[i].count);
		break;
	default:
		tell("%s %" PRIu64 "\n", message_kind_name((int)p->m.kind), p->m.seq);
	}
}

static void hear_until(struct peer *p, const char *last)
{
	while (!strstr(story, last)) {
		peer_hear(p);
		tell_heard(p);
	}
}

/* ---- a conversation that is cut everywhere
 * --------------------------------------------------------
 */

static const char whole_story[] = "done 2\ndone 3\ngot 5 #1 one x1\ndone 4\ngot 6 #2 two x1\n"
				  "got 7 #3 three x1\ndone 8\nfail 9 ECLOSED\ndone 10\n";

/* Says it without hearing: deliveries have known numbers. */
static void say_all(struct peer *p, uint64_t channel)
{
	static const char *const values[] = {"one", "two", "three"};
	struct message m = {.kind = MESSAGE_REMOVE};

	peer_send_many(p, channel, 3, values); /* 2 .. 4: there is room for two */
	peer_recv(p, channel);
	peer_taken(p, 1);
	peer_recv(p, channel);
	peer_recv(p, channel);
	peer_taken(p, 2);
	peer_taken(p, 3);
	peer_close(p, channel);
	peer_recv(p, channel);
	m.seq = ++p->seq;
	m.channel_ref.name = "";
	m.channel_ref.channel = channel;
	peer_say(p, &m);
}

/* A session with a channel; what it says from here on is only kept, and lies in p->said. */
static size_t prepare(struct peer *p, const char *name)
{
	uint64_t channel;
	size_t before;
	int pair[2], fd;

	peer_dial_lingering(p, d.url, LINGER_MS);
	channel = peer_channel(p, name, CHAN_TYPE_STRING, 2);
	before = buf_len(&p->said);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fd = p->fd;
	p->fd = pair[0];
	say_all(p, channel);
	p->fd = fd;
	close(pair[0]);
	close(pair[1]);
	forget();
	return before;
}

/* The connection breaks after each byte that the client may have said. */
static void test_cut_while_saying(void **state)
{
	size_t total = 1;
	struct peer p;

	(void)state;
	for (size_t k = 0; k < total; k++) {
		size_t before = prepare(&p, "saying");

		total = buf_len(&p.said) - before + 1;
		if (k)
			peer_say_bytes(&p, buf_data(&p.said) + before, k);
		peer_lose(&p);
		peer_resume(&p, d.url);
		hear_until(&p, "done 10\n");
		assert_string_equal(story, whole_story);
		peer_drop(&p);
	}
}

/* Hears bytes, not messages: at most k of them; false when all that there is to hear was heard. */
static bool hear_bytes(struct peer *p, size_t k)
{
	struct pollfd pfd = {.fd = p->fd, .events = POLLIN};
	struct frame f;
	ssize_t n;

	while (k) {
		assert_int_equal(buf_reserve(&p->in, k), 0);
		assert_int_equal(poll(&pfd, 1, TEST_PATIENCE_MS), 1);
		n = recv(p->fd, p->in.bytes + p->in.end, k, 0);
		assert_true(n > 0);
		p->in.end += (size_t)n;
		k -= (size_t)n;
		while (buf_len(&p->in) && frame_parse(buf_data(&p->in) + p->parsed,
						  buf_len(&p->in) - p->parsed, &f) > 0) {
			peer_hear(p);
			tell_heard(p);
		}
		if (strstr(story, "done 10\n"))
			return false;
	}
	return true;
}

/* The connection breaks after each byte that the client may have heard. */
static void test_cut_while_hearing(void **state)
{
	bool more = true;
	struct peer p;

	(void)state;
	for (size_t k = 0; more; k++) {
		size_t before = prepare(&p, "hearing");

		peer_say_bytes(&p, buf_data(&p.said) + before, buf_len(&p.said) - before);
		more = hear_bytes(&p, k);
		peer_lose(&p);
		peer_resume(&p, d.tcp_url);
		if (more)
			hear_until(&p, "done 10\n");
		assert_string_equal(story, whole_story);
		peer_expect_quiet(&p);
		peer_drop(&p);
	}
}

/* ---- who may resume
 * ------------------------------------------------------------------------------
 */

static void expect_turned_away(struct peer *p, int status)
{
	peer_expect(p, MESSAGE_GOAWAY);
	assert_int_equal(p->m.goaway.status, status);
	assert_true(strlen(p->m.goaway.message) > 0);
	peer_expect_end(p);
	peer_lose(p);
}

/* The session's secret, a rising epoch, and a number of frames that can be. */
static void test_who_may_resume(void **state)
{
	uint64_t channel, send;
	struct peer p, other;

	(void)state;
	peer_dial_lingering(&p, d.url, LINGER_MS);
	channel = peer_channel(&p, "who", CHAN_TYPE_STRING, 0);
	send = peer_send(&p, channel, "v");
	peer_ping(&p);
	peer_lose(&p);

	p.session_secret[3] ^= 1;
	peer_ask_resume(&p, d.url);
	expect_turned_away(&p, CHAN_EUNKNOWN);
	p.session_secret[3] ^= 1;
	p.session_id[15] ^= 1;
	peer_ask_resume(&p, d.url);
	expect_turned_away(&p, CHAN_EUNKNOWN);
	p.session_id[15] ^= 1;
	p.epoch = 0;
	peer_ask_resume(&p, d.url);
	expect_turned_away(&p, CHAN_EPROTOCOL);
	p.heard_count += 7;
	peer_ask_resume(&p, d.url);
	expect_turned_away(&p, CHAN_EPROTOCOL);
	p.heard_count -= 8; /* PING had said that this one has come */
	peer_ask_resume(&p, d.url);
	expect_turned_away(&p, CHAN_EPROTOCOL);
	p.heard_count++;
	p.incarnation++;
	peer_ask_resume(&p, d.url);
	expect_turned_away(&p, CHAN_ERESTARTED);
	p.incarnation--;

	peer_resume(&p, d.tcp_url);
	peer_dial(&other, d.url);
	assert_int_equal(peer_opened(&other, "who", CHAN_RECV), channel);
	peer_taken(&other, peer_expect_deliver(&other, peer_recv(&other, channel), "v"));
	peer_expect_done(&p, send);
	peer_drop(&other);
	peer_drop(&p);
}

/* A resume fences the connection that still stands; of two the higher epoch wins. */
static void test_fence(void **state)
{
	struct peer p, old;

	(void)state;
	peer_dial_lingering(&p, d.tcp_url, LINGER_MS);
	peer_channel(&p, "fence", CHAN_TYPE_STRING, 0);
	old = p;
	p.in = (struct buf){0};
	p.parsed = 0;
	peer_resume(&p, d.url);
	peer_expect_end(&old);
	peer_expect_quiet(&p);
	close(old.fd);
	buf_fini(&old.in);

	p.epoch += 5;
	old = p;
	p.in = (struct buf){0};
	p.parsed = 0;
	peer_resume(&p, d.url);
	peer_expect_end(&old);
	close(old.fd);
	buf_fini(&old.in);
	peer_expect_quiet(&p);
	peer_drop(&p);
}

/* BYE ends a session that would have lingered, and so does its time; without being asked for it no
 * session lingers, and nobody is granted more than the operator allows. */
static void test_end_of_a_session(void **state)
{
	struct message bye = {.kind = MESSAGE_BYE};
	struct peer p;

	(void)state;
	peer_dial_lingering(&p, d.url, 3600000);
	assert_int_equal(p.m.welcome.linger_ms, 60000);
	assert_int_equal(p.m.welcome.limits.unseen_bytes, UNSEEN_BYTES);
	peer_say(&p, &bye);
	peer_expect_end(&p);
	peer_lose(&p);
	peer_ask_resume(&p, d.url);
	expect_turned_away(&p, CHAN_EUNKNOWN);
	peer_drop(&p);

	peer_dial_lingering(&p, d.url, 0);
	assert_int_equal(p.m.welcome.linger_ms, 0);
	peer_lose(&p);
	peer_ask_resume(&p, d.url);
	expect_turned_away(&p, CHAN_EUNKNOWN);
	peer_drop(&p);

	peer_dial_lingering(&p, d.url, 1);
	peer_lose(&p);
	daemon_expect_log(&d, "it was not resumed in time");
	peer_ask_resume(&p, d.url);
	expect_turned_away(&p, CHAN_EUNKNOWN);
	peer_drop(&p);
}

/* ---- while there is no connection -------------------------------------------------------------
 */

/* Waits until so many wait to receive, as the other peer sees it. */
static void wait_for_receivers(struct peer *p, uint64_t channel, uint64_t count)
{
	do
		peer_stat(p, channel);
	while (p->m.stats.channels[0].receivers_waiting != count);
}

/* A receiver without a connection is passed over, and has its old place when it is back. */
static void test_place_in_line(void **state)
{
	struct peer p, other;
	uint64_t channel, mine, theirs;

	(void)state;
	peer_dial_lingering(&p, d.url, LINGER_MS);
	channel = peer_channel(&p, "line", CHAN_TYPE_STRING, 4);
	mine = peer_recv(&p, channel);
	peer_expect_quiet(&p);
	peer_dial(&other, d.tcp_url);
	peer_opened(&other, "line", CHAN_BOTH);
	theirs = peer_recv(&other, channel);
	peer_lose(&p);
	wait_for_receivers(&other, channel, 1);
	peer_expect_done(&other, peer_send(&other, channel, "first"));
	peer_taken(&other, peer_expect_deliver(&other, theirs, "first"));
	theirs = peer_recv(&other, channel);
	peer_resume(&p, d.url);
	wait_for_receivers(&other, channel, 2);
	peer_expect_done(&other, peer_send(&other, channel, "second"));
	peer_taken(&p, peer_expect_deliver(&p, mine, "second"));
	peer_expect_quiet(&other);
	peer_drop(&other);
	peer_drop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_while_saying),
		cmocka_unit_test(test_cut_while_hearing),
		cmocka_unit_test(test_who_may_resume),
		cmocka_unit_test(test_fence),
		cmocka_unit_test(test_end_of_a_session),
		cmocka_unit_test(test_place_in_line),
	};

	test_time_limit();
	return cmocka_run_group_tests_name("resume", tests, setup, teardown);
}
