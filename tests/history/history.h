/*
 * history.h - what clients saw of a broker, and whether channels can have behaved so.
 *
 * A history is a list of events in the order in which they were entered: by one observer who acts
 * for every client, by threads under one lock, or by processes that draw numbers from one counter
 * (tests/soak/journal.h). What a client asks is entered before it is written, what it is told when
 * it is read; so an answer that stands before a question was given before it was asked, whatever
 * happened in between at the broker, or to the client. Each rule is judged only by what that order
 * makes certain: an operation happened at some moment between its two events.
 *
 * As text, an event is a line: its word, then its numbers, each behind a letter:
 *
 *   channel c1 n2          a channel of capacity 2
 *   send s3 o5 c1 v7       session 3 offers value 7 to it, in its operation 5; n 2: as the third of
 *                          values that it sends as one, which are numbered one after another
 *   sent o5 v7             told: done
 *   recv s4 o6 c1 n1       asks for one value (credit)
 *   got s4 o6 c1 v7 n1     is handed it, at the first attempt
 *   taken s4 v7            is about to confirm it;	settled s4 v7: the broker has answered
 *   returned s4 v7         is about to give it back
 *   leased s4 v7 n1        is about to take it under a lease, which `taken` ends; n 1: or its time,
 *                          of which `gone` may tell
 *   select s3 o8           followed by a send or recv line with o8 for each case
 *   close s3 o9 c1         is about to close;	closed o9: told that it is
 *   abort s3 o9 c1         is about to abort it: a close that readers are told of otherwise
 *   failed o8 c1 v7 n1     told: no effect; n is the status (chan/status.h), of a select's closed
 *                          case c, and v if that is a send case
 *   lost s4                is about to drop its connection, or was killed and is dead
 *   end                    all is closed and drained, and nobody waits for an answer
 *
 * How a channel is received from, behind its `channel`; by hand and one at a time if nothing is
 * said:
 *
 *   automatic c1           receiving a value confirms it: `got` says all, no `taken` follows
 *   ahead c1               receivers fetch ahead of what they ask for
 *   lends c1               receiving takes a value under a lease; `taken` acknowledges it
 *   counted c1             it counts its producers: `closed` tells one that it is done itself
 *
 * Faults, entered before they are done:
 *
 *   cut s4                 its connection is cut or held up, for so short a time that nobody may
 *                          notice but by deadlines that pass meanwhile
 *   doubt s4               it is killed, stopped or cut off for so long that it may be thought
 *                          lost: what it holds may go to others
 *   calm s4                the reason for the doubt has gone; the doubt ends with the first answer
 *                          to what the session asks from here on
 *   doubt s4 n1            its broker is about to be killed: nothing ends this doubt
 *   restart                the broker is dead, and with it all channels so far and what they had;
 *                          the next one is about to be started
 *   unknown o8             told: nobody knows whether it happened
 *   unknown s4 v7          told: nor whether the confirmation arrived
 *   gone s4 v7             told: the value had been taken back (it was not confirmed)
 *
 * A t and a number behind any event is when it was entered, in microseconds; for people.
 *
 * Sessions, operations, channels and values are numbered from 1, densely. Every value is offered
 * once.
 */
#ifndef TESTS_HISTORY_HISTORY_H
#define TESTS_HISTORY_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EVENT_LIST(X)                                                                              \
	X(CHANNEL, "channel")                                                                      \
	X(SEND, "send")                                                                            \
	X(RECV, "recv")                                                                            \
	X(SELECT, "select")                                                                        \
	X(CLOSE, "close")                                                                          \
	X(SENT, "sent")                                                                            \
	X(GOT, "got")                                                                              \
	X(CLOSED, "closed")                                                                        \
	X(FAILED, "failed")                                                                        \
	X(TAKEN, "taken")                                                                          \
	X(SETTLED, "settled")                                                                      \
	X(RETURNED, "returned")                                                                    \
	X(LOST, "lost")                                                                            \
	X(END, "end")                                                                              \
	X(AUTOMATIC, "automatic")                                                                  \
	X(AHEAD, "ahead")                                                                          \
	X(LENDS, "lends")                                                                          \
	X(COUNTED, "counted")                                                                      \
	X(CUT, "cut")                                                                              \
	X(DOUBT, "doubt")                                                                          \
	X(CALM, "calm")                                                                            \
	X(UNKNOWN, "unknown")                                                                      \
	X(GONE, "gone")                                                                            \
	X(LEASED, "leased")                                                                        \
	X(ABORT, "abort")                                                                          \
	X(RESTART, "restart")

enum event_kind {
#define EVENT_CONSTANT(name, word) EVENT_##name,
	EVENT_LIST(EVENT_CONSTANT)
#undef EVENT_CONSTANT
		EVENT_KINDS
};

struct event {
	enum event_kind kind;
	uint32_t session, op, channel, value; /* 0: none */
	uint32_t number;                      /* capacity, credit, attempt or status */
	uint32_t time_us;
};

struct history {
	struct event *events;
	size_t count, size;
};

/* Appends; aborts the program when memory is out. A zeroed struct is an empty history. */
void history_add(struct history *h, struct event e);
void history_fini(struct history *h);

void history_print(const struct history *h, FILE *out);

/* Reads the text form up to its end; empty lines and those that begin with # are skipped.
 * Returns 0, or the number of the line that is none. */
int history_read(struct history *h, FILE *in);

/* What may have been broken. */
#define RULE_LIST(X)                                                                               \
	X(NONE, "nothing is wrong")                                                                \
	X(NONSENSE, "an answer answers what was asked")                                            \
	X(ANSWERED, "every operation is answered, once, and with what became of it")               \
	X(ONE_CASE, "exactly one case of a select happens")                                        \
	X(NO_EFFECT, "an operation that failed had no effect")                                     \
	X(LOST, "a value that was sent is received")                                               \
	X(TWICE, "a value is in one receiver's hands at a time, and never again once confirmed")   \
	X(TAKEN_BACK, "nothing is taken back from a session that lives")                           \
	X(ATTEMPT, "a value that comes again says so, and only then")                              \
	X(FIFO, "values leave in the order in which they were accepted")                           \
	X(RENDEZVOUS, "an unbuffered send ends when its value was taken, not before")              \
	X(CAPACITY, "no channel holds more than its capacity")                                     \
	X(CLOSED, "closed is said only of a channel that was closed, and close succeeds once")     \
	X(ABORTED, "who reads an aborted channel to its end is told so, and nobody else")          \
	X(AFTER_CLOSE,                                                                             \
		"nothing enters a closed channel, and nothing comes out once it is drained")       \
	X(EMPTY, "no receive gives up while a value lies in its channel")                          \
	X(RESTARTED, "what a broker had that was killed is gone, and nothing of it comes again")

enum history_rule {
#define RULE_CONSTANT(name, sentence) RULE_##name,
	RULE_LIST(RULE_CONSTANT)
#undef RULE_CONSTANT
};

const char *history_rule_name(enum history_rule rule); /* "FIFO" */
const char *history_rule_sentence(enum history_rule rule);

struct verdict {
	enum history_rule rule; /* RULE_NONE: the history is possible */
	size_t at;              /* the event that shows it */
	uint32_t channel, value, op;
	uint32_t other; /* a second value concerned */
	char text[160];
};

/* Judges a history: the first rule that it breaks. */
struct verdict history_check(const struct history *h);

/* Says a verdict to people: the rule, what breaks it, and the events that concern the same values
 * and operations, and the sessions that had them in hand. */
void history_explain(const struct history *h, const struct verdict *verdict, FILE *out);

#endif
