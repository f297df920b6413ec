#include "server/broker/party.h"
#include "chan/status.h"
#include "server/broker/broken.h"
#include "server/broker/handoff.h"
#include "server/broker/lease.h"
#include "server/broker/semaphore.h"
#include "server/broker/producers.h"
#include "server/broker/state.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- who it is ---------------------------------------------------------------------------- */

/* What PS and closing times show of a speaker; longer strings are cut. */
#define SPEAKER_STRING_MAX 255u

/* Returns where the next one goes. */
static char *keep(char *at, const char *s)
{
	size_t n = strnlen(s, SPEAKER_STRING_MAX);

	memcpy(at, s, n);
	at[n] = '\0';
	text_mend(at);
	return at + n + 1;
}

static const char *behind(const char *s)
{
	return s + strlen(s) + 1;
}

struct wire_speaker party_speaker(const struct party *p)
{
	struct wire_speaker s = {.pid = p->pid, .host = p->strings};

	s.program = behind(s.host);
	s.group = behind(s.program);
	s.library = behind(s.group);
	return s;
}

struct party *engine_party_new(struct engine *e, void *owner, const struct wire_speaker *speaker)
{
	const char *strings[] = {speaker->host, speaker->program, speaker->group, speaker->library};
	size_t bytes = offsetof(struct party, strings);
	struct party *p;
	char *at;

	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		bytes += strnlen(strings[i], SPEAKER_STRING_MAX) + 1;
	p = calloc(1, bytes);
	if (!p)
		return NULL;
	at = p->strings;
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		at = keep(at, strings[i]);
	p->pid = speaker->pid;
	p->account = quota_get(&e->accounts, identity_account(NULL), &quota_unlimited);
	if (!p->account) {
		free(p);
		return NULL;
	}
	p->generation = GENERATION_NONE;
	p->engine = e;
	p->owner = owner;
	p->next_delivery = 1;
	list_push_back(&e->parties, &p->link);
	e->party_count++;
	return p;
}

void *party_owner(const struct party *p)
{
	return p->owner;
}

const char *party_label(const struct party *p, char label[PARTY_LABEL_MAX])
{
	struct wire_speaker s = party_speaker(p);

	snprintf(label, PARTY_LABEL_MAX, "%s[%llu]@%s", s.program[0] ? s.program : "?",
		(unsigned long long)s.pid, s.host[0] ? s.host : "?");
	text_mend(label);
	return label;
}

uint64_t engine_party_deliveries_out(const struct party *p)
{
	return p->deliveries.live - p->leased;
}

uint64_t engine_party_waiting(const struct party *p)
{
	return p->operations.live;
}

/* ---- ends ----------------------------------------------------------------------------------- */

struct end *party_end_of(struct party *p, uint64_t channel)
{
	struct end *end = p->last_end;

	if (end && end->channel->id == channel)
		return end;
	end = seqmap_get(&p->ends, channel);
	if (end)
		p->last_end = end;
	return end;
}

/* Counts the directions by which a channel is held; by is +1 or -1. */
static void channel_hold(struct channel *ch, uint8_t direction, int by)
{
	if (direction & CHAN_SEND)
		ch->held[0] += (uint32_t)by;
	if (direction & CHAN_RECV)
		ch->held[1] += (uint32_t)by;
	if (by > 0 && ch->ends + ch->carried > 1)
		ch->shared = true;
}

static int end_new(struct engine *e, struct party *p, struct channel *ch, struct end **ret_end)
{
	struct end *end;

	if (p->ends.live >= e->options.limits.ends_max)
		return CHAN_ELIMIT;
	if (seqmap_reserve(&p->ends, 1) < 0)
		return CHAN_ENOMEM;
	end = calloc(1, sizeof(*end));
	if (!end)
		return CHAN_ENOMEM;
	end->channel = channel_ref(ch);
	end->generation = e->access_generation;
	list_init(&end->waiters);
	ch->ends++;
	seqmap_put(&p->ends, ch->id, end);
	*ret_end = end;
	return 0;
}

