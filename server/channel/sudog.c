#include "config.h"

#include "server/channel/sudog.h"

static struct sudog *first(const struct wait_queue *q)
{
	return atomic_load_explicit(&q->first, memory_order_relaxed);
}

static void set_first(struct wait_queue *q, struct sudog *sg)
{
	atomic_store_explicit(&q->first, sg, memory_order_relaxed);
}

void wait_queue_put(struct wait_queue *q, struct sudog *sg)
{
	sg->next = NULL;
	sg->queued = true;
	if (!first(q)) {
		sg->prev = NULL;
		set_first(q, sg);
	} else {
		sg->prev = q->last;
		q->last->next = sg;
	}
	q->last = sg;
}

void wait_queue_remove(struct wait_queue *q, struct sudog *sg)
{
	if (!sg->queued)
		return;
	sg->queued = false;
	if (sg->prev)
		sg->prev->next = sg->next;
	else
		set_first(q, sg->next);
	if (sg->next)
		sg->next->prev = sg->prev;
	else
		q->last = sg->prev;
}

struct sudog *wait_queue_take(struct wait_queue *q)
{
	struct sudog *sg;

	while ((sg = first(q))) {
		wait_queue_remove(q, sg);
		if (!sg->race || select_race_win(sg->race, sg))
			break;
	}
	return sg;
}

unsigned int wait_queue_length(const struct wait_queue *q)
{
	unsigned int length = 0;

	for (const struct sudog *sg = first(q); sg; sg = sg->next)
		length++;
	return length;
}
