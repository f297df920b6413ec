#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/arena.h"
#include "tests/support/failing_malloc.h"
#include <string.h>

static void test_begins_in_the_callers_block(void **state)
{
	_Alignas(max_align_t) uint8_t first[256];
	struct arena a;

	(void)state;
	arena_init(&a, first, sizeof(first));
	mallocs_left = 0;
	assert_ptr_equal(arena_alloc(&a, 1), first);
	assert_non_null(arena_alloc(&a, 200));
	assert_null(arena_alloc(&a, 100));
	assert_true(a.failed);
	mallocs_left = -1;
	arena_reset(&a);
	assert_false(a.failed);
	assert_ptr_equal(arena_alloc(&a, 256), first);
	arena_reset(&a);
}

static void test_pieces_are_aligned_and_apart(void **state)
{
	_Alignas(max_align_t) uint8_t first[64];
	struct arena a;
	uint8_t *pieces[500];

	(void)state;
	arena_init(&a, first, sizeof(first));
	for (size_t i = 0; i < 500; i++) {
		pieces[i] = arena_alloc(&a, i);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
		memset(pieces[i], (int)i & 0xff, i);
	}
	for (size_t i = 0; i < 500; i++) {
		for (size_t k = 0; k < i; k++)
			assert_int_equal(pieces[i][k], i & 0xff);
	}
	assert_true(a.used >= 500 * 499 / 2);
	arena_reset(&a);
	assert_int_equal(a.used, 0);
}

static void test_absurd_sizes_fail(void **state)
{
	_Alignas(max_align_t) uint8_t first[64];
	struct arena a;

	(void)state;
	arena_init(&a, first, sizeof(first));
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX - 32));
	assert_ptr_equal(arena_alloc(&a, 8), first);
	arena_reset(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begins_in_the_callers_block),
		cmocka_unit_test(test_pieces_are_aligned_and_apart),
		cmocka_unit_test(test_absurd_sizes_fail),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
