/*
 * collect.c - channels that only hold each other.
 *
 * A chan value holds its channel. A channel that nobody has open, and that waits inside its own
 * buffer or inside that of another such channel, can never be reached again, and no count gets to
 * zero. They are found as other collectors of counted references find theirs: among the suspects
 * (temporary, no end open) take off every reference that comes from a suspect's buffer. Those who
 * are still referred to are held from outside, and with them whatever their buffers refer to; the
 * rest goes.
 *
 * It runs when enough channels became suspects, and when a limit would refuse something.
 */
#include "server/broker/collect.h"
#include "server/broker/buffer.h"
#include "server/broker/state.h"
#include <stdlib.h>

static bool is_suspect(const struct channel *ch)
{
	return ch->temporary && ch->ends == 0;
}

struct suspects {
	struct channel **list;
	size_t count;
};

/* What a value in a buffer refers to, if that is a suspect. */
static struct channel *refers_to(
	struct engine *e, const struct channel *from, const struct value *v)
{
	struct type_chan_ref ref;
	struct channel *ch;

	if (!reference_get(from->type, v, &ref))
		return NULL;
	ch = seqmap_get(&e->channels, ref.channel);
	return ch && is_suspect(ch) ? ch : NULL;
}

/* Calls f for every suspect that a value in the channel's buffer refers to. */
static void each_reference(struct engine *e, struct channel *from,
	void (*f)(struct channel *to, struct suspects *found), struct suspects *found)
{
	struct buffer_position at = {0};
	struct channel *to;
	struct value *v;

	while ((v = buffer_next(from, &at)))
		if ((to = refers_to(e, from, v)))
			f(to, found);
}

static void take_off(struct channel *to, struct suspects *unused)
{
	(void)unused;
	to->held_outside--;
}

/* Each is found once, so the list has room for all. */
static void find(struct channel *to, struct suspects *found)
{
	if (to->reached)
		return;
	to->reached = true;
	found->list[found->count++] = to;
}

static struct suspects gather(struct engine *e)
{
	struct suspects s = {malloc(e->channels.live * sizeof(struct channel *)), 0};
	const struct seqmap_entry *entry;

	for (uint64_t key = 0; s.list && (entry = seqmap_from(&e->channels, key));
		key = entry->key + 1) {
		struct channel *ch = entry->ptr;

		if (!is_suspect(ch))
			continue;
		ch->held_outside = ch->carried;
		ch->reached = false;
		s.list[s.count++] = ch;
	}
	return s;
}

/* Marks those who are held from outside, and what they hold. */
static bool mark(struct engine *e, const struct suspects *s)
{
	struct suspects found = {malloc(s->count * sizeof(struct channel *)), 0};

	if (!found.list)
		return false;
	for (size_t i = 0; i < s->count; i++)
		each_reference(e, s->list[i], take_off, NULL);
	for (size_t i = 0; i < s->count; i++)
		if (s->list[i]->held_outside > 0)
			find(s->list[i], &found);
	for (size_t i = 0; i < found.count; i++)
		each_reference(e, found.list[i], find, &found);
	free(found.list);
	return true;
}

void engine_collect(struct engine *e)
{
	struct suspects s = gather(e);

	e->suspects = 0;
	if (s.count > 0 && mark(e, &s))
		for (size_t i = 0; i < s.count; i++)
			if (!s.list[i]->reached)
				channel_remove(e, s.list[i]);
	free(s.list);
}

void engine_collect_if_due(struct engine *e)
{
	if (e->suspects > SUSPECTS_MIN + e->channels.live / 8)
		engine_collect(e);
}
