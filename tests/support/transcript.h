/*
 * transcript.h - tests of the engine as transcripts: what parties ask, and what each is told.
 *
 * A test opens a stage, lets parties a, b, c ... ask things, and says after each step what was
 * answered, in order:
 *
 *	uint64_t jobs = make_channel("jobs", 2);   every party holds both ends of it
 *	send(a, jobs, "x");
 *	expect("a done 1");                        operations of a party are numbered from 1
 *	recv(b, jobs);
 *	expect("b got 1 #1 x");                    to receive 1: its delivery 1, the value x
 *	taken(b, 1);
 *	expect_nothing();
 *
 * The engine's invariants are checked after every step. Answers read:
 *
 *	a done 3          a done 3..5       a done 7 case 1
 *	a fail 3 ECLOSED  a fail 3..5 ETYPE a fail 7 ECLOSED case 1
 *	b got 1 #4 x      b got 1 #5 x again 2 (its second attempt)     b got 7 #6 x case 2
 *	b got 1 #7 x token 1001 (under a lease)
 *	b gone #4         b gone #4..6 #9     a opened 1 created
 */
#ifndef TESTS_TRANSCRIPT_H
#define TESTS_TRANSCRIPT_H

#include "chan/status.h"
#include "chan/value.h"
#include "server/broker/engine.h"

#define PARTIES 6

struct actor {
	char name;
	struct party *party; /* NULL once it has ended */
	uint64_t seq;        /* the last one used */
};

struct stage {
	struct engine *engine;
	struct actor actors[PARTIES];
	int64_t now_ns;
	char log[1 << 16];
	size_t log_bytes;
	char text[2048];               /* the sentence of the last FAIL */
	struct wire_channel_stat stat; /* the first row of the last STATS; strings not kept */
	char names[4096];              /* of the last STATS, or operations of the last WAITERS */
	uint64_t opened;               /* channel of the last OPENED */
	bool more;
	char after[256]; /* of the last STATS: where the next page begins */
};

extern struct stage stage;
extern struct actor *const a, *const b, *const c, *const d;

extern const struct engine_limits stage_limits; /* what stage_open uses */

void stage_open(void);
void stage_open_with(const struct engine_limits *limits, uint64_t seed);
void stage_close(void);

/* cmocka's setup and teardown */
int stage_setup(void **state);
int stage_teardown(void **state);

/* Asserts what was answered since the last expect; entries are separated by "; ". */
#define expect(...) expect_at(__FILE__, __LINE__, __VA_ARGS__)
#define expect_nothing() expect_at(__FILE__, __LINE__, "%s", "")
void expect_at(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Asserts that the sentence of the last FAIL contains this. */
#define expect_text(part) expect_text_at(__FILE__, __LINE__, part)
void expect_text_at(const char *file, int line, const char *part);

/* Forgets what was answered since the last expect. */
void ignore_answers(void);

/* A channel of strings in which every party holds both ends. */
uint64_t make_channel(const char *name, int64_t capacity);
uint64_t make_typed(const char *name, enum chan_type type, int64_t capacity);

/* ---- one operation each; they return its sequence number ---- */

struct how {
	bool try, stream;
	uint64_t timeout_ns;
	uint32_t credit;
	uint64_t lease_ns; /* of a select: of each of its receive cases */
};

uint64_t make_how(struct actor *p, const char *name, uint32_t type, int64_t capacity,
	bool temporary, uint8_t direction);
/* Strings; attributes as "producers=2 attempts_max=3". */
uint64_t make_attributes(struct actor *p, const char *name, int64_t capacity, uint8_t direction,
	const char *attributes);
uint64_t open_end(struct actor *p, const char *name, uint8_t direction);
uint64_t open_wait(struct actor *p, const char *name, uint64_t timeout_ns);
uint64_t release(struct actor *p, uint64_t channel);
uint64_t send(struct actor *p, uint64_t channel, const char *value);
uint64_t send_how(struct actor *p, uint64_t channel, const char *value, struct how how);
/* Values separated by spaces, in one frame. */
uint64_t send_many(struct actor *p, uint64_t channel, const char *values, struct how how);
uint64_t send_bytes(struct actor *p, uint64_t channel, const void *bytes, size_t len);
uint64_t recv(struct actor *p, uint64_t channel);
uint64_t recv_how(struct actor *p, uint64_t channel, struct how how);
void grant(struct actor *p, uint64_t seq, uint32_t credit);
void taken(struct actor *p, uint64_t delivery);
void taken_range(struct actor *p, uint64_t first, uint64_t count);
uint64_t taken_asked(struct actor *p, uint64_t first, uint64_t count);
void give_back(struct actor *p, uint64_t delivery);
void give_back_later(struct actor *p, uint64_t delivery, uint64_t delay_ns);
void ack(struct actor *p, uint64_t delivery);
void nack(struct actor *p, uint64_t delivery, uint64_t delay_ns);
void extend(struct actor *p, uint64_t delivery, uint64_t lease_ns);
/* One of the five, to be answered: ns is the delay or the lease. */
uint64_t settle_asked(struct actor *p, int kind, uint64_t first, uint64_t count, uint64_t ns);
uint64_t cancel(struct actor *p, uint64_t target);
uint64_t close_channel(struct actor *p, uint64_t channel);
uint64_t close_why(struct actor *p, uint64_t channel, const char *reason);
uint64_t abort_channel(struct actor *p, uint64_t channel, const char *reason);
uint64_t remove_channel(struct actor *p, const char *name);
const struct wire_channel_stat *stat_channel(struct actor *p, uint64_t channel);

/* A case of a select: value NULL receives. */
struct pick {
	uint64_t channel;
	const char *value;
};
#define SELECT(actor, how, ...)                                                                    \
	select_cases(actor, how, (struct pick[]){__VA_ARGS__},                                     \
		sizeof((struct pick[]){__VA_ARGS__}) / sizeof(struct pick))
uint64_t select_cases(struct actor *p, struct how how, const struct pick *picks, size_t n);

/* Any message; returns engine_apply's answer. Values as strings. */
int apply(struct actor *p, const struct message *m, const char *const *values, size_t n);

void end(struct actor *p);
void absent(struct actor *p);
void present(struct actor *p);
void revoke_from(struct actor *p);
void pass_ns(int64_t ns); /* time goes by, deadlines pass */

/* A chan value. Returns its length. */
size_t reference(uint8_t bytes[300], uint64_t channel, uint8_t direction);

#endif
