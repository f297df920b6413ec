/* test_batch.c - batches of operations: values, sentences, and the pool. */
#include "server/broker/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A value alone, as its prefix stands in a payload. */
static int add_value(struct batch *b, const char *bytes)
{
	uint32_t len = (uint32_t)strlen(bytes);
	uint8_t payload[16] = {0, 0, 0, 0, (uint8_t)len};

	memcpy(payload + VALUE_PREFIX_BYTES, bytes, len);
	return batch_add_values(b, payload, VALUE_PREFIX_BYTES + len, &len, 1);
}

/* Operations know their values, and dropping the last gives its values back and no others. */
static void test_values(void **state)
{
	struct batch *b = batch_new(NULL);

	(void)state;
	assert_non_null(b);
	for (int i = 0; i < 100; i++) {
		assert_non_null(batch_add(b));
		assert_int_equal(add_value(b, "ab"), 0);
		assert_int_equal(add_value(b, ""), 0);
	}
	assert_non_null(batch_add(b));
	assert_int_equal(add_value(b, "c"), 0);
	batch_drop_last(b);
	assert_int_equal(b->count, 100);
	assert_int_equal(b->value_count, 200);
	for (size_t i = 0; i < 100; i++) {
		assert_int_equal(b->ops[i].value_count, 2);
		assert_memory_equal(b->values[b->ops[i].value_first]->bytes, "ab", 2);
		assert_int_equal(b->values[b->ops[i].value_first + 1]->len, 0);
	}
	batch_free(b);
	batch_stock_fini();
}

/* Sentences and copies live as long as the batch, though more are made. */
static void test_texts(void **state)
{
	struct batch *b = batch_new(NULL);
	const char *texts[20], *copy = batch_keep(b, "kept", 5);
	char expected[32];

	(void)state;
	for (int i = 0; i < 20; i++)
		texts[i] = batch_printf(b, "number %d", i);
	for (int i = 0; i < 20; i++) {
		snprintf(expected, sizeof(expected), "number %d", i);
		assert_string_equal(texts[i], expected);
	}
	assert_string_equal(copy, "kept");
	batch_free(b);
	batch_stock_fini();
}

/* A batch from the pool is as a new one. */
static void test_pool(void **state)
{
	struct batch *b = batch_new(NULL), *again;

	(void)state;
	batch_add(b);
	add_value(b, "x");
	batch_free(b);
	again = batch_new((struct session *)1);
	assert_ptr_equal(again, b);
	assert_int_equal(again->count, 0);
	assert_int_equal(again->value_count, 0);
	assert_ptr_equal(again->session, 1);
	batch_free(again);
	batch_free(NULL);
	batch_stock_fini();
}

/* It is full of operations, or of those among them that answer at length. */
static void test_full(void **state)
{
	struct batch *b = batch_new(NULL);

	(void)state;
	for (unsigned int i = 0; i < BATCH_OPS_MAX; i++) {
		assert_false(batch_is_full(b));
		assert_non_null(batch_add(b));
	}
	assert_true(batch_is_full(b));
	batch_free(b);
	b = batch_new(NULL);
	b->pages = BATCH_PAGES_MAX;
	assert_true(batch_is_full(b));
	batch_free(b);
	b = batch_new(NULL);
	assert_false(batch_is_full(b));
	batch_free(b);
	batch_stock_fini();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
