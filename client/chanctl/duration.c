#include "client/chanctl/duration.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *name;
	int64_t ns;
};

/* Rising, so that formatting takes the last that is not too large. */
static const struct unit units[] = {
	{"ns", 1},
	{"us", 1000},
	{"ms", 1000 * 1000},
	{"s", 1000 * 1000 * 1000},
	{"m", INT64_C(60) * 1000 * 1000 * 1000},
	{"h", INT64_C(3600) * 1000 * 1000 * 1000},
};

#define UNIT_COUNT (sizeof(units) / sizeof(units[0]))

static const struct unit *unit_find(const char *name)
{
	for (size_t i = 0; i < UNIT_COUNT; i++)
		if (strcmp(units[i].name, name) == 0)
			return &units[i];
	return NULL;
}

int duration_parse(const char *text, int64_t *ret_ns)
{
	/* Only plain decimals: strtod would also take hexadecimal, exponents, "inf" and blanks. */
	size_t digits = strspn(text, "0123456789.");
	const struct unit *unit = unit_find(text + digits);
	char *end;
	double number, ns;

	if (digits == 0 || !isdigit((unsigned char)text[0]))
		return -EINVAL;
	number = strtod(text, &end);
	if (end != text + digits)
		return -EINVAL;
	if (unit == NULL && !(number == 0 && *end == '\0'))
		return -EINVAL;
	ns = number * (unit != NULL ? (double)unit->ns : 0) + 0.5;
	if (ns >= 0x1p63)
		return -EINVAL;
	*ret_ns = (int64_t)ns;
	return 0;
}

char *duration_format(char *text, int64_t duration_ns)
{
	const struct unit *unit = &units[0];
	double number;

	for (size_t i = 0; i < UNIT_COUNT && units[i].ns <= duration_ns; i++)
		unit = &units[i];
	number = (double)duration_ns / (double)unit->ns;
	snprintf(
		text, DURATION_TEXT_BYTES, number < 10 ? "%.2g %s" : "%.0f %s", number, unit->name);
	return text;
}
