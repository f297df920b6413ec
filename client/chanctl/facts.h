/*
 * facts.h - what a command is told of its value, by its environment.
 */
#ifndef CHANCTL_FACTS_H
#define CHANCTL_FACTS_H

#include "chan/chan.h"

#define FACTS_COUNT 6

struct facts {
	char *entries[FACTS_COUNT + 1]; /* "NAME=VALUE"; ours; ends with NULL */
};

/* CHAN_URL, CHAN_CHANNEL, CHAN_VALUE_TYPE, CHAN_ATTEMPT, CHAN_DELIVERY, and CHAN_FENCE, which is
 * the fencing token of the value's lease. 0 or -ENOMEM. */
int facts_init(struct facts *f, struct chan *ch, const struct chan_value *value);
void facts_fini(struct facts *f);

#endif
