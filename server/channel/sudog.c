#include "config.h"

#include "server/channel/sudog.h"

/* Who came last on this thread, a ring; some may be gone. */
static _Thread_local struct {
	const struct sudog *recent[TRAIL_LENGTH];
	uint32_t oldest;
} trail;

/* Not inlined: a caller that parks may go on by another thread, whose trail is another. */
__attribute__((noinline)) void wait_trail_note(struct sudog *sg)
{
	const struct sudog **place = &trail.recent[trail.oldest++ % TRAIL_LENGTH];

	sg->ahead = (int32_t)(((intptr_t)*place - (intptr_t)sg) / 8);
	*place = sg;
}

void wait_queue_remove(struct wait_queue *q, struct sudog *sg)
{
	if (!sg->queued)
		return;
	sg->queued = false;
	if (sg->prev)
		sg->prev->next = sg->next;
	else
		atomic_store_explicit(&q->first, sg->next, memory_order_relaxed);
	if (sg->next)
		sg->next->prev = sg->prev;
	else
		q->last = sg->prev;
}

unsigned int wait_queue_length(const struct wait_queue *q)
{
	unsigned int length = 0;

	for (const struct sudog *sg = wait_queue_first(q); sg; sg = sg->next)
		length++;
	return length;
}
