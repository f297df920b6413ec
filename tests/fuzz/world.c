/*
 * world.c - time, the connection, and the server at its other end.
 */
#include "tests/fuzz/world.h"
#include "client/error.h"
#include "client/stream.h"
#include "proto/limits.h"
#include "proto/wire.h"
#include "tests/fuzz/fuzz.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

/* The connection's descriptor, which is none. */
#define WORLD_FD 1000000

/* Then the server is gone, so that a session that cannot be resumed ends. */
#define DIALS_MAX 64

/* Far above what any script needs: more turns are a call that does not end. */
#define TURNS_MAX 2000000u

/* Enough that what an operation was followed by does not hide it. */
#define RECEIVES_MAX 4
#define OTHERS_MAX 11

static struct {
	unsigned options;
	const uint8_t *script;
	size_t script_left;
	struct buf server; /* what it has written and the client not read */
	size_t allowed;    /* of it, what can be read without waiting */
	int64_t now_ns;
	unsigned turns, writes, dials;
	int64_t dials_since_ns;
	bool lost;          /* the connection, until the next is dialled */
	struct buf written; /* by the client: half a frame */
	uint64_t frames;    /* that the client has written and that count */
	uint64_t last_seq;

	/* Numbers of what it asked for latest, rings. */
	uint64_t receives[RECEIVES_MAX], others[OTHERS_MAX];
	size_t receive_count, other_count;
	uint64_t nonce;    /* of its last PING */
	uint64_t delivery; /* the last one that the script had said */
} world;

bool world_has(enum option o)
{
	return world.options & o;
}

bool world_goes_on(void)
{
	return world.script_left > 0;
}

void world_stop(void)
{
	world.script_left = 0;
}

uint32_t choose(uint32_t n)
{
	return fuzz_byte(&world.script, &world.script_left) % n;
}

void world_pass(int64_t ns)
{
	world.now_ns += ns;
}

void world_lose(void)
{
	world.lost = true;
}

static void take_turn(void)
{
	fuzz_require(++world.turns < TURNS_MAX);
}

bool world_let_come(void)
{
	struct buf *s = &world.server;
	struct frame f;
	long n;

	if (world.allowed == buf_len(s))
		return false;
	n = frame_parse(buf_data(s) + world.allowed, buf_len(s) - world.allowed, &f);
	world.allowed = n > 0 ? world.allowed + (size_t)n : buf_len(s);
	return true;
}

int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_pthread_cond_timedwait(
	pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *until);
int __wrap_stream_dial(struct stream *s, const struct url *url, int64_t deadline_ns);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	if ((clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE) || !world.now_ns)
		return __real_clock_gettime(clock, ret);
	take_turn();
	ret->tv_sec = world.now_ns / 1000000000;
	ret->tv_nsec = world.now_ns % 1000000000;
	return 0;
}

/* It can always be written, and read when something came; otherwise something comes or time passes.
 */
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	bool waits = timeout_ms != 0 && !(fds->events & POLLOUT) && !world.allowed;

	if (fds->fd != WORLD_FD) { /* only time is waited for */
		take_turn();
		world.now_ns += timeout_ms * INT64_C(1000000);
		return 0;
	}

	take_turn();
	fuzz_require(n == 1);
	if (waits && timeout_ms > 0 && (world_has(OPTION_TIME_FIRST) || !world_let_come())) {
		world.now_ns += timeout_ms * INT64_C(1000000);
		fds->revents = 0;
		return 0;
	}
	if (waits && timeout_ms < 0)
		world_let_come();
	fds->revents = (short)(fds->events & (world.allowed ? POLLIN | POLLOUT : POLLOUT));
	return fds->revents != 0;
}

/* Nobody wakes a program of one thread. */
int __wrap_pthread_cond_timedwait(
	pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *until)
{
	int64_t until_ns = until->tv_sec * INT64_C(1000000000) + until->tv_nsec;

	(void)cond;
	(void)lock;
	take_turn();
	world.now_ns = until_ns > world.now_ns ? until_ns : world.now_ns;
	return ETIMEDOUT;
}

