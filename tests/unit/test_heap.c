/*
 * test_heap.c - the pairing heap against a sorted array.
 */
#include "server/base/random.h"
#include "server/broker/heap.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NODES 200u

struct node {
	struct heap_node heap;
	uint32_t key;
	bool in, met;
};

static struct node nodes[NODES];
static struct heap_node *root;

static bool before(const struct heap_node *x, const struct heap_node *y)
{
	return ((const struct node *)x)->key < ((const struct node *)y)->key;
}

static struct node *least(void)
{
	struct node *found = NULL;

	for (struct node *n = nodes; n < nodes + NODES; n++)
		if (n->in && (!found || n->key < found->key))
			found = n;
	return found;
}

static void a_walk_meets_each_node_once(void)
{
	uint32_t met = 0, in = 0;

	for (struct node *n = nodes; n < nodes + NODES; n++) {
		n->met = false;
		in += n->in;
	}
	for (struct heap_node *h = root; h; h = heap_next(h)) {
		assert_true(((struct node *)h)->in && !((struct node *)h)->met);
		((struct node *)h)->met = true;
		met++;
	}
	assert_int_equal(met, in);
}

static void the_root_is_the_least_whatever_goes_in_and_out(void **state)
{
	struct random random;

	(void)state;
	random_init(&random, 1);
	for (int step = 0; step < 20000; step++) {
		struct node *n = &nodes[random_below(&random, NODES)];

		if (n->in) {
			heap_remove(&root, &n->heap, before);
		} else {
			n->key = random_below(&random, 1u << 30);
			heap_insert(&root, &n->heap, before);
		}
		n->in = !n->in;
		assert_ptr_equal(root, least());
		if (step % 100 == 0)
			a_walk_meets_each_node_once();
	}
}

static void rising_keys_come_out_in_order(void **state)
{
	(void)state;
	root = NULL;
	for (uint32_t i = 0; i < NODES; i++) {
		nodes[i] = (struct node){.key = i};
		heap_insert(&root, &nodes[i].heap, before);
	}
	for (uint32_t i = 0; i < NODES; i++) {
		assert_ptr_equal(root, &nodes[i]);
		heap_remove(&root, root, before);
	}
	assert_null(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_root_is_the_least_whatever_goes_in_and_out),
		cmocka_unit_test(rising_keys_come_out_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
