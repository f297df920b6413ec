/*
 * list.h - intrusive, circular, doubly linked lists.
 *
 * A `struct list` is both a list's head and the link inside an element; an element that is on no
 * list has a link that points to itself (list_init) or is never asked. All steps are O(1), none
 * allocates, none locks: whoever owns the list guards it.
 */
#ifndef CHAND_BASE_LIST_H
#define CHAND_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next; /* the first element, of a head */
	struct list *prev; /* the last element, of a head */
};

#define LIST_INIT(name) {&(name), &(name)}

/* The element that contains `link` as its `member`. */
#define list_entry(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

/* Walks a list from its head; the body must not unlink `pos` (see LIST_FOREACH_SAFE). */
#define LIST_FOREACH(pos, list, member)                                                             \
	for (pos = list_entry((list)->next, __typeof__(*pos), member); &pos->member != (list);      \
		pos = list_entry(pos->member.next, __typeof__(*pos), member))

/* The same, where the body may unlink or free `pos`; `tmp` is another pointer of its type. */
#define LIST_FOREACH_SAFE(pos, tmp, list, member)                                                   \
	for (pos = list_entry((list)->next, __typeof__(*pos), member),                              \
		tmp = list_entry(pos->member.next, __typeof__(*pos), member);                       \
		&pos->member != (list);                                                             \
		pos = tmp, tmp = list_entry(pos->member.next, __typeof__(*pos), member))

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_insert_after(struct list *at, struct list *link)
{
	link->prev = at;
	link->next = at->next;
	at->next->prev = link;
	at->next = link;
}

static inline void list_push_front(struct list *l, struct list *link)
{
	list_insert_after(l, link);
}

static inline void list_push_back(struct list *l, struct list *link)
{
	list_insert_after(l->prev, link);
}

/* Unlinks; the link then is its own list, so that a second list_remove does nothing. */
static inline void list_remove(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

/* The first link, unlinked; NULL when the list is empty. */
static inline struct list *list_pop_front(struct list *l)
{
	struct list *link = l->next;

	if (link == l)
		return NULL;
	list_remove(link);
	return link;
}

/* Moves all elements of `from` behind those of `l`; `from` is empty afterwards. */
static inline void list_splice_back(struct list *l, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = l->prev;
	l->prev->next = from->next;
	from->prev->next = l;
	l->prev = from->prev;
	list_init(from);
}

#endif