/* ---- the connection ----------------------------------------------------------------------- */

static ssize_t world_read(struct stream *s, void *bytes, size_t n, bool wait)
{
	size_t got;

	(void)s;
	take_turn();
	if (world.lost)
		return 0;
	if (!world.allowed && wait)
		world_let_come();
	if (!world.allowed)
		return wait ? 0 : -EAGAIN;
	got = world.allowed < n ? world.allowed : n;
	memcpy(bytes, buf_data(&world.server), got);
	buf_consume(&world.server, got);
	world.allowed -= got;
	return (ssize_t)got;
}

/* What the server may answer, if the script has it do so. */
static void note_asked(const struct message *m)
{
	if (m->kind == MESSAGE_PING)
		world.nonce = m->ping.nonce;
	else if (m->kind == MESSAGE_RECV || m->kind == MESSAGE_SELECT)
		world.receives[world.receive_count++ % RECEIVES_MAX] = m->seq;
	else if (m->seq)
		world.others[world.other_count++ % OTHERS_MAX] = m->seq;
}

/* Numbers of operations rise. */
static void check_seq(const struct message *m)
{
	bool settles = m->kind == MESSAGE_TAKEN || m->kind == MESSAGE_RETURN;

	if (m->kind < MESSAGE_MAKE || m->kind == MESSAGE_GRANT || m->kind == MESSAGE_PIECE ||
		(settles && !m->seq))
		return;
	fuzz_require(m->seq > world.last_seq);
	world.last_seq = m->seq + (m->kind == MESSAGE_SEND ? m->send.count - 1 : 0);
}

static bool counts(enum message_kind kind)
{
	return kind != MESSAGE_HELLO && kind != MESSAGE_PING && kind != MESSAGE_PONG &&
	       kind != MESSAGE_SEEN && kind != MESSAGE_RING_ASK && kind != MESSAGE_RING_BEGIN &&
	       kind != MESSAGE_RING_DECLINE;
}

/* Takes the whole frames off what the client wrote. */
static void check_written(void)
{
	struct wire_scratch *scratch = wire_scratch_new();
	struct message m;
	struct frame f;
	long n;

	fuzz_require(scratch);
	while ((n = frame_parse(buf_data(&world.written), buf_len(&world.written), &f)) > 0) {
		wire_scratch_reset(scratch);
		fuzz_require(wire_decode(&f, scratch, &m) == 0);
		fuzz_require(message_kind_allowed(m.kind, true));
		check_seq(&m);
		note_asked(&m);
		world.frames += counts(m.kind);
		buf_consume(&world.written, (size_t)n);
	}
	fuzz_require(n == 0);
	wire_scratch_free(scratch);
}

static ssize_t world_write(struct stream *s, const void *bytes, size_t n)
{
	(void)s;
	take_turn();
	if (world.lost)
		return -EPIPE;
	if (world_has(OPTION_CHOKED) && world.writes++ % 2)
		return -EAGAIN;
	if (world_has(OPTION_SHORT_WRITES) && n > 13)
		n = 13 + (n - 13) / 64; /* a large value too is written long before TURNS_MAX */
	fuzz_require(buf_append(&world.written, bytes, n) == 0);
	check_written();
	return (ssize_t)n;
}

static void world_finish(struct stream *s)
{
	(void)s;
}

static void world_wait_max(struct stream *s, int64_t ns)
{
	(void)s;
	(void)ns;
}

static void world_close(struct stream *s)
{
	s->ops = NULL;
}

/* ---- rings ----
 *
 * An offer with an odd size cannot be used. Of the others only the agreement is played: bytes come
 * and go as before, so that the server says what it likes at any point of it.
 */

int __wrap_stream_expect_rings(struct stream *s);
int __wrap_stream_take_rings(struct stream *s, uint32_t ring_bytes, uint32_t larger_ring_bytes);
int __wrap_stream_take_larger_rings(struct stream *s);
void __wrap_stream_forgo_rings(struct stream *s);
void __wrap_stream_begin_ring_reading(struct stream *s);
void __wrap_stream_begin_ring_writing(struct stream *s);

