#include "tests/history/history.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { EXPLAIN_LINES_MAX = 60 };

static const char *const event_words[EVENT_KINDS] = {
#define EVENT_WORD(name, word) [EVENT_##name] = (word),
	EVENT_LIST(EVENT_WORD)
#undef EVENT_WORD
};

void history_add(struct history *h, struct event e)
{
	if (h->count == h->size) {
		h->size = h->size ? 2 * h->size : 256;
		h->events = realloc(h->events, h->size * sizeof(*h->events));
		if (!h->events)
			abort();
	}
	h->events[h->count++] = e;
}

void history_fini(struct history *h)
{
	free(h->events);
	*h = (struct history){0};
}

/* The letters of the text form, and the field behind each. */
static uint32_t *event_field(struct event *e, char letter)
{
	switch (letter) {
	case 's':
		return &e->session;
	case 'o':
		return &e->op;
	case 'c':
		return &e->channel;
	case 'v':
		return &e->value;
	case 'n':
		return &e->number;
	case 't':
		return &e->time_us;
	default:
		return NULL;
	}
}

static void event_print(struct event e, FILE *out)
{
	fputs(event_words[e.kind], out);
	for (const char *letter = "socvnt"; *letter; letter++)
		if (*event_field(&e, *letter))
			fprintf(out, " %c%u", *letter, *event_field(&e, *letter));
	fputc('\n', out);
}

void history_print(const struct history *h, FILE *out)
{
	for (size_t i = 0; i < h->count; i++)
		event_print(h->events[i], out);
}

static bool event_parse(char *line, struct event *ret_event)
{
	struct event e = {.kind = EVENT_KINDS};
	char *save, *word = strtok_r(line, " \t\n", &save);

	for (int kind = 0; kind < EVENT_KINDS; kind++)
		if (strcmp(word, event_words[kind]) == 0)
			e.kind = kind;
	while ((word = strtok_r(NULL, " \t\n", &save))) {
		uint32_t *field = event_field(&e, *word);

		if (!field || !isdigit((unsigned char)word[1]))
			return false;
		*field = strtoul(word + 1, NULL, 10);
	}
	*ret_event = e;
	return e.kind < EVENT_KINDS;
}

int history_read(struct history *h, FILE *in)
{
	char line[256];
	struct event e;

	for (int number = 1; fgets(line, sizeof(line), in); number++) {
		if (line[0] == '#' || line[strspn(line, " \t\n")] == '\0')
			continue;
		if (!event_parse(line, &e))
			return number;
		history_add(h, e);
	}
	return 0;
}

/* ---- explaining ---- */

/* What a verdict is about: marks[n] of the sessions, operations and values concerned. */
struct concern {
	bool *sessions, *ops, *values;
};

static bool concerns(const struct concern *c, const struct verdict *v, const struct event *e)
{
	switch (e->kind) {
	case EVENT_CHANNEL:
	case EVENT_AUTOMATIC:
	case EVENT_AHEAD:
	case EVENT_LENDS:
	case EVENT_COUNTED:
		return e->channel == v->channel;
	case EVENT_LOST:
	case EVENT_CUT:
	case EVENT_DOUBT:
	case EVENT_CALM:
		return c->sessions[e->session];
	case EVENT_RESTART:
		return true;
	case EVENT_CLOSE:
	case EVENT_ABORT:
		return e->channel == v->channel || c->ops[e->op];
	default:
		return c->ops[e->op] || c->values[e->value];
	}
}

/* From the verdict's value and operation to the operations that had to do with that value, and to
 * the sessions that asked for them. */
static void concern_spread(struct concern *c, const struct history *h, const struct verdict *v)
{
	c->ops[v->op] = v->op > 0;
	c->values[v->value] = v->value > 0;
	c->values[v->other] |= v->other > 0;
	for (size_t i = 0; i < h->count; i++)
		if (c->values[h->events[i].value])
			c->ops[h->events[i].op] = h->events[i].op > 0;
	for (size_t i = 0; i < h->count; i++) {
		const struct event *e = &h->events[i];

		if (e->session && (c->ops[e->op] || c->values[e->value]))
			c->sessions[e->session] = true;
		if (e->kind == EVENT_CLOSE && e->channel == v->channel)
			c->ops[e->op] = true;
	}
}

static bool *marks_new(const struct history *h, char letter)
{
	uint32_t max = 0;
	bool *marks;

	for (size_t i = 0; i < h->count; i++) {
		uint32_t number = *event_field(&h->events[i], letter);

		max = number > max ? number : max;
	}
	marks = calloc((size_t)max + 1, sizeof(*marks));
	if (!marks)
		abort();
	return marks;
}

void history_explain(const struct history *h, const struct verdict *v, FILE *out)
{
	struct concern c = {marks_new(h, 's'), marks_new(h, 'o'), marks_new(h, 'v')};

	fprintf(out, "# broken: %s: %s\n#   event %zu: %s\n", history_rule_name(v->rule),
		history_rule_sentence(v->rule), v->at + 1, v->text);
	concern_spread(&c, h, v);
	for (size_t i = 0, lines = 0; i < h->count && lines < EXPLAIN_LINES_MAX; i++) {
		if (!concerns(&c, v, &h->events[i]))
			continue;
		fprintf(out, "#   %8zu: ", i + 1);
		event_print(h->events[i], out);
		lines++;
	}
	free(c.sessions);
	free(c.ops);
	free(c.values);
}
