#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/status.h"
#include "proto/limits.h"
#include "proto/type.h"
#include "tests/support/guarded.h"
#include <math.h>

static void test_words(void **state)
{
	enum chan_type type = 0;

	(void)state;
	assert_int_equal(type_parse("string", &type), 0);
	assert_int_equal(type, CHAN_TYPE_STRING);
	assert_int_equal(type_parse("String", &type), CHAN_EINVAL);
	assert_int_equal(type_parse("", &type), CHAN_EINVAL);
	assert_int_equal(type, CHAN_TYPE_STRING);
	assert_string_equal(type_words(), "int float bool string bytes any signal chan");
	for (uint32_t t = CHAN_TYPE_INT; t <= CHAN_TYPE_CHAN; t++) {
		assert_int_equal(type_parse(type_name(t), &type), 0);
		assert_int_equal(type, t);
	}
	assert_string_equal(type_name(0), "?");
	assert_string_equal(type_name(9), "?");
	assert_string_equal(type_name(UINT32_MAX), "?");
	assert_false(type_known(0));
	assert_false(type_known(9));
}

#define REF "\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02"

/* A string literal's bytes, which may hold NUL. */
#define BYTES(s) (const uint8_t *)(s), sizeof(s) - 1

static void test_what_fits(void **state)
{
	static const struct {
		enum chan_type type;
		const uint8_t *bytes;
		size_t len;
		bool fits;
	} cases[] = {
		{CHAN_TYPE_INT, BYTES("12345678"), true}, {CHAN_TYPE_INT, BYTES("1234567"), false},
		{CHAN_TYPE_INT, BYTES("123456789"), false}, {CHAN_TYPE_INT, BYTES(""), false},
		{CHAN_TYPE_FLOAT, BYTES("12345678"), true}, {CHAN_TYPE_FLOAT, BYTES("1234"), false},
		{CHAN_TYPE_BOOL, BYTES("\0"), true}, {CHAN_TYPE_BOOL, BYTES("\1"), true},
		{CHAN_TYPE_BOOL, BYTES("\2"), false}, {CHAN_TYPE_BOOL, BYTES(""), false},
		{CHAN_TYPE_BOOL, BYTES("\0\0"), false}, {CHAN_TYPE_STRING, BYTES(""), true},
		{CHAN_TYPE_STRING,
			BYTES("gr\xc3\xbc\xc3\x9f"
			      "e\0 \xf0\x9f\x98\x80"),
			true},
		{CHAN_TYPE_STRING, BYTES("\xff"), false},
		{CHAN_TYPE_STRING, BYTES("\xc3"), false},             /* cut short */
		{CHAN_TYPE_STRING, BYTES("\xc0\x80"), false},         /* overlong */
		{CHAN_TYPE_STRING, BYTES("\xed\xa0\x80"), false},     /* surrogate */
		{CHAN_TYPE_STRING, BYTES("\xf4\x90\x80\x80"), false}, /* above U+10FFFF */
		{CHAN_TYPE_BYTES, BYTES(""), true}, {CHAN_TYPE_BYTES, BYTES("\xff\0"), true},
		{CHAN_TYPE_SIGNAL, BYTES(""), true}, {CHAN_TYPE_SIGNAL, BYTES("\0"), false},
		{CHAN_TYPE_ANY, BYTES(""), false}, {CHAN_TYPE_ANY, BYTES("\x04text"), true},
		{CHAN_TYPE_ANY, BYTES("\x04\xff"), false}, {CHAN_TYPE_ANY, BYTES("\x07"), true},
		{CHAN_TYPE_ANY,
			BYTES("\x01"
			      "12345678"),
			true},
		{CHAN_TYPE_ANY,
			BYTES("\x01"
			      "1234567"),
			false},
		{CHAN_TYPE_ANY, BYTES("\x06\x04text"), false}, /* any within any */
		{CHAN_TYPE_ANY, BYTES("\0"), false}, {CHAN_TYPE_ANY, BYTES("\x09"), false},
		{CHAN_TYPE_CHAN, BYTES(REF "\x03"), true},
		{CHAN_TYPE_CHAN, BYTES(REF "\x01jobs"), true},
		{CHAN_TYPE_CHAN, BYTES(REF "\x01no space"), false},
		{CHAN_TYPE_CHAN, BYTES(REF "\0"), false},
		{CHAN_TYPE_CHAN, BYTES(REF "\x04"), false}, {CHAN_TYPE_CHAN, BYTES(REF), false},
		{CHAN_TYPE_CHAN, BYTES("\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\x03"), false}, /* id 0 */
	};
	struct guarded g;

	(void)state;
	assert_int_equal(guarded_init(&g, 64), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint8_t *at = guarded_copy(&g, cases[i].bytes, cases[i].len);
		int expected = cases[i].fits ? 0 : CHAN_ETYPE;

		if (type_check(cases[i].type, at, cases[i].len) != expected)
			fail_msg("case %zu", i);
	}
	guarded_fini(&g);
	assert_int_equal(type_check(0, NULL, 0), CHAN_ETYPE);
	assert_int_equal(type_check(77, NULL, 0), CHAN_ETYPE);
}