int __wrap_stream_expect_rings(struct stream *s)
{
	(void)s;
	return 0;
}

int __wrap_stream_take_rings(struct stream *s, uint32_t ring_bytes, uint32_t larger_ring_bytes)
{
	(void)s, (void)larger_ring_bytes;
	return ring_bytes % 2 ? -EINVAL : 0;
}

int __wrap_stream_take_larger_rings(struct stream *s)
{
	(void)s;
	return 0;
}

void __wrap_stream_forgo_rings(struct stream *s)
{
	(void)s;
}

void __wrap_stream_begin_ring_reading(struct stream *s)
{
	(void)s;
}

/* Between two frames. */
void __wrap_stream_begin_ring_writing(struct stream *s)
{
	(void)s;
	fuzz_require(buf_len(&world.written) == 0);
}

static const struct stream_ops world_ops = {
	.read = world_read,
	.write = world_write,
	.finish = world_finish,
	.wait_max = world_wait_max,
	.close = world_close,
};

/* Puts a frame with so many bytes of payload before what the server has still to write, and behind
 * what has come already. */
static void put_next(const struct message *m, const struct buf *payload)
{
	struct buf *s = &world.server, out = {0};
	size_t payload_bytes = payload ? buf_len(payload) : 0;

	fuzz_require(buf_append(&out, buf_data(s), world.allowed) == 0);
	fuzz_require(wire_encode(&out, m, 0, (uint32_t)payload_bytes) == 0);
	if (payload_bytes > 0)
		fuzz_require(buf_append(&out, buf_data(payload), payload_bytes) == 0);
	fuzz_require(
		buf_append(&out, buf_data(s) + world.allowed, buf_len(s) - world.allowed) == 0);
	buf_fini(s);
	*s = out;
}

static void put_welcome(bool resumed)
{
	struct wire_welcome welcome = {.version = PROTOCOL_VERSION};

	welcome.broker = "hostile";
	welcome.session_id = (struct wire_bytes){(const uint8_t *)"id", 2};
	welcome.connection_epoch = resumed ? world.dials : 1;
	welcome.resumed = resumed;
	welcome.frames_received = world.frames;
	welcome.features = FEATURE_RINGS;
	welcome.linger_ms = world_has(OPTION_LINGERS) ? 30000 : 0;
	welcome.heartbeat_ms = 5000;
	welcome.limits = (struct wire_limits){
		.frame_header_bytes = FRAME_HEADER_BYTES_MAX,
		.frame_payload_bytes = FRAME_PAYLOAD_BYTES_MAX,
		.value_bytes = VALUE_BYTES_MAX_DEFAULT,
		.capacity = CAPACITY_MAX_DEFAULT,
		.select_cases = SELECT_CASES_MAX,
		.credit = CREDIT_MAX,
		.batch_values = BATCH_VALUES_MAX,
		.ops_in_flight = 10,
		.bytes_in_flight = 300000,
		.unseen_bytes = 100000,
	};
	world.allowed = 0;
	put_next(&(struct message){.kind = MESSAGE_WELCOME, .welcome = &welcome}, NULL);
}

/* Nobody dials again and again without a pause. */
static void check_dials(void)
{
	if (world.dials % 16 == 0)
		world.dials_since_ns = world.now_ns;
	else if (world.dials % 16 == 15)
		fuzz_require(world.now_ns - world.dials_since_ns >= 100000000 ||
			     buf_len(&world.server) > 0);
}

int __wrap_stream_dial(struct stream *s, const struct url *url, int64_t deadline_ns)
{
	(void)url;
	(void)deadline_ns;
	take_turn();
	check_dials();
	if (world.dials == DIALS_MAX)
		return error_say(CHAN_EUNREACHABLE, "dial: nobody is there any more");
	s->fd = WORLD_FD;
	s->ops = &world_ops;
	buf_consume(&world.written, buf_len(&world.written));
	world.last_seq = 0; /* what had not arrived is sent again */
	world.lost = false;
	if (world.dials++ > 0 && world_has(OPTION_LINGERS)) {
		world.frames -= world.frames % 3; /* some had not */
		put_welcome(true);
	}
	return 0;
}

