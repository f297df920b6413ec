/*
 * reading.c - what comes from a client: frames, batches of operations, and the end.
 */
#include "server/broker/connection.h"

#include "chan/status.h"
#include "proto/limits.h"
#include "server/base/clock.h"
#include "server/base/memory.h"
#include "server/broker/batch.h"
#include "server/broker/broker.h"
#include "server/broker/buffers.h"
#include "server/broker/gate.h"
#include "server/broker/session.h"
#include "server/runtime/runtime.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Reads of a client that sends without end, after which others get their turn. */
#define READS_MAX 4

static struct gate gate;

int connection_init(void)
{
	return gate.wakeups ? 0 : gate_init(&gate, CONNECTION_READERS_TIGHT);
}

static void patience_ended(void *arg)
{
	struct connection *c = arg;

	atomic_store(&c->impatient, true);
	stream_shutdown(c->stream, SHUT_RD);
}

/* Waits so long at most for what is to come, the reader resting. A timer is made for it: few wait
 * so, and those that are idle need none. 0 or CHAN_ENOMEM. */
static int be_patient(struct connection *c, int64_t span_ns)
{
	if (c->patience)
		return 0;
	c->patience = malloc(sizeof(*c->patience));
	if (!c->patience)
		return CHAN_ENOMEM;
	timer_init(c->patience, patience_ended, c);
	timer_start(c->patience, clock_deadline_ns(span_ns));
	return 0;
}

void connection_stop_patience(struct connection *c)
{
	if (!c->patience)
		return;
	timer_stop(c->patience);
	free(c->patience);
	c->patience = NULL;
}

void connection_start(struct connection *c, int64_t hello_timeout_ns)
{
	if (be_patient(c, hello_timeout_ns) < 0)
		connection_cut(c);
	stream_on_readable(c->stream, connection_read, c);
}

/* One turn of the reader: the frames of one read, and the batch that they make. */
struct turn {
	struct connection *c;
	struct batch *batch;      /* NULL until there is an operation */
	struct connection *chain; /* what is to be written then */
	int64_t read_ns;          /* the time of the last read; 0: there was none */
	bool submitted;           /* the broker was given something since then */
	bool drained;             /* the last read is taken for all there was */
	char why[TEXT_BYTES_MAX]; /* of a breach; not set for want of memory */
};

/* The turn's batch; NULL: out of memory. */
static struct batch *turn_batch(struct turn *t)
{
	if (!t->batch)
		t->batch = batch_new(t->c->session);
	return t->batch;
}

/* Has others write what there is to write, so that it does not wait for this reader. */
static void pass_chain_on(struct turn *t)
{
	connection_start_writers(t->chain);
	t->chain = NULL;
}

/* One more operation, where there is no way without it: waits for memory, of which what is to be
 * written may hold all there is. */
static struct batch_op *must_add(struct turn *t)
{
	struct batch_op *op;

	while (!turn_batch(t) || !(op = batch_add(t->batch))) {
		pass_chain_on(t);
		go_sleep(MEMORY_REST_NS);
	}
	return op;
}

static void hand_over(struct turn *t)
{
	struct batch *b = t->batch;

	t->batch = NULL;
	if (!b)
		return;
	if (!b->count) {
		batch_free(b);
		return;
	}
	b->read_ns = t->read_ns;
	broker_submit(t->c->broker, b, &t->chain);
	t->submitted = true;
}

/*
 * The session ends: with GOAWAY for a breach (status not 0), or without (BYE, or the peer is gone).
 * The session cannot stay for want of memory, so this waits for some.
 */
static void end_session(struct turn *t, int status)
{
	struct batch_op *op = must_add(t);

	op->what = BATCH_END;
	op->m.kind = MESSAGE_GOAWAY;
	op->m.goaway.status = status;
	if (status)
		op->m.goaway.message = batch_printf(t->batch, "%s", t->why);
	hand_over(t);
	t->c->session = NULL;
	t->c->state = CONNECTION_DISCARDING;
}

