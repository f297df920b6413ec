/*
 * async.c - the face for event loops: a descriptor, operations in flight, completions.
 */
#include "client/client.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <utlist.h>

/* Not with what nobody has tried to write yet: chan_events sends that off. */
static bool may_wait_for_room(const struct chan_client *c)
{
	return (c->choked || c->writing) && client_has_output(c);
}

/* What to poll, and for what; a program asks for the one and the other, in whatever order. */
static struct pollfd watched(struct chan_client *c)
{
	struct pollfd p = {.fd = c->reconnect.timer_fd, .events = POLLIN};

	if (c->link == LINK_UP)
		stream_watch(&c->stream, !c->reading, may_wait_for_room(c), &p);
	return p;
}

int chan_fd(const struct chan_client *client)
{
	struct chan_client *c = (struct chan_client *)(uintptr_t)client;
	int fd;

	client_lock(c);
	fd = watched(c).fd;
	client_unlock(c);
	return fd;
}

short chan_events(struct chan_client *c)
{
	short events;

	client_lock(c);
	session_ask(&c->session, c);
	session_confirm(&c->session);
	client_flush(c);
	events = watched(c).events;
	client_unlock(c);
	return events;
}

int chan_process(struct chan_client *c)
{
	struct session *s = &c->session;
	int rc;

	client_lock(c);
	if (c->link != LINK_UP && s->end.status == 0)
		client_process_down(c);
	c->choked = false;
	session_ask(s, c);
	client_flush(c);
	client_poll(c);
	client_check_life(c);
	session_ping(s, s->heartbeat_ns);
	client_flush(c);
	rc = s->end.status < 0 ? error_say(s->end.status, "%s", s->end.text ? s->end.text : "") : 0;
	client_unlock(c);
	return rc;
}

/*
 * Who asks for completions without the lock, as an event loop does until there are none, sees those
 * that its own calls brought, as these set it in this thread, and those of another thread that it was
 * told of, as it was told after that had set it; so no order is needed, and of what happens just now
 * either answer is true. A lock that is taken for nothing costs as much as a copy of a small value.
 */
static void note_completions(struct chan_client *c)
{
	atomic_store_explicit(&c->has_completions, c->completions != NULL, memory_order_relaxed);
}

void client_add_completion(struct chan_client *c, struct chan_op *op)
{
	DL_APPEND(c->completions, op);
	note_completions(c);
}

void client_remove_completion(struct chan_client *c, struct chan_op *op)
{
	DL_DELETE(c->completions, op);
	note_completions(c);
}

/* The oldest completion that may be taken: a value waits until it is known not to be revoked. */
static struct chan_op *next_done(struct chan_client *c)
{
	struct chan_op *op = c->completions;

	if (!op || !op->delivery || c->session.end.status < 0)
		return op;
	return session_is_fresh(&c->session) ? op : NULL;
}

/* Whether it hands over what is to be confirmed before the program has it. */
static bool confirms_at_once(const struct chan_op *op)
{
	return op->delivery && !(op->kind == OP_RECV && end_confirms_late(op->chan));
}

/* At most n of those that may be taken. What was received is confirmed before the program has any
 * of it, by one write for all, but for ends that have asked for less; these write new credit alone.
 * After a failure nothing more is taken: its error is this thread's last. */
static size_t take_completions(
	struct chan_client *c, struct chan_completion *ret_completions, size_t n)
{
	size_t unsaid = buf_len(&c->session.out);
	bool confirms = false, failed = false;
	struct chan_op *op;
	size_t taken = 0;

	while (taken < n && !failed && (op = next_done(c))) {
		confirms = confirms || confirms_at_once(op);
		client_take(op, &ret_completions[taken]);
		failed = ret_completions[taken++].status < 0;
	}
	if (confirms || buf_len(&c->session.out) > unsaid) {
		session_settle(&c->session);
		client_flush(c);
	}
	return taken;
}

size_t chan_next_completions(
	struct chan_client *c, struct chan_completion *ret_completions, size_t n)
{
	size_t taken;

	if (!atomic_load_explicit(&c->has_completions, memory_order_relaxed))
		return 0;
	client_lock(c);
	taken = take_completions(c, ret_completions, n);
	client_unlock(c);
	return taken;
}

int chan_next_completion(struct chan_client *c, struct chan_completion *ret_completion)
{
	return (int)chan_next_completions(c, ret_completion, 1);
}

size_t chan_ops_pending(struct chan_client *c)
{
	size_t n;

	client_lock(c);
	n = c->async_pending;
	client_unlock(c);
	return n;
}

int chan_wait_completions(struct chan_client *c, struct chan_completion *ret_completions, size_t n,
	int64_t timeout_ns)
{
	int64_t deadline_ns = clock_deadline_ns(timeout_ns);
	size_t max = n < INT_MAX ? n : INT_MAX, taken = 0;
	int rc = 0;

	if (n == 0)
		return error_say(CHAN_EINVAL, "wait: no room for a completion");
	client_lock(c);
	while ((taken = take_completions(c, ret_completions, max)) == 0 && rc == 0) {
		if (c->async_pending == 0)
			rc = error_say(CHAN_EINVAL, "wait: no operation is in flight");
		else
			rc = client_wait_any(c, deadline_ns);
		if (rc == -EINTR)
			rc = c->withdraw_on_signal
				     ? error_say(CHAN_ECANCELED, "wait: a signal came")
				     : 0;
	}
	client_unlock(c);
	if (rc == CHAN_ETIMEDOUT && taken == 0)
		error_say(rc, "wait: nothing has completed in time");
	return taken > 0 ? (int)taken : rc;
}

int chan_wait_completion(
	struct chan_client *c, struct chan_completion *ret_completion, int64_t timeout_ns)
{
	return chan_wait_completions(c, ret_completion, 1, timeout_ns);
}

int chan_op_wait(struct chan_op *op, struct chan_completion *ret_completion)
{
	struct chan_client *c = op->client;

	client_lock(c);
	client_run(c, op, ret_completion);
	client_unlock(c);
	return 0;
}

void chan_op_cancel(struct chan_op *op)
{
	struct chan_client *c = op->client;

	client_lock(c);
	session_cancel(&c->session, op);
	client_flush(c);
	client_unlock(c);
}
