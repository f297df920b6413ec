/*
 * writing.c - a connection's queue, and the goroutine that writes it.
 */
#include "server/broker/connection.h"

#include "chan/status.h"
#include "proto/limits.h"
#include "server/base/clock.h"
#include "server/base/memory.h"
#include "server/broker/broker.h"
#include "server/broker/buffers.h"
#include "server/broker/writer.h"
#include "server/runtime/runtime.h"
#include <errno.h>
#include <sys/socket.h>

static void write_alone(void *arg)
{
	connection_write(arg);
}

/* ---- the queue ------------------------------------------------------------------------------ */

bool connection_claim_writer(struct connection *c)
{
	if (c->writing || c->broken)
		return false;
	if (c->stalled)
		timer_stop(c->ending);
	c->stalled = false;
	c->writing = true;
	connection_ref(c);
	return true;
}

/* Under the lock, as all that changes it: a plain store is enough. */
static void set_queued_bytes(struct connection *c, size_t n)
{
	atomic_store_explicit(&c->queued_bytes, n, memory_order_relaxed);
}

static size_t queued_bytes(const struct connection *c)
{
	return atomic_load_explicit(&c->queued_bytes, memory_order_relaxed);
}

/* Throws the queue away; what was in it is returned, to be freed without the lock. What a session
 * that lingers has queued stays for its next connection. */
static struct outbox *break_queue(struct connection *c)
{
	struct outbox *list = NULL;

	c->broken = true;
	buf_consume(&c->control, buf_len(&c->control));
	buf_consume(&c->farewell, buf_len(&c->farewell));
	if (!c->outgoing) {
		list = c->queue_head;
		c->queue_head = c->queue_tail = NULL;
	}
	set_queued_bytes(c, 0);
	return list;
}

void connection_cut(struct connection *c)
{
	struct outbox *list;

	atomic_store(&c->cut, true);
	lock_acquire(&c->lock);
	list = break_queue(c);
	lock_release(&c->lock);
	outbox_free_list(list);
	stream_shutdown(c->stream, SHUT_RDWR);
}

/* Without memory for a goroutine the poller starts it, one a connection, as soon as there is. */
void connection_start_writers(struct connection *chain)
{
	struct connection *next;

	if (!chain || go(connection_write, chain) == 0)
		return;
	for (; chain; chain = next) {
		next = chain->next_writing;
		chain->next_writing = NULL;
		stream_on_writable(chain->stream, write_alone, chain);
	}
}

static void start_writer(struct connection *c)
{
	c->next_writing = NULL;
	connection_start_writers(c);
}

size_t connection_queue(struct connection *c, struct outbox *answers, struct connection **chain)
{
	size_t bytes = answers->bytes, cost = outbox_cost(answers);
	bool start;

	lock_acquire(&c->lock);
	if (c->closing || (c->broken && !c->outgoing)) {
		lock_release(&c->lock);
		outbox_free(answers);
		return 0;
	}
	if (c->queue_tail)
		c->queue_tail->next = answers;
	else
		c->queue_head = answers;
	c->queue_tail = answers;
	set_queued_bytes(c, queued_bytes(c) + cost);
	start = !c->stalled && connection_claim_writer(c);
	lock_release(&c->lock);
	if (!start)
		return 0;
	connection_join_chain(c, chain);
	return bytes;
}

int connection_say(struct connection *c, const struct message *m, struct connection **chain)
{
	bool start = false;
	size_t before;
	int rc = 0;

	lock_acquire(&c->lock);
	if (!c->broken && !c->closing) {
		before = buf_len(&c->control);
		rc = wire_encode(&c->control, m, 0, 0);
		set_queued_bytes(c, queued_bytes(c) + buf_len(&c->control) - before);
		start = rc == 0 && connection_claim_writer(c);
	}
	lock_release(&c->lock);
	if (start)
		connection_join_chain(c, chain);
	return rc;
}

/* Whether the client has to be told what came of it: an eighth of what it may keep by itself, and
 * whatever has been mentioned with what else is written. A connection that ends says no more of it. */
static bool seen_is_due(const struct connection *c, bool writes)
{
	size_t due_bytes = writes ? 1 : SEEN_EVERY_BYTES(c->outgoing->unseen_bytes_max);

	return !c->closing && c->unsaid_bytes >= due_bytes;
}

void connection_mention(
	struct connection *c, uint64_t frames, size_t bytes, struct connection **chain)
{
	bool start;

	lock_acquire(&c->lock);
	c->frames_received = frames;
	c->unsaid_bytes += bytes;
	start = seen_is_due(c, false) && connection_claim_writer(c);
	lock_release(&c->lock);
	if (start)
		connection_join_chain(c, chain);
}

/* Whether a writer should run only because of what was confirmed: it waits for that, or there is
 * much to drop. Little is dropped when it next runs. */
static bool seen_matters(const struct connection *c)
{
	return c->stalled ||
	       (!c->writing && c->outgoing->replay.bytes >=
				       SEEN_EVERY_BYTES(c->outgoing->unseen_bytes_max));
}