/* The peer broke the protocol, or a bound, or there is no memory for it. */
static void breach(struct turn *t, int status)
{
	if (status == CHAN_ENOMEM)
		snprintf(t->why, sizeof(t->why), "the broker is out of memory");
	if (t->c->session) {
		end_session(t, status);
		return;
	}
	t->c->state = CONNECTION_DISCARDING;
	connection_close(t->c, status, t->why);
}

/* ---- the greeting --------------------------------------------------------------------------- */

/* A new session; the WELCOME goes ahead of everything, so that it is the first frame that the
 * client sees. */
static int begin_session(struct turn *t, const struct wire_hello *hello)
{
	struct connection *c = t->c;
	struct session *s = session_new(c->broker, c, hello->linger_ms);
	struct wire_welcome welcome;
	struct message m = {.kind = MESSAGE_WELCOME, .welcome = &welcome};

	if (!s)
		return CHAN_ENOMEM;
	t->batch->session = c->session = s;
	t->batch->ops[0].what = BATCH_BEGIN;
	c->state = CONNECTION_TALKING;
	broker_fill_welcome(c->broker, s, c, &welcome);
	return connection_say(c, &m, &t->chain);
}

/* The broker knows the session, if there is one; until it answers the reader rests. */
static int ask_for_session(struct turn *t)
{
	t->batch->connection = t->c;
	t->batch->ops[0].what = BATCH_RESUME;
	t->c->state = CONNECTION_RESUMING;
	return 0;
}

static int on_hello(struct turn *t, const struct frame *f)
{
	struct connection *c = t->c;
	struct batch *b;
	struct batch_op *op;
	int rc;

	if (c->state != CONNECTION_GREETING) {
		snprintf(t->why, sizeof(t->why), "a second HELLO");
		return CHAN_EPROTOCOL;
	}
	b = turn_batch(t);
	op = b ? batch_add(b) : NULL;
	rc = op ? wire_decode(f, b->scratch, &op->m) : CHAN_ENOMEM;
	if (rc == CHAN_EPROTOCOL)
		wire_explain(f, t->why, sizeof(t->why));
	if (rc == 0)
		rc = broker_check_hello(c->broker, c, op->m.hello, t->why, sizeof(t->why));
	if (rc == 0)
		connection_grant_rings(c, op->m.hello->features);
	if (rc == 0)
		rc = op->m.hello->session_id.len ? ask_for_session(t)
						 : begin_session(t, op->m.hello);
	if (rc < 0 && !c->session) {
		batch_free(t->batch);
		t->batch = NULL;
	}
	return rc;
}

/* ---- the other frames ------------------------------------------------------------------------ */

/* The client says how many frames it has. */
static int note_seen(struct turn *t, const struct message *m)
{
	if (connection_seen(t->c, m->ping.frames_received) == 0)
		return 0;
	snprintf(t->why, sizeof(t->why), "%s says that more frames have come than were sent",
		message_kind_name((int)m->kind));
	return CHAN_EPROTOCOL;
}

/* A PONG goes ahead of all answers. But to a client that may have been taken for lost, or has come
 * back, it has to follow the GONE that says so, and goes through the broker. */
static int on_ping(struct turn *t, const struct frame *f)
{
	struct batch *b = turn_batch(t);
	struct batch_op *op;
	struct message m;
	int rc = b ? wire_decode(f, b->scratch, &m) : CHAN_ENOMEM;

	if (rc == CHAN_EPROTOCOL)
		wire_explain(f, t->why, sizeof(t->why));
	if (rc == 0)
		rc = note_seen(t, &m);
	if (rc < 0)
		return rc;
	m.kind = MESSAGE_PONG;
	m.ping.frames_received = t->c->session->frames_received;
	if (clock_now_ns() >= t->c->silent_until_ns && !atomic_load(&t->c->catching_up))
		return connection_say(t->c, &m, &t->chain);
	op = batch_add(b);
	if (!op)
		return CHAN_ENOMEM;
	op->what = BATCH_ANSWER;
	op->m = m;
	return 0;
}

