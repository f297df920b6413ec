/*
 * party.h - a session as the engine sees it, and the ends of channels that it holds.
 */
#ifndef BROKER_PARTY_H
#define BROKER_PARTY_H

#include "proto/type.h"
#include "proto/wire.h"
#include "server/base/list.h"
#include "server/broker/access.h"
#include "server/broker/seqmap.h"
#include "server/broker/value.h"
#include <stdbool.h>
#include <stdint.h>

struct channel;
struct engine;

/* An open end of a channel. */
struct end {
	struct channel *channel; /* a counted reference */
	struct list waiters;     /* of operations that stand or are out through it, by by_end */
	uint32_t count;          /* MAKEs, OPENs and chan values not yet RELEASEd */
	uint8_t direction;       /* of all of them together */
	uint8_t delegated;       /* of these what came with chan values */
	uint8_t allowed;         /* of these what may be used, by the rules of this generation: */
	uint64_t generation;     /* end_allowed in permit.h compares it */
};

struct party {
	struct engine *engine;
	void *owner;
	struct list link;         /* engine->parties */
	struct seqmap operations; /* by their (first) sequence number */
	struct seqmap deliveries; /* by id; out, or leased */
	struct seqmap ends;       /* by channel id */
	struct seqmap *producing; /* struct producer, by channel id; NULL: it never was one */
	struct end *last_end;     /* the one used last: most frames name the same again */
	uint64_t next_delivery;
	uint64_t bytes_in_flight;      /* values in waiting sends */
	struct identity *identity;     /* who it is: one reference; NULL: never said */
	struct quota_account *account; /* of its identity, in engine->accounts; one hold */
	struct access_grants *grants;  /* by the rules of this generation; NULL: there are none */
	uint64_t generation;
	uint64_t pid;                  /* of the client; what it says, as are the strings */
	uint32_t ops_in_flight;        /* sequence numbers not answered */
	uint32_t leased;               /* of the deliveries */
	bool absent;                   /* its receives are passed over: engine_party_absent */
	bool resumed;                  /* BROKEN(resume_sends_twice): and nothing sent since */
	char strings[]; /* host, program, group and library, each with its NUL: party_speaker */
};

/* Of no rules: what has it is to be asked anew. */
#define GENERATION_NONE UINT64_MAX

/* Operations, or values of a SEND, that begin and end to be in flight. */
static inline void party_add_ops(struct party *p, uint32_t n)
{
	p->ops_in_flight += n;
	p->account->ops_in_flight += n;
}

static inline void party_drop_ops(struct party *p, uint32_t n)
{
	p->ops_in_flight -= n;
	p->account->ops_in_flight -= n;
}

struct end *party_end_of(struct party *p, uint64_t channel);

/*
 * Opens an end once more, and for sending is a producer for good. 0, CHAN_ELIMIT (ends_max, or the
 * channel's producers are complete without the party) or CHAN_ENOMEM, and nothing changed.
 */
int party_open(struct engine *e, struct party *p, struct channel *ch, uint8_t direction);

/* Gives one opening up. With the last the end is gone, and operations that wait through it end
 * with ECANCELED. */
void party_release(struct engine *e, struct party *p, struct end *end);

/* Who it says to be; lives as long as the party. */
struct wire_speaker party_speaker(const struct party *p);

/* "program[pid]@host" */
#define PARTY_LABEL_MAX 256
const char *party_label(const struct party *p, char label[PARTY_LABEL_MAX]);

/*
 * A chan value (also one inside an any value) holds its channel while it waits or is out. by is
 * +1 or -1; values of other types do nothing.
 */
void reference_carry(struct engine *e, uint32_t type, const struct value *v, int by);

/* Whether values of a channel of this type can be references: most cannot. */
static inline bool type_may_refer(uint32_t type)
{
	return type == CHAN_TYPE_CHAN || type == CHAN_TYPE_ANY;
}

/* Whether the value is a reference, and to what. */
bool reference_get(uint32_t type, const struct value *v, struct type_chan_ref *ret_ref);

/*
 * The value is delivered to the party: it opens the end that the reference names, and may make the
 * party a producer on trial. 0, CHAN_ELIMIT or CHAN_ENOMEM. What then becomes of it is said by one
 * of the others:
 *   release   it comes back before it was taken, and takes the end with it
 *   lapse     it was taken, and its lease has ended so that it comes back: the end stays
 *   keep      it is the party's: taken for good, acknowledged, or nobody's any more
 */
int reference_open(struct engine *e, struct party *p, uint32_t type, const struct value *v);
void reference_release(struct engine *e, struct party *p, uint32_t type, const struct value *v);
void reference_lapse(struct engine *e, struct party *p, uint32_t type, const struct value *v);
void reference_keep(struct engine *e, struct party *p, uint32_t type, const struct value *v);

#endif