/* ---- what the script has the server say ---------------------------------------------------- */

/* One of what was asked for, or what will be next. */
static uint64_t any_asked(void)
{
	uint32_t i = choose(RECEIVES_MAX + OTHERS_MAX + 1);

	if (i < RECEIVES_MAX)
		return world.receives[i];
	i -= RECEIVES_MAX;
	return i < OTHERS_MAX ? world.others[i] : world.last_seq + 1;
}

void world_say_opened(void)
{
	struct message m = {.kind = MESSAGE_OPENED, .seq = any_asked()};

	m.opened.channel = 1 + choose(2);
	m.opened.name = "jobs";
	m.opened.type = 1 + choose(8);
	m.opened.capacity = choose(3);
	m.opened.direction = 1 + choose(3);
	put_next(&m, NULL);
}

void world_say_outcome(void)
{
	static const int statuses[] = {CHAN_ECLOSED, CHAN_ECANCELED, CHAN_EGONE, CHAN_ETIMEDOUT,
		CHAN_EABORTED, CHAN_EREMOVED};
	struct message m = {.kind = MESSAGE_DONE, .seq = any_asked()};
	uint32_t i = choose(7);

	if (i < 6) {
		m.kind = MESSAGE_FAIL;
		m.fail.status = statuses[i];
		m.fail.count = 1;
	} else {
		m.done.count = 1 + choose(3);
	}
	put_next(&m, NULL);
}

/* Values of some type or none, small ones and such as have a pack of their own. */
static void put_value(struct buf *payload)
{
	static const uint32_t sizes[] = {8, 0, 1, 30, 700, 3000};
	static const char bytes[3000] = {1};
	uint32_t size = sizes[choose(6)];

	fuzz_require(wire_value_put_prefix(payload, size, 1 + choose(2), choose(2)) == 0);
	fuzz_require(buf_append(payload, bytes, size) == 0);
}

void world_say_values(void)
{
	uint32_t receive = choose(RECEIVES_MAX + 1);
	struct message m = {.kind = MESSAGE_DELIVER};
	struct buf payload = {0};

	m.seq = receive < RECEIVES_MAX ? world.receives[receive] : world.last_seq + 1;
	m.deliver.delivery = world.delivery + 1;
	m.deliver.channel = 1 + choose(2);
	m.deliver.case_index = choose(2);
	m.deliver.count = 1 + choose(8);
	for (uint32_t i = 0; i < m.deliver.count; i++)
		put_value(&payload);
	m.deliver.payload_bytes = buf_len(&payload);
	world.delivery += m.deliver.count;
	put_next(&m, &payload);
	buf_fini(&payload);
}

void world_say_gone(void)
{
	struct wire_range range = {.count = 1 + choose(4)};
	struct message m = {.kind = MESSAGE_GONE};

	range.first = world.delivery - choose(8);
	m.settle.deliveries = (struct wire_ranges){&range, 1};
	put_next(&m, NULL);
}

void world_say_pong(void)
{
	struct message m = {.kind = MESSAGE_PONG, .ping = {.nonce = world.nonce}};

	put_next(&m, NULL);
}

/* ---- an input ------------------------------------------------------------------------------ */

void world_begin(const uint8_t *bytes, size_t n)
{
	size_t script;

	memset(&world, 0, sizeof(world));
	world.now_ns = INT64_C(1000000000);
	world.options = fuzz_byte(&bytes, &n);
	script = fuzz_byte(&bytes, &n);
	script = script << 8 | fuzz_byte(&bytes, &n);
	world.script = bytes;
	world.script_left = script < n ? script : n;
	fuzz_require(
		buf_append(&world.server, bytes + world.script_left, n - world.script_left) == 0);
	if (world_has(OPTION_GREETED))
		put_welcome(false);
}

void world_end(void)
{
	buf_fini(&world.server);
	buf_fini(&world.written);
	world.now_ns = 0;
}
