/*
 * state.h - the engine's own state, and what its files call of one another.
 */
#ifndef BROKER_STATE_H
#define BROKER_STATE_H

#include "server/base/clock.h"
#include "server/base/random.h"
#include "server/broker/answer.h"
#include "server/broker/channel.h"
#include "server/broker/delivery.h"
#include "server/broker/engine.h"
#include "server/broker/operation.h"
#include "server/broker/party.h"

struct engine {
	struct engine_options options;
	struct random random;
	int64_t now_ns;              /* of the call that is under way */
	struct name_node *names;     /* struct channel: those with a name */
	struct name_node *awaited;   /* struct awaited: names that an OPEN waits for */
	struct seqmap channels;      /* by id; removed ones are not in it */
	struct seqmap operations;    /* by id: all that are not answered and have a party */
	struct heap_node *deadlines; /* struct operation, the earliest first */
	struct heap_node *timers;    /* struct delivery, leased or delayed, likewise */
	struct channel *dirty,
		**dirty_end; /* to be pumped, in the order in which they were touched */
	struct list parties;
	struct access *access;       /* one reference; NULL: no rules, no quotas */
	uint64_t access_generation;  /* how often it was replaced */
	struct quota_table accounts; /* channels, bytes and operations of each identity */
	uint64_t denied;             /* operations that the rules refused */
	struct delivery_pool deliveries;
	struct traffic_pool traffic;
	uint64_t next_channel, next_operation, next_ticket;
	uint64_t token_floor; /* the highest lease token of a channel that was removed */
	uint64_t bytes;       /* that all values cost, waiting, buffered and out */
	uint64_t values_buffered;
	uint64_t deliveries_out;
	uint64_t suspects;        /* channels that lost their last end since engine_collect ran */
	uint64_t steps_unchecked; /* since engine_check ran, in debug builds */
	bool shutting_down;
	uint32_t party_count;
	uint64_t memory_share; /* what a party may hold while memory is not free */
	uint8_t memory;        /* enum memory_level */
};

/* What a value costs against buffered_bytes_max: its bytes, its header, its place in a queue and
 * its record while it is out. So that values of no bytes are bounded too. */
#define VALUE_OVERHEAD_BYTES 64u

/* What all values of a pack cost, which is what stays in memory while one of them does. */
static inline uint64_t pack_cost(const struct value_pack *p)
{
	uint32_t count = p->values[0].count;

	return value_run_bytes(p->values, count) +
	       (uint64_t)count * (VALUE_OVERHEAD_BYTES - VALUE_PREFIX_BYTES);
}

/* Of every channel, so far: one that fails over to another broker will count its epochs. */
#define CHANNEL_EPOCH 0u

/* Ranges of one GONE: 22 bytes each at most, well below FRAME_HEADER_BYTES_MAX. */
#define GONE_RANGES_MAX 256u

/*
 * Counts a value in, on the sender's account, with what it refers to; drops one that was counted
 * in. A pack is counted whole from the first of its values that comes in to the last that goes: so
 * the bounds hold for the memory that is taken, whichever of its values are left.
 */
void engine_hold_value(
	struct engine *e, struct quota_account *account, uint32_t type, struct value *v);
void engine_hold_run(struct engine *e, struct quota_account *account, uint32_t type,
	struct value *v, uint32_t n); /* neighbours */
void engine_drop_value(struct engine *e, uint32_t type, struct value *v);
void engine_drop_run(struct engine *e, uint32_t type, struct value *v, uint32_t n); /* neighbours */

/* Pumps until no channel is touched and no try stands. */
void engine_step(struct engine *e);

/* A name that does not exist yet, and the OPENs that wait for it. */
struct awaited {
	struct list waiters;
	struct name_node node;
	char name[];
};
NAME_FOLLOWS(struct awaited, node, name);

/*
 * One operation as it arrives. The handlers in op_*.c each take one kind; they return 0, or
 * CHAN_EPROTOCOL as engine_apply does.
 */
struct call {
	struct engine *engine;
	struct party *party;
	const struct message *message;
	struct value **values;
	uint32_t value_count;
	uint32_t
		consumed; /* the first of the values are taken over; the rest is dropped after it */
};

int op_make(struct call *c);
int op_open(struct call *c);
int op_release(struct call *c);
int op_send(struct call *c);
int op_recv(struct call *c);
int op_grant(struct call *c);
int op_taken(struct call *c);
int op_return(struct call *c);
int op_ack(struct call *c);
int op_nack(struct call *c);
int op_extend(struct call *c);
int op_select(struct call *c);
int op_cancel(struct call *c);
int op_close(struct call *c);
int op_remove(struct call *c);
int op_stat(struct call *c);
int op_list(struct call *c);
int op_ps(struct call *c);

/* How the call is answered. */
struct asked call_asked(const struct call *c);

/*
 * The channel that an operation names, if the party holds an end of it with that direction (0: any
 * end). Otherwise NULL, and it was answered; verb is "send to", "close" ...
 */
struct channel *call_channel(struct call *c, struct asked a, const char *verb, uint64_t channel,
	uint8_t direction, uint64_t epoch);

/* The party's end of a channel, whatever has become of it. NULL: it was answered. */
struct end *call_end(struct call *c, struct asked a, const char *verb, uint64_t channel);

/* The channel of a REMOVE or STAT, which the party may do that to. NULL: it was answered. */
struct channel *call_named(struct call *c, enum access_action action, const char *verb);

/* operation_new, with its refusal answered. label: of what it is asked, where not r->channel tells.
 */
int call_operation(struct call *c, struct asked a, const char *verb, const char *label,
	const struct operation_request *r, struct operation **ret_op);

/* Whether the type that the sender means its values to have (0: not said) is the channel's: 0, or
 * it was answered by FAIL. The bytes alone do not show that eight of them are no int. */
int call_check_type(struct asked a, const struct channel *ch, uint32_t type);

/* Whether a value may enter the channel: 0, or it was answered by FAIL; where a.party is NULL
 * nobody is told. */
int call_check_value(struct call *c, struct asked a, struct channel *ch, const struct value *v);

/* How many values from that index on are neighbours with which nothing is wrong, as
 * call_check_value has it; 0: that has to be asked. */
uint32_t call_sound_run(const struct call *c, const struct channel *ch, uint32_t index);

/* Where a pack has no room its values may have: makes the one at that index, and those behind it in
 * its pack, lone ones. False: it is one, or has room, or there is no memory. */
bool call_unpack(struct call *c, uint32_t index);

/* Whether the party may receive from the channel with that lease (0: without one): 0, or it was
 * answered by FAIL. */
int call_check_lease(struct asked a, const struct channel *ch, const char *verb, uint64_t lease_ns);

/* Adds an id to ranges, telling the party of them by GONE when they are GONE_RANGES_MAX. */
void gather_gone(
	struct party *p, struct wire_range *ranges, size_t *count, uint64_t first, uint64_t n);

/* Takes all that is out to the party back, but for leases; with tell, it is told by GONE. */
void party_return_all(struct engine *e, struct party *p, bool tell);

/* An OPEN leaves the name that it waits for. */
void awaited_leave(struct engine *e, struct operation *op);
const char *awaited_name(const struct operation *op);

#endif
