/*
 * fake_broker.c - reads and writes frames for tests of the client.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/limits.h"
#include "tests/support/fake_broker.h"
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS 60000

void fake_start(struct fake_broker *b)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memset(b, 0, sizeof(*b));
	strcpy(b->directory, "/tmp/chan-test-XXXXXX");
	assert_non_null(mkdtemp(b->directory));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", b->directory);
	snprintf(b->url, sizeof(b->url), "unix:%s", address.sun_path);
	b->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(b->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(b->listener, 8), 0);
	b->fd = -1;
	b->heartbeat_ms = 5000;
	b->scratch = wire_scratch_new();
	b->limits = (struct wire_limits){
		.frame_header_bytes = FRAME_HEADER_BYTES_MAX,
		.frame_payload_bytes = FRAME_PAYLOAD_BYTES_MAX,
		.value_bytes = VALUE_BYTES_MAX_DEFAULT,
		.capacity = CAPACITY_MAX_DEFAULT,
		.select_cases = SELECT_CASES_MAX,
		.credit = CREDIT_MAX,
		.batch_values = BATCH_VALUES_MAX,
		.ops_in_flight = OPS_IN_FLIGHT_MAX_DEFAULT,
		.bytes_in_flight = BYTES_IN_FLIGHT_MAX_DEFAULT,
		.unseen_bytes = UNSEEN_BYTES_MAX_DEFAULT,
	};
}

void fake_stop(struct fake_broker *b)
{
	if (b->fd >= 0)
		close(b->fd);
	close(b->listener);
	unlink(b->url + strlen("unix:"));
	rmdir(b->directory);
	buf_fini(&b->in);
	wire_scratch_free(b->scratch);
}

/* ---- writing ------------------------------------------------------------------------------ */

void fake_write_bytes(struct fake_broker *b, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;
	ssize_t put;

	for (; n > 0; at += put, n -= (size_t)put) {
		put = send(b->fd, at, n, MSG_NOSIGNAL);
		if (put <= 0)
			return;
	}
}

void fake_write(struct fake_broker *b, const struct message *m, unsigned count, ...)
{
	struct buf payload = {0}, out = {0};
	const char *text;
	va_list texts;
	unsigned i;

	va_start(texts, count);
	for (i = 0; i < count; i++) {
		text = va_arg(texts, const char *);
		wire_value_put_prefix(&payload, strlen(text), 1, 0);
		buf_append(&payload, text, strlen(text));
	}
	va_end(texts);
	wire_encode(&out, m, 0, (uint32_t)buf_len(&payload));
	buf_append(&out, buf_data(&payload), buf_len(&payload));
	fake_write_bytes(b, buf_data(&out), buf_len(&out));
	buf_fini(&payload);
	buf_fini(&out);
}

void fake_done(struct fake_broker *b, uint64_t seq, uint32_t count)
{
	struct message m = {.kind = MESSAGE_DONE, .seq = seq};

	m.done.count = count;
	fake_write(b, &m, 0);
}

void fake_fail(struct fake_broker *b, uint64_t seq, uint32_t count, int status)
{
	struct message m = {.kind = MESSAGE_FAIL, .seq = seq};

	m.fail.count = count;
	m.fail.status = status;
	fake_write(b, &m, 0);
}

void fake_deliver(struct fake_broker *b, uint64_t seq, uint64_t delivery, const char *text)
{
	struct message m = {.kind = MESSAGE_DELIVER, .seq = seq};

	m.deliver.delivery = delivery;
	m.deliver.count = 1;
	fake_write(b, &m, 1, text);
}

void fake_pong(struct fake_broker *b)
{
	struct message m = {.kind = MESSAGE_PONG};

	m.ping.nonce = b->nonce;
	fake_write(b, &m, 0);
}

/* ---- reading ------------------------------------------------------------------------------ */

static bool counts(enum message_kind kind)
{
	return kind != MESSAGE_HELLO && kind != MESSAGE_PING && kind != MESSAGE_PONG &&
	       kind != MESSAGE_SEEN;
}

