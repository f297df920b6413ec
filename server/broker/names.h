/*
 * names.h - an ordered set of names: a treap, for lookups and for listing in order.
 *
 * Names come from outside. With priorities that nobody outside can know the depth stays
 * logarithmic whatever the names are, and a page of a listing costs no sort.
 */
#ifndef BROKER_NAMES_H
#define BROKER_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The owner's name stands right behind it and does not change while the node is in the set: where
 * there are millions, a pointer to each would count. NAME_FOLLOWS sees to it. */
struct name_node {
	struct name_node *left, *right;
	uint64_t priority;
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
	uint64_t priority;
};

/* *root is the set, NULL when it is empty. priority, that of a node which may enter, is random. One
 * way down serves to look a name up and to put it in. */
struct name_place names_seek(struct name_node **root, const char *name, uint64_t priority);
void names_put(const struct name_place *place, struct name_node *n);

/* Both for a name that is not in the set. */
void names_insert(struct name_node **root, struct name_node *n, uint64_t priority);
void names_remove(struct name_node **root, struct name_node *n);

struct name_node *names_find(struct name_node *root, const char *name);

/* The first name that is behind the given one (or, inclusive, the given one itself), or NULL. */
struct name_node *names_after(struct name_node *root, const char *name, bool inclusive);

#endif