/* For sending, with one claim more. */
static int open_end(struct engine *e, struct party *p, struct channel *ch, uint8_t direction)
{
	struct end *end = party_end_of(p, ch->id);
	bool sends = direction & CHAN_SEND;
	int rc = 0;

	if (sends && permits_of(ch) > 0)
		return CHAN_EWRONGEND;
	if (sends && (rc = producer_claim(e, ch, p)) < 0)
		return rc;
	if (!end)
		rc = end_new(e, p, ch, &end);
	if (rc < 0) {
		if (sends)
			producer_give_back(e, ch, p);
		return rc;
	}
	channel_hold(ch, direction & ~end->direction, +1);
	end->direction |= direction;
	end->allowed |= direction;
	end->count++;
	return 0;
}

int party_open(struct engine *e, struct party *p, struct channel *ch, uint8_t direction)
{
	int rc = open_end(e, p, ch, direction);

	if (rc == 0 && direction & CHAN_SEND)
		producer_keep(ch, p);
	return rc;
}

static void end_free(struct engine *e, struct party *p, struct end *end)
{
	struct channel *ch = end->channel;

	while (list_pop_front(&end->waiters))
		; /* orphans, which go on without it */
	seqmap_remove(&p->ends, ch->id);
	if (p->last_end == end)
		p->last_end = NULL;
	ch->ends--;
	channel_hold(ch, end->direction, -1);
	ch->loss = true;
	e->suspects += ch->ends == 0 && ch->carried > 0 && ch->temporary;
	channel_touch(e, ch);
	channel_unref(ch);
	free(end);
}

void party_release(struct engine *e, struct party *p, struct end *end)
{
	struct list *link;

	if (--end->count > 0)
		return;
	while ((link = list_pop_front(&end->waiters)))
		operation_withdraw(e, waiter_operation(list_entry(link, struct waiter, by_end)),
			CHAN_ECANCELED, 0);
	end_free(e, p, end);
}

/* ---- chan values ------------------------------------------------------------------------------
 */

bool reference_get(uint32_t type, const struct value *v, struct type_chan_ref *ret_ref)
{
	const uint8_t *bytes = v->bytes;
	size_t len = v->len;
	enum chan_type carried = CHAN_TYPE_CHAN;

	if (!type_may_refer(type))
		return false;
	if (type == CHAN_TYPE_ANY && type_any_split(bytes, len, &carried, &bytes, &len) < 0)
		return false;
	return carried == CHAN_TYPE_CHAN && type_get_chan(bytes, len, ret_ref) == 0;
}

void reference_carry(struct engine *e, uint32_t type, const struct value *v, int by)
{
	struct type_chan_ref ref;
	struct channel *ch;

	if (!reference_get(type, v, &ref) || !(ch = seqmap_get(&e->channels, ref.channel)))
		return;
	ch->carried += (uint32_t)by;
	channel_hold(ch, ref.direction, by);
	if (by > 0)
		return;
	ch->loss = true;
	channel_touch(e, ch);
}

int reference_open(struct engine *e, struct party *p, uint32_t type, const struct value *v)
{
	struct type_chan_ref ref;
	struct channel *ch;
	int rc;

	if (!reference_get(type, v, &ref) || !(ch = seqmap_get(&e->channels, ref.channel)))
		return 0;
	rc = open_end(e, p, ch, ref.direction);
	if (rc == 0)
		party_end_of(p, ch->id)->delegated |= ref.direction;
	return rc;
}

/* The channel to which the value hands an end for sending over, or NULL. */
static struct channel *sends_to(struct engine *e, uint32_t type, const struct value *v)
{
	struct type_chan_ref ref;

	if (!reference_get(type, v, &ref) || !(ref.direction & CHAN_SEND))
		return NULL;
	return seqmap_get(&e->channels, ref.channel);
}

void reference_release(struct engine *e, struct party *p, uint32_t type, const struct value *v)
{
	struct type_chan_ref ref;
	struct end *end;

	if (reference_get(type, v, &ref) && (end = party_end_of(p, ref.channel)))
		party_release(e, p, end);
	reference_lapse(e, p, type, v);
}

