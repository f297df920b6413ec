#include "tests/stress/history.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

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
	default:
		return NULL;
	}
}

void history_print(const struct history *h, FILE *out)
{
	for (size_t i = 0; i < h->count; i++) {
		struct event e = h->events[i];

		fputs(event_words[e.kind], out);
		for (const char *letter = "socvn"; *letter; letter++)
			if (*event_field(&e, *letter))
				fprintf(out, " %c%u", *letter, *event_field(&e, *letter));
		fputc('\n', out);
	}
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
