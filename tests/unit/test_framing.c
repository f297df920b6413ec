#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/chanctl/framing.h"

/* Splits the bytes with that framing; writes the values to out, each in <>, and what ended it. */
static void split(enum framing framing, const char *bytes, size_t length, char *out)
{
	const char *value;
	size_t value_bytes, step;
	int rc;

	*out = '\0';
	while ((rc = framing_next(framing, bytes, length, true, &value, &value_bytes, &step)) > 0) {
		out += sprintf(out, "<%.*s>", (int)value_bytes, value);
		bytes += step;
		length -= step;
	}
	if (rc < 0)
		strcpy(out, strerror(-rc));
}

static void assert_split(
	enum framing framing, const char *bytes, size_t length, const char *expected)
{
	char out[256];

	split(framing, bytes, length, out);
	assert_string_equal(out, expected);
}

static void test_lines(void **state)
{
	(void)state;
	assert_split(FRAMING_LINES, "", 0, "");
	assert_split(FRAMING_LINES, "a\nbc\n", 5, "<a><bc>");
	assert_split(FRAMING_LINES, "a\nbc", 4, "<a><bc>");
	assert_split(FRAMING_LINES, "\n\n", 2, "<><>");
	assert_split(FRAMING_LINES, "a\r\n", 3, "<a\r>");
}

static void test_null(void **state)
{
	(void)state;
	assert_split(FRAMING_NULL, "a\nb\0c\0", 6, "<a\nb><c>");
	assert_split(FRAMING_NULL, "\0", 1, "<>");
	assert_split(FRAMING_NULL, "a\0b", 3, "<a><b>");
}

static void test_len(void **state)
{
	(void)state;
	assert_split(FRAMING_LEN, "", 0, "");
	assert_split(FRAMING_LEN, "\0\0\0\1a\0\0\0\0\0\0\0\2bc", 15, "<a><><bc>");
	assert_split(FRAMING_LEN, "\0\0\0\2b", 5, strerror(EBADMSG));
	assert_split(FRAMING_LEN, "\0\0", 2, strerror(EBADMSG));
	assert_split(FRAMING_LEN,
		"\xff\xff\xff\xff"
		"b",
		5, strerror(EBADMSG));
}

/* However the bytes arrive, nothing is taken before it is whole. */
static void test_every_prefix_asks_for_more(void **state)
{
	static const char len[] = "\0\0\0\3abc", line[] = "abc\n";
	const char *value;
	size_t value_bytes, step;

	(void)state;
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(
			framing_next(FRAMING_LEN, len, i, false, &value, &value_bytes, &step), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(
			framing_next(FRAMING_LINES, line, i, false, &value, &value_bytes, &step),
			0);
	assert_int_equal(framing_next(FRAMING_RAW, line, 4, false, &value, &value_bytes, &step), 0);
	assert_int_equal(framing_next(FRAMING_RAW, line, 4, true, &value, &value_bytes, &step), 1);
	assert_int_equal(value_bytes, 4);
}

/* What is written with a framing reads back with it. */
static void test_marks(void **state)
{
	static const enum framing framings[] = {FRAMING_LINES, FRAMING_NULL, FRAMING_LEN};
	struct framing_marks marks;
	char stream[64], out[64];
	size_t length;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		length = 0;
		for (size_t bytes = 0; bytes < 3; bytes++) {
			framing_marks(framings[i], bytes, &marks);
			memcpy(stream + length, marks.before, marks.before_bytes);
			length += marks.before_bytes;
			memcpy(stream + length, "xyz", bytes);
			length += bytes;
			memcpy(stream + length, &marks.after, marks.after_bytes);
			length += marks.after_bytes;
		}
		split(framings[i], stream, length, out);
		assert_string_equal(out, "<><x><xy>");
	}
	framing_marks(FRAMING_RAW, 3, &marks);
	assert_int_equal(marks.before_bytes + marks.after_bytes, 0);
	framing_marks(FRAMING_NONE, 3, &marks);
	assert_int_equal(marks.after, '\n');
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_len),
		cmocka_unit_test(test_every_prefix_asks_for_more),
		cmocka_unit_test(test_marks),
	};

	return cmocka_run_group_tests_name("framing", tests, NULL, NULL);
}
