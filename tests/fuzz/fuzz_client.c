/*
 * fuzz_client.c - libchan with a hostile server: whatever that writes, no call crashes, leaks or
 * blocks for longer than its time, and all that the library writes follows the protocol.
 *
 * Input: a byte of options, the script's length in two bytes, the script (which calls the program
 * makes), and all the rest is what the server writes. Sequence numbers are known in advance, so the
 * server's bytes can hold answers to operations that come later.
 *
 * There is no socket, and no time but ours: dialling, poll, the clock and sleeping are replaced by
 * the linker (--wrap), and the library does without its thread. A session that the server lets
 * linger is resumed by dialling again, which the server's next bytes answer. What the server has
 * written comes a frame at a time, when the program lets it or waits for it; when nothing more is
 * to come, time passes, and who waits without a deadline finds the connection closed. A call that
 * waits in another way would hang here, and the fuzzer tells.
 */
#include "chan/chan.h"
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

/* ---- the world ---------------------------------------------------------------------------- */

enum option {
	OPTION_GREETED = 1,    /* a WELCOME comes before the server's bytes */
	OPTION_TIME_FIRST = 2, /* a wait with a deadline meets it before the server writes more */
	OPTION_SHORT_WRITES = 4,
	OPTION_CHOKED = 8, /* every other write takes nothing */
	OPTION_MANUAL = 16,
	OPTION_CREDIT = 32,
	OPTION_RAW = 64,
	OPTION_LINGERS = 128, /* the session is resumed whenever the connection is lost */
};

/* The connection's descriptor, which is none. */
#define WORLD_FD 1000000

/* Then the server is gone, so that a session that cannot be resumed ends. */
#define DIALS_MAX 64

/* Far above what any script needs: more turns are a call that does not end. */
#define TURNS_MAX 2000000u

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
} world;

static bool has_option(enum option o)
{
	return world.options & o;
}

static void take_turn(void)
{
	fuzz_require(++world.turns < TURNS_MAX);
}

/* Lets the next frame of the server come, or what is no frame. False: there is none. */
static bool let_frame_come(void)
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
	if (clock != CLOCK_MONOTONIC || !world.now_ns)
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
	if (waits && timeout_ms > 0 && (has_option(OPTION_TIME_FIRST) || !let_frame_come())) {
		world.now_ns += timeout_ms * INT64_C(1000000);
		fds->revents = 0;
		return 0;
	}
	if (waits && timeout_ms < 0)
		let_frame_come();
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
		let_frame_come();
	if (!world.allowed)
		return wait ? 0 : -EAGAIN;
	got = world.allowed < n ? world.allowed : n;
	memcpy(bytes, buf_data(&world.server), got);
	buf_consume(&world.server, got);
	world.allowed -= got;
	return (ssize_t)got;
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
	       kind != MESSAGE_SEEN;
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
	if (has_option(OPTION_CHOKED) && world.writes++ % 2)
		return -EAGAIN;
	if (has_option(OPTION_SHORT_WRITES) && n > 13)
		n = 13;
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

static const struct stream_ops world_ops = {
	.read = world_read,
	.write = world_write,
	.finish = world_finish,
	.wait_max = world_wait_max,
	.close = world_close,
};

