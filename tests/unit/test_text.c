#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/chanctl/text.h"

static int parse(enum chan_type type, const char *text, struct chan_value *value)
{
	const char *why;

	return text_parse(NULL, type, 0, text, strlen(text), value, &why);
}

/* The value's text; until the next call. */
static const char *text_of(const struct chan_value *value)
{
	static char text[256];
	struct bytes b = {0};

	assert_int_equal(text_append(&b, value), 0);
	assert_true(b.used < sizeof(text));
	if (b.used > 0)
		memcpy(text, b.at, b.used);
	text[b.used] = '\0';
	bytes_fini(&b);
	return text;
}

static void assert_same(enum chan_type type, const char *text)
{
	struct chan_value value;

	assert_int_equal(parse(type, text, &value), 0);
	assert_string_equal(text_of(&value), text);
}

static void test_reads_back_the_same(void **state)
{
	static const char *const ints[] = {
		"0", "-1", "42", "9223372036854775807", "-9223372036854775808"};
	static const char *const floats[] = {"0", "-0", "1", "0.1", "-2.5", "1e+300", "5e-324",
		"inf", "-inf", "nan", "0.3333333333333333", "1.7976931348623157e+308",
		"5.684341886080802e-14"};
	static const char *const strings[] = {"", "a b", "grün", "-", "line\nline"};

	(void)state;
	for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++)
		assert_same(CHAN_TYPE_INT, ints[i]);
	for (size_t i = 0; i < sizeof(floats) / sizeof(floats[0]); i++)
		assert_same(CHAN_TYPE_FLOAT, floats[i]);
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		assert_same(CHAN_TYPE_STRING, strings[i]);
	assert_same(CHAN_TYPE_BOOL, "true");
	assert_same(CHAN_TYPE_BOOL, "false");
	assert_same(CHAN_TYPE_BYTES, "\xff\xfe");
	assert_same(CHAN_TYPE_SIGNAL, "");
	assert_same(CHAN_TYPE_ANY, "a string, if nothing else is said");
}

static void test_what_does_not_fit(void **state)
{
	static const struct {
		enum chan_type type;
		const char *text;
	} bad[] = {
		{CHAN_TYPE_INT, ""},
		{CHAN_TYPE_INT, "1.5"},
		{CHAN_TYPE_INT, " 1"},
		{CHAN_TYPE_INT, "1 "},
		{CHAN_TYPE_INT, "0x10"},
		{CHAN_TYPE_INT, "9223372036854775808"},
		{CHAN_TYPE_FLOAT, "one"},
		{CHAN_TYPE_FLOAT, "0x1p3"},
		{CHAN_TYPE_FLOAT, "1e999"},
		{CHAN_TYPE_FLOAT, "1,5"},
		{CHAN_TYPE_BOOL, "yes"},
		{CHAN_TYPE_BOOL, "TRUE"},
		{CHAN_TYPE_STRING, "\xff"},
		{CHAN_TYPE_SIGNAL, "x"},
		{CHAN_TYPE_ANY, "\xc3("},
	};
	struct chan_value value;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i].type, bad[i].text, &value) != CHAN_ETYPE)
			fail_msg("'%s' was taken", bad[i].text);
}

static void test_any_carries_what_is_asked(void **state)
{
	struct chan_value value;
	const char *why;

	(void)state;
	assert_int_equal(text_parse(NULL, CHAN_TYPE_ANY, CHAN_TYPE_INT, "42", 2, &value, &why), 0);
	assert_int_equal(value.type, CHAN_TYPE_INT);
	assert_int_equal(value.i, 42);
}

/* Every float reads back, and no text with fewer digits does. */
static void test_floats_are_shortest(void **state)
{
	uint64_t random = UINT64_C(0x9e3779b97f4a7c15), digits;
	char shorter[400];
	double f;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct chan_value value;
		const char *text;

		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		memcpy(&f, &random, sizeof(f));
		if (i % 2 == 0)
			f = (double)(int64_t)(random >> 44) / 1000;
		if (isnan(f))
			continue;
		value = chan_value_float(f);
		text = text_of(&value);
		assert_true(strtod(text, NULL) == f);
		digits = strspn(text, "-0123456789.") - (text[0] == '-') -
			 (strchr(text, '.') != NULL);
		if (digits < 2 || isinf(f))
			continue;
		snprintf(shorter, sizeof(shorter), "%.*g", (int)digits - 1, f);
		if (strlen(shorter) < strlen(text))
			assert_false(strtod(shorter, NULL) == f);
	}
}

static void assert_json(const struct chan_value *value, const char *expected)
{
	struct bytes b = {0};

	assert_int_equal(text_append_json(&b, "c", value), 0);
	assert_int_equal(bytes_append(&b, "", 1), 0);
	assert_string_equal(b.at, expected);
	bytes_fini(&b);
}

static void test_json(void **state)
{
	struct chan_value value = chan_value_int(INT64_MIN);

	(void)state;
	assert_json(&value, "{\"channel\":\"c\",\"type\":\"int\",\"value\":-9223372036854775808}");
	value = chan_value_float(0.1);
	assert_json(&value, "{\"channel\":\"c\",\"type\":\"float\",\"value\":0.1}");
	value = chan_value_float(NAN);
	assert_json(&value, "{\"channel\":\"c\",\"type\":\"float\",\"value\":\"nan\"}");
	value = chan_value_bool(true);
	assert_json(&value, "{\"channel\":\"c\",\"type\":\"bool\",\"value\":true}");
	value = chan_value_signal();
	assert_json(&value, "{\"channel\":\"c\",\"type\":\"signal\",\"value\":null}");
	value = chan_value_string("a\"\n", 3);
	assert_json(&value, "{\"channel\":\"c\",\"type\":\"string\",\"value\":\"a\\\"\\n\"}");
	value = chan_value_bytes("\xff\0", 2);
	value.attempt = 2;
	assert_json(&value, "{\"channel\":\"c\",\"type\":\"bytes\",\"value_base64\":\"/wA=\","
			    "\"attempt\":2}");
	value = chan_value_bytes("abcd", 4);
	assert_json(&value, "{\"channel\":\"c\",\"type\":\"bytes\",\"value_base64\":\"YWJjZA==\"}");
}

static void test_format(void **state)
{
	struct chan_value value = chan_value_int(7);
	struct bytes b = {0};

	(void)state;
	value.attempt = 2;
	assert_true(text_format_valid("%v %n\\t%t%%%a\\n"));
	assert_int_equal(text_append_format(&b, "%v %n\\t%t%%%a\\n\\0", "jobs", &value), 0);
	assert_int_equal(b.used, sizeof("7 jobs\tint%2\n"));
	assert_string_equal(b.at, "7 jobs\tint%2\n");
	bytes_fini(&b);
	assert_false(text_format_valid("%"));
	assert_false(text_format_valid("%d"));
	assert_false(text_format_valid("\\x"));
	assert_false(text_format_valid("\\"));
	assert_true(text_format_valid(""));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_back_the_same),
		cmocka_unit_test(test_what_does_not_fit),
		cmocka_unit_test(test_any_carries_what_is_asked),
		cmocka_unit_test(test_floats_are_shortest),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_format),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
