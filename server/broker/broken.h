/*
 * broken.h - rules broken on purpose, one at a time, to prove that the stress test's checker sees it.
 *
 * configure --enable-broken-rule=RULE chooses; RULE may be `environment': then CHAND_BROKEN_RULE says
 * when the program begins which it is, by its number, so that one build does for all. Without the
 * switch every BROKEN(...) is a constant false.
 */
#ifndef BROKER_BROKEN_H
#define BROKER_BROKEN_H

#include "config.h"

enum broken_rule {
	BROKEN_none,
	BROKEN_lose_on_return,     /* a value that was given back is dropped */
	BROKEN_deliver_twice,      /* a value that was taken comes again, now and then */
	BROKEN_lifo,               /* the youngest value leaves a buffer first */
	BROKEN_send_before_taken,  /* an unbuffered send ends when its value is delivered */
	BROKEN_over_capacity,      /* a buffer holds one value more than its capacity */
	BROKEN_value_after_close,  /* a closed channel accepts values */
	BROKEN_select_two_cases,   /* a select that receives also sends */
	BROKEN_lease_forgotten,    /* a value whose lease's time is up is dropped */
	BROKEN_ack_ignored,        /* an acknowledged value comes back */
	BROKEN_unmarked,           /* a value that comes again does not say so */
	BROKEN_absent_returned,    /* a lost connection takes the session's deliveries with it */
	BROKEN_resume_loses_frame, /* one frame less is sent again than was lost */
	BROKEN_resume_sends_twice, /* the first send behind a resume happens twice */
	BROKEN_abort_as_close,     /* who reads an aborted channel is told that it was closed */
};

#ifndef BROKEN_RULE
#define BROKEN_RULE BROKEN_none
#endif

/* What the environment chose. Set before main. */
extern enum broken_rule BROKEN_environment;

#define BROKEN(rule) (BROKEN_RULE == BROKEN_##rule)

#endif
