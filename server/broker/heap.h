/*
 * heap.h - intrusive pairing heaps: the least element first, any element removable.
 *
 * No step allocates, so queueing an operation for its deadline or putting a value back to its
 * place cannot fail. Insertion is O(1), removal O(log n) amortized.
 */
#ifndef BROKER_HEAP_H
#define BROKER_HEAP_H

#include <stdbool.h>

struct heap_node {
	struct heap_node *child; /* the first of those below */
	struct heap_node *next;  /* the sibling to the right */
	struct heap_node *prev;  /* the sibling to the left; of a first child, its parent */
};

/* Whether a comes out before b. One heap is always used with one and the same order. */
typedef bool heap_order(const struct heap_node *a, const struct heap_node *b);

/* *root is the heap: its least element, NULL when it is empty. */
void heap_insert(struct heap_node **root, struct heap_node *n, heap_order *before);
void heap_remove(struct heap_node **root, struct heap_node *n, heap_order *before);

/* The next node of a walk that begins at the root and meets each node once, in no order; NULL at
 * the end. The heap must not change meanwhile. */
struct heap_node *heap_next(const struct heap_node *n);

#endif
