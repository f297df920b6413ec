/*
 * seqmap.h - a map from numbers that mostly rise (sequence numbers, delivery ids, channel ids) to
 * pointers: a sorted array with holes.
 *
 * Appending, and finding or removing near either end, is O(1); finding is O(1) as long as the
 * numbers lie close together and O(log n) otherwise; an insertion out of order moves what is
 * above it. An entry takes 16 bytes, holes are closed before they outnumber the entries, and
 * memory is given back. Iteration is in order and bears any change meanwhile.
 */
#ifndef BROKER_SEQMAP_H
#define BROKER_SEQMAP_H

#include <stddef.h>
#include <stdint.h>

struct seqmap_entry {
	uint64_t key;
	void *ptr; /* NULL: a hole */
};

/* A zeroed struct is an empty map. */
struct seqmap {
	struct seqmap_entry *list;
	uint32_t begin, end; /* the first entry, behind the last; neither is a hole */
	uint32_t size;       /* allocated */
	uint32_t live;       /* without holes */
};

void seqmap_fini(struct seqmap *m);

/* Makes sure that putting n more in cannot fail. 0 or CHAN_ENOMEM. */
int seqmap_reserve(struct seqmap *m, uint32_t n);

/* ptr is not NULL; the key is not in the map; room was reserved. */
void seqmap_put(struct seqmap *m, uint64_t key, void *ptr);

/* The same under n keys in a row, which are greater than all that are there: n neighbouring
 * entries, until they are removed. */
void seqmap_put_run(struct seqmap *m, uint64_t key, uint32_t n, void *ptr);

/* What is there under the key, or NULL. */
void *seqmap_get(const struct seqmap *m, uint64_t key);

/* What is there under the greatest key that is not above the given one, or NULL. */
void *seqmap_floor(const struct seqmap *m, uint64_t key);

/* Removes what is there under the key and returns it; NULL: nothing is. */
void *seqmap_remove(struct seqmap *m, uint64_t key);

/* The same for an entry that seqmap_from found. */
void *seqmap_remove_entry(struct seqmap *m, const struct seqmap_entry *entry);

/* The same for it and its neighbours, n in all; none of them is a hole. */
void seqmap_remove_run(struct seqmap *m, const struct seqmap_entry *entry, uint32_t n);

/* Another ptr, not NULL, in the place of an entry's. */
void seqmap_replace(struct seqmap *m, const struct seqmap_entry *entry, void *ptr);

/* The first entry whose key is not below the given one, NULL at the end. Valid until the map
 * changes; go on from its key + 1. */
const struct seqmap_entry *seqmap_from(const struct seqmap *m, uint64_t key);

#endif
