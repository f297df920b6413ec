/*
 * confirm.c - what was received is confirmed, granted again, or given back; and signs of life,
 * without which nothing may be handed over.
 */
#include "client/client.h"
#include "client/emit.h"
#include "proto/limits.h"
#include <stdlib.h>
#include <utlist.h>

/* A further range. NULL: out of memory, and the session cannot go on. */
static struct wire_range *new_range(struct session *s)
{
	size_t size = s->taken_size ? s->taken_size * 2 : 16;
	struct wire_range *grown;

	if (s->taken_count == s->taken_size) {
		grown = realloc(s->taken, size * sizeof(*grown));
		if (!grown) {
			s->doomed = CHAN_ENOMEM;
			return NULL;
		}
		s->taken = grown;
		s->taken_size = size;
	}
	return &s->taken[s->taken_count++];
}

void session_note_taken(struct session *s, uint64_t first, uint32_t n)
{
	struct wire_range *range = s->taken_count ? &s->taken[s->taken_count - 1] : NULL;

	s->taken_values += n;
	if (range && range->first + range->count == first) {
		range->count += n;
		return;
	}
	range = new_range(s);
	if (range)
		*range = (struct wire_range){first, n};
}

static void put_taken(struct session *s, const struct wire_range *ranges, size_t n)
{
	struct message m = {.kind = MESSAGE_TAKEN, .settle.deliveries = {ranges, n}};

	if (session_put(s, &m) < 0)
		s->doomed = CHAN_ENOMEM;
}

void session_settle(struct session *s)
{
	size_t at, n;

	for (at = 0; at < s->taken_count; at += n) {
		n = s->taken_count - at < RANGES_PER_FRAME ? s->taken_count - at : RANGES_PER_FRAME;
		put_taken(s, s->taken + at, n);
	}
	s->taken_count = 0;
	s->taken_values = 0;
}

static void put_grant(struct session *s, const struct chan *ch)
{
	struct message m = {.kind = MESSAGE_GRANT, .seq = ch->ahead->stream->m.seq};

	m.grant.credit = ch->ahead->grant_due;
	if (session_put(s, &m) < 0)
		s->doomed = CHAN_ENOMEM;
}

void session_confirm(struct session *s)
{
	struct chan *ch, *next;

	session_settle(s);
	LL_FOREACH_SAFE2 (s->granting, ch, next, ahead->next_granting) {
		if (ch->ahead->stream && !ch->ahead->stream->cancelled)
			put_grant(s, ch);
		ch->ahead->credit_left += ch->ahead->grant_due;
		ch->ahead->grant_due = 0;
		ch->ahead->granting = false;
		end_unref(ch);
	}
	s->granting = NULL;
}

/* What is granted more often costs a frame each time, and what is granted later the broker's
 * waiting for it. */
static void look_at_credit(struct session *s, struct chan *ch)
{
	if (ch->ahead->granting || ch->ahead->grant_due == 0 ||
		ch->ahead->credit_left > end_credit(ch) / 2)
		return;
	ch->ahead->granting = true;
	end_ref(ch);
	LL_PREPEND2(s->granting, ch, ahead->next_granting);
}

void session_note_grant(struct session *s, struct chan *ch, uint64_t first, uint32_t n)
{
	/* The numbers of deliveries rise: lower ones came by a stream that has ended. */
	if (!ch->ahead->stream || first + n <= ch->ahead->stream_first)
		return;
	if (first < ch->ahead->stream_first)
		n -= (uint32_t)(ch->ahead->stream_first - first);
	ch->ahead->grant_due += n;
	look_at_credit(s, ch);
}

void session_note_delivered(struct session *s, struct chan *ch, uint32_t n)
{
	ch->ahead->credit_left -= n < ch->ahead->credit_left ? n : ch->ahead->credit_left;
	look_at_credit(s, ch);
}

void session_return(struct session *s, uint64_t delivery)
{
	struct wire_range range = {delivery, 1};
	struct message m = {.kind = MESSAGE_RETURN};

	if (s->end.status < 0)
		return;
	m.settle.deliveries = (struct wire_ranges){&range, 1};
	if (session_put(s, &m) < 0)
		s->doomed = CHAN_ENOMEM;
}

/* ---- signs of life ------------------------------------------------------------------------ */

static void put_ping(struct session *s, int64_t now_ns)
{
	struct message m = {.kind = MESSAGE_PING};

	session_note_asked(s, now_ns);
	m.ping.nonce = (uint64_t)now_ns;
	m.ping.frames_received = s->frames_received;
	if (session_put(s, &m) < 0)
		s->doomed = CHAN_ENOMEM;
}

/* Every write and every read asks, and it is time once in seconds. */
void session_ping(struct session *s, int64_t min_ns)
{
	int64_t now_ns;

	if (s->end.status < 0 || !s->greeted ||
		clock_rough_ns() - s->ping_ns < min_ns - CLOCK_ROUGH_NS)
		return;
	now_ns = clock_now_ns();
	if (now_ns - s->ping_ns >= min_ns)
		put_ping(s, now_ns);
}

void session_note_asked(struct session *s, int64_t now_ns)
{
	s->ping_ns = now_ns;
	if (s->unanswered_ns == 0)
		s->unanswered_ns = now_ns;
	s->unsaid_bytes = 0; /* a PING tells, too */
}

bool session_waits(const struct session *s)
{
	return s->ops_in_flight > 0 || s->pings || s->by_hand > 0 || s->lease_count > 0;
}

bool session_is_dead(const struct session *s)
{
	return s->unanswered_ns != 0 && clock_now_ns() - s->unanswered_ns > SILENCE_MAX_NS(s);
}

static void put_seen(struct session *s)
{
	struct message m = {.kind = MESSAGE_SEEN};

	s->unsaid_bytes = 0;
	m.ping.frames_received = s->frames_received;
	if (session_put(s, &m) < 0)
		s->doomed = CHAN_ENOMEM;
}

void session_note_received(struct session *s, size_t bytes)
{
	s->frames_received++;
	s->unsaid_bytes += bytes;
	if (s->unsaid_bytes >= SEEN_EVERY_BYTES(s->limits.unseen_bytes) && session_lingers(s))
		put_seen(s);
}

void session_mention_seen(struct session *s)
{
	if (s->unsaid_bytes >= SEEN_RIDES_BYTES(s->limits.unseen_bytes) && session_lingers(s))
		put_seen(s);
}

/* A broker that lost the connection before we did ends the session, and gives what was out to it
 * to others, as soon as it does not linger any more. */
static int64_t hand_over_silence_max_ns(const struct session *s)
{
	int64_t max_ns = HAND_OVER_SILENCE_MAX_NS(s);

	return session_lingers(s) && s->linger_ns < max_ns ? s->linger_ns : max_ns;
}

/* A quarter of that: who blocks then for a heartbeat asks in time. More often would cost a client that
 * is rarely woken a frame each way for each value. */
int64_t session_ping_interval_ns(const struct session *s)
{
	return hand_over_silence_max_ns(s) / 4;
}

bool session_is_fresh(struct session *s)
{
	if (s->greeted && clock_now_ns() - s->heard_ns < hand_over_silence_max_ns(s))
		return true;
	session_ping(s, NS_PER_S);
	return false;
}
