#include "config.h"

#include "server/runtime/rival.h"

#include "server/runtime/golock.h"

void rival_deliver(struct processor *to, struct goroutine *g)
{
	struct goroutine *first = atomic_load_explicit(&to->inbox, memory_order_relaxed);

	do
		g->link = first;
	while (!atomic_compare_exchange_weak(&to->inbox, &first, g));
	if (atomic_load(&to->idle))
		wake_processor();
}

void rival_take_moved(struct processor *p, struct go_queue *out)
{
	struct goroutine *last = atomic_exchange(&p->inbox, NULL), *g;
	struct go_queue moved = {0};

	/* The inbox has the last that came first. */
	while ((g = last)) {
		last = g->link;
		g->link = moved.head;
		moved.head = g;
		if (!moved.tail)
			moved.tail = g;
		moved.count++;
	}
	go_queue_append(out, &moved);
}

void rival_move(struct processor *to)
{
	struct machine *m = this_machine();

	atomic_store_explicit(&to->together, true, memory_order_relaxed);
	m->move_to = to;
	switch_away(m, AFTER_MOVE);
}

bool rival_count_bout(struct processor *p, int64_t since_ns, int64_t until_ns)
{
	int64_t waited_ns = until_ns - since_ns;

	if (p->bouts == 0) {
		p->bouts_since_ns = since_ns;
		p->bouts_waited_ns = 0;
	}
	p->bouts_waited_ns += waited_ns < RIVAL_WAIT_MAX_NS ? waited_ns : RIVAL_WAIT_MAX_NS;
	if (++p->bouts < RIVAL_BOUTS)
		return false;
	p->bouts = 0;
	return p->bouts_waited_ns * RIVAL_WAIT_PART >= until_ns - p->bouts_since_ns;
}

void golock_contend(struct golock *l)
{
	struct processor *p = this_machine()->p;
	int64_t since_ns = clock_now_ns();
	uint32_t rival;

	lock_acquire(&l->lock);
	rival = l->rival;
	l->rival = p->index + 1;
	if (!rival_count_bout(p, since_ns, clock_now_ns()) || rival == 0 || rival > p->index)
		return;
	lock_release(&l->lock);
	rival_move(&sched.processors[rival - 1]);
	lock_acquire(&l->lock);
}
