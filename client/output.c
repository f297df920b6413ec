/*
 * output.c - what leaves, in which order, and by whom: the writer's role.
 *
 * Frames that count go by session.resend, which keeps them for a resume where there may be one.
 * Those that do not (signs of life, what was received) go ahead of them, between two frames, also
 * while as much as may be kept has been written and the broker has not said that it has it; by one
 * write with what follows them, where that is little.
 */
#include "client/client.h"
#include <errno.h>

/* What is worth a write of its own: some hundred small frames, in which the call is lost. */
#define MUCH_BYTES (8u * 1024u)

/* What is copied so that one write takes it along: a copy that costs less than a write. */
#define COMPANY_BYTES_MAX 4096u

/* Frames that were made and may not be written yet, or are to be made. */
static bool has_gathered(const struct session *s)
{
	return buf_len(&s->out) > 0 || s->batch.count > 0 || s->transfers ||
	       resend_is_full(&s->resend);
}

bool client_has_unsent(const struct chan_client *c)
{
	const struct session *s = &c->session;
	const uint8_t *bytes;

	return buf_len(&c->leaving) > 0 || buf_len(&s->control) > 0 || rings_are_beginning(c) ||
	       resend_unwritten(&s->resend, &bytes) > 0 || has_gathered(s);
}

/* What is trimmed makes room, which resend_has_room does not see. */
static bool has_room(const struct session *s)
{
	return resend_has_room(&s->resend) || s->resend.seen > s->resend.gone;
}

bool client_has_output(const struct chan_client *c)
{
	const struct session *s = &c->session;
	const uint8_t *bytes;

	return buf_len(&c->leaving) > 0 || buf_len(&s->control) > 0 || rings_are_beginning(c) ||
	       resend_unwritten(&s->resend, &bytes) > 0 || (has_gathered(s) && has_room(s));
}

/* Frames that count. */
static void take_frames(struct session *s)
{
	resend_trim(&s->resend);
	if (!has_gathered(s) || !resend_has_room(&s->resend))
		return;
	if (!resend_is_full(&s->resend))
		session_fill(s);
	if (resend_take(&s->resend, &s->out, s->frames_sent) < 0)
		s->doomed = CHAN_ENOMEM;
}

/* Frames that do not, and behind them a copy of the others' beginning. Without memory for that these
 * leave by themselves. */
static void take_control(struct chan_client *c, const uint8_t *frames, size_t n)
{
	struct session *s = &c->session;
	struct buf emptied = c->leaving;

	c->leaving = s->control;
	s->control = emptied;
	if (n > COMPANY_BYTES_MAX || buf_append(&c->leaving, frames, n) < 0)
		n = 0;
	c->company_bytes = n;
}

/* All that was taken has left, so a frame has just ended: what is next. */
static void take_output(struct chan_client *c)
{
	struct session *s = &c->session;
	const uint8_t *frames;
	size_t n;

	if (rings_are_beginning(c)) {
		take_control(c, NULL, 0);
		rings_say_begin(c);
		return;
	}
	take_frames(s);
	n = resend_unwritten(&s->resend, &frames);
	if (n > 0)
		session_mention_seen(s);
	if (buf_len(&s->control) > 0)
		take_control(c, frames, n);
}

/* What to write; 0: there is nothing, or it may not be written yet. */
static size_t next_output(struct chan_client *c, const uint8_t **ret_bytes)
{
	struct session *s = &c->session;

	if (buf_len(&c->leaving) == 0 && resend_unwritten(&s->resend, ret_bytes) == 0)
		take_output(c);
	if (buf_len(&c->leaving) == 0)
		return resend_unwritten(&s->resend, ret_bytes);
	*ret_bytes = buf_data(&c->leaving);
	return buf_len(&c->leaving);
}

/* So much of what was taken has left; returns how much of it was of the frames that count. */
static size_t leave(struct chan_client *c, size_t n)
{
	size_t left = buf_len(&c->leaving) - n, company = c->company_bytes;

	buf_consume(&c->leaving, n);
	if (company > left)
		c->company_bytes = left;
	return company - c->company_bytes;
}

static void note_written(struct chan_client *c, size_t n)
{
	rings_count_call(c, n);
	if (buf_len(&c->leaving) > 0) {
		n = leave(c, n);
		if (buf_len(&c->leaving) == 0)
			rings_wrote(c);
	}
	if (n > 0)
		resend_wrote(&c->session.resend, n);
}

/* What the broker said before it closed the connection is still to be read, and tells more. */
static void write_failed(struct chan_client *c, int error)
{
	if (c->reading) {
		c->choked = true; /* and the reader will see it */
		return;
	}
	client_poll(c);
	client_broke(c, error);
}

static bool may_write(const struct chan_client *c)
{
	return c->link == LINK_UP && c->session.end.status == 0;
}

void client_flush(struct chan_client *c)
{
	const uint8_t *bytes;
	size_t n;
	ssize_t put;

	if (c->writing || !may_write(c) || !client_has_output(c))
		return;
	session_ping(&c->session, session_ping_interval_ns(&c->session));
	c->writing = true;
	c->choked = false;
	while (may_write(c) && !c->choked && (n = next_output(c, &bytes)) > 0) {
		client_unlock(c);
		put = c->stream.ops->write(&c->stream, bytes, n);
		client_lock(c);
		if (put >= 0)
			note_written(c, (size_t)put);
		else if (put == -EAGAIN)
			c->choked = true;
		else
			write_failed(c, (int)-put);
	}
	c->writing = false;
	if (c->session.doomed)
		client_fail(c, CHAN_ENOMEM, "out of memory");
	if (c->link == LINK_DOWN)
		keeper_wake(c);
}

/* A socket that took no more is left to who waits: asking it again and again would cost a call each
 * time. Large payloads leave by pieces then, too, which what is started meanwhile goes between. */
void client_flush_much(struct chan_client *c)
{
	const struct session *s = &c->session;

	if (!c->choked && !s->transfers &&
		buf_len(&s->out) + buf_len(&s->batch.payload) >= MUCH_BYTES)
		client_flush(c);
}
