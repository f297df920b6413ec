/*
 * flight.c - the sorted array of runs.
 */
#include "client/flight.h"
#include <stdlib.h>
#include <string.h>

#define FLIGHT_RUNS_MIN 32u

void flight_fini(struct flight *f)
{
	free(f->runs);
	*f = (struct flight){0};
}

static void squeeze(struct flight *f)
{
	size_t from, to = 0;

	for (from = f->first; from < f->end; from++)
		if (f->runs[from].op)
			f->runs[to++] = f->runs[from];
	f->first = 0;
	f->end = to;
	f->gaps = 0;
}

/* Squeezing only when half is free keeps the cost of an add constant on average. */
static int make_room(struct flight *f)
{
	size_t used = f->end - f->first - f->gaps;
	size_t size = f->size ? f->size * 2 : FLIGHT_RUNS_MIN;
	struct flight_run *runs;

	if (f->size && used <= f->size / 2) {
		squeeze(f);
		return 0;
	}
	runs = realloc(f->runs, size * sizeof(*runs));
	if (!runs)
		return -1;
	f->runs = runs;
	f->size = size;
	return 0;
}

struct flight_run *flight_add(struct flight *f, uint64_t seq, uint32_t count, struct chan_op *op)
{
	struct flight_run *run;

	if (f->end == f->size && make_room(f) < 0)
		return NULL;
	run = &f->runs[f->end++];
	*run = (struct flight_run){.seq = seq, .op = op, .count = count, .left = count};
	return run;
}

/* Where the run of seq is if every number from the first run on has a run of its own, and none was
 * squeezed out; it is never behind that. So most are found at once, without a search. */
static size_t last_place(const struct flight *f, uint64_t seq)
{
	uint64_t ahead = seq - f->runs[f->first].seq;

	return ahead < f->end - f->first ? f->first + (size_t)ahead : f->end - 1;
}

struct flight_run *flight_find(struct flight *f, uint64_t seq)
{
	size_t low = f->first, high, middle;
	struct flight_run *run;

	if (low == f->end || seq < f->runs[low].seq)
		return NULL;
	high = last_place(f, seq) + 1;
	if (f->runs[high - 1].seq <= seq)
		low = high - 1;
	/* low: the last run that begins at or before seq. */
	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (f->runs[middle].seq <= seq)
			low = middle;
		else
			high = middle;
	}
	run = &f->runs[low];
	return run->op && seq - run->seq < run->count ? run : NULL;
}

void flight_remove(struct flight *f, struct flight_run *run)
{
	run->op = NULL;
	f->gaps++;
	while (f->first < f->end && !f->runs[f->first].op) {
		f->first++;
		f->gaps--;
	}
	if (f->first == f->end)
		f->first = f->end = 0;
}
