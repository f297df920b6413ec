#include "server/broker/connection.h"

#include "chan/status.h"
#include "proto/limits.h"
#include "server/base/clock.h"
#include "server/broker/batch.h"
#include "server/broker/broker.h"
#include "server/broker/buffers.h"
#include "server/broker/session.h"
#include "server/broker/writer.h"
#include "server/runtime/runtime.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* How long to wait for memory where there is no other way out. */
#define MEMORY_REST_NS (10 * NS_PER_MS)

/* Reads of a client that sends without end, after which others get their turn. */
#define READS_MAX 4

static void connection_read(void *arg);
static void write_chain(struct connection *chain);

/* ---- life --------------------------------------------------------------------------------- */

/* Both timers end what they watch by shutting the socket down, which starts the reader. */
static void read_timer_fired(void *arg)
{
	struct connection *c = arg;

	atomic_store(&c->impatient, true);
	stream_shutdown(c->stream, SHUT_RD);
}

static void close_timer_fired(void *arg)
{
	stream_shutdown(((struct connection *)arg)->stream, SHUT_RDWR);
}

struct connection *connection_new(struct broker *broker, struct stream *stream)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (!c) {
		stream_free(stream);
		return NULL;
	}
	c->broker = broker;
	c->stream = stream;
	list_init(&c->link);
	lock_init(&c->lock, LOCK_RANK_OUTER);
	timer_init(&c->read_timer, read_timer_fired, c);
	timer_init(&c->close_timer, close_timer_fired, c);
	atomic_init(&c->refs, 1);
	atomic_init(&c->heard_ns, clock_now_ns());
	return c;
}

