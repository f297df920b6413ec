#include "config.h"

#include "server/channel/sudog.h"

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
