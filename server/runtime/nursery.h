/*
 * nursery.h - goroutines that have not begun to run.
 *
 * go() takes no stack. It writes down what is to be called, in a struct newborn, whose struct goroutine
 * every run queue takes as it takes any other; whoever comes to run it takes a stack then, the one
 * that was used last. So a thousand goroutines that are started at once and soon end all run on
 * one warm page, and a crowd's pages are touched by all processors and not by the one that says go.
 *
 * Newborns lie in nurseries. A nursery is the first page of a stack that nobody uses, cut from its low
 * end up: by its processor alone, until it is full. When it is and the last of its newborns has begun,
 * on whatever processor, it is a free stack again. So there are never more nurseries than newborns and
 * processors, and what held a crowd of newborns becomes their stacks.
 */
#ifndef CHAND_RUNTIME_NURSERY_H
#define CHAND_RUNTIME_NURSERY_H

#include "server/runtime/goroutine.h"

struct nursery;
struct processor;

struct newborn {
	struct goroutine g; /* in G_NEW; beside its link, `id` and `site` alone mean anything */
	struct nursery *nursery;
	void (*call)(void *code, void *args);
	void *code;
	uint32_t args_bytes;
	uint32_t bytes; /* to the next one */
	_Alignas(16) char args[];
};

static inline struct newborn *newborn_of(struct goroutine *g)
{
	return (struct newborn *)g;
}

/* Cuts a newborn from p's nursery (NULL: from one of its own), its arguments still to be filled in;
 * newborn_publish makes it known to dumps. */
struct newborn *newborn_new(struct processor *p, size_t args_bytes);
void newborn_publish(struct newborn *n);

/* n has begun, on p: its memory is not touched any more. */
void newborn_free(struct processor *p, struct newborn *n);

/*
 * Dumps, from signal handlers too: the next newborn in the nursery that `holder` is (G_NURSERY), from
 * *cursor on (0 at first). False at the end, and when it stops being a nursery meanwhile.
 */
bool nursery_walk(const struct goroutine *holder, uint32_t *cursor, uint64_t *ret_id,
	const struct go_site **ret_site);

#endif
