/*
 * op_channel.c - MAKE, OPEN, RELEASE, CLOSE, REMOVE: names, ends, and the life of channels.
 */
#include "chan/status.h"
#include "proto/limits.h"
#include "proto/name.h"
#include "server/broker/attributes.h"
#include "server/broker/collect.h"
#include "server/broker/permit.h"
#include "server/broker/producers.h"
#include "server/broker/semaphore.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct channel *find_named(const struct engine *e, const char *name)
{
	struct name_node *n = names_find(e->names, name);

	return n ? list_entry(n, struct channel, named) : NULL;
}

static const char *lifetime(bool temporary)
{
	return temporary ? "temporary" : "permanent";
}

/* ---- OPENs that wait for a name -------------------------------------------------------------- */

const char *awaited_name(const struct operation *op)
{
	return op->waiters[0].awaited->name;
}

void awaited_leave(struct engine *e, struct operation *op)
{
	struct awaited *a = op->waiters[0].awaited;

	list_remove(&op->waiters[0].link);
	if (!list_empty(&a->waiters))
		return;
	names_remove(&e->awaited, &a->node);
	free(a);
}

/* What waits for the name, made if nothing did. NULL: out of memory. */
static struct awaited *awaited_get(struct engine *e, const char *name)
{
	struct name_node *n = names_find(e->awaited, name);
	size_t bytes = strlen(name) + 1;
	struct awaited *a;

	if (n)
		return list_entry(n, struct awaited, node);
	a = malloc(sizeof(*a) + bytes);
	if (!a)
		return NULL;
	memcpy(a->name, name, bytes);
	list_init(&a->waiters);
	names_insert(&e->awaited, &a->node);
	return a;
}

static void await_name(struct call *c)
{
	const struct message *m = c->message;
	struct awaited *a = awaited_get(c->engine, m->open.name);
	struct operation *op;
	struct operation_request r = {
		.kind = OP_OPEN,
		.seq = m->seq,
		.participant = m->open.participant,
		.timeout_ns = m->open.timeout_ns,
		.waiter_count = 1,
	};

	if (!a) {
		answer_fail(call_asked(c), CHAN_ENOMEM, "open '%s': the broker is out of memory",
			m->open.name);
		return;
	}
	if (call_operation(c, call_asked(c), "open", m->open.name, &r, &op) < 0) {
		if (list_empty(&a->waiters)) {
			names_remove(&c->engine->awaited, &a->node);
			free(a);
		}
		return;
	}
	op->waiters[0].awaited = a;
	op->waiters[0].direction = (uint8_t)m->open.direction;
	list_push_back(&a->waiters, &op->waiters[0].link);
	operation_time(c->engine, op);
}

/* The name exists now: every OPEN that waits for it is answered. */
static void tell_awaiting(struct engine *e, struct channel *ch)
{
	struct name_node *n;

	while ((n = names_find(e->awaited, ch->name))) {
		struct awaited *a = list_entry(n, struct awaited, node);
		struct waiter *w = list_entry(a->waiters.next, struct waiter, link);
		struct operation *op = waiter_operation(w);
		int rc = permit_directions(e, op->party, w->direction, ch->name, NULL);

		if (rc == 0)
			rc = party_open(e, op->party, ch, w->direction);
		if (rc < 0) {
			operation_fail(e, op, rc, 0);
			continue;
		}
		answer_opened(op->party, op->seq, ch, w->direction, false);
		operation_end(e, op);
	}
}

/* ---- MAKE --------------------------------------------------------------------------------------
 */

/* What this version does not know, by name. 0, or it was answered. */
static int check_supported(const struct message *m, struct asked a)
{
	if (m->make.type_name[0])
		return answer_fail(a, CHAN_ENOTSUP,
			"make '%s': message types ('%s') are not supported by this broker",
			m->make.name, m->make.type_name);
	return 0;
}

static int check_make(const struct message *m, struct asked a, int64_t capacity_max)
{
	if (m->make.name[0] && name_check(m->make.name, strlen(m->make.name)) < 0)
		return answer_fail(
			a, CHAN_EINVAL, "make: '%.300s' is not a name; " NAME_RULE, m->make.name);
	if (!type_known(m->make.type))
		return answer_fail(a, CHAN_EINVAL, "make '%s': %u is not a type; there are %s",
			m->make.name, m->make.type, type_words());
	if (m->make.capacity < 0 || m->make.capacity > capacity_max)
		return answer_fail(a, CHAN_EINVAL,
			"make '%s': capacity %" PRId64 " is not between 0 and the limit, %" PRId64,
			m->make.name, m->make.capacity, capacity_max);
	if (m->make.direction > CHAN_BOTH)
		return answer_fail(a, CHAN_EINVAL, "make '%s': direction %u is not one of 0 to 3",
			m->make.name, m->make.direction);
	if (m->make.direction == 0 && (m->make.temporary || !m->make.name[0]))
		return answer_fail(a, CHAN_EINVAL,
			"make '%s': a temporary or unnamed channel lives while an end is open; "
			"ask for a direction",
			m->make.name);
	return 0;
}

