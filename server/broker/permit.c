#include "server/broker/permit.h"

#include "chan/status.h"
#include <stdio.h>
#include <string.h>

/* ---- a party's grants ---------------------------------------------------------------------- */

/* What the rules of this generation say of the party. False: out of memory. */
static bool review_party(struct engine *e, struct party *p)
{
	struct access_grants *grants = NULL;

	if (p->generation == e->access_generation)
		return true;
	if (access_rule_count(e->access) > 0) {
		grants = access_grants_new(e->access, p->identity);
		if (!grants)
			return false;
	}
	access_grants_free(p->grants);
	p->grants = grants;
	p->account->limits = access_limits(e->access, p->identity);
	p->generation = e->access_generation;
	return true;
}

int engine_party_identify(struct engine *e, struct party *p, struct identity *identity)
{
	struct quota_limits limits = access_limits(e->access, identity);
	struct quota_account *account =
		quota_get(&e->accounts, identity_account(identity), &limits);

	if (!account)
		return CHAN_ENOMEM;
	account->ops_in_flight += p->ops_in_flight;
	p->account->ops_in_flight -= p->ops_in_flight;
	quota_put(&e->accounts, p->account, e->now_ns);
	p->account = account;
	identity_ref(identity);
	identity_unref(p->identity);
	p->identity = identity;
	p->generation = GENERATION_NONE;
	return review_party(e, p) ? 0 : CHAN_ENOMEM;
}

const struct identity *engine_party_identity(const struct party *p)
{
	return p->identity;
}

bool engine_party_welcome(const struct party *p)
{
	return !p->grants || access_grants_any(p->grants);
}

void engine_set_access(struct engine *e, struct access *access)
{
	access_ref(access);
	access_unref(e->access);
	e->access = access;
	e->access_generation++;
}

uint64_t engine_denied(const struct engine *e)
{
	return e->denied;
}

/* ---- questions ------------------------------------------------------------------------------ */

int permit_check(struct engine *e, struct party *p, enum access_action action, const char *name)
{
	if (!review_party(e, p))
		return CHAN_ENOMEM;
	return !p->grants || access_allows(p->grants, action, name) ? 0 : CHAN_EPERM;
}

/* Answers what permit_check found, with what the action is for people. */
static int refuse(struct call *c, struct asked a, int status, const char *verb, const char *label,
	const char *action)
{
	struct engine *e = c->engine;
	const char *who = identity_label(c->party->identity);

	if (status == CHAN_ENOMEM)
		return answer_fail(a, status, "%s %s: the broker is out of memory", verb, label);
	e->denied++;
	if (e->options.denied)
		e->options.denied(c->party, verb, label);
	return answer_fail(a, status,
		"%s %s: %.200s may not %s; no rule of the broker's configuration allows it. Ask "
		"who runs the broker for one, or come as somebody else (with a token, say)",
		verb, label, who, action);
}

/* The same of what has that name, which stands for a label where there is none. */
static int refuse_name(struct call *c, struct asked a, int status, const char *verb,
	const char *name, const char *label, const char *action)
{
	char text[CHANNEL_LABEL_MAX];

	return refuse(c, a, status, verb, label ? label : name_label(name, text), action);
}

int permit(struct call *c, struct asked a, enum access_action action, const char *name,
	const char *verb, const char *label)
{
	char text[64];
	int rc = permit_check(c->engine, c->party, action, name);

	if (rc == 0)
		return 0;
	snprintf(text, sizeof(text), "%s it", access_action_word(action));
	return refuse_name(c, a, rc, verb, name, label, text);
}

int permit_somewhere(struct call *c, struct asked a, enum access_action action, const char *verb,
	const char *label)
{
	char text[64];

	if (!review_party(c->engine, c->party))
		return refuse(c, a, CHAN_ENOMEM, verb, label, "");
	if (!c->party->grants || access_allows_somewhere(c->party->grants, action))
		return 0;
	snprintf(text, sizeof(text), "%s anything", access_action_word(action));
	return refuse(c, a, CHAN_EPERM, verb, label, text);
}

static const char *direction_words(uint8_t direction)
{
	return direction == CHAN_RECV ? "receive from it" : "send to it";
}

static enum access_action action_of(uint8_t direction)
{
	return direction == CHAN_SEND ? ACCESS_SEND : ACCESS_RECEIVE;
}

int permit_directions(struct engine *e, struct party *p, uint8_t direction, const char *name,
	uint8_t *ret_refused)
{
	int rc;

	for (uint8_t d = CHAN_SEND; d <= CHAN_RECV; d <<= 1) {
		rc = direction & d ? permit_check(e, p, action_of(d), name) : 0;
		if (rc < 0) {
			if (ret_refused)
				*ret_refused = d;
			return rc;
		}
	}
	return 0;
}

int permit_open(struct call *c, struct asked a, uint8_t direction, const char *name,
	const char *verb, const char *label)
{
	uint8_t refused;
	int rc = permit_directions(c->engine, c->party, direction, name, &refused);

	return rc < 0 ? refuse_name(c, a, rc, verb, name, label, direction_words(refused)) : 0;
}

int permit_unnamed(struct call *c, struct asked a)
{
	if (!review_party(c->engine, c->party))
		return refuse(c, a, CHAN_ENOMEM, "make", "an unnamed channel", "");
	if (engine_party_welcome(c->party))
		return 0;
	return refuse(c, a, CHAN_EPERM, "make", "an unnamed channel", "do anything here");
}

/* ---- ends ----------------------------------------------------------------------------------- */

/* On want of memory the generation stays old: it is asked again. */
uint8_t permit_review(struct engine *e, struct party *p, struct end *end)
{
	const struct channel *ch = end->channel;
	uint8_t allowed = ch->name[0] ? end->delegated : CHAN_BOTH;

	if (!review_party(e, p))
		return allowed & end->direction;
	for (uint8_t d = CHAN_SEND; d <= CHAN_RECV; d <<= 1)
		if (permit_directions(e, p, d, ch->name, NULL) == 0)
			allowed |= d;
	end->allowed = allowed & end->direction;
	end->generation = e->access_generation;
	return end->allowed;
}

void permit_refuse_end(struct call *c, struct asked a, const struct channel *ch, uint8_t direction,
	const char *verb)
{
	char label[CHANNEL_LABEL_MAX];
	bool reviewed = c->party->generation == c->engine->access_generation;

	refuse(c, a, reviewed ? CHAN_EPERM : CHAN_ENOMEM, verb, channel_label(ch, label),
		direction_words(direction));
}