/* PONG and SEEN. A sign of life they are by being read. */
static int on_seen(struct turn *t, const struct frame *f)
{
	struct batch *b = turn_batch(t);
	struct message m;
	int rc = b ? wire_decode(f, b->scratch, &m) : CHAN_ENOMEM;

	if (rc == CHAN_EPROTOCOL)
		wire_explain(f, t->why, sizeof(t->why));
	return rc < 0 ? rc : note_seen(t, &m);
}

static int on_bye(struct turn *t, const struct frame *f)
{
	(void)f;
	end_session(t, 0);
	return 0;
}

/* What has come and will stand; the writer tells the client of it now and then. */
static void count_frame(struct turn *t, const struct frame *f)
{
	struct connection *c = t->c;
	struct session *s = c->session;

	s->frames_received++;
	s->unsaid_bytes += FRAME_PREFIX_BYTES + f->header_bytes + f->payload_bytes;
	if (!c->outgoing || s->unsaid_bytes < SEEN_RIDES_BYTES(c->outgoing->unseen_bytes_max))
		return;
	connection_mention(c, s->frames_received, s->unsaid_bytes, &t->chain);
	s->unsaid_bytes = 0;
}

static int on_ring_ask(struct turn *t, const struct frame *f)
{
	(void)f;
	return connection_ask_rings(t->c, &t->chain, t->why, sizeof(t->why));
}

/* The rest comes by the ring; what came by the socket last is no word about that. */
static int on_ring_begin(struct turn *t, const struct frame *f)
{
	bool last = buf_len(&t->c->in) ==
		    FRAME_PREFIX_BYTES + (size_t)f->header_bytes + f->payload_bytes;

	t->drained = false;
	atomic_store_explicit(&t->c->unsure, false, memory_order_relaxed);
	return connection_begin_rings(t->c, last, &t->chain, t->why, sizeof(t->why));
}

static int on_ring_decline(struct turn *t, const struct frame *f)
{
	(void)f;
	return connection_drop_rings(t->c, &t->chain, t->why, sizeof(t->why));
}

static int on_operation(struct turn *t, const struct frame *f)
{
	struct batch *b = turn_batch(t);
	int rc;

	if (!b)
		return CHAN_ENOMEM;
	if (f->kind == MESSAGE_LIST || f->kind == MESSAGE_PS)
		b->pages++;
	rc = session_frame(t->c->session, b, f, t->why, sizeof(t->why));
	if (rc == 0)
		count_frame(t, f);
	return rc;
}

static int handle_frame(struct turn *t, const struct frame *f)
{
	static int (*const handlers[256])(struct turn *, const struct frame *) = {
		[MESSAGE_HELLO] = on_hello,
		[MESSAGE_BYE] = on_bye,
		[MESSAGE_PING] = on_ping,
		[MESSAGE_PONG] = on_seen,
		[MESSAGE_SEEN] = on_seen,
		[MESSAGE_RING_ASK] = on_ring_ask,
		[MESSAGE_RING_BEGIN] = on_ring_begin,
		[MESSAGE_RING_DECLINE] = on_ring_decline,
	};

	if (!message_kind_allowed(f->kind, true)) {
		snprintf(t->why, sizeof(t->why), "a client may not send frames of kind %u (%s)",
			f->kind, message_kind_name(f->kind));
		return CHAN_EPROTOCOL;
	}
	if (t->c->state == CONNECTION_GREETING && f->kind != MESSAGE_HELLO) {
		snprintf(t->why, sizeof(t->why), "%s before HELLO", message_kind_name(f->kind));
		return CHAN_EPROTOCOL;
	}
	return (handlers[f->kind] ? handlers[f->kind] : on_operation)(t, f);
}

/* Hands over what the broker must have before anything else. False: the reader rests, c is not to
 * be touched. */
static bool hand_hello_over(struct turn *t)
{
	struct connection *c = connection_ref(t->c); /* from here on the broker has it */

	hand_over(t);
	connection_unref(c);
	return false;
}