static void test_int(void **state)
{
	static const int64_t values[] = {0, 1, -1, INT64_MIN, INT64_MAX, 0x0102030405060708};
	uint8_t bytes[TYPE_INT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		type_put_int(bytes, values[i]);
		assert_true(type_get_int(bytes) == values[i]);
	}
	assert_memory_equal(bytes, "\1\2\3\4\5\6\7\x08", 8);
	type_put_int(bytes, -2);
	assert_memory_equal(bytes, "\xff\xff\xff\xff\xff\xff\xff\xfe", 8);
}

static void test_float(void **state)
{
	static const double values[] = {0.0, 1.5, -1e300, 5e-324, INFINITY, -INFINITY};
	uint8_t bytes[TYPE_FLOAT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		type_put_float(bytes, values[i]);
		assert_true(type_get_float(bytes) == values[i]);
	}
	type_put_float(bytes, NAN);
	assert_true(isnan(type_get_float(bytes)));
	type_put_float(bytes, -0.0);
	assert_memory_equal(bytes, "\x80\0\0\0\0\0\0\0", 8);
}

static void test_chan(void **state)
{
	char name[NAME_BYTES_MAX];
	struct type_chan_ref in = {.incarnation = 1, .channel = 2, .direction = CHAN_RECV}, out;
	uint8_t bytes[TYPE_CHAN_BYTES_MAX + 1];

	(void)state;
	assert_int_equal(type_put_chan(bytes, &in), TYPE_CHAN_BYTES_MIN);
	assert_memory_equal(bytes, REF "\x02", TYPE_CHAN_BYTES_MIN);
	memset(name, 'n', sizeof(name));
	in.name = name;
	in.name_bytes = sizeof(name);
	assert_int_equal(type_put_chan(bytes, &in), TYPE_CHAN_BYTES_MAX);
	assert_int_equal(type_get_chan(bytes, TYPE_CHAN_BYTES_MAX, &out), 0);
	assert_true(out.incarnation == 1 && out.channel == 2 && out.direction == CHAN_RECV);
	assert_int_equal(out.name_bytes, sizeof(name));
	assert_memory_equal(out.name, name, sizeof(name));
	bytes[TYPE_CHAN_BYTES_MAX] = 'n';
	assert_int_equal(type_get_chan(bytes, sizeof(bytes), &out), CHAN_ETYPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_what_fits),
		cmocka_unit_test(test_int),
		cmocka_unit_test(test_float),
		cmocka_unit_test(test_chan),
	};

	return cmocka_run_group_tests_name("type", tests, NULL, NULL);
}
