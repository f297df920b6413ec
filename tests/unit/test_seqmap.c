/*
 * test_seqmap.c - the map of rising numbers, against an array of all numbers.
 */
#include "chan/status.h"
#include "server/base/random.h"
#include "server/broker/seqmap.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define KEYS 3000u

static char things[KEYS];
static struct seqmap map;

static void put(uint64_t key)
{
	assert_int_equal(seqmap_reserve(&map, 1), 0);
	seqmap_put(&map, key, &things[key]);
}

static void check_against(const char *in, uint64_t key)
{
	uint64_t at = key;

	assert_ptr_equal(seqmap_get(&map, key), in[key] ? &things[key] : NULL);
	while (at > 0 && !in[at])
		at--;
	assert_ptr_equal(seqmap_floor(&map, key), in[at] ? &things[at] : NULL);
	for (at = key; at < KEYS && !in[at]; at++)
		;
	if (at == KEYS)
		assert_null(seqmap_from(&map, key));
	else
		assert_int_equal(seqmap_from(&map, key)->key, at);
}

static void it_holds_what_an_array_holds(void **state)
{
	static char in[KEYS];
	struct random random;
	uint32_t count = 0;

	(void)state;
	random_init(&random, 1);
	for (int step = 0; step < 40000; step++) {
		uint64_t key = 1 + random_below(&random, KEYS - 1);

		if (in[key]) {
			assert_ptr_equal(seqmap_remove(&map, key), &things[key]);
			assert_null(seqmap_remove(&map, key));
		} else if (step % 3) {
			put(key);
		} else {
			continue;
		}
		in[key] = !in[key];
		count += in[key] ? 1u : -1u;
		assert_int_equal(map.live, count);
		check_against(in, random_below(&random, KEYS));
	}
	seqmap_fini(&map);
}

static void a_window_that_slides_takes_no_more_memory(void **state)
{
	(void)state;
	for (uint64_t key = 1; key < 100000; key++) {
		assert_int_equal(seqmap_reserve(&map, 1), 0);
		seqmap_put(&map, key, things);
		if (key > 10)
			assert_ptr_equal(seqmap_remove(&map, key - 10), things);
		assert_in_range(map.size, 0, 64);
	}
	seqmap_fini(&map);
}

static void one_that_stays_does_not_keep_the_others_places(void **state)
{
	(void)state;
	put(1);
	for (uint64_t key = 2; key < 100000; key++) {
		assert_int_equal(seqmap_reserve(&map, 1), 0);
		seqmap_put(&map, key, things);
		assert_ptr_equal(seqmap_get(&map, 1), &things[1]);
		if (key > 12)
			seqmap_remove(&map, key - 10);
		assert_in_range(map.size, 0, 256);
	}
	seqmap_fini(&map);
}

/* Runs go in at the end and leave in parts from anywhere. */
static void runs_are_neighbours(void **state)
{
	enum { RUN = 20 };
	uint64_t first = 1;
	uint32_t live = 0;

	(void)state;
	for (int round = 0; round < 1000; round++, first += RUN) {
		const struct seqmap_entry *entry;

		assert_int_equal(seqmap_reserve(&map, RUN), 0);
		seqmap_put_run(&map, first, RUN, &things[round]);
		entry = seqmap_from(&map, first);
		for (uint64_t i = 0; i < RUN; i++) {
			assert_int_equal(entry[i].key, first + i);
			assert_ptr_equal(seqmap_get(&map, first + i), &things[round]);
		}
		seqmap_replace(&map, entry + 7, &things[0]);
		assert_ptr_equal(seqmap_get(&map, first + 7), &things[0]);
		seqmap_remove_run(&map, seqmap_from(&map, first + 3), 4); /* from the middle */
		seqmap_remove_run(&map, seqmap_from(&map, first), 3);
		assert_int_equal(seqmap_from(&map, first)->key, first + 7);
		if (round % 3)
			seqmap_remove_run(&map, seqmap_from(&map, first + 7), RUN - 7);
		live += round % 3 ? 0 : RUN - 7;
		assert_int_equal(map.live, live);
	}
	while ((live -= RUN - 7) > 0)
		seqmap_remove_run(&map, seqmap_from(&map, 0), RUN - 7);
	assert_int_equal(map.live, RUN - 7);
	seqmap_fini(&map);
}

static void memory_is_given_back(void **state)
{
	(void)state;
	for (uint64_t key = 1; key < KEYS; key++)
		put(key);
	for (uint64_t key = 1; key < KEYS - 20; key++)
		seqmap_remove(&map, key);
	assert_in_range(map.size, 20, 512);
	for (uint64_t key = KEYS - 20; key < KEYS; key++)
		assert_ptr_equal(seqmap_remove(&map, key), &things[key]);
	assert_in_range(map.size, 0, 64);
	seqmap_fini(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_holds_what_an_array_holds),
		cmocka_unit_test(a_window_that_slides_takes_no_more_memory),
		cmocka_unit_test(one_that_stays_does_not_keep_the_others_places),
		cmocka_unit_test(runs_are_neighbours),
		cmocka_unit_test(memory_is_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