/* Before what the server has still to write. */
static void put_welcome(bool resumed)
{
	struct message m = {.kind = MESSAGE_WELCOME};
	struct buf out = {0};

	m.welcome.version = PROTOCOL_VERSION;
	m.welcome.broker = "hostile";
	m.welcome.session_id = (struct wire_bytes){(const uint8_t *)"id", 2};
	m.welcome.connection_epoch = resumed ? world.dials : 1;
	m.welcome.resumed = resumed;
	m.welcome.frames_received = world.frames;
	m.welcome.linger_ms = has_option(OPTION_LINGERS) ? 30000 : 0;
	m.welcome.heartbeat_ms = 5000;
	m.welcome.limits = (struct wire_limits){
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
	fuzz_require(wire_encode(&out, &m, 0, 0) == 0);
	if (buf_len(&world.server) > 0)
		fuzz_require(buf_append(&out, buf_data(&world.server), buf_len(&world.server)) ==
			     0);
	buf_fini(&world.server);
	world.server = out;
	world.allowed = 0;
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
	if (world.dials++ > 0 && has_option(OPTION_LINGERS)) {
		world.frames -= world.frames % 3; /* some had not */
		put_welcome(true);
	}
	return 0;
}

/* ---- the program -------------------------------------------------------------------------- */

#define ENDS_MAX 4
#define OPS_MAX 16
#define HELD_MAX 8

struct pending {
	struct chan_op *op; /* NULL: none, or its completion was taken */
	struct chan *end;   /* that it is about; NULL: released meanwhile, or several */
	bool opens;         /* completes with a new end */
};

static struct {
	struct chan_client *client;
	struct chan *ends[ENDS_MAX];
	struct pending ops[OPS_MAX];
	struct chan_value held[HELD_MAX]; /* received and not confirmed, with their ends: */
	struct chan *held_by[HELD_MAX];
} program;

static uint32_t choose(uint32_t n)
{
	return fuzz_byte(&world.script, &world.script_left) % n;
}

static struct chan **any_end(void)
{
	return &program.ends[choose(ENDS_MAX)];
}

static const char *any_name(void)
{
	static const char *const names[] = {"jobs", "a", "not a name", ""};

	return names[choose(4)];
}

static int64_t any_timeout(void)
{
	static const int64_t timeouts[] = {CHAN_FOREVER, CHAN_TRY, 1000, 2000000000, INT64_MAX};

	return timeouts[choose(5)];
}

static struct chan_end_options end_options(void)
{
	bool leases = choose(2);

	return (struct chan_end_options){
		.credit = has_option(OPTION_CREDIT) ? 8 : 0,
		.manual = has_option(OPTION_MANUAL) && !leases,
		.lease_ns = leases ? 1000000000 : 0,
		.raw = has_option(OPTION_RAW),
	};
}

static char large[200000];

static struct chan_value any_value(void)
{
	switch (choose(8)) {
	case 0:
		return chan_value_int(7);
	case 1:
		return chan_value_float(0.5);
	case 2:
		return chan_value_bool(true);
	case 3:
		return chan_value_string("text", 4);
	case 4:
		return chan_value_bytes(large, sizeof(large));
	case 5:
		return chan_value_signal();
	case 6:
		return chan_value_chan(*any_end());
	default:
		return chan_value_raw("\1\0\0\0\0\0\0\0\7", 9);
	}
}

/* Keeps what was received by hand, or is done with it. */
static void keep(struct chan *ch, struct chan_value *v)
{
	for (int i = 0; i < HELD_MAX && ch && v->delivery; i++)
		if (!program.held_by[i]) {
			program.held[i] = *v;
			program.held_by[i] = ch;
			return;
		}
	chan_value_clear(v);
}

/* A free slot for an operation, which is its tag; NULL: there is none. */
static struct pending *free_slot(struct chan *end, bool opens)
{
	for (struct pending *p = program.ops; p < program.ops + OPS_MAX; p++)
		if (!p->op) {
			p->end = end;
			p->opens = opens;
			return p;
		}
	return NULL;
}

/* The new end has to go somewhere. */
static void keep_end(struct chan *end)
{
	for (int i = 0; i < ENDS_MAX && end; i++)
		if (!program.ends[i]) {
			program.ends[i] = end;
			return;
		}
	chan_release(end);
}

static void completed(struct chan_completion *done)
{
	struct pending *p = done->tag;

	fuzz_require(p >= program.ops && p < program.ops + OPS_MAX && p->op);
	p->op = NULL;
	fuzz_require(done->status >= 0 || (done->error && *done->error->text));
	if (p->opens)
		keep_end(done->chan);
	else
		keep(p->end, &done->value);
}

static void take_completions(void)
{
	struct chan_completion done;

	while (chan_next_completion(program.client, &done) > 0)
		completed(&done);
}

static void do_make(void)
{
	struct chan_make_options options = {.temporary = choose(2), .end = end_options()};
	struct pending *p = free_slot(NULL, true);

	if (p)
		chan_start_make(program.client, choose(4) ? any_name() : NULL,
			(enum chan_type)choose(10), (int64_t)choose(4) - 1, &options, p, &p->op);
}

static void do_open(void)
{
	struct chan_open_options options = {
		.wait_create = choose(2), .timeout_ns = choose(2), .end = end_options()};
	struct pending *p = free_slot(NULL, true);

	if (p)
		chan_start_open(program.client, any_name(), (enum chan_direction)choose(5),
			&options, p, &p->op);
}

static void do_open_now(void)
{
	struct chan_open_options options = {.end = end_options()};
	struct chan **end = any_end();

	if (!*end && chan_open(program.client, "jobs", CHAN_BOTH, &options, end) < 0)
		fuzz_require(*chan_error_text());
}

static void do_send(void)
{
	struct chan *ch = *any_end();
	struct chan_value values[3] = {any_value(), any_value(), any_value()};
	struct pending *p = free_slot(ch, false);

	if (ch && p)
		chan_start_send(ch, values, choose(4), any_timeout(), p, &p->op);
}

static void do_recv(void)
{
	struct chan *ch = *any_end();
	struct pending *p = free_slot(ch, false);

	if (ch && p)
		chan_start_recv(ch, any_timeout(), p, &p->op);
}

static size_t any_cases(struct chan_case cases[static 3])
{
	size_t n = choose(4);

	for (size_t i = 0; i < n; i++)
		cases[i] = (struct chan_case){.chan = *any_end(),
			.direction = (enum chan_direction)(1 + choose(2)),
			.value = any_value()};
	return n;
}

static void do_select(void)
{
	struct chan_case cases[3];
	size_t n = any_cases(cases);
	struct pending *p = free_slot(NULL, false);

	if (p)
		chan_start_select(program.client, cases, n, any_timeout(), p, &p->op);
}

static void do_select_now(void)
{
	struct chan_case cases[3];
	size_t n = any_cases(cases);
	int chosen = chan_select(program.client, cases, n, any_timeout());

	fuzz_require(chosen < (int)n);
	if (chosen >= 0 && cases[chosen].direction == CHAN_RECV && cases[chosen].result == 1)
		keep(cases[chosen].chan, &cases[chosen].value);
}

static void do_send_now(void)
{
	struct chan_value v = any_value();
	struct chan *ch = *any_end();

	if (ch)
		chan_send_timeout(ch, &v, any_timeout());
}

static void do_recv_now(void)
{
	struct chan *ch = *any_end();
	struct chan_value v;

	if (ch && chan_recv_timeout(ch, &v, any_timeout()) == 1)
		keep(ch, &v);
}

static void do_recv_many(void)
{
	struct chan *ch = *any_end();
	struct chan_value v[5];
	int n = ch ? chan_recvv(ch, v, 5, any_timeout()) : 0;

	fuzz_require(n <= 5);
	for (int i = 0; i < n; i++)
		keep(ch, &v[i]);
}

static void do_settle(void)
{
	uint32_t i = choose(HELD_MAX);
	int (*settle)(struct chan *, struct chan_value *, size_t) =
		choose(2) ? chan_confirm : chan_return;

	if (!program.held_by[i])
		return;
	settle(program.held_by[i], &program.held[i], 1);
	chan_value_clear(&program.held[i]);
	program.held_by[i] = NULL;
}

static void do_close(void)
{
	struct chan *ch = *any_end();
	struct pending *p = free_slot(ch, false);

	if (ch && p)
		chan_start_close(ch, choose(2) ? "done" : NULL, p, &p->op);
}

static void do_cancel(void)
{
	struct chan_op *op = program.ops[choose(OPS_MAX)].op;

	if (op)
		chan_op_cancel(op);
}

static void do_wait(void)
{
	struct chan_completion done;

	if (chan_wait_completion(program.client, &done, any_timeout()) == 1)
		completed(&done);
}

static void do_process(void)
{
	for (uint32_t n = choose(4); n > 0; n--)
		let_frame_come();
	chan_events(program.client);
	chan_process(program.client);
}

static int see_stat(const struct chan_stat *stat, void *arg)
{
	(void)arg;
	fuzz_require(memchr(stat->name, '\0', sizeof(stat->name)));
	return 0;
}

static int see_waiter(const struct chan_waiter *w, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < w->channel_count; i++)
		fuzz_require(w->channels[i]);
	return 0;
}

