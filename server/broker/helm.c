/*
 * helm.c - see helm.h.
 *
 * No batch is left behind: who brings one while the helm is taken puts it into the queue, and then
 * looks whether the helm is still taken; who leaves gives it free, and then looks whether something
 * came. These four are sequentially consistent, so one of the two sees what the other did. The
 * keeper's call is of the same kind.
 *
 * A bringer's batches stay in order: one of them waits only in the queue, and whoever takes the
 * helm, be it with a later one, begins with the queue.
 */
#include "server/broker/helm.h"

#include "server/channel/hchan.h"
#include <errno.h>

int helm_init(struct helm *h, size_t waiting_max)
{
	*h = (struct helm){.queue = hchan_make(struct batch *, waiting_max),
		.handed = hchan_new(0, 1, NULL)};
	if (h->queue && h->handed)
		return 0;
	helm_fini(h);
	return -ENOMEM;
}

void helm_fini(struct helm *h)
{
	hchan_unref(h->queue);
	hchan_unref(h->handed);
	h->queue = h->handed = NULL;
}

static bool try_take(struct helm *h)
{
	bool taken = false;

	if (!atomic_compare_exchange_strong(&h->taken, &taken, true))
		return false;
	if (atomic_load_explicit(&h->more, memory_order_relaxed))
		atomic_store(&h->more, false); /* the queue is looked at next */
	return true;
}

bool helm_bring(struct helm *h, struct batch **b)
{
	if (try_take(h))
		return true;
	hchan_send(h->queue, b);
	*b = NULL;
	atomic_store(&h->more, true);
	return try_take(h);
}

struct batch *helm_next(struct helm *h)
{
	struct batch *b;

	return hchan_try_recv(h->queue, &b) > 0 ? b : NULL;
}

void helm_hand_over(struct helm *h)
{
	atomic_store(&h->called, false);
	hchan_send(h->handed, NULL);
}

/* What came, or was left in the queue by who is about to leave. */
static bool is_wanted(struct helm *h)
{
	return atomic_load(&h->more) || atomic_load(&h->called) || hchan_len(h->queue) > 0;
}

bool helm_leave(struct helm *h)
{
	if (atomic_load(&h->called)) {
		helm_hand_over(h);
		return true;
	}
	atomic_store(&h->taken, false);
	return !is_wanted(h) || !try_take(h);
}

void helm_call(struct helm *h)
{
	if (try_take(h))
		return;
	atomic_store(&h->called, true);
	if (!try_take(h))
		hchan_recv(h->handed, NULL);
	atomic_store(&h->called, false);
}

struct hchan *helm_handed(struct helm *h)
{
	return h->handed;
}
