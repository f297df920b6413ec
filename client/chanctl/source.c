#include "client/chanctl/source.h"

#include <string.h>
#include <unistd.h>

/* What reads stdin, or FRAMING_NONE where the values are arguments. */
static enum framing framing_of(const struct options *o)
{
	const struct operand *first = o->operand_count > 1 ? &o->operands[1] : NULL;
	bool dash = first != NULL && !first->literal && strcmp(first->text, "-") == 0;

	if (o->framing != FRAMING_NONE && o->operand_count > (dash ? 2 : 1))
		options_refuse("send: values are either arguments or come from stdin, as --lines, "
			       "--null and --frame say");
	if (dash && o->operand_count > 2)
		options_refuse("send: `-' is all of stdin as one value and stands alone; a value "
			       "`-' comes after `--'");
	return dash && o->framing == FRAMING_NONE ? FRAMING_RAW : o->framing;
}

void source_init(struct source *s, const struct options *options)
{
	enum framing framing = framing_of(options);

	*s = (struct source){.from_stdin = framing != FRAMING_NONE};
	reader_init(&s->reader, STDIN_FILENO, framing);
	if (s->from_stdin)
		return;
	s->operands = options->operands + 1;
	s->operand_count = options->operand_count - 1;
}

void source_fini(struct source *s)
{
	reader_fini(&s->reader);
}

int source_next(struct source *s, const char **ret_text, size_t *ret_length)
{
	if (s->from_stdin)
		return reader_next(&s->reader, ret_text, ret_length);
	if (s->operand_count == 0)
		return 0;
	*ret_text = s->operands->text;
	*ret_length = strlen(s->operands->text);
	s->operands++;
	s->operand_count--;
	return 1;
}

int source_fill(struct source *s)
{
	return reader_fill(&s->reader);
}

bool source_drained(const struct source *s)
{
	return s->from_stdin ? s->reader.drained : s->operand_count == 0;
}
