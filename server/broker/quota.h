/*
 * quota.h - how much one identity may have, whatever the number of its connections.
 *
 * An account counts for all who are one identity. Two tables of accounts exist, each with the
 * counters of one owner: connections, how fast new ones come, and sessions without one
 * (admission.h, under its lock), and what the engine holds for them (principal counters: channels,
 * bytes, operations). An account stays while something is counted in it. Counting is a few
 * additions, looking one up takes a step a bit that tells it from others.
 */
#ifndef BROKER_QUOTA_H
#define BROKER_QUOTA_H

#include "server/base/list.h"
#include "server/broker/names.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bounds, inclusive; QUOTA_NONE: none. */
#define QUOTA_NONE UINT64_MAX

struct quota_limits {
	uint64_t connections;
	uint64_t sessions;         /* that have lost their connection and may be resumed */
	uint64_t connection_rate;  /* new ones a second, in the long run */
	uint64_t connection_burst; /* new ones at once, after a rest; at least 1 */
	uint64_t channels;         /* made, and not removed */
	uint64_t buffered_bytes;   /* of values that it sent: waiting, buffered and out */
	uint64_t ops_in_flight;    /* not answered, of all its sessions */
};

extern const struct quota_limits quota_unlimited;

struct quota_account {
	struct list idle;      /* in table.idle while nothing is counted but the rate */
	struct quota_limits limits;
	uint64_t holds; /* parties, channels, connections, sessions: while there are any it stays */
	uint64_t connections, sessions, channels, buffered_bytes, ops_in_flight;
	uint32_t extras; /* connections beyond a bound, which may only resume: see admission.h */
	uint32_t rings;  /* connections that have them */
	int64_t paid_until_ns; /* the rate: each connection adds its share of a second; full at now
				*/
	struct name_node node; /* in its table */
	char key[];
};
NAME_FOLLOWS(struct quota_account, node, key);

/* A zeroed struct, after quota_table_init. No lock: its owner has one, or is one goroutine. */
struct quota_table {
	struct name_node *accounts;
	struct list idle; /* kept for their rate, the one that is idle longest first */
	size_t idle_count;
};

/* Accounts that are kept for their rate alone; the oldest go first. Who comes from so many
 * addresses meets connections_max and not this. */
#define QUOTA_IDLE_MAX 4096u

void quota_table_init(struct quota_table *t);

/* Frees all of it, whatever is counted. */
void quota_table_fini(struct quota_table *t);

/* The account under a key, made with those limits where there is none; one hold more. NULL: out of
 * memory. */
struct quota_account *quota_get(
	struct quota_table *t, const char *key, const struct quota_limits *limits);

/* One hold less. Where nothing is counted any more the account goes, once its rate is forgotten. */
void quota_put(struct quota_table *t, struct quota_account *a, int64_t now_ns);

/* Takes one from the rate: true, or false and *ret_wait_ns tells when there will be one. */
bool quota_take_rate(struct quota_account *a, int64_t now_ns, int64_t *ret_wait_ns);

/* Calls each(account, arg) for all accounts; it may change their limits. */
void quota_each(struct quota_table *t, void (*each)(struct quota_account *a, void *arg), void *arg);

/* Bytes of a value come and go, of which there are millions. */
static inline void quota_add_bytes(struct quota_account *a, uint64_t bytes)
{
	a->buffered_bytes += bytes;
}

void quota_forget(struct quota_table *t, struct quota_account *a); /* nothing is counted in it */

static inline void quota_drop_bytes(struct quota_table *t, struct quota_account *a, uint64_t bytes)
{
	a->buffered_bytes -= bytes;
	if (!a->holds && !a->buffered_bytes)
		quota_forget(t, a);
}

#endif
