#include "server/broker/heap.h"
#include <stddef.h>

/* The loser becomes the first child of the winner. Both are roots. */
static struct heap_node *meld(struct heap_node *a, struct heap_node *b, heap_order *before)
{
	if (!a)
		return b;
	if (!b)
		return a;
	if (before(b, a)) {
		struct heap_node *t = a;
		a = b;
		b = t;
	}
	b->prev = a;
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	a->child = b;
	return a;
}

/* Makes one heap of a list of siblings: first neighbours in pairs, then the pairs from the last to
 * the first. The order of the two passes is what makes removal logarithmic. */
static struct heap_node *meld_siblings(struct heap_node *list, heap_order *before)
{
	struct heap_node *pairs = NULL, *root = NULL;

	while (list) {
		struct heap_node *a = list, *b = a->next;

		list = b ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		a = meld(a, b, before);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct heap_node *a = pairs;

		pairs = a->next;
		a->next = NULL;
		root = meld(a, root, before);
	}
	return root;
}

void heap_insert(struct heap_node **root, struct heap_node *n, heap_order *before)
{
	n->child = n->next = n->prev = NULL;
	*root = meld(*root, n, before);
}

void heap_remove(struct heap_node **root, struct heap_node *n, heap_order *before)
{
	struct heap_node *below = meld_siblings(n->child, before);

	if (n == *root) {
		*root = below;
		return;
	}
	if (n->prev->child == n)
		n->prev->child = n->next;
	else
		n->prev->next = n->next;
	if (n->next)
		n->next->prev = n->prev;
	*root = meld(*root, below, before);
}

struct heap_node *heap_next(const struct heap_node *n)
{
	if (n->child)
		return n->child;
	while (n && !n->next) {
		while (n->prev && n->prev->child != n)
			n = n->prev;
		n = n->prev; /* the parent */
	}
	return n ? n->next : NULL;
}
