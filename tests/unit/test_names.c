/*
 * test_names.c - the ordered set of names, against an array of flags.
 */
#include "server/base/random.h"
#include "server/broker/names.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NAMES 500u

static struct {
	struct name_node node;
	char name[8];
	bool in;
} all[NAMES];
static struct name_node *root;

static struct name_node *expected_after(uint32_t i, bool inclusive)
{
	for (i += !inclusive; i < NAMES; i++)
		if (all[i].in)
			return &all[i].node;
	return NULL;
}

static void it_holds_what_an_array_holds(void **state)
{
	struct random random;

	(void)state;
	random_init(&random, 1);
	for (uint32_t i = 0; i < NAMES; i++)
		snprintf(all[i].name, sizeof(all[i].name), "n%04u", i);
	for (int step = 0; step < 50000; step++) {
		uint32_t i = random_below(&random, NAMES), k = random_below(&random, NAMES);

		if (all[i].in)
			names_remove(&root, &all[i].node);
		else
			names_insert(&root, &all[i].node, random_below(&random, 1u << 30));
		all[i].in = !all[i].in;
		assert_ptr_equal(names_find(root, all[k].name), all[k].in ? &all[k].node : NULL);
		assert_ptr_equal(
			names_seek(&root, all[k].name, random_below(&random, 1u << 30)).found,
			all[k].in ? &all[k].node : NULL);
		assert_ptr_equal(names_after(root, all[k].name, false), expected_after(k, false));
		assert_ptr_equal(names_after(root, all[k].name, true), expected_after(k, true));
	}
}

static uint32_t depth(const struct name_node *n)
{
	uint32_t left, right;

	if (!n)
		return 0;
	left = depth(n->left);
	right = depth(n->right);
	return 1 + (left > right ? left : right);
}

static void names_in_order_do_not_make_it_deep(void **state)
{
	struct random random;

	(void)state;
	random_init(&random, 1);
	root = NULL;
	for (uint32_t i = 0; i < NAMES; i++)
		names_insert(&root, &all[i].node, random_u64(&random));
	assert_in_range(depth(root), 9, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_holds_what_an_array_holds),
		cmocka_unit_test(names_in_order_do_not_make_it_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
