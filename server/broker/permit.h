/*
 * permit.h - what a party may do: the engine's questions to the rules of access.h.
 *
 * Names are asked about when an end is opened, and when a channel is made, closed, removed or
 * looked at; not for each value: an end remembers what it may. After the rules were replaced,
 * everything that was remembered is of an older generation, and is asked anew when it is used next.
 *
 * Who holds a reference may use it: an end that came as a chan value may do what the value says,
 * whatever the rules, since somebody who had the right has handed it on. An unnamed channel can
 * only be reached so.
 */
#ifndef BROKER_PERMIT_H
#define BROKER_PERMIT_H

#include "server/broker/access.h"
#include "server/broker/state.h"

/* Whether the rules let a party do that to a channel of that name: 0, CHAN_EPERM or CHAN_ENOMEM. */
int permit_check(struct engine *e, struct party *p, enum access_action action, const char *name);

/* The same, answered by FAIL where it is not 0, counted and told to engine_options.denied. verb and
 * label are what was asked: "close", "'jobs'"; label NULL: the name. */
int permit(struct call *c, struct asked a, enum access_action action, const char *name,
	const char *verb, const char *label);

/* Whether the rules let it open an end of that direction: as permit_check, and *ret_refused (may be
 * NULL) is the direction that they do not. */
int permit_directions(struct engine *e, struct party *p, uint8_t direction, const char *name,
	uint8_t *ret_refused);

/* The same, answered as permit does. */
int permit_open(struct call *c, struct asked a, uint8_t direction, const char *name,
	const char *verb, const char *label);

/* Whether there is any name to which it may do that, answered as permit does; what it is then told
 * is up to permit_check. */
int permit_somewhere(struct call *c, struct asked a, enum access_action action, const char *verb,
	const char *label);

/* Whether the party may make unnamed channels: any rule is about it. */
int permit_unnamed(struct call *c, struct asked a);

/* The refusal of an end that the rules no longer let be used so. */
void permit_refuse_end(struct call *c, struct asked a, const struct channel *ch, uint8_t direction,
	const char *verb);

/* Asks anew what an end may do; end->allowed is that then. */
uint8_t permit_review(struct engine *e, struct party *p, struct end *end);

/* The directions in which the end may be used now. */
static inline uint8_t end_allowed(struct engine *e, struct party *p, struct end *end)
{
	return end->generation == e->access_generation ? end->allowed : permit_review(e, p, end);
}

#endif