/* A frame, if one comes within ms. */
static bool read_frame(struct fake_broker *b, int ms)
{
	struct pollfd p = {.fd = b->fd, .events = POLLIN};
	ssize_t got;
	long n;

	buf_consume(&b->in, b->taken);
	b->taken = 0;
	while ((n = frame_parse(buf_data(&b->in), buf_len(&b->in), &b->frame)) == 0) {
		if (poll(&p, 1, ms) <= 0)
			return false;
		assert_int_equal(buf_reserve(&b->in, 65536), 0);
		got = recv(b->fd, b->in.bytes + b->in.end, b->in.size - b->in.end, 0);
		if (got <= 0)
			return false;
		b->in.end += (size_t)got;
	}
	assert_true(n > 0);
	b->taken = (size_t)n;
	wire_scratch_reset(b->scratch);
	assert_int_equal(wire_decode(&b->frame, b->scratch, &b->m), 0);
	assert_true(message_kind_allowed(b->m.kind, true));
	b->frames += counts(b->m.kind);
	if (b->m.kind == MESSAGE_PING)
		b->nonce = b->m.ping.nonce;
	return true;
}

static bool read_but_pings(struct fake_broker *b, int ms)
{
	bool got;

	do {
		got = read_frame(b, ms);
	} while (got && (b->m.kind == MESSAGE_PING || b->m.kind == MESSAGE_SEEN));
	return got;
}

const struct message *fake_read(struct fake_broker *b, enum message_kind kind)
{
	if (!read_but_pings(b, PATIENCE_MS))
		fail_msg("the client sent no %s", message_kind_name(kind));
	assert_string_equal(message_kind_name(b->m.kind), message_kind_name(kind));
	return &b->m;
}

bool fake_wait(struct fake_broker *b, bool patiently)
{
	return read_but_pings(b, patiently ? PATIENCE_MS : 0);
}

bool fake_wait_any(struct fake_broker *b)
{
	return read_frame(b, PATIENCE_MS);
}

bool fake_is_quiet(struct fake_broker *b)
{
	return !read_but_pings(b, 0);
}

struct wire_value fake_value(struct fake_broker *b, unsigned i)
{
	const uint8_t *at = b->frame.payload;
	size_t left = b->frame.payload_bytes;
	struct wire_value v = {0};

	do {
		assert_int_equal(wire_value_next(&at, &left, &v), 1);
	} while (i-- > 0);
	return v;
}

/* ---- greeting ----------------------------------------------------------------------------- */

static void put_welcome(struct fake_broker *b, struct buf *out)
{
	struct wire_welcome welcome = {.version = PROTOCOL_VERSION};

	welcome.broker = "fake 1";
	welcome.features = b->features;
	welcome.incarnation = 77;
	welcome.session_id = (struct wire_bytes){(const uint8_t *)"session", 7};
	welcome.session_secret = (struct wire_bytes){(const uint8_t *)"secret", 6};
	welcome.connection_epoch = b->epoch ? b->epoch : 1;
	welcome.resumed = b->epoch > 0;
	welcome.frames_received = b->epoch ? b->frames : 0;
	welcome.linger_ms = b->linger_ms;
	welcome.heartbeat_ms = b->heartbeat_ms;
	welcome.limits = b->limits;
	wire_encode(out, &(struct message){.kind = MESSAGE_WELCOME, .welcome = &welcome}, 0, 0);
}

/* The first part of it, of so many; 1: all. */
static void write_welcome(struct fake_broker *b, unsigned parts)
{
	struct buf out = {0};

	put_welcome(b, &out);
	fake_write_bytes(b, buf_data(&out), buf_len(&out) / parts);
	buf_fini(&out);
}

static void *greet(void *arg)
{
	struct fake_broker *b = arg;

	b->fd = accept(b->listener, NULL, NULL);
	if (b->greeting)
		fake_write_bytes(b, b->greeting, b->greeting_bytes);
	else
		write_welcome(b, 1);
	return NULL;
}

int fake_dial(struct fake_broker *b, const struct chan_dial_options *options,
	struct chan_client **ret_client)
{
	pthread_t thread;
	int rc;

	assert_int_equal(pthread_create(&thread, NULL, greet, b), 0);
	rc = chan_dial(b->url, options, ret_client);
	pthread_join(thread, NULL);
	return rc;
}

struct chan_client *fake_client(struct fake_broker *b)
{
	struct chan_client *c = NULL;

	assert_int_equal(fake_dial(b, NULL, &c), 0);
	fake_read(b, MESSAGE_HELLO);
	return c;
}

