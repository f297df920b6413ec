#include "server/broker/seqmap.h"
#include "chan/status.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MIN 1u   /* most sessions have one channel open, and one operation waiting */
#define SIZE_KEEP 64u /* below this, giving memory back is not worth a realloc */

void seqmap_fini(struct seqmap *m)
{
	free(m->list);
	*m = (struct seqmap){0};
}

/* The first entry, hole or not, whose key is not below the given one. */
static uint32_t position(const struct seqmap *m, uint64_t key)
{
	uint32_t low = m->begin, high = m->end;

	if (low == high || key <= m->list[low].key)
		return low;
	if (key > m->list[high - 1].key)
		return high;
	if (key - m->list[low].key < high - low &&
		m->list[low + (key - m->list[low].key)].key == key)
		return low + (uint32_t)(key - m->list[low].key); /* no hole was closed before it */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (m->list[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void resize(struct seqmap *m, uint32_t size)
{
	struct seqmap_entry *list = realloc(m->list, size * sizeof(*list));

	if (list) {
		m->list = list;
		m->size = size;
	}
}

/* Moves the entries to the front of the array, without holes. */
static void close_holes(struct seqmap *m)
{
	uint32_t to = 0;

	if (m->live == m->end - m->begin) { /* a window that slides */
		memmove(m->list, m->list + m->begin, m->live * sizeof(*m->list));
		to = m->live;
	}
	for (uint32_t i = m->begin; to < m->live; i++)
		if (m->list[i].ptr)
			m->list[to++] = m->list[i];
	m->begin = 0;
	m->end = to;
	if (m->size > SIZE_KEEP && m->size / 4 > m->live)
		resize(m, m->size / 2);
}

static bool has_room(const struct seqmap *m, uint32_t n)
{
	return n <= m->size - m->end;
}

int seqmap_reserve(struct seqmap *m, uint32_t n)
{
	uint64_t size = m->size ? m->size : SIZE_MIN;

	if (has_room(m, n))
		return 0;
	if ((uint64_t)m->live + m->live / 4 + n <= m->size)
		close_holes(m);
	if (has_room(m, n))
		return 0;
	while (size < (uint64_t)m->end + n || size == m->size)
		size *= 2;
	if (size > UINT32_MAX)
		return CHAN_ENOMEM;
	resize(m, (uint32_t)size);
	return has_room(m, n) ? 0 : CHAN_ENOMEM;
}

void seqmap_put(struct seqmap *m, uint64_t key, void *ptr)
{
	uint32_t at = m->end;

	if (at > m->begin && key < m->list[at - 1].key) {
		at = position(m, key);
		memmove(&m->list[at + 1], &m->list[at], (m->end - at) * sizeof(*m->list));
	}
	m->list[at] = (struct seqmap_entry){key, ptr};
	m->end++;
	m->live++;
}

void seqmap_put_run(struct seqmap *m, uint64_t key, uint32_t n, void *ptr)
{
	struct seqmap_entry *at = m->list + m->end;

	for (uint32_t i = 0; i < n; i++)
		at[i] = (struct seqmap_entry){key + i, ptr};
	m->end += n;
	m->live += n;
}

void *seqmap_get(const struct seqmap *m, uint64_t key)
{
	uint32_t at = position(m, key);

	return at < m->end && m->list[at].key == key ? m->list[at].ptr : NULL;
}

void *seqmap_floor(const struct seqmap *m, uint64_t key)
{
	uint32_t at = position(m, key);

	if (at < m->end && m->list[at].key == key && m->list[at].ptr)
		return m->list[at].ptr;
	while (at > m->begin)
		if (m->list[--at].ptr)
			return m->list[at].ptr;
	return NULL;
}

/* After a removal: neither end is a hole, and holes do not outnumber the rest. */
static void trim(struct seqmap *m)
{
	if (m->live == 0) {
		m->begin = m->end = 0;
		if (m->size > SIZE_KEEP)
			seqmap_fini(m);
		return;
	}
	while (!m->list[m->begin].ptr)
		m->begin++;
	while (!m->list[m->end - 1].ptr)
		m->end--;
	if (m->end - m->begin > 2 * m->live + SIZE_KEEP ||
		(m->size > SIZE_KEEP && m->size / 8 > m->live))
		close_holes(m);
}

static void *remove_at(struct seqmap *m, uint32_t at)
{
	void *ptr = m->list[at].ptr;

	m->list[at].ptr = NULL;
	m->live--;
	trim(m);
	return ptr;
}

void seqmap_remove_run(struct seqmap *m, const struct seqmap_entry *entry, uint32_t n)
{
	struct seqmap_entry *at = m->list + (entry - m->list);

	m->live -= n;
	if (at == m->list + m->begin && m->live > 0) {
		m->begin += n; /* behind it there are others; trim skips holes */
	} else {
		while (n--)
			(at++)->ptr = NULL;
	}
	trim(m);
}

void seqmap_replace(struct seqmap *m, const struct seqmap_entry *entry, void *ptr)
{
	m->list[entry - m->list].ptr = ptr;
}

void *seqmap_remove(struct seqmap *m, uint64_t key)
{
	uint32_t at = position(m, key);

	if (at >= m->end || m->list[at].key != key || !m->list[at].ptr)
		return NULL;
	return remove_at(m, at);
}

void *seqmap_remove_entry(struct seqmap *m, const struct seqmap_entry *entry)
{
	return remove_at(m, (uint32_t)(entry - m->list));
}

const struct seqmap_entry *seqmap_from(const struct seqmap *m, uint64_t key)
{
	for (uint32_t at = position(m, key); at < m->end; at++)
		if (m->list[at].ptr)
			return &m->list[at];
	return NULL;
}
