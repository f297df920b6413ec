#include "tests/support/peer.h"
#include "tests/support/daemon.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static int connect_unix(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	return fd;
}

static int connect_tcp(const char *host_port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *ai;
	const char *colon = strrchr(host_port, ':');
	char host[64];
	int fd;

	assert_non_null(colon);
	snprintf(host, sizeof(host), "%.*s", (int)(colon - host_port), host_port);
	assert_int_equal(getaddrinfo(host, colon + 1, &hints, &ai), 0);
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, ai->ai_addr, ai->ai_addrlen), 0);
	freeaddrinfo(ai);
	return fd;
}

static int dial(const char *url)
{
	return strncmp(url, "unix:", 5) == 0 ? connect_unix(url + 5) : connect_tcp(url + 6);
}

void peer_connect(struct peer *p, const char *url)
{
	*p = (struct peer){0};
	p->scratch = wire_scratch_new();
	assert_non_null(p->scratch);
	p->fd = dial(url);
}

static struct wire_hello plain_hello(void)
{
	return (struct wire_hello){.version_min = 1,
		.version_max = 1,
		.speaker = {.host = "here",
			.program = "test",
			.group = "",
			.library = "peer",
			.pid = (uint64_t)getpid()},
		.mechanism = ""};
}

static void say_hello(struct peer *p, const struct wire_hello *hello)
{
	peer_say(p, &(struct message){.kind = MESSAGE_HELLO, .hello = hello});
}

void peer_hello(struct peer *p)
{
	struct wire_hello hello = plain_hello();

	say_hello(p, &hello);
	peer_expect(p, MESSAGE_WELCOME);
}

static void show_token(const struct peer *p, struct wire_hello *hello)
{
	if (!p->token)
		return;
	hello->mechanism = "token";
	hello->token = (struct wire_bytes){(const uint8_t *)p->token, strlen(p->token)};
}

void peer_dial_lingering(struct peer *p, const char *url, uint64_t linger_ms)
{
	peer_dial_lingering_as(p, url, linger_ms, NULL);
}

static void hello_lingering(struct peer *p, const char *url, uint64_t linger_ms, const char *token)
{
	struct wire_hello hello = plain_hello();

	peer_connect(p, url);
	p->token = token;
	show_token(p, &hello);
	hello.linger_ms = linger_ms;
	say_hello(p, &hello);
}

static void note_session(struct peer *p)
{
	p->lingers = true;
	assert_int_equal(p->m.welcome->session_id.len, sizeof(p->session_id));
	assert_int_equal(p->m.welcome->session_secret.len, sizeof(p->session_secret));
	memcpy(p->session_id, p->m.welcome->session_id.bytes, sizeof(p->session_id));
	memcpy(p->session_secret, p->m.welcome->session_secret.bytes, sizeof(p->session_secret));
	p->incarnation = p->m.welcome->incarnation;
	p->epoch = p->m.welcome->connection_epoch;
}

void peer_dial_lingering_as(struct peer *p, const char *url, uint64_t linger_ms, const char *token)
{
	hello_lingering(p, url, linger_ms, token);
	peer_expect(p, MESSAGE_WELCOME);
	note_session(p);
}

bool peer_try_lingering(struct peer *p, const char *url, uint64_t linger_ms)
{
	hello_lingering(p, url, linger_ms, NULL);
	peer_hear(p);
	if (p->m.kind != MESSAGE_WELCOME) {
		peer_drop(p);
		return false;
	}
	note_session(p);
	return true;
}

void peer_lose(struct peer *p)
{
	close(p->fd);
	p->fd = -1;
	buf_fini(&p->in);
	p->parsed = 0;
}

void peer_ask_resume(struct peer *p, const char *url)
{
	struct wire_hello hello = plain_hello();

	p->fd = dial(url);
	hello.session_id = (struct wire_bytes){p->session_id, sizeof(p->session_id)};
	hello.session_secret = (struct wire_bytes){p->session_secret, sizeof(p->session_secret)};
	hello.incarnation = p->incarnation;
	hello.connection_epoch = ++p->epoch;
	hello.frames_received = p->heard_count;
	show_token(p, &hello);
	say_hello(p, &hello);
}

