#include "server/broker/outgoing.h"

#include <stdlib.h>

struct outgoing *outgoing_new(uint32_t unseen_bytes_max)
{
	struct outgoing *o = calloc(1, sizeof(*o));

	if (o)
		o->unseen_bytes_max = unseen_bytes_max;
	return o;
}

void outgoing_free(struct outgoing *o)
{
	if (!o)
		return;
	replay_fini(&o->replay);
	writer_todo_fini(&o->todo);
	free(o);
}

bool outgoing_may_fill(const struct outgoing *o)
{
	return !replay_behind(&o->replay) && o->replay.bytes < o->unseen_bytes_max;
}

size_t outgoing_bytes(const struct outgoing *o)
{
	return sizeof(*o) + o->replay.bytes + writer_todo_bytes(&o->todo);
}
