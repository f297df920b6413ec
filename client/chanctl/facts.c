#include "config.h"

#include "client/chanctl/facts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Adds an entry; false: no memory. */
static bool __attribute__((format(printf, 2, 3))) add(struct facts *f, const char *format, ...)
{
	va_list arguments;
	size_t at = 0;
	int rc;

	while (f->entries[at] != NULL)
		at++;
	va_start(arguments, format);
	rc = vasprintf(&f->entries[at], format, arguments);
	va_end(arguments);
	if (rc < 0)
		f->entries[at] = NULL;
	return rc >= 0;
}

int facts_init(struct facts *f, struct chan *ch, const struct chan_value *value)
{
	*f = (struct facts){{0}};
	if (add(f, "CHAN_URL=%s", chan_url(chan_client_of(ch))) &&
		add(f, "CHAN_CHANNEL=%s", chan_name(ch)) &&
		add(f, "CHAN_VALUE_TYPE=%s", chan_type_name(value->type)) &&
		add(f, "CHAN_ATTEMPT=%" PRIu32, value->attempt) &&
		add(f, "CHAN_DELIVERY=%" PRIu64, value->delivery) &&
		add(f, "CHAN_FENCE=%" PRIu64, value->token))
		return 0;
	facts_fini(f);
	return -ENOMEM;
}

void facts_fini(struct facts *f)
{
	for (size_t i = 0; i < FACTS_COUNT; i++)
		free(f->entries[i]);
}
