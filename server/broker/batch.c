#include "server/broker/batch.h"

#include "chan/status.h"
#include "proto/limits.h"
#include "server/base/memory.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Batches that are kept for reuse: the next turn's on each processor, and about as many as are between
 * connections and broker at once. */
#define KEPT_OWN_MAX 1
#define KEPT_SHARED_MAX 64

/* One that is kept has its array of values up to this size; one that a large turn blew up is freed. */
#define KEPT_VALUES_MAX 8192

_Static_assert(offsetof(struct batch, kept) == 0, "a piece's first bytes are the stock's");

static struct stock stock = STOCK_INIT(KEPT_OWN_MAX, KEPT_SHARED_MAX);

static void batch_destroy(struct batch *b)
{
	wire_scratch_free(b->scratch);
	free(b->ops);
	free(b->values);
	free(b);
}

struct batch *batch_new(struct session *s)
{
	struct batch *b = stock_take(&stock);

	if (!b) {
		b = calloc(1, sizeof(*b));
		if (!b)
			return NULL;
		arena_init(&b->arena, b->arena_first, sizeof(b->arena_first));
		b->scratch = wire_scratch_new();
		if (!b->scratch) {
			free(b);
			return NULL;
		}
	}
	b->session = s;
	b->read_ns = 0;
	b->connection = NULL;
	return b;
}

/* Those that were applied are the engine's: operate() in broker.c has said so. */
static void unref_values(struct batch *b, const struct batch_op *op)
{
	for (size_t i = 0; i < op->value_count; i++)
		value_unref(b->values[op->value_first + i]);
}

void batch_free(struct batch *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->count; i++)
		unref_values(b, &b->ops[i]);
	arena_reset(&b->arena);
	b->count = b->pages = b->value_count = 0;
	wire_scratch_reset(b->scratch);
	if (b->value_size > KEPT_VALUES_MAX || !stock_give(&stock, b))
		batch_destroy(b);
}

/* The array with room for one more than count, moved perhaps; NULL: out of memory. */
static void *grown(void *array, size_t *size, size_t count, size_t elem_bytes)
{
	size_t n = *size ? 2 * *size : 8;
	void *p;

	if (count < *size)
		return array;
	while (n <= count)
		n *= 2;
	p = realloc(array, n * elem_bytes);
	if (p)
		*size = n;
	return p;
}

struct batch_op *batch_add(struct batch *b)
{
	struct batch_op *op;
	struct batch_op *ops = grown(b->ops, &b->size, b->count, sizeof(*ops));

	if (!ops)
		return NULL;
	b->ops = ops;
	op = &b->ops[b->count++];
	*op = (struct batch_op){.value_first = b->value_count};
	return op;
}

bool batch_is_full(const struct batch *b)
{
	size_t part = memory_level() == MEMORY_FREE ? 1 : BATCH_TIGHT_PART;

	return b->count >= BATCH_OPS_MAX / part || b->pages >= BATCH_PAGES_MAX / part;
}

void batch_drop_last(struct batch *b)
{
	struct batch_op *op = &b->ops[--b->count];

	while (b->value_count > op->value_first)
		value_unref(b->values[--b->value_count]);
}

int batch_add_values(
	struct batch *b, const uint8_t *payload, size_t bytes, const uint32_t *lens, uint32_t count)
{
	struct value *v, **values;

	values = grown(b->values, &b->value_size, b->value_count + count - 1, sizeof(*values));
	if (!values)
		return CHAN_ENOMEM;
	b->values = values;
	v = value_pack_new(payload, bytes, lens, count);
	if (!v)
		return CHAN_ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		b->values[b->value_count++] = v++;
	b->ops[b->count - 1].value_count += count;
	return 0;
}

const char *batch_printf(struct batch *b, const char *format, ...)
{
	char *text = arena_alloc(&b->arena, TEXT_BYTES_MAX);
	va_list args;

	if (!text)
		return "out of memory";
	va_start(args, format);
	vsnprintf(text, TEXT_BYTES_MAX, format, args);
	va_end(args);
	return text;
}

void *batch_keep(struct batch *b, const void *bytes, size_t len)
{
	void *copy = arena_alloc(&b->arena, len);

	return copy ? memcpy(copy, bytes, len) : NULL;
}

void batch_stock_fini(void)
{
	struct batch *b;

	while ((b = stock_take_shared(&stock)))
		batch_destroy(b);
}
