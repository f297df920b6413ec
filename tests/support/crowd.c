#include "tests/support/crowd.h"

#include "chan/status.h"
#include "tests/support/daemon.h"
#include "tests/support/peer.h"
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* How often meanwhile() runs, and how long who cannot write is waited for. */
#define MEANWHILE_MS 50
#define TURN_MS 5

/* What one of the crowd writes before the next has its turn. */
#define TURN_WRITES 4

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- connecting --------------------------------------------------------------------------- */

static void crowd_begin(struct crowd *c, int count)
{
	c->count = count;
	c->list = calloc((size_t)count, sizeof(*c->list));
	c->scratch = wire_scratch_new();
	assert_true(c->list && c->scratch);
}

void crowd_connect(struct crowd *c, const char *url, int count)
{
	struct peer p;

	crowd_begin(c, count);
	for (int i = 0; i < count; i++) {
		peer_connect(&p, url);
		c->list[i] = (struct attacker){.index = i, .fd = p.fd};
		p.fd = -1;
		peer_drop(&p);
	}
}

void crowd_dial(struct crowd *c, const char *url, int count)
{
	struct peer p;

	crowd_begin(c, count);
	for (int i = 0; i < count; i++) {
		peer_dial(&p, url);
		c->list[i] = (struct attacker){.index = i, .fd = p.fd, .seq = p.seq};
		p.fd = -1;
		peer_drop(&p);
	}
}

static void hang_up(struct attacker *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	buf_fini(&a->out);
	buf_fini(&a->in);
}

void crowd_drop(struct crowd *c)
{
	for (int i = 0; i < c->count; i++)
		hang_up(&c->list[i]);
	free(c->list);
	wire_scratch_free(c->scratch);
	c->list = NULL;
	c->scratch = NULL;
	c->count = 0;
}

/* ---- saying ------------------------------------------------------------------------------- */

void attacker_say(
	struct attacker *a, const struct message *m, uint8_t flags, const void *payload, size_t n)
{
	assert_int_equal(wire_encode(&a->out, m, flags, (uint32_t)n), 0);
	assert_int_equal(buf_append(&a->out, payload, n), 0);
}

void attacker_send(struct attacker *a, uint64_t channel, size_t n)
{
	struct message m = {.kind = MESSAGE_SEND, .seq = ++a->seq};
	struct buf payload = {0};

	assert_int_equal(wire_value_put_prefix(&payload, n, 1, 0), 0);
	assert_int_equal(buf_reserve(&payload, n), 0);
	memset(payload.bytes + payload.end, 'x', n);
	payload.end += n;
	m.send.channel = channel;
	m.send.count = 1;
	m.send.payload_bytes = buf_len(&payload);
	attacker_say(a, &m, 0, buf_data(&payload), buf_len(&payload));
	buf_fini(&payload);
}

static void ended(struct crowd *c, struct attacker *a)
{
	hang_up(a);
	c->ended++;
}

/* Writes what can be written now. False: nothing could, or there is nothing. */
static bool say(struct crowd *c, struct attacker *a)
{
	ssize_t n;

	if (a->fd < 0)
		return false;
	if (buf_len(&a->out) == 0 && c->say)
		c->say(a);
	if (buf_len(&a->out) == 0)
		return false;
	n = send(a->fd, buf_data(&a->out), buf_len(&a->out), MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		buf_consume(&a->out, (size_t)n);
	else if (errno != EAGAIN && c->deaf)
		ended(c, a);
	return n > 0;
}

/* ---- hearing ------------------------------------------------------------------------------ */

static void note_limit(struct crowd *c, int status, const char *text)
{
	if (status != CHAN_ELIMIT)
		return;
	c->limits++;
	c->ceilings += strstr(text, "memory_max") != NULL;
}

static void note(struct crowd *c, struct attacker *a, const struct frame *f)
{
	struct message m;

	c->answers++;
	wire_scratch_reset(c->scratch);
	assert_int_equal(wire_decode(f, c->scratch, &m), 0);
	if (m.kind == MESSAGE_OPENED || m.kind == MESSAGE_FAIL)
		a->waits = false;
	if (m.kind == MESSAGE_OPENED)
		a->channel = m.opened.channel;
	else if (m.kind == MESSAGE_DELIVER)
		c->delivered += m.deliver.count;
	else if (m.kind == MESSAGE_FAIL)
		note_limit(c, m.fail.status, m.fail.message);
	else if (m.kind == MESSAGE_GOAWAY)
		note_limit(c, m.goaway.status, m.goaway.message);
}

/* Reads what can be read now. False: nothing could. */
static bool hear(struct crowd *c, struct attacker *a)
{
	struct frame f;
	ssize_t got;
	long n;

	if (a->fd < 0 || c->deaf)
		return false;
	assert_int_equal(buf_reserve(&a->in, 65536), 0);
	got = recv(a->fd, a->in.bytes + a->in.end, 65536, MSG_DONTWAIT);
	if (got < 0 && errno == EAGAIN)
		return false;
	if (got <= 0) {
		ended(c, a);
		return false;
	}
	a->in.end += (size_t)got;
	while (buf_len(&a->in) && (n = frame_parse(buf_data(&a->in), buf_len(&a->in), &f)) > 0) {
		note(c, a, &f);
		buf_consume(&a->in, (size_t)n);
	}
	return true;
}

/* ---- attacking ---------------------------------------------------------------------------- */

/* Whether any of them could say or hear something. */
static bool turn(struct crowd *c)
{
	bool moved = false;

	for (int i = 0; i < c->count; i++) {
		for (int k = 0; k < TURN_WRITES && say(c, &c->list[i]); k++)
			moved = true;
		moved |= hear(c, &c->list[i]);
	}
	return moved;
}

/* Whether something is still to be said, or will be. */
static bool has_more(const struct crowd *c)
{
	for (int i = 0; i < c->count; i++) {
		const struct attacker *a = &c->list[i];

		if (a->fd >= 0 && (buf_len(&a->out) > 0 || a->waits))
			return true;
	}
	return false;
}

void crowd_attack(struct crowd *c, int ms, void (*meanwhile)(void))
{
	int64_t end_ms = now_ms() + ms, next_ms = 0;

	while (now_ms() < end_ms && c->ended < c->count) {
		bool moved = turn(c);

		if (now_ms() >= next_ms) {
			meanwhile();
			next_ms = now_ms() + MEANWHILE_MS;
		}
		if (!moved && !has_more(c) && c->say)
			break;
		if (!moved)
			poll(NULL, 0, TURN_MS);
	}
	meanwhile();
}
