/*
 * agent.h - one client of the stress test: a connection that speaks frames, and the history of
 * what was asked and answered on it.
 *
 * Frames rather than libchan: an agent chooses when to confirm, gives values back, withdraws,
 * and drops its connection in the middle of a frame. All agents of a run are driven by one
 * thread, whose order of doing and seeing is the order of the history. Nothing here blocks.
 */
#ifndef TESTS_STRESS_AGENT_H
#define TESTS_STRESS_AGENT_H

#include "proto/buf.h"
#include "proto/wire.h"
#include "tests/history/history.h"

enum {
	CHANNELS_MAX = 6,
	CASES_MAX = 4,
	HELD_MAX = 32,  /* deliveries in one agent's hands, and each may be settled */
	OPS_MAX = 24,   /* operations that wait, by agent_may_ask */
	ASKED_MAX = OPS_MAX + CASES_MAX + 16 /* cancels */ + HELD_MAX + 2 * CHANNELS_MAX,
};

/* What the agents of a round share. Channels are counted from 1, as in the history. */
struct stage {
	struct history history;
	struct {
		char name[32];
		uint64_t id; /* the broker's; 0 until it is made */
		uint32_t capacity;
		bool drained; /* a receive was answered closed */
	} channels[CHANNELS_MAX + 1];
	uint32_t channel_count;
	uint32_t sessions, ops, values; /* the last numbers used */
	struct wire_scratch *scratch;
	uint64_t frames_read; /* grows while the broker answers */
	char problem[256];    /* "" or what went wrong beside the rules of the history */
};

enum asked_kind { ASKED_OPEN, ASKED_SEND, ASKED_RECV, ASKED_SELECT, ASKED_CLOSE, ASKED_CANCEL,
	ASKED_REMOVE, ASKED_TAKE, ASKED_RETURN, ASKED_LEASE, ASKED_ACK, ASKED_NACK };

struct asked {
	enum asked_kind kind;
	uint64_t seq;
	uint32_t op, channel, value, credit;
	uint64_t lease_ns; /* of a receive */
	int case_count;
	struct asked_case {
		uint32_t channel, value; /* value 0: it receives */
	} cases[CASES_MAX];
};

struct held {
	uint64_t delivery;
	uint32_t value;
	bool settling; /* taken or returned, not yet answered */
	uint64_t lease_ns; /* that it was received with, or 0 */
	bool leased;       /* and taken so */
};

struct agent {
	struct stage *stage;
	int fd; /* -1: not connected */
	uint32_t session;
	uint64_t seq; /* last used */
	struct buf in, out;
	struct asked asked[ASKED_MAX];
	int asked_count;
	struct held held[HELD_MAX];
	int held_count;
};

/* A lease of at least so long surely outlasts a round. */
#define LEASE_LONG_NS (UINT64_C(3600) * 1000000000)

/* How long an operation waits. */
struct patience {
	bool try;
	uint64_t timeout_ns; /* 0: for ever */
};

/* Starts a session on a connected socket, which the agent then owns: hello, and each of the
 * stage's channels opened for both directions (made, if it has no id yet). */
void agent_begin(struct agent *a, struct stage *stage, int fd);

/* Whether an operation more may be asked for, which may bring `values` more into its hands. */
bool agent_may_ask(const struct agent *a, int values);

void agent_send(struct agent *a, uint32_t channel, int count, struct patience p);
void agent_recv(struct agent *a, uint32_t channel, uint32_t credit, uint64_t lease_ns,
	struct patience p);
void agent_select(struct agent *a, const struct asked_case *cases, int count, struct patience p);
void agent_close(struct agent *a, uint32_t channel, bool abort);
void agent_remove(struct agent *a, uint32_t channel);
void agent_cancel(struct agent *a, int asked);                /* index of what waits */

/* Of a value in its hands, by index, that is not being settled: confirms or returns it; under a
 * lease takes it, and the next time acknowledges or gives it back. */
void agent_settle(struct agent *a, int held, bool give_back);

/* Drops the connection without a word, behind as much of what was written as the flush took. */
void agent_drop(struct agent *a, bool flush);

/* Writes what the socket takes; reads and enters what has come. Whatever is amiss goes to
 * stage->problem. */
void agent_flush(struct agent *a);
void agent_read(struct agent *a);

void agent_fini(struct agent *a);

#endif
