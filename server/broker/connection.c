#include "server/broker/connection.h"

#include "chan/status.h"
#include "server/base/clock.h"
#include "server/broker/batch.h"
#include "server/broker/broker.h"
#include "server/broker/buffers.h"
#include "server/broker/session.h"
#include "server/runtime/runtime.h"
#include <stdlib.h>
#include <sys/socket.h>

/* ---- life --------------------------------------------------------------------------------- */

/* As does the reader's patience (reading.c) it ends the connection by shutting the socket down, which
 * starts the reader. */
static void end_now(void *arg)
{
	stream_shutdown(((struct connection *)arg)->stream, SHUT_RDWR);
}

bool connection_end_after(struct connection *c, int64_t span_ns)
{
	if (!c->ending) {
		c->ending = malloc(sizeof(*c->ending));
		if (!c->ending)
			return false;
		timer_init(c->ending, end_now, c);
	}
	timer_start(c->ending, clock_deadline_ns(span_ns));
	return true;
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
	connection_stop_patience(c);
	if (c->ending)
		timer_stop(c->ending);
	free(c->ending);
	stream_free(c->stream);
	outbox_free_list(c->queue_head);
	outgoing_free(c->outgoing);
	buffer_give(&c->in);
	buf_fini(&c->control);
	buf_fini(&c->farewell);
	broker_connection_gone(c->broker, c);
	free(c);
}

void connection_refuse(struct connection *c, int status, const char *text)
{
	c->refused = true;
	c->state = CONNECTION_DISCARDING;
	connection_close(c, status, text);
	stream_on_readable(c->stream, connection_read, c);
}

/* ---- passing a session on ------------------------------------------------------------------ */

int connection_adopt(struct connection *c, struct session *s, struct outgoing *outgoing,
	struct outbox *answers, const struct message *welcome)
{
	struct buf first = {0};
	int rc = wire_encode(&first, welcome, 0, 0);

	if (rc < 0)
		return rc;
	lock_acquire(&c->lock);
	if (c->closing || !connection_claim_writer(c)) {
		lock_release(&c->lock);
		buf_fini(&first);
		return CHAN_ESHUTDOWN;
	}
	c->session = s;
	c->state = CONNECTION_TALKING;
	c->outgoing = outgoing;
	c->catching_up = true;
	c->control = first;
	c->queue_head = c->queue_tail = answers;
	c->queued_bytes = buf_len(&first) + writer_todo_bytes(&outgoing->todo) +
			  (answers ? outbox_cost(answers) : 0);
	c->reader_resting = true; /* the writer starts it */
	lock_release(&c->lock);
	c->next_writing = NULL;
	connection_start_writers(c);
	return 0;
}

void connection_turn_away(struct connection *c, int status, const char *text)
{
	bool start;

	connection_close(c, status, text);
	lock_acquire(&c->lock);
	c->state = CONNECTION_DISCARDING;
	start = !c->writing;
	c->reader_resting = !start;
	lock_release(&c->lock);
	if (start)
		stream_on_readable(c->stream, connection_read, c);
}

void connection_let_go(struct connection *c)
{
	bool alone;

	connection_cut(c);
	lock_acquire(&c->lock);
	c->reader_ended = true;
	alone = !c->writing;
	lock_release(&c->lock);
	if (alone)
		connection_detach(c);
}

void connection_detach(struct connection *c)
{
	struct connection *chain = NULL;
	struct batch *b;
	struct batch_op *op;

	while (!(b = batch_new(c->session)))
		go_sleep(MEMORY_REST_NS);
	while (!(op = batch_add(b)))
		go_sleep(MEMORY_REST_NS);
	op->what = BATCH_DETACH;
	broker_submit(c->broker, b, &chain);
	connection_start_writers(chain);
}

struct outgoing *connection_give_up(struct connection *c)
{
	struct outgoing *o = c->outgoing;

	writer_todo_add(&o->todo, c->queue_head);
	c->queue_head = c->queue_tail = NULL;
	c->outgoing = NULL;
	return o;
}