void reference_lapse(struct engine *e, struct party *p, uint32_t type, const struct value *v)
{
	struct channel *ch = sends_to(e, type, v);

	if (ch)
		producer_give_back(e, ch, p);
}

void reference_keep(struct engine *e, struct party *p, uint32_t type, const struct value *v)
{
	struct channel *ch = sends_to(e, type, v);

	if (ch)
		producer_keep(ch, p);
}

/* ---- its deliveries and its end
 * ------------------------------------------------------------------ */

void party_return_all(struct engine *e, struct party *p, bool tell)
{
	struct wire_range ranges[GONE_RANGES_MAX];
	const struct seqmap_entry *entry;
	size_t count = 0;
	uint64_t key;

	for (key = 0; (entry = seqmap_from(&p->deliveries, key));) {
		struct delivery *d = entry->ptr;

		key = entry->key + 1;
		if (d->state == DELIVERY_LEASED)
			continue;
		delivery_part(&e->deliveries, d, &p->deliveries);
		seqmap_remove_entry(&p->deliveries, entry);
		if (tell)
			gather_gone(p, ranges, &count, d->id, 1);
		reference_release(e, p, d->channel->type, d->value);
		handoff_returned(e, d, 0);
	}
	if (count > 0)
		answer_gone(p, ranges, count);
}

void engine_party_absent(struct engine *e, struct party *p, int64_t now_ns)
{
	const struct seqmap_entry *entry;

	e->now_ns = now_ns;
	p->absent = true;
	if (BROKEN(absent_returned))
		party_return_all(e, p, true);
	for (uint64_t key = 0; (entry = seqmap_from(&p->operations, key)); key = entry->key + 1)
		operation_pass_over(entry->ptr);
	engine_step(e);
}

void engine_party_present(struct engine *e, struct party *p, int64_t now_ns)
{
	const struct seqmap_entry *entry;

	e->now_ns = now_ns;
	p->absent = false;
	p->resumed = true;
	for (uint64_t key = 0; (entry = seqmap_from(&p->operations, key)); key = entry->key + 1)
		operation_count_in(e, entry->ptr);
	engine_step(e);
}

static bool can_send(const struct operation *op)
{
	if (op->kind != OP_SELECT)
		return op->kind == OP_SEND;
	for (uint32_t i = 0; i < op->waiter_count; i++)
		if (op->waiters[i].direction == CHAN_SEND)
			return true;
	return false;
}

void engine_party_finish(struct engine *e, struct party *p, int64_t now_ns)
{
	const struct seqmap_entry *entry;
	uint64_t key;

	e->now_ns = now_ns;
	p->absent = true;
	for (key = 0; (entry = seqmap_from(&p->operations, key));) {
		key = entry->key + 1;
		if (can_send(entry->ptr))
			operation_pass_over(entry->ptr);
		else
			operation_withdraw(e, entry->ptr, CHAN_ECANCELED, 0);
	}
	party_return_all(e, p, true);
	engine_step(e);
}

void engine_party_revoke(struct engine *e, struct party *p, int64_t now_ns)
{
	e->now_ns = now_ns;
	party_return_all(e, p, true);
	engine_step(e);
}

void engine_party_end(struct engine *e, struct party *p, int64_t now_ns)
{
	const struct seqmap_entry *entry;

	e->now_ns = now_ns;
	while ((entry = seqmap_from(&p->operations, 0)))
		operation_orphan(e, entry->ptr);
	party_return_all(e, p, false);
	while ((entry = seqmap_from(&p->deliveries, 0)))
		lease_give_back(e, entry->ptr, 0);
	producers_end(e, p);
	while ((entry = seqmap_from(&p->ends, 0)))
		end_free(e, p, entry->ptr);
	seqmap_fini(&p->operations);
	seqmap_fini(&p->deliveries);
	seqmap_fini(&p->ends);
	party_drop_ops(p, p->ops_in_flight); /* cancels whose target is out are never answered */
	list_remove(&p->link);
	e->party_count--;
	engine_step(e);
	quota_put(&e->accounts, p->account, now_ns);
	access_grants_free(p->grants);
	identity_unref(p->identity);
	free(p);
}
