/*
 * channel.c - an end's life: opened, known, feeding its receivers, given up.
 *
 * Whenever the lock is free and the session lives:
 *   - inbox and receivers are not both occupied, unless what was received may not be handed over
 *     yet (session_is_fresh);
 *   - receivers are occupied only while a stream stands.
 */
#include "client/channel.h"
#include "client/client.h"
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Never written to: only an end with more than one credit has a stream, and only streams write. */
static const struct ahead ahead_none;

/* For an end that has asked for credit. False: out of memory. */
static bool have_ahead(struct chan *ch)
{
	ch->ahead = (struct ahead *)&ahead_none;
	if (ch->options.credit > 1)
		ch->ahead = calloc(1, sizeof(*ch->ahead));
	return ch->ahead;
}

struct chan *end_new(struct chan_client *c, const char *name, size_t name_bytes,
	enum chan_direction direction, const struct chan_end_options *options)
{
	struct chan *ch = calloc(1, offsetof(struct chan, asked) + name_bytes + 1);

	if (ch && options)
		ch->options = *options;
	if (!ch || !have_ahead(ch)) {
		free(ch);
		error_say(CHAN_ENOMEM, "open: out of memory");
		return NULL;
	}
	ch->name = ch->asked;
	memcpy(ch->asked, name, name_bytes);
	ch->client = c;
	ch->refs = 1;
	ch->direction = direction;
	DL_APPEND(c->ends, ch);
	return ch;
}

struct chan *end_ref(struct chan *ch)
{
	ch->refs++;
	return ch;
}

/* What is dropped was not received: whatever was said, the channel is not drained for us. */
void end_drop_inbox(struct chan *ch)
{
	struct delivery *d, *next;

	if (!ch->ahead->inbox)
		return;
	DL_FOREACH_SAFE (ch->ahead->inbox, d, next)
		delivery_free(d);
	ch->ahead->drained = false;
	ch->ahead->inbox = NULL;
}

static void forget_name(struct chan *ch)
{
	if (ch->name != ch->asked)
		free(ch->name);
}

void end_unref(struct chan *ch)
{
	if (!ch || --ch->refs > 0)
		return;
	DL_DELETE(ch->client->ends, ch);
	end_drop_inbox(ch);
	forget_name(ch);
	if (ch->ahead != &ahead_none)
		free(ch->ahead);
	free(ch);
}

int end_opened(struct chan *ch, const struct message *m)
{
	char *name;

	if (strcmp(ch->name, m->opened.name) != 0) { /* a reference may say anything */
		name = strdup(m->opened.name);
		if (!name)
			return CHAN_ENOMEM;
		forget_name(ch);
		ch->name = name;
	}
	ch->id = m->opened.channel;
	ch->type = (enum chan_type)m->opened.type;
	ch->capacity = m->opened.capacity;
	ch->opened++;
	ch->state = END_OPEN;
	return 0;
}

/* ---- ends that come as values ------------------------------------------------------------- */

static void ask_for_type(struct chan *ch, uint64_t incarnation)
{
	struct chan_op *op = op_new(ch->client, OP_RESOLVE, ch, CHAN_FOREVER);

	if (!op) {
		ch->state = END_DEAD;
		ch->dead_status = CHAN_ENOMEM;
		return;
	}
	op->m.kind = MESSAGE_OPEN;
	op->m.open.name = "";
	op->m.open.channel = ch->id;
	op->m.open.incarnation = incarnation;
	op->m.open.direction = ch->direction;
	session_submit(&ch->client->session, op);
}

struct chan *end_from_reference(struct chan_client *c, const uint8_t *bytes, size_t len,
	const struct chan_end_options *options)
{
	struct type_chan_ref ref;
	struct chan *ch;

	if (type_get_chan(bytes, len, &ref) < 0)
		return NULL;
	ch = end_new(c, ref.name_bytes ? ref.name : "", ref.name_bytes,
		(enum chan_direction)ref.direction, options);
	if (!ch)
		return NULL;
	ch->id = ref.channel;
	ch->capacity = -1;
	ch->opened = 1; /* by the delivery itself */
	ch->state = END_RESOLVING;
	ask_for_type(ch, ref.incarnation);
	return ch;
}

int end_resolve(struct chan *ch, const char *asked)
{
	struct failure f = {0};

	while (ch->state == END_RESOLVING)
		client_wait_any(ch->client, DEADLINE_NONE);
	if (ch->state == END_OPEN)
		return 0;
	f.status = ch->dead_status;
	return error_say_failure(&f, asked, ch->name);
}

int end_check(struct chan *ch, enum chan_direction direction, const char *asked)
{
	int rc = end_resolve(ch, asked);

	if (rc < 0 || (ch->direction & direction))
		return rc;
	return error_say(CHAN_EWRONGEND, "%s '%s': this end was opened for %s only", asked,
		ch->name, direction == CHAN_SEND ? "receiving" : "sending");
}

