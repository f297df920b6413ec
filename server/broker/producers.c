#include "server/broker/producers.h"
#include "chan/status.h"
#include "server/broker/state.h"
#include <stdio.h>
#include <stdlib.h>

int producers_init(struct producers *producers, int32_t max)
{
	list_init(&producers->list);
	if (!max)
		return 0;
	producers->spare = malloc(sizeof(struct closing) + PRODUCERS_SPARE_TEXT_BYTES);
	return producers->spare ? 0 : CHAN_ENOMEM;
}

void producers_fini(struct producers *producers)
{
	free(producers->spare);
}

struct producer *producer_of(const struct channel *ch, const struct party *p)
{
	return p->producing ? seqmap_get(p->producing, ch->id) : NULL;
}

/* Whether so many are all that there may be. */
static bool complete(const struct channel *ch, uint32_t count)
{
	int32_t max = ch->attributes->producers_max;

	return max != PRODUCERS_AUTO && count >= (uint32_t)max;
}

/* Whether that many are done and nobody is left who could send. */
static bool all_are_done(const struct channel *ch, uint32_t done)
{
	if (ch->attributes->producers_max == PRODUCERS_AUTO)
		return done == producers_of(ch)->came;
	return complete(ch, done);
}

bool producers_complete(const struct channel *ch, const struct party *p)
{
	return producers_counted(ch) && !producer_of(ch, p) && complete(ch, producers_of(ch)->came);
}

/* What changes producers does so while the channel counts them, and is open. */
static bool is_open(const struct channel *ch)
{
	return producers_counted(ch) && !ch->closing;
}

static int producer_new(
	struct engine *e, struct channel *ch, struct party *p, struct producer **ret_one)
{
	struct producer *one;

	if (!p->producing && !(p->producing = calloc(1, sizeof(*p->producing))))
		return CHAN_ENOMEM;
	if (complete(ch, producers_of(ch)->came) ||
		p->producing->live >= e->options.limits.ends_max)
		return CHAN_ELIMIT;
	if (seqmap_reserve(p->producing, 1) < 0)
		return CHAN_ENOMEM;
	one = malloc(sizeof(*one));
	if (!one)
		return CHAN_ENOMEM;
	*one = (struct producer){.channel = ch, .party = p};
	list_push_back(&producers_of(ch)->list, &one->link);
	seqmap_put(p->producing, ch->id, one);
	producers_of(ch)->came++;
	*ret_one = one;
	return 0;
}

int producer_claim(struct engine *e, struct channel *ch, struct party *p)
{
	struct producer *one;
	int rc = 0;

	if (!is_open(ch))
		return 0;
	one = producer_of(ch, p);
	if (!one)
		rc = producer_new(e, ch, p, &one);
	if (rc == 0 && !one->kept)
		one->claims++;
	return rc;
}

void producer_keep(struct channel *ch, struct party *p)
{
	if (is_open(ch))
		producer_of(ch, p)->kept = true;
}

/* Forgets that it is registered, not that it came. */
static void forget(struct producer *one)
{
	list_remove(&one->link);
	seqmap_remove(one->party->producing, one->channel->id);
	free(one);
}

void producer_give_back(struct engine *e, struct channel *ch, struct party *p)
{
	struct producer *one = is_open(ch) ? producer_of(ch, p) : NULL;

	if (!one || one->kept || --one->claims > 0)
		return;
	producers_of(ch)->came--;
	forget(one);
	if (producers_of(ch)->done > 0 && all_are_done(ch, producers_of(ch)->done))
		channel_close(e, ch, p, PRODUCER_LEFT, false); /* has memory of its own */
}

bool producer_is_done_slowly(const struct channel *ch, const struct party *p)
{
	const struct producer *one = producer_of(ch, p);

	return one && one->done;
}

/* Sends of the party whose value is out: the receiver decides. */
static void withdraw_aside(struct engine *e, struct channel *ch, const struct party *p)
{
	struct waiter *w;

	LIST_FOREACH (w, &ch->traffic->aside, link)
		if (w->direction == CHAN_SEND && waiter_operation(w)->party == p)
			operation_withdraw(e, waiter_operation(w), CHAN_ECLOSED, w->index);
}

int producer_close(struct engine *e, struct channel *ch, struct party *p, const char *reason)
{
	uint32_t done = producers_of(ch)->done + 1;
	bool last;
	int rc = producer_claim(e, ch, p);

	if (rc < 0)
		return rc;
	producer_keep(ch, p);
	last = all_are_done(ch, done);
	if (last && channel_close(e, ch, p, reason, false) < 0)
		return CHAN_ENOMEM;
	producer_of(ch, p)->done = true;
	producers_of(ch)->done = done;
	producers_note_fewer(ch);
	channel_touch(e, ch);
	if (!last)
		withdraw_aside(e, ch, p);
	return 0;
}

void producers_end(struct engine *e, struct party *p)
{
	const struct seqmap_entry *entry;

	if (!p->producing)
		return;
	while ((entry = seqmap_from(p->producing, 0))) {
		struct producer *one = entry->ptr;
		struct channel *ch = one->channel;

		if (one->kept && !one->done && !ch->closing)
			channel_close(e, ch, p, PRODUCER_DIED, true); /* has memory of its own */
		forget(one);
	}
	seqmap_fini(p->producing);
	free(p->producing);
	p->producing = NULL;
}

void producers_drop(struct channel *ch)
{
	struct producer *one, *next;

	if (!producers_counted(ch))
		return;
	LIST_FOREACH_SAFE (one, next, &producers_of(ch)->list, link)
		forget(one);
}

bool producers_were_lost(struct channel *ch)
{
	bool fewer = producers_counted(ch) && producers_of(ch)->fewer;

	if (fewer)
		producers_of(ch)->fewer = false;
	return fewer;
}

const char *producers_text(const struct channel *ch, char *text, size_t text_bytes)
{
	char label[PARTY_LABEL_MAX];
	const struct producer *one;
	size_t n = 0;

	text[0] = '\0';
	LIST_FOREACH (one, &producers_of(ch)->list, link)
		if (n < text_bytes)
			n += (size_t)snprintf(text + n, text_bytes - n, "%s%s%s", n ? ", " : "",
				party_label(one->party, label), one->done ? " (has closed)" : "");
	return text;
}
