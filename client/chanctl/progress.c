#include "client/chanctl/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "client/chanctl/clock.h"

#define FIRST_AFTER_NS INT64_C(1000000000)
#define PERIOD_NS INT64_C(200000000)

void progress_init(struct progress *p, const char *verb, const char *name)
{
	*p = (struct progress){.verb = verb, .name = name};
	p->enabled = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO);
	p->start_ns = clock_now_ns();
	p->next_ns = p->start_ns + FIRST_AFTER_NS;
}

void progress_add(struct progress *p, uint64_t values)
{
	int64_t now;

	p->count += values;
	if (!p->enabled)
		return;
	now = clock_now_ns();
	if (now < p->next_ns)
		return;
	p->next_ns = now + PERIOD_NS;
	p->shown = true;
	fprintf(stderr, "\rchanctl: %s %s: %" PRIu64 " values, %.0f/s\033[K", p->verb, p->name,
		p->count, (double)p->count * 1e9 / (double)(now - p->start_ns));
	fflush(stderr);
}

void progress_end(struct progress *p)
{
	if (p->shown)
		fputc('\n', stderr);
	p->shown = false;
}