static bool is_the_same(
	const struct channel *ch, const struct message *m, const struct attributes *attributes)
{
	return ch->type == m->make.type && ch->capacity == m->make.capacity &&
	       ch->temporary == m->make.temporary && attributes_same(ch->attributes, attributes);
}

static void refuse_different(struct asked a, const struct channel *ch, const struct message *m,
	const struct attributes *attributes)
{
	char is[ATTRIBUTES_TEXT_MAX], asked[ATTRIBUTES_TEXT_MAX];

	answer_fail(a, CHAN_EEXIST,
		"make '%s': it exists with type %s, capacity %" PRIu32 ", %s%s; asked: %s, %" PRId64
		", %s%s",
		ch->name, type_name(ch->type), ch->capacity, lifetime(ch->temporary),
		attributes_text(ch->attributes, is), type_name(m->make.type), m->make.capacity,
		lifetime(m->make.temporary), attributes_text(attributes, asked));
}

/* Where not the session's ends but the channel's producers are the limit. */
static bool refuse_producer(
	struct call *c, const struct channel *ch, uint8_t direction, const char *verb)
{
	char label[CHANNEL_LABEL_MAX], who[TEXT_BYTES_MAX / 2];

	if (!(direction & CHAN_SEND) || !producers_complete(ch, c->party))
		return false;
	answer_fail(call_asked(c), CHAN_ELIMIT,
		"%s %s: its producers are all registered (%d; %u have closed): %s", verb,
		channel_label(ch, label), ch->attributes->producers_max, producers_of(ch)->done,
		producers_text(ch, who, sizeof(who)));
	return true;
}

/* Opens an end, where one is asked for, and answers. */
static void open_and_answer(struct call *c, struct channel *ch, uint8_t direction, bool created)
{
	char label[CHANNEL_LABEL_MAX];
	int rc = direction ? party_open(c->engine, c->party, ch, direction) : 0;

	if (rc == CHAN_ELIMIT && refuse_producer(c, ch, direction, "open"))
		return;
	if (rc == CHAN_EWRONGEND)
		answer_fail(call_asked(c), rc,
			"open %s for sending: its values are permits, and nobody can add any",
			channel_label(ch, label));
	else if (rc == CHAN_ELIMIT)
		answer_fail(call_asked(c), rc,
			"open %s: the session holds %u channels open, the limit; release some "
			"first",
			channel_label(ch, label), c->engine->options.limits.ends_max);
	else if (rc < 0)
		answer_fail(call_asked(c), rc, "open %s: the broker is out of memory",
			channel_label(ch, label));
	else
		answer_opened(c->party, c->message->seq, ch, direction, created);
}

static bool has_room(const struct call *c)
{
	const struct quota_account *account = c->party->account;

	return c->engine->channels.live < c->engine->options.limits.channels_max &&
	       account->channels < account->limits.channels;
}

/* Whether there may be one more channel: 0, or it was answered. */
static int check_count(struct call *c)
{
	const struct quota_account *account = c->party->account;
	const char *name = c->message->make.name;

	if (!has_room(c) && c->engine->suspects > 0)
		engine_collect(c->engine);
	if (has_room(c))
		return 0;
	if (account->channels >= account->limits.channels)
		return answer_fail(call_asked(c), CHAN_ELIMIT,
			"make '%s': %.200s has made %" PRIu64
			" channels that were not removed, its limit (channels of its quota); "
			"remove some first",
			name, identity_label(c->party->identity), account->channels);
	return answer_fail(call_asked(c), CHAN_ELIMIT,
		"make '%s': the broker has %u channels, the limit; remove some first", name,
		c->engine->options.limits.channels_max);
}

/* 0, or it was answered. */
static int take_attributes(struct call *c, struct attributes **ret)
{
	char problem[TEXT_BYTES_MAX / 2]; /* not cleared, for each channel */
	int rc;

	strcpy(problem, "the broker is out of memory");
	rc = attributes_new(c->message, ret, problem, sizeof(problem));
	if (rc < 0)
		answer_fail(call_asked(c), rc, "make '%s': %s", c->message->make.name, problem);
	return rc;
}