/* ---- giving up ---------------------------------------------------------------------------- */

void end_give_up(struct chan *ch, unsigned times)
{
	struct chan_op *op;

	for (; times > 0 && ch->opened > 0; times--) {
		op = op_new(ch->client, OP_RELEASE, NULL, CHAN_FOREVER);
		if (!op)
			return; /* the session's end gives it up */
		op->m.kind = MESSAGE_RELEASE;
		op->m.release.channel = ch->id;
		ch->opened--;
		session_submit(&ch->client->session, op);
	}
}

void end_release(struct chan *ch)
{
	struct session *s = &ch->client->session;
	struct delivery *d;

	ch->released = true;
	if (ch->ahead->stream)
		session_cancel(s, ch->ahead->stream);
	DL_FOREACH (ch->ahead->inbox, d)
		session_return(s, d->id);
	end_drop_inbox(ch);
	session_confirm(s);
	end_give_up(ch, ch->opened);
}

/* ---- receiving ahead of demand ------------------------------------------------------------ */

bool end_is_streamed(const struct chan *ch)
{
	return ch->options.credit > 1 && ch->capacity > 0;
}

bool end_confirms_late(const struct chan *ch)
{
	const struct chan_end_options *o = &ch->options;

	return o->confirm_late && ch->capacity > 0 && !o->lease_ns && !o->manual &&
	       ch->client->keeper.running;
}

void end_feed(struct chan *ch)
{
	struct chan_op *op;

	while (ch->ahead->receivers && (ch->ahead->inbox || ch->ahead->drained)) {
		if (ch->ahead->inbox && !session_is_fresh(&ch->client->session))
			return;
		op = ch->ahead->receivers;
		DL_DELETE(ch->ahead->receivers, op);
		op->delivery = ch->ahead->inbox;
		op->closed = !ch->ahead->inbox;
		if (ch->ahead->inbox)
			DL_DELETE(ch->ahead->inbox, op->delivery);
		op_finish(op);
	}
}

uint32_t end_credit(const struct chan *ch)
{
	uint32_t max = ch->client->session.limits.credit;

	return ch->options.credit < max ? ch->options.credit : max;
}

void end_fail_receivers(struct chan *ch, int status, const char *text)
{
	struct chan_op *op;

	end_ref(ch);
	while ((op = ch->ahead->receivers)) {
		DL_DELETE(ch->ahead->receivers, op);
		op_fail(op, status, text);
	}
	end_unref(ch);
}

/* What is due to a stream before it is not this one's. */
static void start_stream(struct chan *ch)
{
	struct chan_op *op;

	session_confirm(&ch->client->session);
	op = op_new(ch->client, OP_STREAM, ch, CHAN_FOREVER);

	if (!op) {
		ch->client->session.doomed = CHAN_ENOMEM;
		return;
	}
	op->m.kind = MESSAGE_RECV;
	op->m.recv.channel = ch->id;
	op->m.recv.stream = true;
	op->m.recv.credit = end_credit(ch);
	op->m.recv.lease_ns = (uint64_t)ch->options.lease_ns;
	ch->ahead->stream = op;
	ch->ahead->stream_first = UINT64_MAX;
	ch->ahead->credit_left = end_credit(ch);
	ch->ahead->grant_due = 0;
	session_submit(&ch->client->session, op);
}

/* A try is put to the broker behind the stream: what there is to receive comes before the answer.
 */
void end_receive(struct chan *ch, struct chan_op *op)
{
	struct session *s = &ch->client->session;

	op->state = OP_LOCAL;
	DL_APPEND(ch->ahead->receivers, op);
	end_feed(ch);
	if (op->state == OP_LOCAL && !ch->ahead->stream)
		start_stream(ch);
	if (op->state == OP_LOCAL && (op->try || op->deadline_ns != DEADLINE_NONE)) {
		session_confirm(s);
		session_start_timer(s, op);
	}
}

/* A failure other than the close is told to those who wait now, and the next receive begins anew;
 * as they do when the broker only stopped because it took us for lost. */
void end_stream_ended(struct chan *ch, struct chan_op *stream)
{
	struct chan_op *op;

	ch->ahead->stream = NULL;
	ch->ahead->drained = stream->closed;
	end_feed(ch);
	if (ch->ahead->receivers && stream->failure.status == CHAN_EGONE) {
		start_stream(ch);
		return;
	}
	while (!ch->ahead->drained && (op = ch->ahead->receivers)) {
		DL_DELETE(ch->ahead->receivers, op);
		failure_copy(&op->failure, &stream->failure);
		op_finish(op);
	}
}
