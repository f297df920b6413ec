/* test_delivery.c - values of one frame share memory, and each is there until it is freed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/delivery.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES = 200, VALUE_BYTES = 11 };

static struct delivery *deliveries[VALUES];

static struct wire_value value(const char *text)
{
	return (struct wire_value){
		.bytes = (const uint8_t *)text, .len = strlen(text), .attempt = 1, .token = 7};
}

static void expect(const struct delivery *d, unsigned i)
{
	char text[VALUE_BYTES + 1];

	snprintf(text, sizeof(text), "value %05u", i);
	assert_int_equal(d->id, 100 + i);
	assert_int_equal(d->attempt, 1);
	assert_int_equal(d->token, 7);
	assert_int_equal(d->len, VALUE_BYTES);
	assert_memory_equal(d->bytes, text, sizeof(text));
}

static int fill(void **state)
{
	struct packing p = {0};
	char text[VALUE_BYTES + 1];

	(void)state;
	for (unsigned i = 0; i < VALUES; i++) {
		struct wire_value v;

		snprintf(text, sizeof(text), "value %05u", i);
		v = value(text);
		deliveries[i] = delivery_new(&p, 100 + i, &v, VALUES - i,
			(VALUES - i) * (VALUE_BYTES + VALUE_PREFIX_BYTES));
		assert_non_null(deliveries[i]);
	}
	return 0;
}

/* Sanitizers see what is freed too early, twice or never. */
static void test_each_stays_until_it_is_freed(void **state)
{
	(void)state;
	for (unsigned step = 0; step < 3; step++) {
		for (unsigned i = 0; i < VALUES; i++)
			if (i % 3 >= step)
				expect(deliveries[i], i);
		for (unsigned i = step; i < VALUES; i += 3)
			delivery_free(deliveries[i]);
	}
	delivery_free(NULL);
}

/* Out of the middle, the first, and the last that is there. */
static void test_text_is_detached(void **state)
{
	char *texts[VALUES];

	(void)state;
	for (unsigned i = 0; i < VALUES; i++) {
		unsigned k = (i + VALUES / 2) % VALUES;

		texts[k] =
			delivery_detach(deliveries[k], deliveries[k]->bytes + 6, VALUE_BYTES - 6);
		assert_non_null(texts[k]);
	}
	for (unsigned i = 0; i < VALUES; i++) {
		assert_int_equal(strlen(texts[i]), VALUE_BYTES - 6);
		assert_int_equal(atoi(texts[i]), i);
		free(texts[i]);
	}
}

/* One that does not fit a pack, between two that do; and one alone. */
static void test_large_ones(void **state)
{
	struct packing p = {0}, alone = {0};
	struct wire_value small = value("small"), large;
	struct delivery *d[3];
	char *bytes = malloc(PACK_BYTES_MAX * 3);

	(void)state;
	memset(bytes, 'x', PACK_BYTES_MAX * 3);
	large = (struct wire_value){
		.bytes = (uint8_t *)bytes, .len = PACK_BYTES_MAX * 3, .attempt = 1};
	d[0] = delivery_new(&p, 1, &small, 3, large.len + 25);
	d[1] = delivery_new(&p, 2, &large, 2, large.len + 15);
	d[2] = delivery_new(&p, 3, &small, 1, 10);
	delivery_free(d[0]);
	assert_memory_equal(d[1]->bytes, bytes, large.len);
	assert_int_equal(d[1]->bytes[large.len], 0);
	assert_string_equal(d[2]->bytes, "small");
	delivery_free(d[2]);
	delivery_free(d[1]);
	d[0] = delivery_new(&alone, 1, &large, 1, large.len + 5);
	free(delivery_detach(d[0], d[0]->bytes, large.len));
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_each_stays_until_it_is_freed, fill),
		cmocka_unit_test_setup(test_text_is_detached, fill),
		cmocka_unit_test(test_large_ones),
	};

	return cmocka_run_group_tests_name("delivery", tests, NULL, NULL);
}