/* What comes there comes by the right of who makes this. 0, or it was answered. */
static int permit_dead_letter(struct call *c, const struct attributes *attributes)
{
	if (!attributes || !attributes->dead_letter[0])
		return 0;
	return permit_open(
		c, call_asked(c), CHAN_SEND, attributes->dead_letter, "send dead letters to", NULL);
}

/* Why the channel that was just made must go again. */
static void refuse_new(struct call *c, const struct channel *ch, int rc)
{
	if (rc == CHAN_EWRONGEND)
		answer_fail(call_asked(c), rc,
			"make '%s' for sending: its values are permits, and nobody can add any",
			ch->name);
	else if (channel_length(ch) < permits_of(ch))
		answer_fail(call_asked(c), rc, "make '%s': there is no room for %u more values",
			ch->name, permits_of(ch));
	else
		answer_fail(call_asked(c), rc,
			"make '%s': the session can hold no further end open (limit %u)", ch->name,
			c->engine->options.limits.ends_max);
}

/* The channel of that name, or where one would enter. */
static struct name_place place_of(struct engine *e, const char *name)
{
	if (!name[0])
		return (struct name_place){0};
	return names_seek(&e->names, name);
}

/* What the message describes, for which there is room in the table then. NULL: there is no memory. */
static struct channel *new_channel(
	struct engine *e, const struct message *m, struct attributes *attributes)
{
	bool temporary = m->make.temporary || !m->make.name[0];

	if (seqmap_reserve(&e->channels, 1) < 0)
		return NULL;
	return channel_new(m->make.name, (uint8_t)m->make.type, (uint32_t)m->make.capacity,
		temporary, attributes);
}

/* It can be found from here on, and counts for who makes it. */
static void enter(struct call *c, struct channel *ch, struct name_place *place)
{
	struct engine *e = c->engine;

	ch->id = e->next_channel++;
	ch->account = c->party->account;
	ch->account->channels++;
	ch->account->holds++;
	ch->made_unix_ns = e->now_ns + e->options.unix_offset_ns;
	seqmap_put(&e->channels, ch->id, ch);
	if (ch->name[0])
		names_put(place, &ch->named);
}

/* Takes the attributes over. */
static void create(struct call *c, struct attributes *attributes, struct name_place place)
{
	const struct message *m = c->message;
	bool room = has_room(c);
	struct channel *ch;
	int rc;

	if (check_count(c) < 0) {
		free(attributes);
		return;
	}
	if (!room) /* what was in the way is collected */
		place = place_of(c->engine, m->make.name);
	ch = new_channel(c->engine, m, attributes);
	if (!ch) {
		free(attributes);
		answer_fail(call_asked(c), CHAN_ENOMEM, "make '%s': the broker is out of memory",
			m->make.name);
		return;
	}
	enter(c, ch, &place);
	rc = permits_fill(c, ch);
	if (rc == 0 && m->make.direction)
		rc = party_open(c->engine, c->party, ch, (uint8_t)m->make.direction);
	if (rc < 0) {
		refuse_new(c, ch, rc);
		channel_remove(c->engine, ch);
		return;
	}
	answer_opened(c->party, m->seq, ch, (uint8_t)m->make.direction, true);
	if (ch->name[0])
		tell_awaiting(c->engine, ch);
}

/* Making, and using what is opened with it, are asked about whether or not there is one already, so
 * that the answer tells nothing of that. 0, or it was answered. */
static int permit_make(struct call *c)
{
	const struct message *m = c->message;
	struct asked a = call_asked(c);
	int rc;

	if (!m->make.name[0])
		return permit_unnamed(c, a);
	rc = permit(c, a, ACCESS_MAKE, m->make.name, "make", NULL);
	if (rc < 0)
		return rc;
	return permit_open(c, a, (uint8_t)m->make.direction, m->make.name, "make", NULL);
}

int op_make(struct call *c)
{
	const struct message *m = c->message;
	struct attributes *attributes;
	struct name_place place;
	struct channel *ch;

	if (check_supported(m, call_asked(c)) < 0 ||
		check_make(m, call_asked(c), c->engine->options.limits.capacity_max) < 0)
		return 0;
	if (permit_make(c) < 0 || take_attributes(c, &attributes) < 0)
		return 0;
	place = place_of(c->engine, m->make.name);
	if (!place.found) {
		if (permit_dead_letter(c, attributes) == 0)
			create(c, attributes, place);
		else
			free(attributes);
		return 0;
	}
	ch = list_entry(place.found, struct channel, named);
	if (is_the_same(ch, m, attributes))
		open_and_answer(c, ch, (uint8_t)m->make.direction, false);
	else
		refuse_different(call_asked(c), ch, m, attributes);
	free(attributes);
	return 0;
}