struct connection *connection_ref(struct connection *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

bool connection_try_ref(struct connection *c)
{
	unsigned int refs = atomic_load(&c->refs);

	while (refs && !atomic_compare_exchange_weak(&c->refs, &refs, refs + 1))
		;
	return refs != 0;
}

void connection_unref(struct connection *c)
{
	if (atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	timer_stop(&c->read_timer);
	timer_stop(&c->close_timer);
	stream_free(c->stream);
	outbox_free_list(c->queue_head);
	buffer_give(&c->in);
	buf_fini(&c->control);
	buf_fini(&c->farewell);
	broker_connection_gone(c->broker, c);
	free(c);
}

/* Starts the read timer, for as long as the reader rests. */
static void be_patient(struct connection *c, int64_t span_ns)
{
	if (c->patient)
		return;
	c->patient = true;
	timer_start(&c->read_timer, clock_deadline_ns(span_ns));
}

static void stop_patience(struct connection *c)
{
	if (!c->patient)
		return;
	timer_stop(&c->read_timer);
	c->patient = false;
}

void connection_start(struct connection *c, int64_t hello_timeout_ns)
{
	be_patient(c, hello_timeout_ns);
	stream_on_readable(c->stream, connection_read, c);
}

void connection_refuse(struct connection *c, int status, const char *text)
{
	c->state = CONNECTION_DISCARDING;
	connection_close(c, status, text);
	stream_on_readable(c->stream, connection_read, c);
}

/* ---- writing ------------------------------------------------------------------------------ */

/* What the caller, who holds c->lock, has to do once it has released it: start the writer? */
static bool claim_writer(struct connection *c)
{
	if (c->writing || c->broken)
		return false;
	c->writing = true;
	connection_ref(c);
	return true;
}

/* Throws the queue away; what was in it is returned, to be freed without the lock. */
static struct outbox *break_queue(struct connection *c)
{
	struct outbox *list = c->queue_head;

	c->broken = true;
	c->queue_head = c->queue_tail = NULL;
	buf_consume(&c->control, buf_len(&c->control));
	buf_consume(&c->farewell, buf_len(&c->farewell));
	c->queued_bytes = 0;
	return list;
}

void connection_cut(struct connection *c)
{
	struct outbox *list;

	lock_acquire(&c->lock);
	list = break_queue(c);
	lock_release(&c->lock);
	outbox_free_list(list);
	stream_shutdown(c->stream, SHUT_RDWR);
}

/* Without memory for a writer the connection that it was for ends; a reader that rests sees that. */
static void give_up_writing(struct connection *c)
{
	bool resting;

	connection_cut(c);
	lock_acquire(&c->lock);
	c->writing = false;
	resting = c->reader_resting;
	c->reader_resting = false;
	lock_release(&c->lock);
	if (resting)
		stream_on_readable(c->stream, connection_read, c);
	connection_unref(c);
}

void connection_start_writers(struct connection *chain)
{
	struct connection *next;

	if (!chain || go(write_chain, chain) == 0)
		return;
	for (; chain; chain = next) {
		next = chain->next_writing;
		give_up_writing(chain);
	}
}

static void start_writer(struct connection *c)
{
	c->next_writing = NULL;
	connection_start_writers(c);
}

size_t connection_queue(struct connection *c, struct outbox *answers, struct connection **chain)
{
	size_t bytes = answers->bytes;
	bool start;

	lock_acquire(&c->lock);
	if (c->broken || c->closing) {
		lock_release(&c->lock);
		outbox_free(answers);
		return 0;
	}
	if (c->queue_tail)
		c->queue_tail->next = answers;
	else
		c->queue_head = answers;
	c->queue_tail = answers;
	c->queued_bytes += bytes;
	start = claim_writer(c);
	lock_release(&c->lock);
	if (!start)
		return 0;
	c->next_writing = *chain;
	*chain = c;
	return bytes;
}

/* Queues a frame ahead of all answers. 0 or CHAN_ENOMEM. */
static int queue_control(struct connection *c, const struct message *m)
{
	bool start = false;
	size_t before;
	int rc = 0;

	lock_acquire(&c->lock);
	if (!c->broken && !c->closing) {
		before = buf_len(&c->control);
		rc = wire_encode(&c->control, m, 0, 0);
		c->queued_bytes += buf_len(&c->control) - before;
		start = rc == 0 && claim_writer(c);
	}
	lock_release(&c->lock);
	if (start)
		start_writer(c);
	return rc;
}

void connection_close(struct connection *c, int status, const char *text)
{
	struct message m = {.kind = MESSAGE_GOAWAY};
	struct buf farewell = {0};
	bool start;

	m.goaway.status = status;
	m.goaway.message = text ? text : "";
	m.goaway.redirect_url = "";
	if (status)
		wire_encode(&farewell, &m, 0, 0); /* without memory it ends without a word */

	lock_acquire(&c->lock);
	if (c->closing || c->broken) {
		lock_release(&c->lock);
		buf_fini(&farewell);
		return;
	}
	c->closing = true;
	c->farewell = farewell;
	c->queued_bytes += buf_len(&farewell);
	start = claim_writer(c);
	lock_release(&c->lock);

	timer_start(&c->close_timer, clock_deadline_ns(CONNECTION_LINGER_NS));
	if (start)
		start_writer(c);
}

bool connection_busy(struct connection *c)
{
	bool busy;

	lock_acquire(&c->lock);
	busy = c->writing;
	lock_release(&c->lock);
	return busy;
}

/*
 * Moves what is queued to the writer, or ends the writing where nothing is: false then, and c is
 * still the caller's to look at by the writer's reference. `written` bytes have left since.
 */
static bool take_queue(struct connection *c, struct writer *w, struct buf *control, size_t written,
	bool *ret_start_reader)
{
	bool go_on = true;

	lock_acquire(&c->lock);
	if (!c->broken)
		c->queued_bytes -= written;
	writer_add(w, c->queue_head);
	c->queue_head = c->queue_tail = NULL;
	*control = c->control;
	c->control = (struct buf){0};
	if (c->closing && !buf_len(control) && writer_idle(w)) {
		buf_fini(control);
		*control = c->farewell;
		c->farewell = (struct buf){0};
	}
	if (!buf_len(control) && writer_idle(w)) {
		c->writing = false;
		go_on = false;
	}
	*ret_start_reader = c->reader_resting &&
			    (c->broken || c->queued_bytes < CONNECTION_QUEUED_BYTES_MAX / 2);
	if (*ret_start_reader)
		c->reader_resting = false;
	lock_release(&c->lock);
	return go_on;
}

/* Has another goroutine go on with the others of the chain, since this one may stay long. */
static void pass_on(struct connection **others)
{
	connection_start_writers(*others);
	*others = NULL;
}

/* Writes all of it; while it has to wait, nobody waits for it. */
static int write_patiently(
	struct connection *c, struct iovec *iov, int count, struct connection **others)
{
	int rc = stream_write_now(c->stream, &iov, &count);

	if (rc != -EAGAIN)
		return rc;
	pass_on(others);
	return stream_write_all(c->stream, iov, count, broker_options(c->broker)->stall_ns);
}

/* Writes one round. *ret_written: bytes of the queue that have left. 0, or why c is broken. */
static int write_round(struct connection *c, struct writer *w, struct buf *control,
	struct connection **others, size_t *ret_written)
{
	size_t control_bytes = buf_len(control);
	int n, rc;

	rc = control_bytes ? writer_put_control(w, control) : 0;
	buf_fini(control);
	if (rc < 0)
		return -ENOMEM;
	n = writer_fill(w);
	if (n < 0)
		return -ENOMEM;
	rc = write_patiently(c, w->iov, n, others);
	if (rc < 0)
		return rc;
	*ret_written = control_bytes + writer_written(w);
	return 0;
}

static void start_reader(struct connection *c)
{
	while (go(connection_read, c) < 0)
		go_sleep(MEMORY_REST_NS);
}

/* Writes what is queued until nothing is; the others of the chain wait for one round of it. */
static void write_queue(struct connection *c, struct connection **others)
{
	struct buf control;
	struct writer w;
	size_t written = 0;
	bool read, closing, first = true;

	writer_init(&w);
	w.round = buffer_take();
	while (take_queue(c, &w, &control, written, &read)) {
		if (read)
			start_reader(c);
		if (!first)
			pass_on(others);
		first = false;
		written = 0;
		if (write_round(c, &w, &control, others, &written) < 0) {
			connection_cut(c);
			writer_fini(&w);
			writer_init(&w);
		}
	}
	if (read)
		start_reader(c);
	buf_fini(&control); /* empty, but a queue that was broken leaves its memory in it */
	buffer_give(&w.round);
	writer_fini(&w);

	lock_acquire(&c->lock);
	closing = c->closing && !c->writing;
	lock_release(&c->lock);
	if (closing)
		stream_finish(c->stream);
	connection_unref(c);
}

/* The writing goroutine: of one connection, or of several that have little to write. */
static void write_chain(struct connection *c)
{
	struct connection *others;

	for (; c; c = others) {
		others = c->next_writing;
		write_queue(c, &others);
	}
}

/* ---- reading ------------------------------------------------------------------------------ */

/* One turn of the reader: the frames of one read, and the batch that they make. */
struct turn {
	struct connection *c;
	struct batch *batch;      /* NULL until there is an operation */
	char why[TEXT_BYTES_MAX]; /* of a breach; not set for want of memory */
};

/* The turn's batch; NULL: out of memory. */
static struct batch *turn_batch(struct turn *t)
{
	if (!t->batch)
		t->batch = batch_new(t->c->session);
	return t->batch;
}

static void hand_over(struct turn *t)
{
	struct batch *b = t->batch;

	t->batch = NULL;
	if (!b)
		return;
	if (b->count)
		broker_submit(t->c->broker, b);
	else
		batch_free(b);
}

/*
 * The session ends: with GOAWAY for a breach (status not 0), or without (BYE, or the peer is gone).
 * The session cannot stay for want of memory, so this waits for some.
 */
static void end_session(struct turn *t, int status)
{
	struct batch_op *op;

	while (!turn_batch(t) || !(op = batch_add(t->batch)))
		go_sleep(MEMORY_REST_NS);
	op->m.kind = status ? MESSAGE_GOAWAY : MESSAGE_BYE;
	if (status) {
		op->m.goaway.status = status;
		op->m.goaway.message = batch_printf(t->batch, "%s", t->why);
	}
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

/* Answers the HELLO: ahead of everything, so that it is the first frame that the client sees. */
static int welcome(struct connection *c)
{
	struct message m;

	broker_fill_welcome(c->broker, c->session, &m);
	return queue_control(c, &m);
}

static int on_hello(struct turn *t, const struct frame *f)
{
	struct connection *c = t->c;
	struct session *s;
	struct batch_op *op;
	int rc;

	if (c->state != CONNECTION_GREETING) {
		snprintf(t->why, sizeof(t->why), "a second HELLO");
		return CHAN_EPROTOCOL;
	}
	s = session_new(c->broker, c);
	if (!s)
		return CHAN_ENOMEM;
	t->batch = batch_new(s);
	op = t->batch ? batch_add(t->batch) : NULL;
	rc = op ? wire_decode(f, t->batch->scratch, &op->m) : CHAN_ENOMEM;
	if (rc == CHAN_EPROTOCOL)
		wire_explain(f, t->why, sizeof(t->why));
	if (rc == 0)
		rc = broker_check_hello(c->broker, &op->m, t->why, sizeof(t->why));
	if (rc < 0) {
		batch_free(t->batch);
		t->batch = NULL;
		session_free(s);
		return rc;
	}
	c->session = s;
	c->state = CONNECTION_TALKING;
	return welcome(c);
}

/* A PONG goes ahead of all answers. But to a client that may have been taken for lost it has to
 * follow the GONE that says so, and goes through the broker's goroutine. */
static int on_ping(struct turn *t, const struct frame *f)
{
	struct batch *b = turn_batch(t);
	struct batch_op *op;
	struct message m;
	int rc = b ? wire_decode(f, b->scratch, &m) : CHAN_ENOMEM;

	if (rc == CHAN_EPROTOCOL)
		wire_explain(f, t->why, sizeof(t->why));
	if (rc < 0)
		return rc;
	m.kind = MESSAGE_PONG;
	m.ping.frames_received = 0;
	if (clock_now_ns() >= t->c->silent_until_ns)
		return queue_control(t->c, &m);
	op = batch_add(b);
	if (!op)
		return CHAN_ENOMEM;
	op->m = m;
	return 0;
}

static int on_pong(struct turn *t, const struct frame *f)
{
	(void)t; /* a sign of life, which reading it was */
	(void)f;
	return 0;
}

static int on_bye(struct turn *t, const struct frame *f)
{
	(void)f;
	end_session(t, 0);
	return 0;
}

static int on_operation(struct turn *t, const struct frame *f)
{
	struct batch *b = turn_batch(t);

	if (b && (f->kind == MESSAGE_LIST || f->kind == MESSAGE_PS))
		b->pages++;
	return b ? session_frame(t->c->session, b, f, t->why, sizeof(t->why)) : CHAN_ENOMEM;
}

static int handle_frame(struct turn *t, const struct frame *f)
{
	static int (*const handlers[256])(struct turn *, const struct frame *) = {
		[MESSAGE_HELLO] = on_hello,
		[MESSAGE_BYE] = on_bye,
		[MESSAGE_PING] = on_ping,
		[MESSAGE_PONG] = on_pong,
		[MESSAGE_SEEN] = on_pong,
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

/* Whether the reader has to rest until what is queued has been written; the writer then starts it.
 */
static bool must_rest(struct connection *c)
{
	bool rest;

	lock_acquire(&c->lock);
	rest = c->writing && !c->broken && c->queued_bytes > CONNECTION_QUEUED_BYTES_MAX;
	c->reader_resting = rest;
	lock_release(&c->lock);
	return rest;
}

/* Handles all whole frames that were read. False: the reader rests, c is not to be touched. */
static bool handle_input(struct connection *c)
{
	struct turn t;
	struct frame f;
	long n = 0;
	int rc;

	t.c = c;
	t.batch = NULL;
	while (c->state != CONNECTION_DISCARDING && buf_len(&c->in)) {
		n = frame_parse(buf_data(&c->in), buf_len(&c->in), &f);
		if (n == 0)
			break;
		if (n < 0) {
			frame_explain(buf_data(&c->in), buf_len(&c->in), t.why, sizeof(t.why));
			breach(&t, CHAN_EPROTOCOL);
			break;
		}
		stop_patience(c);
		rc = handle_frame(&t, &f);
		buf_consume(&c->in, (size_t)n);
		if (rc < 0)
			breach(&t, rc);
		if (t.batch && batch_is_full(t.batch)) {
			hand_over(&t);
			if (must_rest(c))
				return false;
		}
	}
	hand_over(&t);
	if (c->state == CONNECTION_DISCARDING)
		buf_consume(&c->in, buf_len(&c->in));
	return !must_rest(c);
}

/* Notes a sign of life. One that comes so late that the broker may be taking deliveries back counts
 * as silence for so much longer that the broker will have done so: see on_ping. */
static void hear(struct connection *c)
{
	int64_t now_ns = clock_now_ns(), late_ns = broker_options(c->broker)->silence_ns / 2;
	int64_t heard_ns = atomic_exchange_explicit(&c->heard_ns, now_ns, memory_order_relaxed);

	if (now_ns - heard_ns >= late_ns)
		c->silent_until_ns = now_ns + late_ns;
}

/* Reads once. Bytes, 0 at the end, -EAGAIN, or another -errno. */
static ssize_t read_more(struct connection *c)
{
	ssize_t n;

	if (!c->in.bytes)
		c->in = buffer_take();
	if (buf_reserve(&c->in, BUFFER_BYTES) < 0)
		return -ENOMEM;
	n = stream_read(c->stream, c->in.bytes + c->in.end, BUFFER_BYTES);
	if (n <= 0)
		return n;
	c->in.end += (size_t)n;
	hear(c);
	return n;
}

/* Before an idle time: gives the buffer back, but for half a frame, which may not stay for ever. */
static void shed_buffer(struct connection *c)
{
	struct buf half = {0};

	if (!buf_len(&c->in)) {
		buffer_give(&c->in);
		return;
	}
	if (buf_append(&half, buf_data(&c->in), buf_len(&c->in)) == 0) {
		buffer_give(&c->in);
		c->in = half;
	}
	be_patient(c, CONNECTION_HALF_FRAME_NS);
}

/* The stream has ended, by the peer or by us. */
static void ended(struct connection *c)
{
	struct turn t = {.c = c};

	if (c->session && atomic_load(&c->impatient)) {
		snprintf(t.why, sizeof(t.why), "half a frame, and not the rest of it within %d s",
			(int)(CONNECTION_HALF_FRAME_NS / NS_PER_S));
		end_session(&t, CHAN_EPROTOCOL);
	} else if (c->session) {
		end_session(&t, 0);
	} else if (atomic_load(&c->impatient)) {
		connection_close(c, CHAN_ETIMEDOUT, "no HELLO came in time");
	}
	connection_unref(c);
}

/* The reading goroutine. */
static void connection_read(void *arg)
{
	struct connection *c = arg;
	unsigned int reads = 0;
	ssize_t n;

	do {
		if (!handle_input(c))
			return;
		n = read_more(c);
		if (++reads % READS_MAX == 0)
			go_yield();
	} while (n > 0);
	if (n == -EAGAIN) {
		shed_buffer(c);
		stream_on_readable(c->stream, connection_read, c);
		return;
	}
	ended(c);
}
