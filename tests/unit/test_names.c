/*
 * test_names.c - the ordered set of names, against an array of flags.
 */
#include "server/base/random.h"
#include "server/broker/names.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NAMES 500u

struct named {
	struct name_node node;
	char name[16];
	bool in;
};

static struct named all[NAMES];
static struct name_node *root;

/* Short, of few letters: many that begin alike, or with all of another; and of all values of bytes. */
static void invent_name(struct random *random, char name[static 16])
{
	static const char letters[] = "ab\x01\x7f\x80\xff";
	uint32_t len = random_below(random, 15);

	for (uint32_t i = 0; i < len; i++)
		name[i] = letters[random_below(random, sizeof(letters) - 1)];
	name[len] = '\0';
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static bool twice(uint32_t i)
{
	return i > 0 && strcmp(all[i - 1].name, all[i].name) == 0;
}

/* In order, each once. */
static void invent_names(struct random *random)
{
	memset(all, 0, sizeof(all));
	for (uint32_t i = 0; i < NAMES; i++)
		invent_name(random, all[i].name);
	qsort(all, NAMES, sizeof(all[0]), by_name);
	for (uint32_t i = 0; i < NAMES; i++) {
		while (twice(i)) {
			invent_name(random, all[i].name);
			qsort(all, NAMES, sizeof(all[0]), by_name);
			i = 0;
		}
	}
}

static struct name_node *expected_after(uint32_t i, bool inclusive)
{
	for (i += !inclusive; i < NAMES; i++)
		if (all[i].in)
			return &all[i].node;
	return NULL;
}

static void look(uint32_t k)
{
	struct name_node *found = all[k].in ? &all[k].node : NULL;

	assert_ptr_equal(names_find(root, all[k].name), found);
	assert_ptr_equal(names_seek(&root, all[k].name).found, found);
	assert_ptr_equal(names_after(root, all[k].name, false), expected_after(k, false));
	assert_ptr_equal(names_after(root, all[k].name, true), expected_after(k, true));
}

/* Enters names, by either way, and takes others out; few of them at first, to the end none. */
static void it_holds_what_an_array_holds(void **state)
{
	struct random random;

	(void)state;
	random_init(&random, 1);
	invent_names(&random);
	for (int step = 0; step < 50000; step++) {
		uint32_t i = random_below(&random, step < 20000 ? 8u : NAMES);
		struct name_place place = names_seek(&root, all[i].name);

		if (all[i].in)
			names_remove(&root, &all[i].node);
		else if (step % 2)
			names_insert(&root, &all[i].node);
		else
			names_put(&place, &all[i].node);
		all[i].in = !all[i].in;
		look(random_below(&random, NAMES));
		look(i);
	}
	for (uint32_t i = 0; i < NAMES; i++)
		if (all[i].in)
			names_remove(&root, &all[i].node);
	assert_null(root);
}

/* Steps of the longest way. */
static uint32_t depth(const struct name_node *n, uint32_t above)
{
	uint32_t left, right;

	if (n->bit <= above)
		return 0;
	left = depth(n->child[0], n->bit);
	right = depth(n->child[1], n->bit);
	return 1 + (left > right ? left : right);
}

static void names_in_order_do_not_make_it_deep(void **state)
{
	(void)state;
	root = NULL;
	for (uint32_t i = 0; i < NAMES; i++) {
		snprintf(all[i].name, sizeof(all[i].name), "n%04u", i);
		names_insert(&root, &all[i].node);
	}
	assert_in_range(depth(root->child[0], 0), 9, 13);
}

#define CHAIN 80u

/* Each is the beginning of the next, so the way to the last has a step for each of them. A name that
 * differs from them early, in a bit that nobody looks at, goes all that way, and enters far up. */
static void a_name_enters_far_from_the_end_of_its_way(void **state)
{
	static struct {
		struct name_node node;
		char name[CHAIN + 1];
	} chain[CHAIN + 1];
	const struct name_node *n;

	(void)state;
	root = NULL;
	for (uint32_t i = 0; i < CHAIN; i++) {
		memset(chain[i].name, 'a', i + 1);
		names_insert(&root, &chain[i].node);
	}
	assert_int_equal(depth(root->child[0], 0), CHAIN - 1);
	strcpy(chain[CHAIN].name, chain[CHAIN - 1].name);
	chain[CHAIN].name[4] = 'c';
	names_insert(&root, &chain[CHAIN].node);
	n = names_after(root, "", true);
	for (uint32_t i = 0; i <= CHAIN; i++, n = names_after(root, name_of(n), false))
		assert_ptr_equal(n, &chain[i].node);
	assert_null(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_holds_what_an_array_holds),
		cmocka_unit_test(names_in_order_do_not_make_it_deep),
		cmocka_unit_test(a_name_enters_far_from_the_end_of_its_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
