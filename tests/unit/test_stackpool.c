/* The pools: warm first, bounded lists, and memory that nobody needs goes back. */
#include "server/runtime/stackpool.h"

#include "server/runtime/sched.h"
#include "server/runtime/stack.h"
#include "tests/support/run.h"

#include <errno.h>
#include <string.h>

static const struct go_options options = {
	.procs = 2, .stack_bytes = 64 << 10, .goroutines_max = 1000};

static struct processor *ps; /* [2] */

static int begin(void **state)
{
	(void)state;
	ps = aligned_alloc(_Alignof(struct processor), 2 * sizeof(*ps));
	if (!ps || stack_init(&options) < 0)
		return -1;
	memset(ps, 0, 2 * sizeof(*ps));
	lock_init(&sched.lock, LOCK_RANK_SCHED);
	return 0;
}

static int end(void **state)
{
	(void)state;
	stack_fini();
	stack_pool_reset();
	free(ps);
	return 0;
}

static void the_warmest_comes_first(void **state)
{
	struct goroutine *a, *b;

	(void)state;
	assert_int_equal(stack_pool_promise(&ps[0].stacks), 0);
	assert_int_equal(stack_pool_promise(&ps[0].stacks), 0);
	a = stack_pool_take(&ps[0].stacks);
	b = stack_pool_take(&ps[0].stacks);
	stack_pool_put(&ps[0].stacks, a);
	stack_pool_put(&ps[0].stacks, b);
	assert_ptr_equal(stack_pool_take(&ps[0].stacks), b);
	assert_ptr_equal(stack_pool_take(&ps[0].stacks), a);
}

/* Begun here, ended there: what gathers there comes back. */
static void they_go_round_between_processors(void **state)
{
	struct goroutine *g;
	uint32_t cursor = 0;
	int used = 0;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(stack_pool_promise(&ps[0].stacks), 0);
		stack_pool_put(&ps[1].stacks, stack_pool_take(&ps[0].stacks));
		stack_pool_promise_back(&ps[1].stacks);
		assert_true(ps[1].stacks.free.count < FREE_MAX);
		assert_true(ps[1].stacks.promises < FREE_MAX);
	}
	while ((g = stack_walk(&cursor)))
		used++;
	assert_true(used <= 3 * FREE_MAX);
}

/* All that are promised can be had, though the other processor keeps what it can. */
static void a_promise_is_kept(void **state)
{
	static struct goroutine *kept[FREE_MAX];
	int n = 0;

	(void)state;
	for (int i = 0; i < FREE_MAX - 1; i++) {
		assert_int_equal(stack_pool_promise(&ps[1].stacks), 0);
		kept[i] = stack_pool_take(&ps[1].stacks);
	}
	for (int i = 0; i < FREE_MAX - 1; i++) {
		stack_pool_put(&ps[1].stacks, kept[i]);
		stack_pool_promise_back(&ps[1].stacks);
	}
	while (stack_pool_promise(&ps[0].stacks) == 0) {
		assert_non_null(stack_pool_take(&ps[0].stacks));
		n++;
	}
	assert_true(n >= 1000 - FREE_MAX && n <= 1000);
	assert_int_equal(stack_pool_promise(&ps[0].stacks), -EAGAIN);
}

/* Many goroutines, all at the same time, that have ended. */
static void use_many(struct processor *p)
{
	enum { MANY = 500 };
	struct goroutine *all[MANY];

	for (int i = 0; i < MANY; i++) {
		assert_int_equal(stack_pool_promise(&p->stacks), 0);
		all[i] = stack_pool_take(&p->stacks);
	}
	for (int i = 0; i < MANY; i++)
		stack_pool_put(&p->stacks, all[i]);
}

/* Of those that wait on the global list, what two looks in a row find there is given back. */
static void what_nobody_needs_is_given_back(void **state)
{
	struct goroutine *g;
	uint32_t cursor = 0;
	int used = 0;

	(void)state;
	use_many(&ps[0]);
	stack_pool_trim();
	stack_pool_trim();
	while ((g = stack_walk(&cursor)))
		used++;
	assert_true(used < FREE_MAX);
}

/* Neither on the global list nor of processors that do nothing. */
static void idleness_leaves_a_few(void **state)
{
	struct goroutine *g;
	uint32_t cursor = 0;
	int used = 0;

	(void)state;
	use_many(&ps[1]);
	sched.idle_processors = &ps[1];
	while (stack_pool_shrink())
		;
	sched.idle_processors = NULL;
	assert_int_equal(ps[1].stacks.free.count, 0);
	while ((g = stack_walk(&cursor)))
		used++;
	assert_int_equal(used, FREE_MAX);
	/* Those that are left are for everybody. */
	for (int i = 0; i < FREE_MAX; i++)
		stack_pool_take(NULL);
	cursor = 0;
	while ((g = stack_walk(&cursor)))
		used--;
	assert_int_equal(used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_warmest_comes_first, begin, end),
		cmocka_unit_test_setup_teardown(they_go_round_between_processors, begin, end),
		cmocka_unit_test_setup_teardown(a_promise_is_kept, begin, end),
		cmocka_unit_test_setup_teardown(what_nobody_needs_is_given_back, begin, end),
		cmocka_unit_test_setup_teardown(idleness_leaves_a_few, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
