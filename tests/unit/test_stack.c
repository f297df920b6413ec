/* Stacks: where they lie, how much memory they take, what they give back. */
#include "server/runtime/stack.h"

#include "tests/support/run.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

static const struct go_options options = {
	.procs = 1, .stack_bytes = 64 << 10, .goroutines_max = 3000};

static void distinct_aligned_and_found_again(void **state)
{
	enum { MANY = 2500 }; /* more than a slab */
	static struct goroutine *gs[MANY];
	struct goroutine *g;
	uint32_t cursor = 0;
	int found = 0;

	(void)state;
	assert_int_equal(stack_init(&options), 0);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(stack_promise(1), 1);
		gs[i] = stack_take();
		assert_int_equal((uintptr_t)gs[i] % 64, 0);
		assert_true((char *)gs[i] - (char *)stack_low(gs[i]) > (64 << 10) - 4096);
		gs[i]->id = (uint64_t)i + 1;
	}
	while ((g = stack_walk(&cursor))) {
		assert_ptr_equal(g, gs[g->id - 1]);
		found++;
	}
	assert_int_equal(found, MANY);
	stack_fini();
}

/* In whatever low bits of a page's number a CPU looks it up: neighbours' first pages have all there are. */
static void first_pages_are_spread(void **state)
{
	enum { MANY = 256 };
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	bool seen[MANY] = {false};

	(void)state;
	assert_int_equal(stack_init(&options), 0);
	assert_int_equal(stack_promise(MANY), MANY);
	for (int i = 0; i < MANY; i++) {
		size_t page = (uintptr_t)stack_first_page(stack_take()) / page_bytes;

		assert_false(seen[page % MANY]);
		seen[page % MANY] = true;
	}
	stack_fini();
}

static void only_guards_are_guards(void **state)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	size_t apart = (64 << 10) + page_bytes, slab_bytes = (size_t)64 << 20;
	struct goroutine *g;
	char *base;

	(void)state;
	assert_int_equal(stack_init(&options), 0);
	assert_int_equal(stack_promise(1), 1);
	g = stack_take();
	base = (char *)stack_low(g) - page_bytes;
	assert_ptr_equal(stack_guarded_at(base), g);
	assert_ptr_equal(stack_guarded_at(base + page_bytes - 1), g);
	assert_null(stack_guarded_at(base + page_bytes));
	assert_null(stack_guarded_at(base - 1));
	/* Room at a slab's end that is not enough for a block of stacks. */
	assert_null(stack_guarded_at(base + slab_bytes / apart * apart));
	stack_fini();
}

static void promises_are_bounded(void **state)
{
	struct go_options few = options;

	(void)state;
	few.goroutines_max = 40;
	assert_int_equal(stack_init(&few), 0);
	assert_int_equal(stack_promise(32), 32);
	assert_int_equal(stack_promise(32), 8); /* what is left */
	assert_int_equal(stack_promise(1), -EAGAIN);
	stack_fini();
}

static void what_is_given_back_is_taken_again(void **state)
{
	enum { TAKEN = 10 };
	struct goroutine *gs[TAKEN], *g;

	(void)state;
	assert_int_equal(stack_init(&options), 0);
	assert_int_equal(stack_promise(TAKEN), TAKEN);
	for (int i = 0; i < TAKEN; i++)
		gs[i] = stack_take();
	gs[4]->id = 5;
	stack_free(gs[4]);
	g = stack_take();
	assert_ptr_equal(g, gs[4]);
	assert_int_equal(g->id, 0); /* its memory was given back */
	stack_fini();
}

/* Where address space runs out, promising fails and nothing else. */
static void promises_need_address_space(void **state)
{
	struct go_options many = options;
	struct rlimit old, tight;
	int rc;

	(void)state;
	if (!memory_is_ours()) {
		printf("# checkers and emulators need more address space than can be said\n");
		return;
	}
	many.goroutines_max = 1000000;
	assert_int_equal(stack_init(&many), 0);
	assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
	tight = old;
	tight.rlim_cur = (rlim_t)4 << 30;
	assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
	while ((rc = stack_promise(1000)) > 0)
		;
	assert_int_equal(rc, -ENOMEM);
	assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
	assert_int_equal(stack_promise(1000), 1000);
	stack_fini();
}

/* Pages of the usable stack that are resident. */
static int resident_pages(void *low)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	size_t pages = (stack_usable_bytes() + page_bytes - 1) / page_bytes;
	unsigned char in_core[256];
	int n = 0;

	assert_int_equal(mincore(low, pages * page_bytes, in_core), 0);
	for (size_t i = 0; i < pages; i++)
		n += in_core[i] & 1;
	return n;
}

static void one_page_each_and_deep_ones_given_back(void **state)
{
	struct goroutine *g;
	void *low;

	(void)state;
	assert_int_equal(stack_init(&options), 0);
	assert_int_equal(stack_promise(1), 1);
	g = stack_take();
	low = stack_low(g);
	g->id = 5;
	assert_int_equal(resident_pages(low), 1);
	memset(low, 1, 32 << 10);
	assert_true(resident_pages(low) > 1);
	stack_trim(g);
	assert_int_equal(resident_pages(low), 1);
	assert_int_equal(g->id, 5);
	stack_free(g);
	assert_int_equal(resident_pages(low), 0);
	stack_fini();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(distinct_aligned_and_found_again),
		cmocka_unit_test(first_pages_are_spread),
		cmocka_unit_test(only_guards_are_guards),
		cmocka_unit_test(promises_are_bounded),
		cmocka_unit_test(what_is_given_back_is_taken_again),
		cmocka_unit_test(promises_need_address_space),
		cmocka_unit_test(one_page_each_and_deep_ones_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
