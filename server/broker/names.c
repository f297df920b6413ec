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

void names_insert(struct name_node **root, struct name_node *n, uint64_t priority)
{
	const char *name = name_of(n);

	n->priority = priority;
	while (*root && (*root)->priority >= priority)
		root = strcmp(name, name_of(*root)) < 0 ? &(*root)->left : &(*root)->right;
	split(*root, name, &n->left, &n->right);
	*root = n;
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
