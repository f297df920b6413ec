/*
 * journal.h - a history that many processes write, and that outlives them.
 *
 * It lies in memory shared by a process and those that it forks. Who enters an event draws the next
 * place from one counter, writes it there and then marks it as written: the order of the places is
 * an order of time, since an event that was entered before another was begun stands before it. A
 * process that is killed in between leaves a gap, which is skipped: it had not asked yet, or nobody
 * knows that it was told.
 */
#ifndef TESTS_SOAK_JOURNAL_H
#define TESTS_SOAK_JOURNAL_H

#include "tests/history/history.h"

struct journal;

/* What is numbered in a history. */
enum journal_counter { NEXT_SESSION, NEXT_OP, NEXT_CHANNEL, NEXT_VALUE, JOURNAL_COUNTERS };

/* Room for so many events. Aborts the program when there is none. */
struct journal *journal_new(size_t events_max);
void journal_free(struct journal *j);

/* Empties it; nobody may be writing. */
void journal_begin(struct journal *j);

/* The next number of a kind, from 1; the first of `count` such. */
uint32_t journal_next(struct journal *j, enum journal_counter counter, uint32_t count);

/* Enters an event, with the time. When there is no room it is dropped: then the history is worth
 * nothing, and journal_overflowed. */
void journal_enter(struct journal *j, struct event e);

/* Whether little room is left: time to come to an end. */
bool journal_fills(const struct journal *j);
bool journal_overflowed(const struct journal *j);

/* Appends what was entered to a history; nobody may be writing. */
void journal_read(const struct journal *j, struct history *h);

#endif