void peer_resume(struct peer *p, const char *url)
{
	const uint8_t *at = buf_data(&p->said);
	size_t left = buf_len(&p->said);
	struct frame f;

	peer_ask_resume(p, url);
	peer_expect(p, MESSAGE_WELCOME);
	assert_true(p->m.welcome->resumed);
	assert_int_equal(p->m.welcome->connection_epoch, p->epoch);
	for (uint64_t i = 0; i < p->m.welcome->frames_received; i++) {
		long n = frame_parse(at, left, &f);

		assert_true(n > 0);
		at += n;
		left -= (size_t)n;
	}
	if (left)
		peer_say_bytes(p, at, left);
}

void peer_ping(struct peer *p)
{
	struct message m = {.kind = MESSAGE_PING};

	m.ping.nonce = 77;
	m.ping.frames_received = p->heard_count;
	peer_say(p, &m);
	peer_expect(p, MESSAGE_PONG);
	assert_int_equal(p->m.ping.nonce, 77);
}

void peer_seen(struct peer *p, uint64_t frames)
{
	struct message m = {.kind = MESSAGE_SEEN};

	m.ping.frames_received = frames;
	peer_say(p, &m);
}

void peer_dial(struct peer *p, const char *url)
{
	peer_connect(p, url);
	peer_hello(p);
}

void peer_drop(struct peer *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	buf_fini(&p->in);
	buf_fini(&p->said);
	wire_scratch_free(p->scratch);
	p->scratch = NULL;
}

void peer_shut_sending(struct peer *p)
{
	assert_int_equal(shutdown(p->fd, SHUT_WR), 0);
	p->said_all = true;
}

/* ---- saying ------------------------------------------------------------------------------- */

void peer_say_bytes(struct peer *p, const void *bytes, size_t n)
{
	const char *at = bytes;

	while (n) {
		ssize_t done = send(p->fd, at, n, MSG_NOSIGNAL);

		assert_true(done > 0);
		at += done;
		n -= (size_t)done;
	}
}

/* Whether frames of that kind are counted. */
static bool has_number(enum message_kind kind)
{
	switch (kind) {
	case MESSAGE_HELLO:
	case MESSAGE_WELCOME:
	case MESSAGE_PING:
	case MESSAGE_PONG:
	case MESSAGE_SEEN:
	case MESSAGE_GOAWAY:
		return false;
	default:
		return true;
	}
}

void peer_say_payload(
	struct peer *p, const struct message *m, uint8_t flags, const void *payload, size_t n)
{
	struct buf out = {0};

	assert_int_equal(wire_encode(&out, m, flags, (uint32_t)n), 0);
	if (n)
		assert_int_equal(buf_append(&out, payload, n), 0);
	if (p->lingers && has_number(m->kind))
		assert_int_equal(buf_append(&p->said, buf_data(&out), buf_len(&out)), 0);
	peer_say_bytes(p, buf_data(&out), buf_len(&out));
	buf_fini(&out);
}

void peer_say(struct peer *p, const struct message *m)
{
	peer_say_payload(p, m, 0, NULL, 0);
}

/* ---- hearing ------------------------------------------------------------------------------ */

/* Reads what comes next. Bytes; 0 at the end of the stream. */
static ssize_t hear(struct peer *p)
{
	struct pollfd pfd = {.fd = p->fd, .events = POLLIN};
	ssize_t n;

	if (poll(&pfd, 1, test_patience_ms()) == 0)
		fail_msg("the broker said nothing for %d ms", test_patience_ms());
	assert_int_equal(buf_reserve(&p->in, 65536), 0);
	n = recv(p->fd, p->in.bytes + p->in.end, 65536, 0);
	if (n < 0 && errno == ECONNRESET)
		return 0;
	assert_true(n >= 0);
	p->in.end += (size_t)n;
	return n;
}

static void hear_frame(struct peer *p)
{
	struct frame f;
	long n;

	buf_consume(&p->in, p->parsed);
	p->parsed = 0;
	wire_scratch_reset(p->scratch);
	while ((n = buf_len(&p->in) ? frame_parse(buf_data(&p->in), buf_len(&p->in), &f) : 0) == 0)
		if (hear(p) == 0)
			fail_msg("the stream ended");
	assert_true(n > 0);
	assert_int_equal(wire_decode(&f, p->scratch, &p->m), 0);
	p->heard_count += has_number(p->m.kind);
	p->parsed = (size_t)n;
	p->payload = f.payload;
	p->payload_bytes = f.payload_bytes;
	p->flags = f.flags;
}