static void do_look(void)
{
	struct chan_stat stat;
	struct chan *ch = *any_end();

	switch (choose(6)) {
	case 0:
		chan_stat(program.client, "jobs", &stat);
		break;
	case 1:
		chan_list(program.client, "j", see_stat, NULL);
		break;
	case 2:
		chan_ps(program.client, see_waiter, NULL);
		break;
	case 3:
		chan_remove(program.client, "jobs");
		break;
	case 4:
		chan_ping(program.client, NULL);
		break;
	default:
		if (ch)
			chan_len(ch);
	}
}

/* No call may use the end any more. */
static void forget_end(const struct chan *end)
{
	for (int i = 0; i < OPS_MAX; i++)
		if (program.ops[i].end == end)
			program.ops[i].end = NULL;
	for (int i = 0; i < HELD_MAX; i++)
		if (end && program.held_by[i] == end) {
			chan_value_clear(&program.held[i]);
			program.held_by[i] = NULL;
		}
}

static void do_release(void)
{
	struct chan **end = any_end();

	forget_end(*end);
	chan_release(*end);
	*end = NULL;
}

static void do_time(void)
{
	world.now_ns += choose(2) ? INT64_C(1000000) : INT64_C(9000000000);
}

static void do_lose(void)
{
	world.lost = true;
}

