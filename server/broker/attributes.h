/*
 * attributes.h - what MAKE says of a channel beyond type, capacity and lifetime.
 */
#ifndef BROKER_ATTRIBUTES_H
#define BROKER_ATTRIBUTES_H

#include "proto/limits.h"
#include "proto/wire.h"
#include "server/base/list.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ATTRIBUTES_MAX 4u

#define PRODUCERS_AUTO (-1)

/* Who may send on the channel, where producers_max is not 0: see producers.h. */
struct producers {
	struct list list; /* struct producer: registered or on trial; sessions that live */
	uint32_t came, done;
	bool fewer; /* one is done, or stands to send though it is; since the last pump */
	struct closing *spare; /* for an end that finds no memory, where it must come; or NULL */
};

struct attributes {
	int32_t producers_max; /* 0: they are not counted; PRODUCERS_AUTO: as many as come */
	uint32_t attempts_max; /* 0: for ever */
	char dead_letter[NAME_BYTES_MAX + 1]; /* with attempts_max, else "" */
	uint32_t permits;                     /* see semaphore.h; 0: none */
	struct wire_attribute
		list[ATTRIBUTES_MAX]; /* as MAKE gave them; what they point to is below */
	size_t count;
	char texts[ATTRIBUTES_MAX][NAME_BYTES_MAX + 1];

	/* Not MAKE's but the channel's; here, since few channels have any. */
	struct producers producers;
};

/*
 * Of a MAKE. *ret is on the heap, or NULL where MAKE gave none. 0, CHAN_ENOMEM, or CHAN_EINVAL with
 * the reason in problem.
 */
int attributes_new(
	const struct message *make, struct attributes **ret, char *problem, size_t problem_bytes);

/* Either may be NULL. */
bool attributes_same(const struct attributes *a, const struct attributes *b);

/* For an error: "" for none, else ", producers 2, attempts_max 3, dead_letter failed". */
#define ATTRIBUTES_TEXT_MAX 420
const char *attributes_text(const struct attributes *a, char text[ATTRIBUTES_TEXT_MAX]);

#endif