void peer_hear(struct peer *p)
{
	struct message pong = {.kind = MESSAGE_PONG};

	hear_frame(p);
	while (p->m.kind == MESSAGE_PING || p->m.kind == MESSAGE_SEEN) {
		if (p->m.kind == MESSAGE_SEEN) {
			p->seen = p->m.ping.frames_received;
		} else if (!p->said_all) {
			pong.ping.nonce = p->m.ping.nonce;
			pong.ping.frames_received = p->lingers ? p->heard_count : 0;
			peer_say(p, &pong);
		}
		hear_frame(p);
	}
}

void peer_expect(struct peer *p, enum message_kind kind)
{
	peer_hear(p);
	if (p->m.kind == MESSAGE_FAIL && kind != MESSAGE_FAIL)
		fail_msg("FAIL %lu (%d): %s", (unsigned long)p->m.seq, p->m.fail.status,
			p->m.fail.message);
	if (p->m.kind == MESSAGE_GOAWAY && kind != MESSAGE_GOAWAY)
		fail_msg("GOAWAY (%d): %s", p->m.goaway.status, p->m.goaway.message);
	assert_string_equal(message_kind_name((int)p->m.kind), message_kind_name((int)kind));
}

/* Whether what was heard is whole PINGs, which half-closed clients get until they are gone. */
static bool heard_pings(struct peer *p)
{
	struct frame f;
	long n = 1;

	while (buf_len(&p->in) && n > 0) {
		n = frame_parse(buf_data(&p->in), buf_len(&p->in), &f);
		if (n <= 0 || f.kind != MESSAGE_PING)
			return false;
		buf_consume(&p->in, (size_t)n);
	}
	return true;
}

void peer_expect_end(struct peer *p)
{
	buf_consume(&p->in, p->parsed);
	p->parsed = 0;
	while (hear(p) != 0)
		if (!heard_pings(p))
			fail_msg("the stream goes on");
}

void peer_expect_quiet(struct peer *p)
{
	struct message m = {.kind = MESSAGE_LIST, .seq = ++p->seq};

	m.list.prefix = m.list.after = "";
	m.list.count_max = 1;
	peer_say(p, &m);
	peer_expect(p, MESSAGE_STATS);
	assert_int_equal(p->m.seq, m.seq);
}

/* ---- operations --------------------------------------------------------------------------- */

uint64_t peer_make(struct peer *p, const char *name, enum chan_type type, int64_t capacity)
{
	struct message m = {.kind = MESSAGE_MAKE, .seq = ++p->seq};

	m.make.name = name;
	m.make.type_name = "";
	m.make.type = type;
	m.make.capacity = capacity;
	m.make.direction = CHAN_BOTH;
	peer_say(p, &m);
	return m.seq;
}

uint64_t peer_open(struct peer *p, const char *name, enum chan_direction direction)
{
	struct message m = {.kind = MESSAGE_OPEN, .seq = ++p->seq};

	m.open.name = name;
	m.open.direction = direction;
	peer_say(p, &m);
	return m.seq;
}

uint64_t peer_channel(struct peer *p, const char *name, enum chan_type type, int64_t capacity)
{
	uint64_t seq = peer_make(p, name, type, capacity);

	peer_expect(p, MESSAGE_OPENED);
	assert_int_equal(p->m.seq, seq);
	return p->m.opened.channel;
}

uint64_t peer_opened(struct peer *p, const char *name, enum chan_direction direction)
{
	uint64_t seq = peer_open(p, name, direction);

	peer_expect(p, MESSAGE_OPENED);
	assert_int_equal(p->m.seq, seq);
	return p->m.opened.channel;
}