/* Handles all whole frames that were read. False: the reader rests, c is not to be touched. */
static bool handle_input(struct turn *t)
{
	struct connection *c = t->c;
	struct frame f;
	long n = 0;
	int rc;

	while (c->state != CONNECTION_DISCARDING && buf_len(&c->in) && !atomic_load(&c->cut)) {
		n = frame_parse(buf_data(&c->in), buf_len(&c->in), &f);
		if (n == 0)
			break;
		if (n < 0) {
			frame_explain(buf_data(&c->in), buf_len(&c->in), t->why, sizeof(t->why));
			breach(t, CHAN_EPROTOCOL);
			break;
		}
		connection_stop_patience(c);
		rc = handle_frame(t, &f);
		buf_consume(&c->in, (size_t)n);
		if (rc < 0)
			breach(t, rc);
		if (c->state == CONNECTION_RESUMING)
			return hand_hello_over(t);
		if (t->batch && batch_is_full(t->batch)) {
			hand_over(t);
			if (connection_must_rest(c))
				return false;
		}
	}
	hand_over(t);
	if (c->state == CONNECTION_DISCARDING)
		buf_consume(&c->in, buf_len(&c->in));
	return !connection_must_rest(c);
}

/* Tells the broker something about the client that is no frame, at its place among those. */
static void report(struct turn *t, enum batch_what what)
{
	must_add(t)->what = what;
	hand_over(t);
}

/* Notes a sign of life, and looks at memory, as reading is what takes it. One that comes so late
 * that the broker may be taking deliveries back counts as silence for so much longer that the
 * broker will have done so: see on_ping. */
static void hear(struct turn *t)
{
	struct connection *c = t->c;
	int64_t now_ns = clock_now_ns(), late_ns = broker_options(c->broker)->silence_ns / 2;
	int64_t heard_ns = atomic_load_explicit(&c->heard_ns, memory_order_relaxed);

	atomic_store_explicit(&c->heard_ns, now_ns, memory_order_relaxed); /* by the reader alone */
	t->read_ns = now_ns;
	memory_look(now_ns);
	if (now_ns - heard_ns < late_ns)
		return;
	c->silent_until_ns = now_ns + late_ns;
	if (c->state == CONNECTION_TALKING)
		report(t, BATCH_HEARD);
}

_Static_assert(FRAME_BYTES_MAX < BUFFER_BYTES / 2, "there is room behind half a frame");

/* Reads once, into the room that a buffer has behind half a frame: with room for a whole read it
 * would be twice as large from then on. Bytes, 0 at the end, -EAGAIN, or another -errno. */
static ssize_t read_more(struct turn *t)
{
	struct connection *c = t->c;
	size_t room;
	ssize_t n;

	if (atomic_load(&c->cut))
		return -ECONNABORTED;
	if (!c->in.bytes)
		c->in = buffer_take();
	room = BUFFER_BYTES - buf_len(&c->in);
	if (buf_reserve(&c->in, room) < 0)
		return -ENOMEM;
	n = stream_read(c->stream, c->in.bytes + c->in.end, room);
	if (n <= 0)
		return n;
	c->in.end += (uint32_t)n;
	t->drained = stream_is_drained(c->stream, (size_t)n, room);
	t->submitted = false; /* who is believed must have the broker look again (watch.c) */
	atomic_store_explicit(&c->unsure, t->drained, memory_order_relaxed); /* before the turn that tells */
	hear(t);
	return n;
}

/* There is no memory to keep half a frame in (CHAN_ELIMIT: too little is left): whose it is, ends. */
static void refuse_half(struct turn *t, int status)
{
	struct connection *c = t->c;

	snprintf(t->why, sizeof(t->why),
		"the broker's memory is near its ceiling (memory_max), and there is none for half "
		"a frame; try again later");
	buf_consume(&c->in, buf_len(&c->in));
	buffer_give(&c->in);
	breach(t, status);
}

