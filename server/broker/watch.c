/*
 * watch.c - what the passing of time does to sessions, looked for once a second while there is any
 * that it could do something to.
 */
#include "server/broker/broker_state.h"

#define LOG_SUBSYSTEM "broker"

#include "server/base/clock.h"
#include "server/base/log_limit.h"
#include "server/broker/connection.h"
#include "server/broker/session.h"

#define WATCH_TICK_NS NS_PER_S

/* When the client was last heard. */
static int64_t heard_ns(const struct session *s)
{
	return s->connection ? atomic_load_explicit(&s->connection->heard_ns, memory_order_relaxed)
			     : s->heard_ns;
}

/*
 * What a session without a connection holds beside what the engine counts: frames that it may have
 * to be sent again, and answers. Once its deliveries have gone back, the values in those are
 * nobody's but its own, so that bytes_in_flight_max bounds them as it does those that it sends.
 */
static bool holds_too_much(const struct broker *b, const struct session *s)
{
	size_t bytes = outgoing_bytes(s->outgoing) + (s->answers ? s->answers->bytes : 0);

	return bytes > b->options.limits.bytes_in_flight_max + b->options.unseen_bytes_max;
}

/* Takes back what is out to a session that has been silent for too long. One that has a connection
 * and does not even read what it is sent loses that: it could not learn which of its deliveries
 * were revoked. */
static void take_back(struct broker *b, struct session *s, int64_t now_ns)
{
	static struct log_limit limit = LOG_LIMIT_INIT;

	log_limited(&limit, LOG_LEVEL_INFO,
		"a receiver was silent for %d s; what it had not confirmed goes back",
		(int)(b->options.silence_ns / NS_PER_S));
	s->out_since_ns = 0;
	if (s->connection && connection_busy(s->connection)) {
		connection_cut(s->connection);
		return;
	}
	engine_party_revoke(b->engine, s->party, now_ns);
	if (!s->connection && holds_too_much(b, s))
		resume_end(b, s, "it holds more answers than bytes_in_flight_max allows");
}

static void check_silence(struct broker *b, struct session *s, int64_t now_ns)
{
	int64_t silence_ns = b->options.silence_ns;

	if (!s->party || !engine_party_deliveries_out(s->party)) {
		s->out_since_ns = 0;
		return;
	}
	if (!s->out_since_ns)
		s->out_since_ns = now_ns;
	if (now_ns - s->out_since_ns >= silence_ns && now_ns - heard_ns(s) >= silence_ns)
		take_back(b, s, now_ns);
}

static void look(struct broker *b, int64_t now_ns)
{
	struct session *s, *next;

	LIST_FOREACH (s, &b->sessions, link)
		check_silence(b, s, now_ns);
	LIST_FOREACH_SAFE (s, next, &b->detached, link)
		check_silence(b, s, now_ns);
	resume_expire(b, now_ns, false);
}

void watch(struct broker *b, int64_t now_ns)
{
	if (now_ns >= b->watch_ns)
		look(b, now_ns);
	if (!engine_deliveries_out(b->engine) && !b->detached_count)
		b->watch_ns = DEADLINE_NEVER;
	else if (now_ns >= b->watch_ns || b->watch_ns == DEADLINE_NEVER)
		b->watch_ns = now_ns + WATCH_TICK_NS;
}
