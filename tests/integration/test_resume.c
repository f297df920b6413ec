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
	static const char *const arguments[] = {"--session-linger-max=1m",
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
static size_t prepare(struct peer *p, const char *url, const char *name)
{
	uint64_t channel;
	size_t before;
	int pair[2], fd;

	peer_dial_lingering(p, url, LINGER_MS);
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
		size_t before = prepare(&p, d.url, "saying");

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
		assert_int_equal(poll(&pfd, 1, test_patience_ms()), 1);
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
		size_t before = prepare(&p, d.tcp_url, "hearing");

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

	peer_resume(&p, d.url);
	peer_dial(&other, d.url);
	assert_int_equal(peer_opened(&other, "who", CHAN_RECV), channel);
	peer_taken(&other, peer_expect_deliver(&other, peer_recv(&other, channel), "v"));
	peer_expect_done(&p, send);
	peer_drop(&other);
	peer_drop(&p);
}

/* Whom nobody knows is not the user of a process, though no rule asks who anybody is; the session
 * waits for who began it. */
static void test_only_who_began_may_resume(void **state)
{
	const char *const urls[] = {d.url, d.tcp_url};
	struct peer p;

	(void)state;
	for (int i = 0; i < 2; i++) {
		peer_dial_lingering(&p, urls[i], LINGER_MS);
		peer_lose(&p);
		peer_ask_resume(&p, urls[1 - i]);
		expect_turned_away(&p, CHAN_EAUTH);
		peer_resume(&p, urls[i]);
		peer_expect_quiet(&p);
		peer_drop(&p);
	}
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
	peer_resume(&p, d.tcp_url);
	peer_expect_end(&old);
	peer_expect_quiet(&p);
	close(old.fd);
	buf_fini(&old.in);

	p.epoch += 5;
	old = p;
	p.in = (struct buf){0};
	p.parsed = 0;
	peer_resume(&p, d.tcp_url);
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
	assert_int_equal(p.m.welcome->linger_ms, 60000);
	assert_int_equal(p.m.welcome->limits.unseen_bytes, UNSEEN_BYTES);
	assert_int_equal(p.m.welcome->limits.lease_ns, LEASE_NS_MAX);
	peer_say(&p, &bye);
	peer_expect_end(&p);
	peer_lose(&p);
	peer_ask_resume(&p, d.url);
	expect_turned_away(&p, CHAN_EUNKNOWN);
	peer_drop(&p);

	peer_dial_lingering(&p, d.url, 0);
	assert_int_equal(p.m.welcome->linger_ms, 0);
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

/* Of a select without a connection only the send cases stand. */
static void test_select(void **state)
{
	struct message m = {.kind = MESSAGE_SELECT};
	struct buf value = {0};
	struct peer p, other;
	struct wire_case cases[2];
	uint64_t in, out, send;

	(void)state;
	peer_dial_lingering(&p, d.url, LINGER_MS);
	in = peer_channel(&p, "select-in", CHAN_TYPE_STRING, 0);
	out = peer_channel(&p, "select-out", CHAN_TYPE_STRING, 0);
	cases[0] = (struct wire_case){.channel = in, .direction = CHAN_RECV};
	cases[1] = (struct wire_case){.channel = out, .direction = CHAN_SEND};
	assert_int_equal(wire_value_put_prefix(&value, 1, 1, 0), 0);
	assert_int_equal(buf_append(&value, "o", 1), 0);
	m.seq = ++p.seq;
	m.select.cases = cases;
	m.select.case_count = 2;
	m.select.payload_bytes = buf_len(&value);
	peer_say_payload(&p, &m, 0, buf_data(&value), buf_len(&value));
	buf_fini(&value);
	peer_expect_quiet(&p);

	peer_dial(&other, d.tcp_url);
	peer_opened(&other, "select-in", CHAN_SEND);
	peer_opened(&other, "select-out", CHAN_RECV);
	peer_lose(&p);
	wait_for_receivers(&other, in, 0);
	send = peer_send(&other, in, "i");
	peer_taken(&other, peer_expect_deliver(&other, peer_recv(&other, out), "o"));
	peer_resume(&p, d.url);
	peer_expect_done(&p, m.seq);
	assert_int_equal(p.m.done.case_index, 1);
	peer_taken(&p, peer_expect_deliver(&p, peer_recv(&p, in), "i"));
	peer_expect_done(&other, send);
	peer_drop(&other);
	peer_drop(&p);
}

/* A daemon that takes clients for lost early, if not so early that one which only stands still for a
 * while on a busy machine is among them; whom it waits for otherwise, it waits for longer than any test. */
static void start_impatient(struct test_daemon *impatient)
{
	static const char *const arguments[] = {
		"--silence-timeout=5s", "--stall-timeout=60m", "--unseen-bytes-max=256K", NULL};

	daemon_start(impatient, arguments);
}

/* What is out to a session without a connection goes back after the silence; it learns so before
 * the PONG, and then receives again. */
static void test_revoked_meanwhile(void **state)
{
	static const char *const values[] = {"one", "two"};
	struct test_daemon impatient;
	struct peer p, other;
	uint64_t channel, recv, theirs, again;

	(void)state;
	start_impatient(&impatient);
	peer_dial(&other, impatient.url);
	peer_dial_lingering(&p, impatient.url, LINGER_MS);
	channel = peer_channel(&p, "revoked", CHAN_TYPE_STRING, 2);
	peer_opened(&other, "revoked", CHAN_BOTH);
	recv = peer_recv(&p, channel);
	again = peer_recv(&p, channel);
	peer_expect_done(&other, peer_send(&other, channel, values[0]));
	peer_expect_deliver(&p, recv, "one");
	peer_lose(&p);
	theirs = peer_recv(&other, channel);
	peer_taken(&other, peer_expect_redeliver(&other, theirs, "one", 2));
	peer_expect_done(&other, peer_send(&other, channel, values[1]));

	peer_resume(&p, impatient.url);
	peer_say(&p, &(struct message){.kind = MESSAGE_PING, .ping = {.nonce = 5}});
	peer_taken(&p, 1);
	peer_expect(&p, MESSAGE_GONE);
	assert_int_equal(p.m.settle.deliveries.list[0].first, 1);
	peer_taken(&p, peer_expect_deliver(&p, again, "two"));
	peer_expect(&p, MESSAGE_PONG);
	peer_expect(&p, MESSAGE_GONE); /* for the late TAKEN */
	peer_expect_quiet(&p);
	peer_drop(&other);
	peer_drop(&p);
	daemon_stop(&impatient);
}

/* What is out to a receiver that is silent and does not even read goes back no later for that: it is
 * not the stall that is waited for. */
static void test_silent_and_stuffed(void **state)
{
	struct message m = {.kind = MESSAGE_RECV};
	static char text[60001];
	struct test_daemon impatient;
	struct peer p, other;
	uint64_t channel;

	(void)state;
	memset(text, 'z', sizeof(text) - 1);
	start_impatient(&impatient);
	peer_dial(&other, impatient.url);
	peer_dial_lingering(&p, impatient.url, LINGER_MS);
	channel = peer_channel(&other, "stuffed", CHAN_TYPE_STRING, 20);
	peer_opened(&p, "stuffed", CHAN_RECV);
	m.seq = ++p.seq;
	m.recv.channel = channel;
	m.recv.credit = 20;
	peer_say(&p, &m);
	peer_expect_quiet(&p);
	for (int i = 0; i < 20; i++)
		peer_expect_done(&other, peer_send(&other, channel, text));
	peer_taken(&other, peer_expect_redeliver(&other, peer_recv(&other, channel), text, 2));
	peer_drop(&other);
	peer_drop(&p);
	daemon_stop(&impatient);
}

/* ---- large values -----------------------------------------------------------------------------
 */

#define LARGE_BYTES (300u * 1024u)

static struct buf large_payload(void)
{
	struct buf b = {0};

	assert_int_equal(wire_value_put_prefix(&b, LARGE_BYTES, 1, 0), 0);
	assert_int_equal(buf_reserve(&b, LARGE_BYTES), 0);
	for (size_t i = 0; i < LARGE_BYTES; i++)
		b.bytes[b.end++] = (uint8_t)(i * 7 + i / 251);
	return b;
}

/* Says it in pieces of 50 000 bytes. */
static uint64_t say_large(struct peer *p, uint64_t channel)
{
	struct message m = {.kind = MESSAGE_SEND, .seq = ++p->seq};
	struct buf b = large_payload();
	uint64_t seq = m.seq;

	m.send.channel = channel;
	m.send.count = 1;
	m.send.payload_bytes = buf_len(&b);
	while (buf_len(&b)) {
		size_t n = buf_len(&b) < 50000 ? buf_len(&b) : 50000;

		peer_say_payload(p, &m, n < buf_len(&b) ? FRAME_MORE : 0, buf_data(&b), n);
		buf_consume(&b, n);
		m = (struct message){.kind = MESSAGE_PIECE, .seq = seq};
	}
	buf_fini(&b);
	return seq;
}

/* Adds what is heard of it to `have`. */
static void hear_piece(struct peer *p, struct buf *have)
{
	peer_hear(p);
	assert_true(p->m.kind == MESSAGE_DELIVER || p->m.kind == MESSAGE_PIECE);
	assert_int_equal(buf_append(have, p->payload, p->payload_bytes), 0);
}

/* A value in pieces, to the broker and from it, over connections that are lost in the middle. */
static void test_large_values(void **state)
{
	struct buf have = {0}, want = large_payload();
	struct peer p;
	uint64_t channel, seq;
	int fd, pair[2];

	(void)state;
	peer_dial_lingering(&p, d.url, LINGER_MS);
	channel = peer_channel(&p, "large", CHAN_TYPE_BYTES, 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fd = p.fd;
	p.fd = pair[0];
	assert_int_equal(setsockopt(p.fd, SOL_SOCKET, SO_SNDBUF, &(int){1 << 20}, sizeof(int)), 0);
	seq = say_large(&p, channel);
	close(pair[0]);
	close(pair[1]);
	p.fd = fd;
	for (int i = 0; i < 3; i++) {
		peer_lose(&p);
		peer_ask_resume(&p, d.url);
		peer_expect(&p, MESSAGE_WELCOME);
		/* What was under way when the connection was cut may have come or not. */
		assert_in_range(p.m.welcome->frames_received, 1, 1 + 2 * i);
		for (uint64_t k = 0, at = 0; at < buf_len(&p.said); k++) {
			struct frame f;
			long n = frame_parse(buf_data(&p.said) + at, buf_len(&p.said) - at, &f);

			if (k >= p.m.welcome->frames_received &&
				k < p.m.welcome->frames_received + 2)
				peer_say_bytes(&p, buf_data(&p.said) + at, (size_t)n);
			at += (size_t)n;
		}
	}
	peer_lose(&p);
	peer_resume(&p, d.url);
	peer_expect_done(&p, seq);

	seq = peer_recv(&p, channel);
	hear_piece(&p, &have);
	hear_piece(&p, &have);
	while (buf_len(&have) < buf_len(&want)) {
		peer_lose(&p);
		peer_resume(&p, d.url);
		hear_piece(&p, &have);
	}
	assert_memory_equal(buf_data(&have), buf_data(&want), buf_len(&want));
	peer_expect_quiet(&p);
	buf_fini(&have);
	buf_fini(&want);
	peer_drop(&p);
}

/* ---- bounds -------------------------------------------------------------------------------------
 */

/* A client that confirms nothing is sent no more than unseen_bytes; it goes on when it does. Others
 * do not notice. */
static void test_unseen_bound(void **state)
{
	struct message m = {.kind = MESSAGE_RECV};
	static char text[60001];
	struct peer p, other;
	uint64_t channel, heard = 0;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	peer_dial(&other, d.url);
	peer_dial_lingering(&p, d.url, LINGER_MS);
	channel = peer_channel(&other, "unseen", CHAN_TYPE_STRING, 20);
	peer_opened(&p, "unseen", CHAN_RECV);
	m.seq = ++p.seq;
	m.recv.channel = channel;
	m.recv.credit = 20;
	peer_say(&p, &m);
	for (int i = 0; i < 20; i++)
		peer_expect_done(&other, peer_send(&other, channel, text));
	while (heard < 5) {
		peer_expect(&p, MESSAGE_DELIVER);
		heard += p.m.deliver.count;
	}
	peer_ping(&other);
	peer_say(&p, &(struct message){.kind = MESSAGE_PING, .ping = {.nonce = 77}});
	do { /* PONG is not held up; what was let out before it is bounded */
		peer_hear(&p);
		heard += p.m.kind == MESSAGE_DELIVER ? p.m.deliver.count : 0;
	} while (p.m.kind != MESSAGE_PONG);
	assert_in_range(heard, 5, UNSEEN_BYTES / 60000 + 3);
	while (heard < 20) {
		peer_seen(&p, p.heard_count);
		peer_expect(&p, MESSAGE_DELIVER);
		heard += p.m.deliver.count;
	}
	peer_drop(&other);
	peer_drop(&p);
}

/* Who may not connect yet, because the daemon counts another still, tries again. */
static void dial_when_there_is_room(struct peer *p, const char *url)
{
	for (;;) {
		peer_connect(p, url);
		peer_say(p,
			&(struct message){.kind = MESSAGE_HELLO,
				.hello = &(struct wire_hello){.version_min = 1, .version_max = 1}});
		peer_hear(p);
		if (p->m.kind == MESSAGE_WELCOME)
			return;
		assert_int_equal(p->m.goaway.status, CHAN_ELIMIT);
		peer_drop(p);
	}
}

/* A session ends by a breach while so much waits for its client that nothing is read any more, and
 * the client confirms nothing: the connection goes with it. */
static void test_breach_of_the_stuffed(void **state)
{
	static const char *const arguments[] = {
		"--connections-max=2", "--unseen-bytes-max=512K", NULL};
	struct message recv = {.kind = MESSAGE_RECV}, grant = {.kind = MESSAGE_GRANT};
	static char text[60001];
	struct test_daemon small;
	struct peer p, other;
	uint64_t channel, idle;

	(void)state;
	memset(text, 'b', sizeof(text) - 1);
	daemon_start(&small, arguments);
	peer_dial(&other, small.url);
	peer_dial_lingering(&p, small.url, LINGER_MS);
	channel = peer_channel(&other, "stuffed", CHAN_TYPE_STRING, 100);
	idle = peer_channel(&p, "idle", CHAN_TYPE_STRING, 1);
	grant.seq = peer_recv(&p, idle);
	grant.grant.credit = 1; /* to what is no stream */
	peer_opened(&p, "stuffed", CHAN_RECV);
	recv.seq = ++p.seq;
	recv.recv.channel = channel;
	recv.recv.credit = 100;
	peer_say(&p, &recv);
	peer_expect_quiet(&p);
	for (int i = 0; i < 100; i++)
		peer_expect_done(&other, peer_send(&other, channel, text));
	peer_say(&p, &grant); /* is read once the writer waits for SEEN */
	do
		peer_hear(&p);
	while (p.m.kind != MESSAGE_GOAWAY);
	assert_int_equal(p.m.goaway.status, CHAN_EPROTOCOL);
	peer_drop(&p);
	dial_when_there_is_room(&p, small.url);
	peer_drop(&p);
	peer_drop(&other);
	daemon_stop(&small);
}

/* A peer whose sends wait, so that nothing answers them: so many frames of more than that. */
static void send_unanswered(struct peer *p, const char *name, size_t bytes, unsigned times)
{
	static char text[SEEN_EVERY_BYTES(UNSEEN_BYTES) + 1];
	uint64_t channel;

	memset(text, 'y', bytes);
	text[bytes] = '\0';
	peer_dial_lingering(p, d.url, LINGER_MS);
	channel = peer_channel(p, name, CHAN_TYPE_STRING, 0);
	while (times-- > 0)
		peer_send(p, channel, text);
}

/* The broker says by SEEN what it has, so that the client need not keep it: with what it says anyway. */
static void test_broker_says_seen(void **state)
{
	struct peer p;

	(void)state;
	send_unanswered(&p, "seen", SEEN_RIDES_BYTES(UNSEEN_BYTES), 1);
	peer_ping(&p);
	peer_expect_quiet(&p);
	assert_int_equal(p.seen, 2); /* MAKE and SEND */
	peer_drop(&p);
}

/* SEEN comes to who has said nothing that is answered, and by itself: not with a PING some seconds later. */
static void expect_seen_unasked(struct peer *p)
{
	struct pollfd pfd = {.fd = p->fd, .events = POLLIN};
	uint8_t first[64];
	struct frame f;
	ssize_t n, at = 0;

	assert_int_equal(poll(&pfd, 1, test_patience_ms()), 1);
	n = recv(p->fd, first, sizeof(first), MSG_PEEK);
	assert_true(n > 0);
	while (at < n) {
		long length = frame_parse(first + at, (size_t)(n - at), &f);

		assert_true(length > 0);
		assert_int_equal(f.kind, MESSAGE_SEEN);
		at += length;
	}
}

/* By itself where it says nothing else: once an eighth of what the client may keep has come, however it was
 * cut. */
static void test_broker_says_seen_unasked(void **state)
{
	static const struct {
		const char *name;
		size_t bytes;
		unsigned frames;
	} rows[] = {
		{"unasked", SEEN_RIDES_BYTES(UNSEEN_BYTES),
			SEEN_EVERY_BYTES(UNSEEN_BYTES) / SEEN_RIDES_BYTES(UNSEEN_BYTES)},
		{"one-large", SEEN_EVERY_BYTES(UNSEEN_BYTES), 1},
	};
	struct peer p;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		send_unanswered(&p, rows[i].name, rows[i].bytes, rows[i].frames);
		expect_seen_unasked(&p);
		peer_ping(&p);
		peer_expect_quiet(&p);
		assert_int_equal(p.seen, 1 + rows[i].frames); /* and MAKE */
		peer_drop(&p);
	}
}

static void append(struct buf *out, const struct message *m)
{
	assert_int_equal(wire_encode(out, m, 0, 0), 0);
}

/* So much comes right behind a HELLO that the broker has a SEEN to say before it has answered. */
static void test_welcome_is_first(void **state)
{
	const struct wire_hello hello = {.version_min = PROTOCOL_VERSION,
		.version_max = PROTOCOL_VERSION,
		.linger_ms = LINGER_MS,
		.mechanism = "",
		.speaker = {.host = "", .program = "", .group = "", .library = ""}};
	struct message open = {.kind = MESSAGE_OPEN};
	struct buf out = {0};
	uint8_t first[4096];
	char name[NAME_BYTES_MAX + 1];
	struct frame f;
	struct peer p;

	(void)state;
	append(&out, &(struct message){.kind = MESSAGE_HELLO, .hello = &hello});
	for (open.seq = 1; open.seq * NAME_BYTES_MAX < 2 * SEEN_RIDES_BYTES(UNSEEN_BYTES); open.seq++) {
		snprintf(name, sizeof(name), "%0*d", (int)NAME_BYTES_MAX, (int)open.seq);
		open.open.name = name;
		open.open.direction = CHAN_BOTH;
		append(&out, &open);
	}
	peer_connect(&p, d.url);
	assert_int_equal(send(p.fd, buf_data(&out), buf_len(&out), 0), buf_len(&out));
	buf_fini(&out);
	assert_true(frame_parse(first, (size_t)recv(p.fd, first, sizeof(first), 0), &f) > 0);
	assert_int_equal(f.kind, MESSAGE_WELCOME);
	peer_drop(&p);
}

/* More sessions than the operator allows do not linger. */
static void test_sessions_max(void **state)
{
	static const char *const arguments[] = {"--sessions-max=1", NULL};
	struct test_daemon small;
	struct peer p, q;

	(void)state;
	daemon_start(&small, arguments);
	peer_dial_lingering(&p, small.url, LINGER_MS);
	peer_dial_lingering(&q, small.url, LINGER_MS);
	peer_lose(&p);
	peer_lose(&q);
	daemon_expect_log(&small, "sessions_max");
	peer_drop(&p);
	peer_drop(&q);
	daemon_stop(&small);
}

/* Asks to go on where it never was, while its old connection stands: that is cut for it. */
static void resume_with_a_lie(struct peer *p, const char *url)
{
	int old_fd = p->fd;

	p->heard_count += 7;
	peer_ask_resume(p, url);
	expect_turned_away(p, CHAN_EPROTOCOL);
	p->heard_count -= 7;
	close(old_fd);
}

/* Nor do they linger by a resume that cuts the old connection and then comes to nothing. */
static void test_sessions_max_against_a_lie(void **state)
{
	static const char *const arguments[] = {"--sessions-max=1", NULL};
	struct test_daemon small;
	struct peer p, q;

	(void)state;
	daemon_start(&small, arguments);
	peer_dial_lingering(&p, small.url, LINGER_MS);
	peer_dial_lingering(&q, small.url, LINGER_MS);
	resume_with_a_lie(&p, small.url);
	resume_with_a_lie(&q, small.url);
	daemon_expect_log(&small, "sessions_max");
	peer_ask_resume(&q, small.url);
	expect_turned_away(&q, CHAN_EUNKNOWN);
	peer_resume(&p, small.url);
	peer_drop(&p);
	peer_drop(&q);
	daemon_stop(&small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_while_saying),
		cmocka_unit_test(test_cut_while_hearing),
		cmocka_unit_test(test_who_may_resume),
		cmocka_unit_test(test_only_who_began_may_resume),
		cmocka_unit_test(test_fence),
		cmocka_unit_test(test_end_of_a_session),
		cmocka_unit_test(test_place_in_line),
		cmocka_unit_test(test_select),
		cmocka_unit_test(test_revoked_meanwhile),
		cmocka_unit_test(test_silent_and_stuffed),
		cmocka_unit_test(test_large_values),
		cmocka_unit_test(test_unseen_bound),
		cmocka_unit_test(test_breach_of_the_stuffed),
		cmocka_unit_test(test_welcome_is_first),
		cmocka_unit_test(test_broker_says_seen),
		cmocka_unit_test(test_broker_says_seen_unasked),
		cmocka_unit_test(test_sessions_max),
		cmocka_unit_test(test_sessions_max_against_a_lie),
	};

	test_time_limit();
	return cmocka_run_group_tests_name("resume", tests, setup, teardown);
}
