/* test_stock.c - pieces that are kept: the caller's own first, then those for all. */
#include "server/broker/stock.h"

#include "tests/support/goroutine_test.h"
#include "tests/support/waitgroup.h"
#include <stdlib.h>

#define OWN_MAX 2
#define SHARED_MAX 3
#define WORKERS 8
#define TURNS 500
#define HELD 4 /* by each worker: more than its processor keeps */

static struct stock stock = STOCK_INIT(OWN_MAX, SHARED_MAX);

struct piece {
	struct stock_piece kept;
	atomic_bool held;
};

static void free_shared(void)
{
	void *p;

	while ((p = stock_take_shared(&stock)))
		free(p);
}

/* Who is no goroutine has only what is for all. */
static void a_thread_has_the_shared_ones(void **state)
{
	struct piece pieces[SHARED_MAX + 1];

	(void)state;
	assert_int_equal(go_processor(), -1);
	assert_null(stock_take(&stock));
	for (int i = 0; i < SHARED_MAX; i++)
		assert_true(stock_give(&stock, &pieces[i]));
	assert_false(stock_give(&stock, &pieces[SHARED_MAX]));
	for (int i = SHARED_MAX; i-- > 0;)
		assert_ptr_equal(stock_take(&stock), &pieces[i]);
	assert_null(stock_take(&stock));
}

static void own_then_shared(void)
{
	struct piece pieces[OWN_MAX + SHARED_MAX + 1];

	expect(go_processor() >= 0 && go_processor() < GO_PROCS_MAX);
	for (int i = 0; i < OWN_MAX + SHARED_MAX; i++)
		expect(stock_give(&stock, &pieces[i]));
	expect(!stock_give(&stock, &pieces[OWN_MAX + SHARED_MAX]));
	/* Those beyond its own are for all, the last on top. */
	expect(stock_take_shared(&stock) == &pieces[OWN_MAX + SHARED_MAX - 1]);
	for (int i = OWN_MAX; i-- > 0;)
		expect(stock_take(&stock) == &pieces[i]);
	for (int i = OWN_MAX + SHARED_MAX - 1; i-- > OWN_MAX;)
		expect(stock_take(&stock) == &pieces[i]);
	expect(!stock_take(&stock));
}

static void a_goroutine_has_its_own_first(void **state)
{
	(void)state;
	run_everywhere(own_then_shared);
}

static struct piece *take(void)
{
	struct piece *p = stock_take(&stock);

	if (!p)
		p = calloc(1, sizeof(*p));
	expect(p && !atomic_exchange(&p->held, true));
	return p;
}

static void give(struct piece *p)
{
	expect(atomic_exchange(&p->held, false));
	if (!stock_give(&stock, p))
		free(p);
}

static void take_and_give(void *arg)
{
	struct piece *held[HELD];

	for (int i = 0; i < TURNS; i++) {
		for (int k = 0; k < HELD; k++)
			held[k] = take();
		go_yield(); /* and may go on elsewhere */
		for (int k = 0; k < HELD; k++)
			give(held[k]);
	}
	waitgroup_done(arg);
}

static void many_take_and_give(void)
{
	struct waitgroup workers = WAITGROUP_INIT;

	waitgroup_add(&workers, WORKERS);
	for (int i = 0; i < WORKERS; i++)
		expect(go(take_and_give, &workers) == 0);
	waitgroup_wait(&workers);
	free_shared();
}

/* On however many processors: nobody has a piece that another has. */
static void a_piece_has_one_holder(void **state)
{
	(void)state;
	run_everywhere(many_take_and_give);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_has_the_shared_ones),
		cmocka_unit_test(a_goroutine_has_its_own_first),
		cmocka_unit_test(a_piece_has_one_holder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
