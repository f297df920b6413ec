/*
 * resume.c - sessions that outlive a connection: letting one go, finding a session again, and
 * setting the next connection to work with it.
 *
 * A HELLO that resumes fences first: the old connection is cut, and the new one waits until the old
 * one's BATCH_DETACH has come, which follows everything that it brought. So nothing of the old
 * connection takes effect behind the new one's WELCOME.
 */
#include "server/broker/broker_state.h"

#define LOG_SUBSYSTEM "broker"

#include "chan/status.h"
#include "proto/endian.h"
#include "proto/limits.h"
#include "server/base/clock.h"
#include "server/base/log_limit.h"
#include "server/broker/connection.h"
#include "server/broker/session.h"
#include <stdio.h>
#include <string.h>

/* ---- the table ------------------------------------------------------------------------------ */

int resume_register(struct broker *b, struct session *s)
{
	if (s->linger_ns == 0)
		return 0;
	if (seqmap_reserve(&b->lingering, 1) < 0)
		return CHAN_ENOMEM;
	seqmap_put(&b->lingering, session_number(s), s);
	return 0;
}

void resume_forget(struct broker *b, struct session *s)
{
	if (s->linger_ns && seqmap_get(&b->lingering, session_number(s)) == s)
		seqmap_remove(&b->lingering, session_number(s));
}

/* In a time that does not tell how much of them is the same. */
static bool same_bytes(const uint8_t *x, const uint8_t *y, size_t n)
{
	volatile uint8_t differ = 0;

	for (size_t i = 0; i < n; i++)
		differ |= x[i] ^ y[i];
	return differ == 0;
}

/* The session that the HELLO names and knows the secret of, or NULL. */
static struct session *find(struct broker *b, const struct wire_hello *hello)
{
	const struct wire_bytes *id = &hello->session_id;
	const struct wire_bytes *secret = &hello->session_secret;
	struct session *s;

	if (id->len != SESSION_ID_BYTES || secret->len != SESSION_ID_BYTES)
		return NULL;
	s = seqmap_get(&b->lingering, get_be64(id->bytes));
	if (!s || !same_bytes(id->bytes, s->id, SESSION_ID_BYTES) ||
		!same_bytes(secret->bytes, s->secret, SESSION_ID_BYTES))
		return NULL;
	return s;
}

/* ---- without a connection ------------------------------------------------------------------- */

void resume_end(struct broker *b, struct session *s, const char *why)
{
	static struct log_limit limit = LOG_LIMIT_INIT;

	log_limited(&limit, LOG_LEVEL_INFO, "a session without a connection ends: %s", why);
	broker_end_party(b, s, 0, NULL);
	admission_end_linger(&b->admission, s->account);
	session_free(s);
}

void resume_expire(struct broker *b, int64_t now_ns, bool all)
{
	struct session *s, *next;

	LIST_FOREACH_SAFE (s, next, &b->detached, link)
		if (all || now_ns >= s->until_ns)
			resume_end(b, s,
				all ? "the broker is shutting down" : "it was not resumed in time");
}

/* Takes over what the connection leaves. Its receives are passed over from now on. */
static void keep(struct broker *b, struct session *s)
{
	int64_t now_ns = clock_now_ns();
	struct connection *c = s->connection;

	s->heard_ns = atomic_load(&c->heard_ns);
	s->until_ns = now_ns + s->linger_ns;
	s->outgoing = connection_give_up(c);
	s->account = admission_linger(&b->admission, &c->admitted);
	s->connection = NULL;
	connection_unref(c);
	list_remove(&s->link);
	list_push_back(&b->detached, &s->link);
	s->silent = false;
	engine_party_absent(b->engine, s->party, now_ns);
}

/* ---- the next connection ----------------------------------------------------------------------
 */

static void attach(struct broker *b, struct session *s, struct connection *c, uint64_t frames)
{
	struct wire_welcome welcome;
	struct message m = {.kind = MESSAGE_WELCOME, .welcome = &welcome};
	int rc;

	rc = engine_party_identify(b->engine, s->party, c->admitted.identity);
	if (rc < 0) {
		connection_turn_away(c, rc, "out of memory; try again");
		return;
	}
	if (replay_resume(&s->outgoing->replay, frames) < 0) {
		connection_turn_away(c, CHAN_EPROTOCOL,
			"frames_received is more than was sent, or less than was confirmed before");
		return;
	}
	broker_fill_welcome(b, s, c, &welcome);
	rc = connection_adopt(c, s, s->outgoing, s->answers, &m);
	if (rc < 0) {
		connection_turn_away(c, rc, "out of memory; try again");
		return;
	}
	s->outgoing = NULL;
	s->answers = NULL;
	ride_left(&s->ride);
	s->connection = connection_ref(c);
	list_remove(&s->link);
	list_push_back(&b->sessions, &s->link);
	admission_end_linger(&b->admission, s->account);
	s->account = NULL;
	engine_party_present(b->engine, s->party, clock_now_ns());
}

