#include "server/broker/attributes.h"
#include "chan/status.h"
#include "chan/value.h"
#include "proto/name.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Digits alone, from 1 to max. */
static bool parse_number(const char *text, uint32_t max, uint32_t *ret)
{
	uint64_t n = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || n > max)
			return false;
		n = n * 10 + (uint64_t)(*text - '0');
	}
	*ret = (uint32_t)n;
	return n > 0 && n <= max;
}

static bool parse_producers(struct attributes *a, const char *text)
{
	uint32_t n;

	a->producers_max = PRODUCERS_AUTO;
	if (strcmp(text, "auto") == 0)
		return true;
	if (!parse_number(text, PRODUCERS_MAX, &n))
		return false;
	a->producers_max = (int32_t)n;
	return true;
}

static bool parse_attempts_max(struct attributes *a, const char *text)
{
	return parse_number(text, ATTEMPTS_MAX, &a->attempts_max);
}

static bool parse_dead_letter(struct attributes *a, const char *text)
{
	if (name_check(text, strlen(text)) < 0)
		return false;
	strcpy(a->dead_letter, text);
	return true;
}

static bool parse_permits(struct attributes *a, const char *text)
{
	return parse_number(text, PERMITS_MAX, &a->permits);
}

#define STRING_(x) #x
#define STRING(x) STRING_(x)

static const struct attribute {
	const char *name;
	bool (*parse)(struct attributes *a, const char *text);
	const char *rule;
} known[ATTRIBUTES_MAX] = {
	{"producers", parse_producers, "1 to " STRING(PRODUCERS_MAX) ", or auto"},
	{"attempts_max", parse_attempts_max, "1 to " STRING(ATTEMPTS_MAX)},
	{"dead_letter", parse_dead_letter, "a channel's name"},
	{"permits", parse_permits, "1 to " STRING(PERMITS_MAX)},
};

/* Takes one in. 0, or CHAN_EINVAL with the reason. */
static int take(
	struct attributes *a, const struct wire_attribute *from, char *problem, size_t bytes)
{
	const struct attribute *k = known;
	char *text = a->texts[a->count];

	while (k < known + ATTRIBUTES_MAX && strcmp(k->name, from->name) != 0)
		k++;
	if (k == known + ATTRIBUTES_MAX) {
		snprintf(problem, bytes,
			"there is no attribute '%.80s', but producers, attempts_max, "
			"dead_letter and permits",
			from->name);
		return CHAN_EINVAL;
	}
	for (size_t i = 0; i < a->count; i++) {
		if (a->list[i].name == k->name) {
			snprintf(problem, bytes, "attribute '%s' is given twice", k->name);
			return CHAN_EINVAL;
		}
	}
	snprintf(text, sizeof(a->texts[0]), "%.*s", (int)from->value.len,
		(const char *)from->value.bytes);
	if (from->value.len != strlen(text) || !k->parse(a, text)) {
		snprintf(problem, bytes, "attribute '%s' is '%.80s', and must be %s", k->name, text,
			k->rule);
		return CHAN_EINVAL;
	}
	a->list[a->count++] =
		(struct wire_attribute){k->name, {(const uint8_t *)text, from->value.len}};
	return 0;
}

/* What concerns more than one of them. */
static int check(const struct attributes *a, const struct message *m, char *problem, size_t bytes)
{
	const char *what = NULL;

	if ((a->attempts_max != 0) != (a->dead_letter[0] != '\0'))
		what = "attempts_max and dead_letter go together (chanctl: --attempts, --dead): a "
		       "value that was tried so often needs a channel to go to";
	else if (a->dead_letter[0] && strcmp(a->dead_letter, m->make.name) == 0)
		what = "a channel cannot be its own dead_letter (chanctl: --dead)";
	else if (a->permits > 0 && m->make.type != CHAN_TYPE_SIGNAL)
		what = "permits are signals, and so must the channel's type be";
	else if (a->permits > m->make.capacity)
		what = "permits need as much capacity";
	if (!what)
		return 0;
	snprintf(problem, bytes, "%s", what);
	return CHAN_EINVAL;
}

int attributes_new(
	const struct message *make, struct attributes **ret, char *problem, size_t problem_bytes)
{
	struct attributes *a;
	int rc = 0;

	*ret = NULL;
	if (make->make.attribute_count == 0)
		return 0;
	a = calloc(1, sizeof(*a));
	if (!a)
		return CHAN_ENOMEM;
	for (size_t i = 0; i < make->make.attribute_count && rc == 0; i++)
		rc = take(a, &make->make.attributes[i], problem, problem_bytes);
	if (rc == 0)
		rc = check(a, make, problem, problem_bytes);
	if (rc < 0)
		free(a);
	else
		*ret = a;
	return rc;
}

bool attributes_same(const struct attributes *a, const struct attributes *b)
{
	static const struct attributes none;

	a = a ? a : &none;
	b = b ? b : &none;
	return a->producers_max == b->producers_max && a->attempts_max == b->attempts_max &&
	       a->permits == b->permits && strcmp(a->dead_letter, b->dead_letter) == 0;
}

const char *attributes_text(const struct attributes *a, char text[ATTRIBUTES_TEXT_MAX])
{
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; a && i < a->count && n < ATTRIBUTES_TEXT_MAX; i++)
		n += (size_t)snprintf(
			text + n, ATTRIBUTES_TEXT_MAX - n, ", %s %s", a->list[i].name, a->texts[i]);
	return text;
}
