/*
 * channel.h - a channel: its values, its queues, and the one function that keeps its rules.
 */
#ifndef BROKER_CHANNEL_H
#define BROKER_CHANNEL_H

#include "chan/status.h"
#include "server/base/list.h"
#include "server/broker/names.h"
#include "server/broker/traffic.h"

struct attributes;
struct closing; /* who closed it, when, why */

struct channel {
	uint64_t id;
	/* Values that were never out: a ring of them, in order of acceptance. */
	union {
		struct value **ring;
		struct value *only; /* of a ring_size of 1 */
	};
	uint32_t ring_size, ring_first, ring_count;

	/* Who holds it: sessions' ends, and chan values that wait or are out. */
	uint32_t ends, carried;
	uint32_t held_outside; /* engine_collect's, as is reached */
	uint32_t held[2]; /* of both together, those that can send and those that can receive */
	uint32_t refs;    /* engine->channels, ends, waiters, deliveries, engine->dirty */

	uint32_t capacity;
	uint32_t in_flight; /* deliveries out, of an unbuffered channel too */
	uint8_t type;       /* enum chan_type */
	bool temporary : 1; /* goes when ends and carried are 0; also of every unnamed channel */
	bool removed : 1;   /* by REMOVE or because nobody held it; then it is empty */
	bool touched : 1;   /* on engine->dirty */
	bool shared : 1;    /* was once held by two, see channel_bereaved */
	bool reached : 1;
	bool loss : 1;     /* an end or a carried reference went since the last pump */
	bool promised : 1; /* memory is set aside for its traffic: it has none, and values are out */

	struct channel_traffic *traffic; /* its own, or traffic_none */
	struct channel *next_dirty;
	struct closing *closing;       /* NULL: open */
	struct quota_account *account; /* whose it counts as, until it is removed: one hold */
	struct attributes *attributes; /* NULL: none but type, capacity and lifetime */

	uint64_t accepted; /* also the order of the last value that was */
	uint64_t bytes_buffered;
	int64_t made_unix_ns;

	struct name_node named; /* in engine->names unless it is unnamed or removed */
	char name[];            /* "" where unnamed */
};

NAME_FOLLOWS(struct channel, named, name);

struct closing {
	int64_t unix_ns;
	bool aborted;       /* not an end of stream */
	const char *reason; /* behind by, in one piece of memory */
	char by[];
};

/* Unnamed with "". In no table yet; one reference. Takes the attributes over. NULL: out of memory.
 */
struct channel *channel_new(const char *name, uint8_t type, uint32_t capacity, bool temporary,
	struct attributes *attributes);
struct channel *channel_ref(struct channel *ch);
void channel_unref(struct channel *ch);

/* Puts it on the list of channels that engine_step pumps. */
void channel_touch(struct engine *e, struct channel *ch);

/*
 * Restores every invariant of the channel (atop channel.c) after anything has changed: lets
 * waiting values in, hands values to receivers, ends those for whom nothing can come any more,
 * and dissolves it when nobody holds it. May touch other channels, never calls itself.
 */
void channel_pump(struct engine *e, struct channel *ch);

/* Values not yet taken; for an unbuffered channel those that came back from a lease. */
static inline uint64_t channel_length(const struct channel *ch)
{
	const struct channel_traffic *t = ch->traffic;

	return (uint64_t)ch->ring_count + t->returned_count + t->delayed_count + ch->in_flight -
	       t->borrowed;
}

/* Values that were taken: all that ever came in and are neither here nor with a dead-letter channel. */
static inline uint64_t channel_taken(const struct channel *ch)
{
	const struct channel_traffic *t = ch->traffic;

	return ch->accepted + t->moved_in - t->dead_lettered - t->leased_count - channel_length(ch);
}

/* Values that would be let in now. */
uint64_t channel_room(const struct channel *ch);

/* Whether senders and receivers meet: on an unbuffered channel, while no value has come back to it.
 */
static inline bool channel_pairs(const struct channel *ch)
{
	return !ch->capacity && channel_length(ch) == 0;
}

/* Whether a receiver would get a value now, from the buffer. */
static inline bool channel_has_value(const struct channel *ch)
{
	return ch->traffic->returned || ch->ring_count > 0;
}

/* Nothing is left, nor can anything come back or end its delay. */
bool channel_drained(const struct channel *ch);

/*
 * Whether no one else is left who could ever do the other half of an operation of that direction:
 * a temporary channel that was shared, where neither another session nor a value under way holds
 * the other direction.
 */
bool channel_bereaved(const struct channel *ch, const struct party *p, uint8_t direction);

/* Whether this case of a select that is about to stand would happen at once. */
bool channel_case_ready(struct waiter *w);

/* Closes or aborts it. 0, or CHAN_ENOMEM with nothing changed, which does not happen to the death
 * of a producer, nor where one leaves. */
int channel_close(struct engine *e, struct channel *ch, const struct party *by, const char *reason,
	bool abort);

/* What operations of a channel that is closed or aborted fail with. */
static inline int channel_closed_status(const struct channel *ch)
{
	return ch->closing->aborted ? CHAN_EABORTED : CHAN_ECLOSED;
}

/* Removes it from every table and ends whoever waits with EREMOVED; its values are dropped. */
void channel_remove(struct engine *e, struct channel *ch);

/* How an error calls it: 'name', or unnamed channel N. */
#define CHANNEL_LABEL_MAX 280
const char *channel_label(const struct channel *ch, char label[CHANNEL_LABEL_MAX]);

/* The same for a name, of NAME_BYTES_MAX bytes at most. */
const char *name_label(const char *name, char label[CHANNEL_LABEL_MAX]);

#endif
