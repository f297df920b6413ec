/*
 * conversation.h - two clients of one daemon go through all that channels can do, and afterwards
 * every value has to be somewhere.
 *
 * Held while calls fail in the daemon or in the library: a step then may end with an excuse (no
 * memory, connection lost), and the conversation with it; but no step may have a wrong result, and no
 * value that was accepted may be missing or come twice.
 */
#ifndef TESTS_TORTURE_CONVERSATION_H
#define TESTS_TORTURE_CONVERSATION_H

#include <stdbool.h>

enum { TALK_VALUES = 9, TALK_WRONG_BYTES = 512 };

/* What the sender knows of a value. */
enum fate { FATE_UNSENT, FATE_REFUSED, FATE_UNKNOWN, FATE_SENT };

struct talk {
	const char *url;
	int number;     /* of the conversation: in its channels' names */
	bool resumable; /* sessions outlive their connections */

	bool greeted;     /* both clients have their sessions */
	const char *step; /* the last one that was begun */
	int status;       /* what it ended with: 0, or an excuse */
	char excuse[TALK_WRONG_BYTES];
	char wrong[TALK_WRONG_BYTES]; /* what must never be, or "" */

	enum fate fate[TALK_VALUES];
	int confirmed[TALK_VALUES]; /* times that a receipt was confirmed and that was answered */
	int unclear[TALK_VALUES];   /* times that the confirmation was not answered */
	int left[TALK_VALUES];      /* times that it was found in the channel afterwards */
};

/* Holds it, until the first step that fails. Zeroed but for url, number and resumable before. */
void talk_hold(struct talk *t);

/* With nothing failing any more: looks for what is left, and says in wrong what does not add up.
 * Removes the channels. */
void talk_account(struct talk *t);

#endif
