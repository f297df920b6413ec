/* Nurseries: when they are free again, and what dumps find in them. */
#include "server/runtime/nursery.h"

#include "server/runtime/sched.h"
#include "server/runtime/stack.h"
#include "tests/support/run.h"

#include <string.h>

static const struct go_options options = {
	.procs = 2, .stack_bytes = 64 << 10, .goroutines_max = 3000};
static const struct go_site site = {"file", "function", "callee", 1};

static struct processor *p;

static int begin(void **state)
{
	(void)state;
	p = aligned_alloc(_Alignof(struct processor), sizeof(*p));
	if (!p || stack_init(&options) < 0 || stack_promise(1000) != 1000)
		return -1;
	memset(p, 0, sizeof(*p));
	return 0;
}

static int end(void **state)
{
	(void)state;
	stack_fini();
	stack_pool_reset();
	free(p);
	return 0;
}

static struct newborn *make(struct processor *owner, uint64_t id, size_t args_bytes)
{
	struct newborn *n = newborn_new(owner, args_bytes);

	n->g.id = id;
	n->g.site = &site;
	n->g.state = G_NEW;
	newborn_publish(n);
	return n;
}

/* Stacks that are in use, and those of them that are nurseries. */
static int nurseries(int *ret_used)
{
	const struct goroutine *g;
	uint32_t cursor = 0;
	int n = 0;

	*ret_used = 0;
	while ((g = stack_walk(&cursor))) {
		++*ret_used;
		n += g->state == G_NURSERY;
	}
	return n;
}

static void one_is_free_when_all_have_begun(void **state)
{
	enum { MANY = 1000 };
	struct newborn *all[MANY];
	int used, at_most;

	(void)state;
	for (int i = 0; i < MANY; i++)
		all[i] = make(p, (uint64_t)i, 32);
	at_most = nurseries(&used);
	assert_true(at_most >= 10 && at_most <= MANY / 10);
	assert_int_equal(used, at_most);
	for (int i = MANY - 1; i > 0; i--)
		newborn_free(p, all[i]);
	/* The first one's, and the one that is being filled. */
	assert_int_equal(nurseries(&used), 2);
	newborn_free(p, all[0]);
	assert_int_equal(nurseries(&used), 1);
	assert_int_equal(used, at_most); /* the others are kept: there are FREE_MAX places */
}

static void without_a_processor_each_has_its_own(void **state)
{
	struct newborn *a = make(NULL, 1, 16), *b = make(NULL, 2, 16);
	int used;

	(void)state;
	assert_int_equal(nurseries(&used), 2);
	newborn_free(p, a);
	assert_int_equal(nurseries(&used), 1);
	newborn_free(p, b);
	assert_int_equal(nurseries(&used), 0);
	assert_int_equal(p->stacks.free.count, 2);
}

static const struct goroutine *first_nursery(void)
{
	const struct goroutine *g;
	uint32_t cursor = 0;

	while ((g = stack_walk(&cursor)) && g->state != G_NURSERY)
		;
	return g;
}

static void a_walk_finds_who_has_not_begun(void **state)
{
	static const size_t args_bytes[] = {0, 16, 500, 24, 512, 8};
	struct newborn *all[6];
	const struct go_site *found_site;
	uint32_t cursor = 0;
	uint64_t id;

	(void)state;
	for (uint64_t i = 0; i < 6; i++)
		all[i] = make(p, i + 1, args_bytes[i]);
	newborn_free(p, all[2]);
	for (uint64_t i = 0; i < 6; i++) {
		if (i == 2)
			continue;
		assert_true(nursery_walk(first_nursery(), &cursor, &id, &found_site));
		assert_int_equal(id, i + 1);
		assert_ptr_equal(found_site, &site);
	}
	assert_false(nursery_walk(first_nursery(), &cursor, &id, &found_site));
}

/* What a walk may meet when the page has become a stack behind its back. */
static void a_walk_survives_any_bytes(void **state)
{
	struct newborn *n = make(p, 1, 0);
	const struct goroutine *holder = first_nursery();
	const struct go_site *found_site;
	uint64_t id;

	(void)state;
	for (int byte = 0; byte < 256; byte++) {
		uint32_t cursor = 0;
		int found = 0;

		memset((char *)n - 16, byte, (size_t)((const char *)holder - (char *)n) + 16);
		while (nursery_walk(holder, &cursor, &id, &found_site))
			assert_true(++found < 100);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_is_free_when_all_have_begun, begin, end),
		cmocka_unit_test_setup_teardown(without_a_processor_each_has_its_own, begin, end),
		cmocka_unit_test_setup_teardown(a_walk_finds_who_has_not_begun, begin, end),
		cmocka_unit_test_setup_teardown(a_walk_survives_any_bytes, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
