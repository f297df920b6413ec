/*
 * answer.h - the engine's answers, and how its refusals are worded.
 */
#ifndef BROKER_ANSWER_H
#define BROKER_ANSWER_H

#include "server/broker/channel.h"
#include "server/broker/party.h"

void answer_done(struct party *p, uint64_t seq, uint32_t count, uint32_t case_index);
void answer_opened(
	struct party *p, uint64_t seq, const struct channel *ch, uint8_t direction, bool created);
void answer_gone(struct party *p, const struct wire_range *ranges, size_t count);

/* Makes valid UTF-8 of a text that was cut, so that it may travel: what is not becomes '?'. */
void text_mend(char *text);

/* To whom an answer goes, and what it is about. */
struct asked {
	struct party *party;
	uint64_t seq;
	uint32_t count; /* of sequence numbers; 0 counts as 1 */
	uint32_t case_index;
};

/* FAIL with a sentence: what was asked, what stood in the way, what to do. Returns status. */
int answer_fail(struct asked a, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The refusal of a channel that is closed or aborted, which says by whom, when and why; or to a
 * producer that has closed its side. verb: "send to". */
int answer_closed(struct asked a, const char *verb, const struct channel *ch);

/* The refusal of an operation that waited, worded by its status. */
void answer_operation_failed(struct operation *op, struct asked a, int status);

#endif