int connection_seen(struct connection *c, uint64_t frames)
{
	bool start;

	if (!c->outgoing)
		return 0;
	if (replay_seen(&c->outgoing->replay, frames) < 0)
		return CHAN_EPROTOCOL;
	lock_acquire(&c->lock);
	start = seen_matters(c) && connection_claim_writer(c);
	lock_release(&c->lock);
	if (start)
		start_writer(c);
	return 0;
}

void connection_close(struct connection *c, int status, const char *text)
{
	struct message m = {.kind = MESSAGE_GOAWAY};
	struct buf farewell = {0};
	bool start, in_time;

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
	set_queued_bytes(c, queued_bytes(c) + buf_len(&farewell));
	start = connection_claim_writer(c);
	in_time = connection_end_after(c, CONNECTION_LINGER_NS);
	lock_release(&c->lock);

	if (!in_time)
		connection_cut(c);
	if (start)
		start_writer(c);
}

bool connection_busy(struct connection *c)
{
	bool busy;

	lock_acquire(&c->lock);
	busy = c->writing || c->stalled;
	lock_release(&c->lock);
	return busy;
}

/* What may be queued while the reader reads on. */
static size_t queued_bytes_max(void)
{
	return memory_level() == MEMORY_FREE ? CONNECTION_QUEUED_BYTES_MAX
					     : CONNECTION_QUEUED_BYTES_TIGHT;
}

/* The reader asks before and after each read, and hardly ever is there so much: then it needs no lock,
 * as reader_resting is not set while it runs. */
bool connection_must_rest(struct connection *c)
{
	size_t max = queued_bytes_max();
	bool rest, too_much;

	if (queued_bytes(c) <= max)
		return false;
	lock_acquire(&c->lock);
	rest = c->writing && !c->broken && queued_bytes(c) > max;
	too_much = c->stalled && queued_bytes(c) > 2 * CONNECTION_QUEUED_BYTES_MAX;
	c->reader_resting = rest;
	lock_release(&c->lock);
	if (too_much)
		connection_cut(c);
	return rest;
}

/* ---- the writer ----------------------------------------------------------------------------- */

/* One run of the writing goroutine for one connection. */
struct run {
	struct connection *c;
	struct connection *others; /* of the chain, who wait for one round of this */
	struct writer w;
	struct writer_todo own; /* what there is to do, where no session keeps it */
	struct buf control;     /* to be written next */
	uint64_t seen;          /* and behind it, by SEEN: so many frames came; 0: nothing */
	enum rings_step step;   /* to be done before */
	size_t written;         /* bytes of the queue that the last round wrote */
	bool start_reader, detach, finish, cut;
};

/* How many frames the client is to be told of now; 0: of none. */
static uint64_t take_seen(struct connection *c, bool writes)
{
	if (!c->outgoing || !seen_is_due(c, writes))
		return 0;
	c->unsaid_bytes = 0;
	return c->frames_received;
}

/* Takes what may be written now. False: nothing. */
static bool take_work(struct run *r)
{
	struct connection *c = r->c;
	bool behind = c->outgoing && replay_behind(&c->outgoing->replay);
	bool may_fill = !c->outgoing || outgoing_may_fill(c->outgoing);
	bool idle;

	if (may_fill) {
		writer_todo_add(r->w.todo, c->queue_head);
		c->queue_head = c->queue_tail = NULL;
	}
	r->step = c->rings_step;
	c->rings_step = RINGS_STEP_NONE;
	idle = !behind && (!may_fill || writer_idle(&r->w));
	r->control = c->control;
	c->control = (struct buf){0};
	if (c->closing && idle && !buf_len(&r->control)) {
		buf_fini(&r->control);
		r->control = c->farewell;
		c->farewell = (struct buf){0};
	}
	r->seen = take_seen(c, !idle || buf_len(&r->control));
	if (!idle || buf_len(&r->control) || r->seen || r->step != RINGS_STEP_NONE)
		return true;
	c->stalled = !may_fill && !c->closing && (c->queue_head || !writer_idle(&r->w));
	if (!c->stalled) {
		if (atomic_load_explicit(&c->catching_up, memory_order_relaxed))
			atomic_store(&c->catching_up, false);
	} else if (!connection_end_after(c, broker_options(c->broker)->stall_ns)) {
		c->stalled = false;
		r->cut = true;
	}
	return false;
}

/* What is to be written next; or ends the writing where nothing is: false then, and c is still the
 * caller's to look at by the writer's reference. */
static bool take_queue(struct run *r)
{
	struct connection *c = r->c;
	bool go_on;

	if (c->outgoing)
		replay_drop_seen(&c->outgoing->replay);
	lock_acquire(&c->lock);
	if (!c->broken)
		set_queued_bytes(c, queued_bytes(c) - r->written);
	r->written = 0;
	go_on = c->writing = !c->broken && take_work(r);
	r->detach = !go_on && c->reader_ended;
	r->finish = !go_on && c->closing;
	/* A writer that ends starts it in any case: nobody else would. */
	r->start_reader = c->reader_resting && (!go_on || queued_bytes(c) < queued_bytes_max() / 2);
	if (r->start_reader)
		c->reader_resting = false;
	lock_release(&c->lock);
	return go_on;
}