/* ---- OPEN --------------------------------------------------------------------------------------
 */

static void open_named(struct call *c)
{
	const struct message *m = c->message;
	uint8_t direction = (uint8_t)m->open.direction;
	struct channel *ch;

	if (name_check(m->open.name, strlen(m->open.name)) < 0) {
		answer_fail(call_asked(c), CHAN_EINVAL, "open: '%.300s' is not a name; " NAME_RULE,
			m->open.name);
		return;
	}
	if (permit_open(c, call_asked(c), direction, m->open.name, "open", NULL) < 0)
		return;
	ch = find_named(c->engine, m->open.name);
	if (ch)
		open_and_answer(c, ch, direction, false);
	else if (m->open.wait_create)
		await_name(c);
	else
		answer_fail(call_asked(c), CHAN_ENOCHANNEL,
			"open '%s': there is no such channel; make it, or ask to wait until "
			"somebody does (wait_create; chanctl: --create, --wait-create)",
			m->open.name);
}

/*
 * The channel of an id that a message names without an end. An unnamed one is known only to
 * those who hold it: ids are easily guessed. NULL: it was answered.
 */
static struct channel *find_id(struct call *c, const char *verb, uint64_t id)
{
	struct engine *e = c->engine;
	struct channel *ch = seqmap_get(&e->channels, id);

	if (ch && (ch->name[0] || party_end_of(c->party, id)))
		return ch;
	if (ch)
		answer_fail(call_asked(c), CHAN_ENOCHANNEL,
			"%s channel %" PRIu64 ": it is unnamed, and was not handed to this session",
			verb, id);
	else if (id > 0 && id < e->next_channel)
		answer_fail(call_asked(c), CHAN_ESTALE,
			"%s channel %" PRIu64 ": it is no more; open it again by name", verb, id);
	else
		answer_fail(call_asked(c), CHAN_EINVAL,
			"%s channel %" PRIu64 ": there never was one", verb, id);
	return NULL;
}

/* A channel's id for people; its name is not told to those who only guessed the id. */
static const char *id_label(uint64_t id, char label[CHANNEL_LABEL_MAX])
{
	snprintf(label, CHANNEL_LABEL_MAX, "channel %" PRIu64, id);
	return label;
}

/* Who holds an end that may be used so may open it once more, and others by the rules for its name.
 * 0, or it was answered. */
static int permit_open_id(struct call *c, const struct channel *ch, struct end *end)
{
	uint8_t direction = (uint8_t)c->message->open.direction;
	char label[CHANNEL_LABEL_MAX];

	if (!ch->name[0] || (end && !(direction & ~end_allowed(c->engine, c->party, end))))
		return 0;
	return permit_open(c, call_asked(c), direction, ch->name, "open", id_label(ch->id, label));
}

static void open_id(struct call *c)
{
	const struct message *m = c->message;
	uint8_t direction = (uint8_t)m->open.direction;
	struct channel *ch;
	struct end *end;

	if (m->open.incarnation != c->engine->options.incarnation) {
		answer_fail(call_asked(c), CHAN_ESTALE,
			"open channel %" PRIu64 ": it was made by another run of the broker",
			m->open.channel);
		return;
	}
	ch = find_id(c, "open", m->open.channel);
	if (!ch)
		return;
	end = party_end_of(c->party, ch->id);
	if (permit_open_id(c, ch, end) < 0)
		return;
	if (!ch->name[0] && (direction & ~end->direction)) {
		answer_fail(call_asked(c), CHAN_EWRONGEND,
			"open channel %" PRIu64 ": it was handed over for %s only", ch->id,
			end->direction == CHAN_SEND ? "sending" : "receiving");
		return;
	}
	open_and_answer(c, ch, direction, false);
}

int op_open(struct call *c)
{
	const struct message *m = c->message;

	if (m->open.direction == 0 || m->open.direction > CHAN_BOTH)
		answer_fail(call_asked(c), CHAN_EINVAL,
			"open '%.300s': direction %u is not send (1), receive (2) or both (3)",
			m->open.name, m->open.direction);
	else if (m->open.name[0])
		open_named(c);
	else
		open_id(c);
	return 0;
}

int op_release(struct call *c)
{
	struct end *end = call_end(c, call_asked(c), "release", c->message->release.channel);

	if (!end)
		return 0;
	party_release(c->engine, c->party, end);
	answer_done(c->party, c->message->seq, 1, 0);
	return 0;
}

