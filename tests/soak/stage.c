#include "tests/soak/stage.h"
#include <stdarg.h>
#include <stdlib.h>

#include <sys/mman.h>

const struct place places[PLACES] = {
	{.capacity = 0, .credit = 1},
	{.capacity = 0, .credit = 1, .automatic = true},
	{.capacity = 1, .credit = 1},
	{.capacity = 1, .credit = 1, .automatic = true},
	{.capacity = 10, .credit = 1},
	{.capacity = 10, .credit = 8, .automatic = true},
	{.capacity = 1000, .credit = 1},
	{.capacity = 1000, .credit = 32},
	{.capacity = 0, .credit = 1, .leased = true},
	{.capacity = 10, .credit = 1, .leased = true},
	{.capacity = 10, .credit = 1, .counted = true},
};

struct stage *stage_new(size_t events_max)
{
	struct stage *s =
		mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (s == MAP_FAILED)
		abort();
	s->journal = journal_new(events_max);
	return s;
}

void stage_free(struct stage *s)
{
	journal_free(s->journal);
	munmap(s, sizeof(*s));
}

static void enter(struct stage *s, enum event_kind kind, uint32_t channel, uint32_t number)
{
	journal_enter(
		s->journal, (struct event){.kind = kind, .channel = channel, .number = number});
}

/* A channel's number tells its place: each time a channel is wanted, a number for every place is
 * drawn, and the others are left unused. */
static uint32_t new_channel(struct stage *s, int place)
{
	uint32_t channel = journal_next(s->journal, NEXT_CHANNEL, PLACES) + place;
	const struct place *p = &places[place];

	enter(s, EVENT_CHANNEL, channel, p->capacity);
	if (p->automatic)
		enter(s, EVENT_AUTOMATIC, channel, 0);
	if (p->credit > 1)
		enter(s, EVENT_AHEAD, channel, 0);
	if (p->leased)
		enter(s, EVENT_LENDS, channel, 0);
	if (p->counted)
		enter(s, EVENT_COUNTED, channel, 0);
	return channel;
}

void stage_begin(struct stage *s, uint64_t seed)
{
	s->seed = seed;
	atomic_store(&s->stopping, false);
	atomic_store(&s->has_problem, false);
	s->problem[0] = '\0';
	for (int i = 0; i < TALLIES; i++)
		atomic_store(&s->tallies[i], 0);
	journal_begin(s->journal);
	stage_renew_all(s);
}

void stage_renew_all(struct stage *s)
{
	for (int i = 0; i < PLACES; i++)
		atomic_store(&s->channels[i], new_channel(s, i));
}

void stage_renew(struct stage *s, int place, uint32_t closed_channel)
{
	if (!atomic_load(&s->stopping) && atomic_load(&s->channels[place]) == closed_channel)
		atomic_compare_exchange_strong(
			&s->channels[place], &closed_channel, new_channel(s, place));
}

int stage_place_of(uint32_t channel)
{
	return (channel - 1) % PLACES;
}

void stage_channel_name(const struct stage *s, uint32_t channel, char name[CHANNEL_NAME_MAX])
{
	snprintf(name, CHANNEL_NAME_MAX, "soak-%llx-%u", (unsigned long long)s->seed, channel);
}

void stage_count(struct stage *s, enum tally tally)
{
	atomic_fetch_add(&s->tallies[tally], 1);
}

void stage_problem(struct stage *s, const char *format, ...)
{
	va_list args;

	if (!atomic_exchange(&s->has_problem, true)) {
		va_start(args, format);
		vsnprintf(s->problem, sizeof(s->problem), format, args);
		va_end(args);
	}
	atomic_store(&s->stopping, true);
}
