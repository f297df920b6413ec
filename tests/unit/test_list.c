#include "server/base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
	int number;
	struct list link;
};

/* The items' numbers as digits, first to last. */
static long digits(const struct list *l)
{
	const struct item *i;
	long n = 0;

	LIST_FOREACH(i, l, link)
		n = n * 10 + i->number;
	return n;
}

static void keeps_order(void **state)
{
	struct item a = {.number = 1}, b = {.number = 2}, c = {.number = 3};
	struct list l = LIST_INIT(l);

	(void)state;
	assert_true(list_empty(&l));
	list_push_back(&l, &b.link);
	list_push_back(&l, &c.link);
	list_push_front(&l, &a.link);
	assert_int_equal(digits(&l), 123);
	list_remove(&b.link);
	list_remove(&b.link); /* harmless */
	assert_int_equal(digits(&l), 13);
	assert_ptr_equal(list_pop_front(&l), &a.link);
	assert_ptr_equal(list_pop_front(&l), &c.link);
	assert_null(list_pop_front(&l));
}

static void splices(void **state)
{
	struct item a = {.number = 1}, b = {.number = 2}, c = {.number = 3};
	struct list l = LIST_INIT(l), m = LIST_INIT(m);

	(void)state;
	list_splice_back(&l, &m);
	assert_true(list_empty(&l));
	list_push_back(&l, &a.link);
	list_push_back(&m, &b.link);
	list_push_back(&m, &c.link);
	list_splice_back(&l, &m);
	assert_int_equal(digits(&l), 123);
	assert_true(list_empty(&m));
}

static void safe_walk_may_unlink(void **state)
{
	struct item items[4], *i, *next;
	struct list l = LIST_INIT(l);

	(void)state;
	for (int n = 0; n < 4; n++) {
		items[n].number = n + 1;
		list_push_back(&l, &items[n].link);
	}
	LIST_FOREACH_SAFE(i, next, &l, link)
		if (i->number % 2)
			list_remove(&i->link);
	assert_int_equal(digits(&l), 24);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_order),
		cmocka_unit_test(splices),
		cmocka_unit_test(safe_walk_may_unlink),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