/* ---- the ends of channels
 * ------------------------------------------------------------------------- */

/* An end for sending that was handed over may close, as its value says; and a producer its own
 * side, as it must be able to say that it is done. 0, or it was answered. */
static int permit_close(
	struct call *c, const struct channel *ch, const char *verb, const char *label)
{
	if (!ch->name[0] || party_end_of(c->party, ch->id)->delegated & CHAN_SEND ||
		(producers_counted(ch) && !c->message->close.abort))
		return 0;
	return permit(c, call_asked(c), ACCESS_CLOSE, ch->name, verb, label);
}

static int close_or_abort(struct call *c, struct channel *ch)
{
	const struct message *m = c->message;

	if (producers_counted(ch) && !m->close.abort)
		return producer_close(c->engine, ch, c->party, m->close.reason);
	return channel_close(c->engine, ch, c->party, m->close.reason, m->close.abort);
}

/* What has not come about. */
static void answer_not_closed(struct call *c, struct channel *ch, int status, const char *verb)
{
	char label[CHANNEL_LABEL_MAX];

	if (status == CHAN_ELIMIT && refuse_producer(c, ch, CHAN_SEND, verb))
		return;
	answer_fail(call_asked(c), status, "%s %s: %s", verb, channel_label(ch, label),
		status == CHAN_ELIMIT ? "the session is a producer of all the channels that it may"
				      : "the broker is out of memory");
}

int op_close(struct call *c)
{
	const struct message *m = c->message;
	struct asked a = call_asked(c);
	const char *verb = m->close.abort ? "abort" : "close";
	struct channel *ch = call_channel(c, a, verb, m->close.channel, CHAN_SEND, m->close.epoch);
	char label[CHANNEL_LABEL_MAX];
	int rc;

	if (!ch)
		return 0;
	channel_label(ch, label);
	if (permit_close(c, ch, verb, label) < 0)
		return 0;
	if (strlen(m->close.reason) > TEXT_BYTES_MAX)
		answer_fail(a, CHAN_EINVAL, "%s %s: a reason of %zu bytes, the limit is %u", verb,
			label, strlen(m->close.reason), TEXT_BYTES_MAX);
	else if (ch->closing || (!m->close.abort && producer_is_done(ch, c->party)))
		answer_closed(a, verb, ch);
	else if ((rc = close_or_abort(c, ch)) < 0)
		answer_not_closed(c, ch, rc, verb);
	else
		answer_done(c->party, m->seq, 1, 0);
	return 0;
}

/* Whether the party may look at the channel by an end that it holds, whatever its name. */
static bool may_look(struct call *c, const struct channel *ch)
{
	struct end *end = party_end_of(c->party, ch->id);

	return end && end_allowed(c->engine, c->party, end);
}

/* Asks for a right to what REMOVE or STAT name; ch NULL: there is no such channel, which only those
 * are told who have the right. 0, or it was answered. */
static int permit_named(
	struct call *c, enum access_action action, const char *verb, const struct channel *ch)
{
	const char *name = c->message->channel_ref.name;
	char label[CHANNEL_LABEL_MAX];

	if (ch && (!ch->name[0] || (action == ACCESS_LIST && may_look(c, ch))))
		return 0;
	if (name[0])
		snprintf(label, sizeof(label), "'%.255s'", name);
	else
		id_label(ch->id, label);
	return permit(c, call_asked(c), action, name[0] ? name : ch->name, verb, label);
}

struct channel *call_named(struct call *c, enum access_action action, const char *verb)
{
	const char *name = c->message->channel_ref.name;
	struct channel *ch;

	if (!name[0]) {
		ch = find_id(c, verb, c->message->channel_ref.channel);
		return ch && permit_named(c, action, verb, ch) == 0 ? ch : NULL;
	}
	if (name_check(name, strlen(name)) < 0) {
		answer_fail(call_asked(c), CHAN_EINVAL, "%s: '%.300s' is not a name; " NAME_RULE,
			verb, name);
		return NULL;
	}
	ch = find_named(c->engine, name);
	if (permit_named(c, action, verb, ch) < 0)
		return NULL;
	if (!ch)
		answer_fail(call_asked(c), CHAN_ENOCHANNEL, "%s '%s': there is no such channel",
			verb, name);
	return ch;
}

int op_remove(struct call *c)
{
	struct channel *ch = call_named(c, ACCESS_REMOVE, "remove");

	if (!ch)
		return 0;
	channel_remove(c->engine, ch);
	answer_done(c->party, c->message->seq, 1, 0);
	return 0;
}