static void do_abort(void)
{
	struct chan *ch = *any_end();
	struct pending *p = free_slot(ch, false);

	if (ch && p)
		chan_start_abort(ch, choose(2) ? "died" : NULL, p, &p->op);
}

/* With what may have been received under a lease. */
static void do_lease(void)
{
	uint32_t i = choose(HELD_MAX);
	struct chan *ch = program.held_by[i];

	if (!ch)
		return;
	chan_lease_lost(ch, &program.held[i]);
	switch (choose(3)) {
	case 0:
		chan_extend(ch, &program.held[i], 1, 1000000);
		return;
	case 1:
		chan_ack(ch, &program.held[i], 1);
		break;
	default:
		chan_nack(ch, &program.held[i], 1, choose(2));
	}
	chan_value_clear(&program.held[i]);
	program.held_by[i] = NULL;
}

static void (*const actions[])(void) = {do_make, do_open, do_open_now, do_send, do_recv, do_select,
	do_send_now, do_recv_now, do_recv_many, do_select_now, do_settle, do_close, do_cancel,
	do_wait, do_process, take_completions, do_look, do_release, do_time, do_lose, do_abort,
	do_lease};

#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

/* ---- the input ---------------------------------------------------------------------------- */

static void read_input(const uint8_t *bytes, size_t n)
{
	size_t script;

	memset(&world, 0, sizeof(world));
	memset(&program, 0, sizeof(program));
	world.now_ns = INT64_C(1000000000);
	world.options = fuzz_byte(&bytes, &n);
	script = fuzz_byte(&bytes, &n);
	script = script << 8 | fuzz_byte(&bytes, &n);
	world.script = bytes;
	world.script_left = script < n ? script : n;
	if (has_option(OPTION_GREETED))
		put_welcome(false);
	fuzz_require(
		buf_append(&world.server, bytes + world.script_left, n - world.script_left) == 0);
}

static void end_program(void)
{
	take_completions();
	for (int i = 0; i < ENDS_MAX; i++) {
		forget_end(program.ends[i]);
		chan_release(program.ends[i]);
	}
	chan_hangup(program.client);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct chan_dial_options options = {.no_keeper = true};

	read_input(bytes, n);
	options.linger_ns = has_option(OPTION_LINGERS) ? 0 : -1;
	if (chan_dial("unix:/hostile", &options, &program.client) == 0) {
		while (world.script_left > 0)
			actions[choose(ACTIONS)]();
		end_program();
	}
	buf_fini(&world.server);
	buf_fini(&world.written);
	world.now_ns = 0;
	return 0;
}