uint64_t peer_send_many(struct peer *p, uint64_t channel, int count, const char *const *values)
{
	struct message m = {.kind = MESSAGE_SEND, .seq = p->seq + 1};
	struct buf payload = {0};

	for (int i = 0; i < count; i++) {
		assert_int_equal(wire_value_put_prefix(&payload, strlen(values[i]), 1, 0), 0);
		assert_int_equal(buf_append(&payload, values[i], strlen(values[i])), 0);
	}
	m.send.channel = channel;
	m.send.count = (uint32_t)count;
	m.send.payload_bytes = buf_len(&payload);
	m.send.ride = p->rides;
	p->seq += (uint64_t)count;
	peer_say_payload(p, &m, 0, buf_data(&payload), buf_len(&payload));
	buf_fini(&payload);
	return m.seq;
}

uint64_t peer_send(struct peer *p, uint64_t channel, const char *value)
{
	return peer_send_many(p, channel, 1, &value);
}

uint64_t peer_recv(struct peer *p, uint64_t channel)
{
	struct message m = {.kind = MESSAGE_RECV, .seq = ++p->seq};

	m.recv.channel = channel;
	m.recv.credit = 1;
	peer_say(p, &m);
	return m.seq;
}

uint64_t peer_close(struct peer *p, uint64_t channel)
{
	struct message m = {.kind = MESSAGE_CLOSE, .seq = ++p->seq};

	m.close.channel = channel;
	m.close.reason = "";
	peer_say(p, &m);
	return m.seq;
}

uint64_t peer_cancel(struct peer *p, uint64_t target)
{
	struct message m = {.kind = MESSAGE_CANCEL, .seq = ++p->seq};

	m.cancel.target = target;
	peer_say(p, &m);
	return m.seq;
}

uint64_t peer_stat(struct peer *p, uint64_t channel)
{
	struct message m = {.kind = MESSAGE_STAT, .seq = ++p->seq};

	m.channel_ref.name = "";
	m.channel_ref.channel = channel;
	peer_say(p, &m);
	peer_expect(p, MESSAGE_STATS);
	assert_int_equal(p->m.seq, m.seq);
	assert_int_equal(p->m.stats.count, 1);
	return m.seq;
}

static void settle(struct peer *p, enum message_kind kind, uint64_t delivery)
{
	struct wire_range range = {delivery, 1};
	struct message m = {.kind = kind};

	m.settle.deliveries = (struct wire_ranges){&range, 1};
	peer_say(p, &m);
}

void peer_taken(struct peer *p, uint64_t delivery)
{
	settle(p, MESSAGE_TAKEN, delivery);
}

void peer_return(struct peer *p, uint64_t delivery)
{
	settle(p, MESSAGE_RETURN, delivery);
}

/* ---- answers ------------------------------------------------------------------------------ */

void peer_expect_done(struct peer *p, uint64_t seq)
{
	peer_expect(p, MESSAGE_DONE);
	assert_int_equal(p->m.seq, seq);
}

void peer_expect_fail(struct peer *p, uint64_t seq, int status)
{
	peer_expect(p, MESSAGE_FAIL);
	assert_int_equal(p->m.seq, seq);
	assert_int_equal(p->m.fail.status, status);
	assert_true(strlen(p->m.fail.message) > 0);
}

int peer_expect_outcome(struct peer *p, uint64_t seq)
{
	peer_hear(p);
	assert_int_equal(p->m.seq, seq);
	if (p->m.kind == MESSAGE_DONE)
		return 0;
	assert_int_equal(p->m.kind, MESSAGE_FAIL);
	return p->m.fail.status;
}

uint64_t peer_expect_redeliver(struct peer *p, uint64_t seq, const char *value, uint32_t attempt)
{
	struct wire_value v;
	size_t left;

	peer_expect(p, MESSAGE_DELIVER);
	assert_int_equal(p->m.seq, seq);
	assert_int_equal(p->m.deliver.count, 1);
	left = p->payload_bytes;
	assert_int_equal(wire_value_next(&p->payload, &left, &v), 1);
	assert_int_equal(v.len, strlen(value));
	assert_memory_equal(v.bytes, value, v.len);
	assert_int_equal(v.attempt, attempt);
	return p->m.deliver.delivery;
}

uint64_t peer_expect_deliver(struct peer *p, uint64_t seq, const char *value)
{
	return peer_expect_redeliver(p, seq, value, 1);
}