/* Before an idle time: gives the buffer back, but for half a frame, which may not stay for ever. */
static void shed_buffer(struct turn *t)
{
	struct connection *c = t->c;
	struct buf half = {0};

	if (!buf_len(&c->in)) {
		buffer_give(&c->in);
		return;
	}
	if (memory_level() >= MEMORY_SCARCE &&
		buf_len(&c->in) > CONNECTION_HALF_FRAME_BYTES_SCARCE) {
		refuse_half(t, CHAN_ELIMIT);
		return;
	}
	if (buf_append(&half, buf_data(&c->in), buf_len(&c->in)) == 0) {
		buffer_give(&c->in);
		c->in = half;
	}
	if (be_patient(c, CONNECTION_HALF_FRAME_NS) < 0)
		refuse_half(t, CHAN_ENOMEM);
}

/*
 * The client has shut its sending side down. Whether it still reads a Unix socket tells, once it
 * does not; TCP only when something is written to it, so that it gets PING now and then.
 */
static void half_closed(struct turn *t)
{
	struct connection *c = t->c;
	struct stream_peer peer;

	if (c->state == CONNECTION_TALKING) {
		stream_peer(c->stream, &peer);
		c->probed = peer.kind != STREAM_UNIX;
		c->state = CONNECTION_HALF;
		report(t, BATCH_HALF);
	}
	stream_on_readable(c->stream, connection_read, c);
}

/* The stream has ended, by the peer or by us; in_order: by the peer, as it means to. */
static void ended(struct turn *t, bool in_order)
{
	struct connection *c = t->c;

	buffer_give(&c->in); /* now, as c stays until the broker has heard of it */
	if (in_order && c->session && !c->outgoing && !atomic_load(&c->impatient) &&
		!stream_gone(c->stream)) {
		half_closed(t);
		return;
	}
	if (c->session && c->outgoing) {
		connection_let_go(c);
	} else if (c->session && atomic_load(&c->impatient)) {
		snprintf(t->why, sizeof(t->why), "half a frame, and not the rest of it within %d s",
			(int)(CONNECTION_HALF_FRAME_NS / NS_PER_S));
		end_session(t, CHAN_EPROTOCOL);
	} else if (c->session) {
		end_session(t, 0);
	} else if (atomic_load(&c->impatient)) {
		connection_close(c, CHAN_ETIMEDOUT, "no HELLO came in time");
	}
	connection_unref(c);
}

/*
 * Reads and handles all there is: until a read finds nothing, or brought less than it could. The
 * latter is believed where the broker has taken a turn, since that sees to it that the connection is
 * read once more when it has become quiet; it spares a system call in most turns.
 * 0 at the end of the stream, -EAGAIN, or another -errno; 1: the reader rests.
 */
static ssize_t read_all(struct turn *t)
{
	unsigned int reads = 0;
	ssize_t n;

	for (;;) {
		if (!handle_input(t))
			return 1;
		if (t->drained && t->submitted)
			return -EAGAIN;
		n = read_more(t);
		if (n <= 0)
			return n;
		pass_chain_on(t); /* what there is to write does not wait until all is read */
		if (++reads % READS_MAX == 0)
			go_yield();
	}
}

/* One run of the reader; afterwards the connection is not to be touched. */
static void run(struct turn *t)
{
	struct connection *c = t->c;
	ssize_t n = read_all(t);

	if (n == -EAGAIN) {
		shed_buffer(t);
		stream_on_readable(c->stream, connection_read, c);
	} else if (n <= 0) {
		ended(t, n == 0);
	}
}

/*
 * The reading goroutine. Once it has read all, connection and broker may be gone. Then it writes
 * what its turns brought about, but for what others write already: by now it is nobody's reader,
 * and may wait for whoever it writes to. Those that have become ready meanwhile come first, so
 * that what they bring about for the same client leaves with it.
 */
void connection_read(void *arg)
{
	bool counted = gate_enter(&gate);
	struct turn t;

	t.c = arg;
	t.batch = NULL;
	t.chain = NULL;
	t.read_ns = 0;
	t.submitted = t.drained = false;
	run(&t);
	gate_leave(&gate, counted);
	if (!t.chain)
		return;
	go_yield();
	connection_write(t.chain);
}
