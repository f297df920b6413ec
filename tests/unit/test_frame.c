#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/status.h"
#include "proto/frame.h"
#include "proto/limits.h"
#include "tests/support/guarded.h"
#include <stdlib.h>

/* Writes a frame with that much header and payload; returns its bytes. */
static size_t make_frame(uint8_t *out, uint8_t flags, uint16_t header_bytes, uint32_t payload_bytes)
{
	frame_put_prefix(out, 13, flags, header_bytes, payload_bytes);
	memset(out + FRAME_PREFIX_BYTES, 'h', header_bytes);
	memset(out + FRAME_PREFIX_BYTES + header_bytes, 'p', payload_bytes);
	return FRAME_PREFIX_BYTES + header_bytes + payload_bytes;
}

static void test_every_prefix_asks_for_more(void **state)
{
	static const struct {
		uint16_t header_bytes;
		uint32_t payload_bytes;
	} sizes[] = {{0, 0}, {1, 0}, {0, 1}, {20, 300}, {300, 20}};
	uint8_t bytes[FRAME_PREFIX_BYTES + 400];
	struct guarded g;

	(void)state;
	assert_int_equal(guarded_init(&g, sizeof(bytes)), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t len = make_frame(
			bytes, FRAME_MORE, sizes[i].header_bytes, sizes[i].payload_bytes);
		struct frame f = {0};

		for (size_t part = 0; part < len; part++)
			assert_int_equal(frame_parse(guarded_copy(&g, bytes, part), part, &f), 0);
		assert_int_equal(frame_parse(guarded_copy(&g, bytes, len), len, &f), len);
		assert_int_equal(f.kind, 13);
		assert_int_equal(f.flags, FRAME_MORE);
		assert_int_equal(f.header_bytes, sizes[i].header_bytes);
		assert_int_equal(f.payload_bytes, sizes[i].payload_bytes);
		for (uint32_t k = 0; k < f.header_bytes; k++)
			assert_int_equal(f.header[k], 'h');
		for (uint32_t k = 0; k < f.payload_bytes; k++)
			assert_int_equal(f.payload[k], 'p');
	}
	guarded_fini(&g);
}

static void test_takes_one_frame_of_many(void **state)
{
	uint8_t bytes[200];
	size_t first = make_frame(bytes, 0, 5, 7);
	size_t second = make_frame(bytes + first, 0, 0, 0);
	struct frame f;

	(void)state;
	assert_int_equal(frame_parse(bytes, first + second, &f), first);
	assert_int_equal(f.payload_bytes, 7);
	assert_int_equal(frame_parse(bytes + first, second, &f), second);
	assert_int_equal(f.payload_bytes, 0);
}

static void test_the_largest_frame_passes(void **state)
{
	uint8_t *bytes = malloc(FRAME_BYTES_MAX);
	struct frame f;

	(void)state;
	make_frame(bytes, 0, FRAME_HEADER_BYTES_MAX, FRAME_PAYLOAD_BYTES_MAX);
	assert_int_equal(frame_parse(bytes, FRAME_BYTES_MAX, &f), FRAME_BYTES_MAX);
	free(bytes);
}

/* Each is refused by the first byte that shows it, and by every longer prefix. */
static void test_refuses_as_early_as_the_prefix_shows(void **state)
{
	static const struct {
		uint8_t bytes[8];
		size_t shown_by;
		const char *sentence;
	} bad[] = {
		{{0, 0, 0, 3}, 4, "a frame's length is at least 4, not 3"},
		{{0xff, 0xff, 0xff, 0xff}, 4, "a frame's length is at most 82948, not 4294967295"},
		{{0, 1, 0x44, 5}, 4, "a frame's length is at most 82948, not 82949"},
		{{0, 0, 0, 4, 13, 2}, 6, "a frame's flags are 0 or 1, not 2"},
		{{0, 0, 0, 4, 13, 0, 0, 1}, 8,
			"a header of 1 bytes does not fit a frame of length 4"},
		{{0, 1, 0, 0, 13, 0, 0x40, 1}, 8,
			"a frame's header has at most 16384 bytes, not 16385"},
		{{0, 1, 0x04, 5, 13, 0, 0, 0}, 8,
			"a frame's payload has at most 66560 bytes, not 66561"},
	};
	struct guarded g;

	(void)state;
	assert_int_equal(guarded_init(&g, 8), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (size_t part = 0; part <= 8; part++) {
			struct frame f;
			const uint8_t *at = guarded_copy(&g, bad[i].bytes, part);
			char text[200];

			assert_int_equal(frame_parse(at, part, &f),
				part < bad[i].shown_by ? 0 : CHAN_EPROTOCOL);
			frame_explain(at, part, text, sizeof(text));
			assert_string_equal(text, part < bad[i].shown_by
							  ? "nothing is wrong with the frame"
							  : bad[i].sentence);
		}
	}
	guarded_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_prefix_asks_for_more),
		cmocka_unit_test(test_takes_one_frame_of_many),
		cmocka_unit_test(test_the_largest_frame_passes),
		cmocka_unit_test(test_refuses_as_early_as_the_prefix_shows),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
