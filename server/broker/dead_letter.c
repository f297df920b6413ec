/*
 * dead_letter.c - a value changes its channel.
 *
 * It carries its attempts, so it cannot stand in the ring of values that were never out. Among
 * those that came back it has the order of the last value that the channel had accepted when it
 * came, and a rank behind it; so it leaves between that one and the next.
 */
#include "server/broker/dead_letter.h"
#include "server/broker/attributes.h"
#include "server/broker/buffer.h"
#include "server/broker/semaphore.h"
#include "server/broker/state.h"
#include <string.h>

static struct channel *find(const struct engine *e, const struct channel *from)
{
	struct name_node *n = names_find(e->names, from->attributes->dead_letter);

	return n ? list_entry(n, struct channel, named) : NULL;
}

/* What stands in the way, or NULL. */
static const char *obstacle(const struct channel *from, const struct channel *to)
{
	if (!to)
		return "there is no such channel";
	if (to->closing)
		return "it is closed";
	if (!to->capacity)
		return "it is unbuffered";
	if (to->type != from->type && to->type != CHAN_TYPE_ANY)
		return "it has another type";
	if (permits_of(to) > 0)
		return "its values are permits";
	return NULL;
}

/* The value as the other channel has it, with a reference of its own; the channel is ready for it
 * then. NULL: out of memory. */
static struct value *convert(
	struct engine *e, const struct channel *from, struct channel *to, struct value *v)
{
	struct value *tagged;

	if (traffic_need(&e->traffic, to) < 0)
		return NULL;
	if (from->type == to->type)
		return value_ref(v);
	tagged = value_new((size_t)v->len + 1);
	if (!tagged)
		return NULL;
	tagged->bytes[0] = from->type;
	memcpy(tagged->bytes + 1, v->bytes, v->len);
	return tagged;
}

static void enter(struct engine *e, struct channel *to, struct delivery *d)
{
	to->bytes_buffered += d->value->len;
	e->values_buffered++;
	d->channel = to;
	d->order = to->accepted;
	d->rank = (uint32_t)++to->traffic->moved_in;
	d->tries = 0;
	to->traffic->lifted = true;
	if (d->attempt < UINT32_MAX)
		d->attempt++;
	buffer_return(to, d);
	channel_touch(e, to);
}

bool dead_letter_send(struct engine *e, struct delivery *d)
{
	struct channel *from = d->channel, *to = find(e, from);
	const char *problem = obstacle(from, to);
	struct value *v = problem ? NULL : convert(e, from, to, d->value);

	if (!v) {
		from->traffic->dead_letter_failures++;
		from->traffic->dead_letter_problem =
			problem ? problem : "the broker is out of memory";
		return false;
	}
	from->traffic->dead_lettered++;
	engine_hold_value(e, value_pack(d->value)->account, to->type, v);
	buffer_forget(e, from, d->value, 1);
	d->value = v;
	enter(e, to, d);
	return true;
}
