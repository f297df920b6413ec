#include "tests/soak/journal.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

struct record {
	struct event event;
	_Atomic bool written;
};

struct journal {
	size_t bytes, max;
	uint64_t began_us;
	_Atomic size_t count;
	_Atomic uint32_t last[JOURNAL_COUNTERS];
	struct record records[];
};

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

struct journal *journal_new(size_t events_max)
{
	size_t bytes = sizeof(struct journal) + events_max * sizeof(struct record);
	struct journal *j =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (j == MAP_FAILED)
		abort();
	j->bytes = bytes;
	j->max = events_max;
	j->began_us = now_us();
	return j;
}

void journal_free(struct journal *j)
{
	munmap(j, j->bytes);
}

static size_t journal_count(const struct journal *j)
{
	size_t count = atomic_load(&j->count);

	return count < j->max ? count : j->max;
}

void journal_begin(struct journal *j)
{
	memset(j->records, 0, journal_count(j) * sizeof(j->records[0]));
	for (int i = 0; i < JOURNAL_COUNTERS; i++)
		atomic_store(&j->last[i], 0);
	atomic_store(&j->count, 0);
	j->began_us = now_us();
}

uint32_t journal_next(struct journal *j, enum journal_counter counter, uint32_t count)
{
	return atomic_fetch_add(&j->last[counter], count) + 1;
}

void journal_enter(struct journal *j, struct event e)
{
	size_t at = atomic_fetch_add(&j->count, 1);

	if (at >= j->max)
		return;
	e.time_us = (uint32_t)(now_us() - j->began_us);
	j->records[at].event = e;
	atomic_store_explicit(&j->records[at].written, true, memory_order_release);
}

bool journal_fills(const struct journal *j)
{
	return atomic_load(&j->count) > j->max / 8 * 7;
}

bool journal_overflowed(const struct journal *j)
{
	return atomic_load(&j->count) > j->max;
}

void journal_read(const struct journal *j, struct history *h)
{
	for (size_t i = 0; i < journal_count(j); i++)
		if (atomic_load_explicit(&j->records[i].written, memory_order_acquire))
			history_add(h, j->records[i].event);
}