void resume_refuse_next(struct session *s, int status, const char *text)
{
	if (s->next)
		connection_turn_away(s->next, status, text);
	s->next = NULL;
}

/* Also where there are no rules: who may do everything may still not take over what is another's. */
static void turn_stranger_away(struct connection *c)
{
	char why[TEXT_BYTES_MAX];

	snprintf(why, sizeof(why),
		"the session was begun by somebody else than %.200s; come as who began it (by the same "
		"token, certificate or user), or begin a new session",
		identity_label(c->admitted.identity));
	connection_turn_away(c, CHAN_EAUTH, why);
}

/* Whether there is room for the connection: that of the session's own, if it still has one. */
static bool find_place(struct broker *b, struct session *s, struct connection *c)
{
	char why[TEXT_BYTES_MAX];
	int rc;

	if (s->connection)
		rc = admission_may_replace(
			&b->admission, &c->admitted, &s->connection->admitted, why, sizeof(why));
	else
		rc = admission_come_in(&b->admission, &c->admitted, why, sizeof(why));
	if (rc < 0)
		connection_turn_away(c, rc, why);
	return rc == 0;
}

void resume_ask(struct broker *b, struct connection *c, const struct wire_hello *hello)
{
	struct session *s = find(b, hello);

	if (b->state >= BROKER_LEAVING) {
		connection_turn_away(c, CHAN_ESHUTDOWN, "the broker is shutting down");
	} else if (!s) {
		connection_turn_away(c, CHAN_EUNKNOWN,
			"no such session: its time without a connection is up, it has ended, or "
			"its secret is another; what had no answer may have happened or not; begin "
			"a new one");
	} else if (!identity_equal(engine_party_identity(s->party), c->admitted.identity)) {
		turn_stranger_away(c);
	} else if (hello->connection_epoch <= s->epoch) {
		connection_turn_away(c, CHAN_EPROTOCOL,
			"connection_epoch is not higher than that of an earlier HELLO");
	} else if (find_place(b, s, c)) {
		resume_refuse_next(
			s, CHAN_EPROTOCOL, "a HELLO with a higher connection_epoch came");
		s->epoch = hello->connection_epoch;
		if (!s->connection) {
			attach(b, s, c, hello->frames_received);
			return;
		}
		s->next = c;
		s->next_frames = hello->frames_received;
		connection_cut(s->connection);
	}
}

/* Whether the session may live on at all. */
static bool may_stay(const struct broker *b, const struct session *s)
{
	return s->party && !s->failed && !s->connection->outgoing->failed &&
	       b->state < BROKER_LEAVING;
}

/* Whether it may do so without a connection. */
static bool may_linger(struct broker *b, const struct session *s, char *why, size_t why_bytes)
{
	return admission_may_linger(&b->admission, &s->connection->admitted, why, why_bytes);
}

/* Lives on with the next connection; where that cannot go on with it (it says that it has frames
 * which were never sent, say) only if there is room for one more without: else who resumes so
 * would have as many of them as he likes. */
static void pass_on(struct broker *b, struct session *s)
{
	struct connection *next = s->next;
	char why[TEXT_BYTES_MAX];
	bool room = may_linger(b, s, why, sizeof(why));

	admission_take_place(&b->admission, &next->admitted);
	keep(b, s);
	s->next = NULL;
	attach(b, s, next, s->next_frames);
	if (!s->connection && !room)
		resume_end(b, s, why);
}

void resume_detach(struct broker *b, struct session *s)
{
	static struct log_limit limit = LOG_LIMIT_INIT;
	char why[TEXT_BYTES_MAX];

	if (may_stay(b, s) && s->next) {
		pass_on(b, s);
		return;
	}
	if (may_stay(b, s) && may_linger(b, s, why, sizeof(why))) {
		keep(b, s);
		return;
	}
	if (may_stay(b, s))
		log_limited(&limit, LOG_LEVEL_WARNING, "a session ends with its connection: %s",
			why);
	resume_refuse_next(s, CHAN_EUNKNOWN, "the session has ended");
	broker_end_party(b, s, 0, NULL);
	session_free(s);
}