/* ---- coming back -------------------------------------------------------------------------- */

void fake_cut(struct fake_broker *b)
{
	close(b->fd);
	b->fd = -1;
	buf_fini(&b->in);
	b->taken = 0;
}

/* The next connection's HELLO, which must be of the session that there is. False: none came. */
static bool accept_hello(struct fake_broker *b)
{
	struct pollfd p = {.fd = b->listener, .events = POLLIN};
	const struct message *m = &b->m;

	if (poll(&p, 1, PATIENCE_MS) <= 0)
		return false;
	b->fd = accept(b->listener, NULL, NULL);
	if (!read_frame(b, PATIENCE_MS) || m->kind != MESSAGE_HELLO)
		return false;
	assert_int_equal(m->hello->session_id.len, 7);
	assert_memory_equal(m->hello->session_id.bytes, "session", 7);
	assert_memory_equal(m->hello->session_secret.bytes, "secret", 6);
	assert_int_equal(m->hello->incarnation, 77);
	assert_true(m->hello->connection_epoch > (b->epoch ? b->epoch : 1));
	b->epoch = m->hello->connection_epoch;
	b->frames_received = m->hello->frames_received;
	return true;
}

static void write_goaway(struct fake_broker *b, int status)
{
	struct message m = {.kind = MESSAGE_GOAWAY};

	m.goaway.status = status;
	m.goaway.message = "no such session";
	fake_write(b, &m, 0);
}

/* Refusals behind which a client may come once more. */
static bool is_asked_again(int status)
{
	return status == CHAN_ELIMIT || status == CHAN_EAUTH;
}

static void *play_resume(void *arg)
{
	struct fake_broker *b = arg;
	const struct fake_greeting *g = b->greetings;

	for (; accept_hello(b); g += g->answer != FAKE_LEAVES) {
		if (g->answer == FAKE_REFUSES)
			write_goaway(b, g->status);
		else if (g->answer != FAKE_DROPS)
			write_welcome(b, g->answer == FAKE_BREAKS ? 2 : 1);
		if (g->answer == FAKE_RESUMES)
			break;
		fake_cut(b);
		if (g->answer == FAKE_REFUSES && !is_asked_again(g->status))
			break;
	}
	return NULL;
}

void fake_resume_begin(struct fake_broker *b, const struct fake_greeting *greetings)
{
	b->greetings = greetings;
	assert_int_equal(pthread_create(&b->resuming, NULL, play_resume, b), 0);
}

void fake_resume_end(struct fake_broker *b)
{
	pthread_join(b->resuming, NULL);
}

int fake_resume(struct fake_broker *b, struct chan_client *c, const struct fake_greeting *greetings)
{
	struct pollfd p;
	int rc;

	fake_resume_begin(b, greetings);
	do {
		p.fd = chan_fd(c);
		p.events = chan_events(c);
		poll(&p, 1, PATIENCE_MS);
		rc = chan_process(c);
	} while (rc == 0 && !chan_connected(c));
	fake_resume_end(b);
	return rc;
}

/* ---- the client's side -------------------------------------------------------------------- */

struct chan *fake_open(struct fake_broker *b, struct chan_client *c, uint64_t seq, uint64_t id,
	enum chan_type type, int64_t capacity, const struct chan_end_options *options)
{
	struct message m = {.kind = MESSAGE_OPENED, .seq = seq};
	struct chan_open_options open_options = {0};
	struct chan *ch = NULL;

	if (options)
		open_options.end = *options;
	m.opened.channel = id;
	m.opened.name = "jobs";
	m.opened.type = type;
	m.opened.capacity = capacity;
	m.opened.direction = CHAN_BOTH;
	fake_write(b, &m, 0);
	assert_int_equal(chan_open(c, "jobs", CHAN_BOTH, &open_options, &ch), 0);
	assert_int_equal(fake_read(b, MESSAGE_OPEN)->seq, seq);
	return ch;
}

void fake_turn(struct chan_client *c)
{
	chan_events(c);
	chan_process(c);
}

struct chan_completion fake_completion(struct chan_client *c)
{
	struct chan_completion done;

	assert_int_equal(chan_next_completion(c, &done), 1);
	return done;
}

bool fake_no_completion(struct chan_client *c)
{
	struct chan_completion done;

	return chan_next_completion(c, &done) == 0;
}
