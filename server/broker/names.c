/*
 * names.c - a Patricia tree.
 *
 * The bits of a name are numbered from its beginning on, the highest of a byte first, so that the
 * left comes before the right as strcmp has it; behind its end a name is 0. Those of the first byte
 * are 8 to 15. Bit 0, which stands before all names and is 0 in each, is that of the root, which
 * thus has all others to its left, and to its right nothing.
 *
 * Going down, bits rise. A link that leads to a node whose bit is no higher than that of the node it
 * comes from is the end of the way: it means that node's name. To each node one such link leads,
 * from itself or from somewhere below it.
 */
#include "server/broker/names.h"
#include <string.h>

/* What is sought; its length is taken once. */
struct key {
	const char *name;
	size_t len;
};

static struct key key_of(const char *name)
{
	return (struct key){name, strlen(name)};
}

static inline unsigned bit_of(struct key k, uint32_t bit)
{
	size_t byte = (size_t)bit / 8 - 1; /* beyond any end, for the root's */

	return byte < k.len ? (unsigned)k.name[byte] >> (7 - bit % 8) & 1 : 0;
}

/* The first bit in which two names differ; 0: they are the same. */
static uint32_t difference(const char *a, const char *b)
{
	uint32_t byte = 0;
	unsigned odd;

	while (a[byte] == b[byte])
		if (a[byte++] == '\0')
			return 0;
	odd = (uint8_t)a[byte] ^ (uint8_t)b[byte];
	return 8 * (byte + 1) + (uint32_t)__builtin_clz(odd) - 24;
}

/* The only node that may have the name: all bits that are looked at agree. */
static struct name_node *candidate(struct name_node *root, struct key k)
{
	struct name_node *n = root->child[0];
	uint32_t above = 0;

	while (n->bit > above) {
		above = n->bit;
		n = n->child[bit_of(k, above)];
	}
	return n;
}

/* The links that were followed last. */
#define WAY_MAX 32u

struct way {
	struct name_node **link[WAY_MAX]; /* the i-th at i % WAY_MAX */
	uint32_t steps;
};

static struct name_node **way_last(const struct way *w, uint32_t back)
{
	return w->link[(w->steps - 1 - back) % WAY_MAX];
}

/* Goes the way to k and remembers it, but for its end, which is returned. */
static struct name_node **walk(struct name_node *root, struct key k, struct way *w)
{
	struct name_node **link = &root->child[0];
	uint32_t above = 0;

	for (w->steps = 0; (*link)->bit > above; w->steps++) {
		w->link[w->steps % WAY_MAX] = link;
		above = (*link)->bit;
		link = &(*link)->child[bit_of(k, above)];
	}
	return link;
}

/* The link at which a node of that bit would stand on the way to k, which ends at end: a few steps
 * back, as a rule. */
static struct name_node **link_before(
	struct name_node *root, struct key k, struct way *w, struct name_node **end, uint32_t bit)
{
	struct name_node **link = end;
	uint32_t back = 0, above = 0;

	for (; back < w->steps && back < WAY_MAX && (*way_last(w, back))->bit > bit; back++)
		link = way_last(w, back);
	if (back < WAY_MAX)
		return link;
	for (link = &root->child[0]; (*link)->bit > above && (*link)->bit < bit;) {
		above = (*link)->bit;
		link = &(*link)->child[bit_of(k, above)];
	}
	return link;
}

struct name_place names_seek(struct name_node **root, const char *name)
{
	struct key k = key_of(name);
	struct name_node **end;
	struct way way;
	uint32_t bit;

	if (!*root)
		return (struct name_place){.at = root};
	end = walk(*root, k, &way);
	bit = difference(name, name_of(*end));
	if (bit == 0)
		return (struct name_place){.found = *end};
	return (struct name_place){NULL, link_before(*root, k, &way, end, bit), bit};
}

void names_put(const struct name_place *place, struct name_node *n)
{
	unsigned own = bit_of(key_of(name_of(n)), place->bit);

	n->bit = place->bit;
	n->child[own] = n;
	n->child[!own] = *place->at;
	*place->at = n;
}

void names_insert(struct name_node **root, struct name_node *n)
{
	struct name_place place = names_seek(root, name_of(n));

	names_put(&place, n);
}

/* The node that decides last on the way to n goes, and stands from now on where n did. */
void names_remove(struct name_node **root, struct name_node *n)
{
	struct key k = key_of(name_of(n));
	struct name_node *last = *root, **to_last = root, **to_n = root;
	struct name_node **link = &last->child[0];

	while ((*link)->bit > last->bit) {
		to_last = link;
		last = *link;
		if (last == n)
			to_n = link;
		link = &last->child[bit_of(k, last->bit)];
	}
	*to_last = last->child[link == &last->child[0]];
	if (last == n)
		return;
	last->bit = n->bit;
	last->child[0] = n->child[0];
	last->child[1] = n->child[1];
	*to_n = last;
}

struct name_node *names_find(struct name_node *root, const char *name)
{
	struct name_node *n = root ? candidate(root, key_of(name)) : NULL;

	return n && strcmp(name, name_of(n)) == 0 ? n : NULL;
}

/* A part of the tree: that behind a link from a node of the bit above. */
struct part {
	struct name_node *n; /* NULL: there is none */
	uint32_t above;
};

static struct name_node *first_of(struct part p)
{
	while (p.n && p.n->bit > p.above)
		p = (struct part){p.n->child[0], p.n->bit};
	return p.n;
}

/* All names that have the bits before that one in common with k, as far as is looked at them; and
 * where they are what comes next behind those. */
static struct part part_of(
	struct name_node *root, struct key k, uint32_t bit, struct part *ret_behind)
{
	struct part at = {root->child[0], 0};

	*ret_behind = (struct part){0};
	while (at.n->bit > at.above && at.n->bit < bit) {
		unsigned way = bit_of(k, at.n->bit);

		if (way == 0)
			*ret_behind = (struct part){at.n->child[1], at.n->bit};
		at = (struct part){at.n->child[way], at.n->bit};
	}
	return at;
}

struct name_node *names_after(struct name_node *root, const char *name, bool inclusive)
{
	struct key k = key_of(name);
	struct part at, behind;
	uint32_t bit;

	if (!root)
		return NULL;
	at = part_of(root, k, UINT32_MAX, &behind);
	bit = difference(name, name_of(at.n));
	if (bit == 0)
		return inclusive ? at.n : first_of(behind);
	at = part_of(root, k, bit, &behind);
	return first_of(bit_of(k, bit) == 0 ? at : behind);
}