/* Has another goroutine go on with the others of the chain, since this one may stay long. */
static void pass_on(struct run *r)
{
	connection_start_writers(r->others);
	r->others = NULL;
}

/* Writes all of it; while it has to wait, nobody waits for it. */
static int write_patiently(struct run *r, struct iovec *iov, int count)
{
	struct connection *c = r->c;
	int rc = stream_write_now(c->stream, &iov, &count);

	if (rc != -EAGAIN)
		return rc;
	pass_on(r);
	return stream_write_all(c->stream, iov, count, broker_options(c->broker)->stall_ns);
}

/* New frames, kept before they leave. Elements of w.iov, or CHAN_ENOMEM. */
static int fill_new(struct run *r)
{
	struct outgoing *o = r->c->outgoing;
	int n = writer_fill(&r->w);

	if (n > 0 && o && writer_keep(&r->w, &o->replay) < 0)
		n = CHAN_ENOMEM;
	if (n < 0 && o)
		o->failed = true;
	return n;
}

/* 0 or CHAN_ENOMEM. */
static int put_seen(struct run *r)
{
	struct message m = {.kind = MESSAGE_SEEN};
	struct buf frame = {0};
	int rc;

	if (!r->seen)
		return 0;
	m.ping.frames_received = r->seen;
	rc = wire_encode(&frame, &m, 0, 0);
	if (rc == 0)
		rc = writer_put_control(&r->w, &frame);
	buf_fini(&frame);
	return rc;
}

/* A round: control frames, then those that are to be sent again, or new ones. */
static int fill_round(struct run *r)
{
	struct outgoing *o = r->c->outgoing;
	int n;

	if (buf_len(&r->control) && writer_put_control(&r->w, &r->control) < 0)
		return CHAN_ENOMEM;
	if (put_seen(r) < 0)
		return CHAN_ENOMEM;
	if (!o || outgoing_may_fill(o))
		return fill_new(r);
	n = writer_round(&r->w);
	return n + replay_fill(&o->replay, r->w.iov + n, WRITER_IOV_MAX - n, WRITER_ROUND_BYTES);
}

/* A few times in a connection's life, and it may take long. */
static int take_step(struct run *r)
{
	if (r->step == RINGS_STEP_NONE)
		return 0;
	pass_on(r);
	return connection_take_rings_step(r->c, r->step);
}

/* Writes one round. 0, or why c is broken. */
static int write_round(struct run *r)
{
	size_t control_bytes = buf_len(&r->control);
	int rc = take_step(r), n;

	if (rc < 0)
		return rc;
	n = fill_round(r);
	buf_fini(&r->control);
	if (n < 0)
		return -ENOMEM;
	rc = write_patiently(r, r->w.iov, n);
	if (rc < 0)
		return rc;
	r->written = control_bytes + writer_written(&r->w);
	return 0;
}

/* Without memory it waits for some, and nobody waits for it meanwhile. */
static void start_reader(struct run *r)
{
	while (go(connection_read, r->c) < 0) {
		pass_on(r);
		go_sleep(MEMORY_REST_NS);
	}
}

static void run_rounds(struct run *r)
{
	bool first = true;

	while (take_queue(r)) {
		if (r->start_reader)
			start_reader(r);
		if (!first)
			pass_on(r);
		first = false;
		if (write_round(r) < 0)
			connection_cut(r->c);
	}
	if (r->start_reader)
		start_reader(r);
}

/* What follows from the end of the writing. */
static void end_writing(struct run *r)
{
	if (r->detach) {
		pass_on(r); /* it may wait for memory, or for its place at the helm */
		connection_detach(r->c);
	}
	if (r->finish)
		stream_finish(r->c->stream);
	if (r->cut)
		connection_cut(r->c);
	connection_unref(r->c);
}

/* Writes what is queued until nothing is; *round is an empty buffer before and after. Returns the
 * others of the chain, unless it passed them on. */
static struct connection *write_queue(struct connection *c, struct buf *round)
{
	struct run r;

	r.c = c;
	r.others = c->next_writing;
	r.own = (struct writer_todo){0};
	r.control = (struct buf){0};
	r.written = 0;
	r.cut = false;
	writer_init(&r.w, c->outgoing ? &c->outgoing->todo : &r.own);
	r.w.round = *round;
	run_rounds(&r);
	buf_fini(&r.control); /* empty, but may have memory */
	*round = r.w.round;
	r.w.round = (struct buf){0};
	writer_fini(&r.w);
	writer_todo_fini(&r.own);
	end_writing(&r);
	return r.others;
}

void connection_write(struct connection *c)
{
	struct buf round = buffer_take();

	while (c) {
		c = write_queue(c, &round);
		buf_consume(&round, buf_len(&round));
	}
	buffer_give(&round);
}
