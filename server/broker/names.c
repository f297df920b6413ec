#include "server/broker/names.h"
#include <stddef.h>
#include <string.h>

/* Takes a tree apart into what is below the name and what is above it. */
static void split(
	struct name_node *n, const char *name, struct name_node **below, struct name_node **above)
{
	while (n) {
		if (strcmp(name_of(n), name) < 0) {
			*below = n;
			below = &n->right;
			n = n->right;
		} else {
			*above = n;
			above = &n->left;
			n = n->left;
		}
	}
	*below = *above = NULL;
}

/* Below the place where it would enter there are but a few more nodes to see, as a rule. */
struct name_place names_seek(struct name_node **root, const char *name, uint64_t priority)
{
	struct name_node *n;
	int order;

	while ((n = *root) && n->priority >= priority) {
		order = strcmp(name, name_of(n));
		if (order == 0)
			return (struct name_place){.found = n};
		root = order < 0 ? &n->left : &n->right;
	}
	return (struct name_place){names_find(n, name), root, priority};
}

void names_put(const struct name_place *place, struct name_node *n)
{
	n->priority = place->priority;
	split(*place->at, name_of(n), &n->left, &n->right);
	*place->at = n;
}

void names_insert(struct name_node **root, struct name_node *n, uint64_t priority)
{
	struct name_place place = names_seek(root, name_of(n), priority);

	names_put(&place, n);
}

void names_remove(struct name_node **root, struct name_node *n)
{
	struct name_node *left = n->left, *right = n->right;

	while (*root != n)
		root = strcmp(name_of(n), name_of(*root)) < 0 ? &(*root)->left : &(*root)->right;
	while (left && right) {
		if (left->priority >= right->priority) {
			*root = left;
			root = &left->right;
			left = left->right;
		} else {
			*root = right;
			root = &right->left;
			right = right->left;
		}
	}
	*root = left ? left : right;
}

struct name_node *names_find(struct name_node *root, const char *name)
{
	while (root) {
		int order = strcmp(name, name_of(root));

		if (order == 0)
			return root;
		root = order < 0 ? root->left : root->right;
	}
	return NULL;
}

struct name_node *names_after(struct name_node *root, const char *name, bool inclusive)
{
	struct name_node *found = NULL;

	while (root) {
		int order = strcmp(name, name_of(root));

		if (order < 0 || (order == 0 && inclusive)) {
			found = root;
			root = root->left;
		} else {
			root = root->right;
		}
	}
	return found;
}
