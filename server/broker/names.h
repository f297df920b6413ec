/*
 * names.h - an ordered set of names, for lookups and for listing in order: a Patricia tree.
 *
 * A node decides by one bit of a name which way to go, and no name is looked at before the end of
 * the way: one of 10,000 is found in 16 steps of a few instructions and one comparison. A treap, which
 * compares at each step, was here before, and to make one channel of 10,000 took 80 of 1,600 ns more
 * with it. Each node is an inner node and, by a link from itself or from below it, a leaf: so a name
 * needs one node and no memory besides.
 *
 * Names come from outside. Whatever they are, the way to one is no longer than it has bits. Who makes
 * it so long, by 2,000 names of 255 bytes (9 us a search), does so for names that begin as these do,
 * and for no others.
 */
#ifndef BROKER_NAMES_H
#define BROKER_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The owner's name stands right behind it and does not change while the node is in the set: where
 * there are millions, a pointer to each would count. NAME_FOLLOWS sees to it. */
struct name_node {
	struct name_node *child[2]; /* where its bit is 0, where it is 1 */
	uint32_t bit;               /* see names.c */
};

#define NAME_FOLLOWS(owner, node, name)                                                            \
	_Static_assert(offsetof(owner, name) == offsetof(owner, node) + sizeof(struct name_node),  \
		"the name stands right behind its node")

static inline const char *name_of(const struct name_node *n)
{
	return (const char *)(n + 1);
}

/* What is known of a name, until the set changes: its node, or where one of it would enter. */
struct name_place {
	struct name_node *found; /* NULL: the name is not in the set */
	struct name_node **at;
	uint32_t bit;
};

/* *root is the set, NULL when it is empty. One search serves to look a name up and to put it in. */
struct name_place names_seek(struct name_node **root, const char *name);
void names_put(const struct name_place *place, struct name_node *n);

/* For a name that is not in the set. */
void names_insert(struct name_node **root, struct name_node *n);

/* For a node that is. */
void names_remove(struct name_node **root, struct name_node *n);

struct name_node *names_find(struct name_node *root, const char *name);

/* The first name that is behind the given one (or, inclusive, the given one itself), or NULL. */
struct name_node *names_after(struct name_node *root, const char *name, bool inclusive);

#endif
