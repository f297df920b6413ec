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

/* PINGs in a row that may stay without an answer. */
#define PINGS_MAX 3

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
	size_t bytes = outgoing_bytes(s->outgoing) + (s->answers ? outbox_cost(s->answers) : 0);

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
	if (s->connection && connection_busy(s->connection)) {
		connection_cut(s->connection);
		return; /* where the session lingers, the next look takes it back */
	}
	s->out_since_ns = 0;
	engine_party_revoke(b->engine, s->party, now_ns);
	if (!s->connection && holds_too_much(b, s))
		resume_end(b, s, "it holds more answers than bytes_in_flight_max allows");
}

/* Who says nothing is passed over where it receives, until it does; and what is out to it, if that
 * was for as long, goes back. */
static void check_silence(struct broker *b, struct session *s, int64_t now_ns)
{
	int64_t silence_ns = b->options.silence_ns;
	bool out = engine_party_deliveries_out(s->party) > 0;

	if (!out)
		s->out_since_ns = 0;
	else if (!s->out_since_ns)
		s->out_since_ns = now_ns;
	if (now_ns - heard_ns(s) < silence_ns)
		return;
	if (s->connection && !s->silent && engine_party_waiting(s->party)) {
		s->silent = true;
		engine_party_absent(b->engine, s->party, now_ns);
	}
	if (out && now_ns - s->out_since_ns >= silence_ns)
		take_back(b, s, now_ns);
}

void watch_heard(struct broker *b, struct session *s)
{
	if (!s->silent || !s->party)
		return;
	s->silent = false;
	engine_party_present(b->engine, s->party, clock_now_ns());
}

/* ---- heartbeats ----------------------------------------------------------------------------- */

/* Without memory there is none: the next look says it again. (How many frames have come, the reader
 * knows, and says with its PONG and SEEN.) */
static void ping(struct session *s, struct connection **chain)
{
	struct message m = {.kind = MESSAGE_PING};

	connection_say(s->connection, &m, chain);
}

static void probe(struct session *s, struct connection **chain)
{
	if (s->connection->probed)
		ping(s, chain);
}

void watch_half(struct session *s)
{
	struct connection *chain = NULL;

	probe(s, &chain);
	connection_start_writers(chain);
}

/* A client that waits is asked for a sign of life when it gives none by itself; PINGS_MAX times,
 * since who is stopped in a debugger reads none of them. */
static void check_heartbeat(
	struct broker *b, struct session *s, int64_t now_ns, struct connection **chain)
{
	int64_t heartbeat_ns = broker_heartbeat_ns(b);

	if (now_ns - heard_ns(s) < heartbeat_ns) {
		s->pings = 0;
		return;
	}
	if (s->pings == PINGS_MAX || !engine_party_waiting(s->party) ||
		(s->pings && now_ns - s->pinged_ns < heartbeat_ns))
		return;
	s->pings++;
	s->pinged_ns = now_ns;
	ping(s, chain);
}

/* ---- answers that wait for company ---------------------------------------------------------- */

void watch_ride(struct broker *b)
{
	b->rides = true;
	if (b->watch_ns == DEADLINE_NEVER)
		b->watch_ns = clock_now_ns() + WATCH_TICK_NS;
}

void watch_end_rides(struct broker *b)
{
	struct session *s;

	if (!b->rides)
		return;
	b->rides = false;
	LIST_FOREACH (s, &b->sessions, link) {
		if (!ride_waits(&s->ride))
			continue;
		s->ride.due = true;
		broker_touch(b, s);
	}
}

/* ---- who may have gone without a word ----------------------------------------------------------- */

/* The reader takes a short read for all there was, although an error may have come with it (netpoll.h).
 * It looks once more when the client has said nothing for a tick. */
static void make_sure(struct broker *b, struct session *s, int64_t now_ns)
{
	struct connection *c = s->connection;

	if (now_ns - heard_ns(s) < WATCH_TICK_NS) {
		b->unsure = true; /* its reader may be at work, and say so later */
		return;
	}
	if (atomic_exchange_explicit(&c->unsure, false, memory_order_relaxed))
		stream_poke(c->stream);
}

/* ---- the tick ------------------------------------------------------------------------------- */

static void look(struct broker *b, int64_t now_ns)
{
	struct connection *chain = NULL;
	struct session *s, *next;

	watch_end_rides(b);
	b->unsure = false;
	LIST_FOREACH (s, &b->sessions, link) {
		if (!s->party)
			continue;
		make_sure(b, s, now_ns);
		check_silence(b, s, now_ns); /* first: a PING under way is not a client that does
						not read */
		if (s->half)
			probe(s, &chain);
		else
			check_heartbeat(b, s, now_ns, &chain);
	}
	connection_start_writers(chain);
	LIST_FOREACH_SAFE (s, next, &b->detached, link)
		check_silence(b, s, now_ns);
	resume_expire(b, now_ns, false);
}

void watch(struct broker *b, int64_t now_ns)
{
	bool wanted = engine_waiting(b->engine) || engine_deliveries_out(b->engine) ||
		      !list_empty(&b->detached) || b->half_count || b->rides || b->unsure;

	if (now_ns >= b->watch_ns)
		look(b, now_ns);
	if (!wanted)
		b->watch_ns = DEADLINE_NEVER;
	else if (now_ns >= b->watch_ns || b->watch_ns == DEADLINE_NEVER)
		b->watch_ns = now_ns + WATCH_TICK_NS;
}
