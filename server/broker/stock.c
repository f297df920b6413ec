#include "server/broker/stock.h"

#include <stddef.h>

static void *pop(struct stock_pile *pile)
{
	struct stock_piece *p = pile->top;

	if (p) {
		pile->top = p->next;
		pile->count--;
	}
	return p;
}

/* False when there are max already. */
static bool push(struct stock_pile *pile, uint32_t max, struct stock_piece *p)
{
	if (pile->count >= max)
		return false;
	p->next = pile->top;
	pile->top = p;
	pile->count++;
	return true;
}

/* The caller's own; NULL: it is no goroutine. */
static struct stock_pile *own_pile(struct stock *s)
{
	int processor = go_processor();

	return processor < 0 ? NULL : &s->own[processor].pile;
}

/* This and give_shared are not inlined: the way without a lock is so short that what they save on the
 * stack would be a third of it. */
__attribute__((noinline)) void *stock_take_shared(struct stock *s)
{
	void *piece;

	lock_acquire(&s->lock);
	piece = pop(&s->shared);
	lock_release(&s->lock);
	return piece;
}

void *stock_take(struct stock *s)
{
	struct stock_pile *own = own_pile(s);
	void *piece = own ? pop(own) : NULL;

	return piece ? piece : stock_take_shared(s);
}

static __attribute__((noinline)) bool give_shared(struct stock *s, void *piece)
{
	bool room;

	lock_acquire(&s->lock);
	room = push(&s->shared, s->shared_max, piece);
	lock_release(&s->lock);
	return room;
}

bool stock_give(struct stock *s, void *piece)
{
	struct stock_pile *own = own_pile(s);

	return (own && push(own, s->own_max, piece)) || give_shared(s, piece);
}
