/*
 * producers.h - who may send on a channel that counts its producers, and what their ends mean.
 *
 * A session registers when it first opens an end for sending, in whatever way, and once; up to
 * producers_max of them. Its CLOSE says that it is *done*. With the last of producers_max (with
 * PRODUCERS_AUTO: of those that came) the channel is closed. A session that ends and is not done
 * aborts it. Giving the end up changes nothing: a program that opens and releases as it goes along
 * has not said that its stream is complete.
 *
 * Whom a chan value makes a producer is one *on trial* until the value is settled: taken, or
 * acknowledged where it is leased. It has its place among the others all the while; but if the last
 * such value goes back it never was one, and whoever receives the value next has the place. MAKE,
 * OPEN and CLOSE end a trial, too.
 */
#ifndef BROKER_PRODUCERS_H
#define BROKER_PRODUCERS_H

#include "server/broker/attributes.h"
#include "server/broker/channel.h"

struct party;

/* The reason of such an abort. */
#define PRODUCER_DIED "its session ended, and it had not closed the channel"

/* The reason of a close by who was on trial and the last that was not done. */
#define PRODUCER_LEFT "it gave back what made it the last producer that had not closed"

/* What an end by such a death or leaving needs: who it was, and the longer of the reasons. */
#define PRODUCERS_SPARE_TEXT_BYTES (PARTY_LABEL_MAX + sizeof(PRODUCER_LEFT))
_Static_assert(sizeof(PRODUCER_LEFT) >= sizeof(PRODUCER_DIED), "the longer reason");

struct producer {
	struct list link; /* producers.list of its channel */
	struct channel *channel;
	struct party *party;
	uint32_t claims; /* on trial: values that it has out or leased and that made it one */
	bool kept;       /* for good */
	bool done;
};

/* Whether the channel counts them. */
static inline bool producers_counted(const struct channel *ch)
{
	return ch->attributes && ch->attributes->producers_max;
}

static inline struct producers *producers_of(const struct channel *ch)
{
	return &ch->attributes->producers;
}

/* With the channel; with max 0 there are none. 0 or CHAN_ENOMEM. */
int producers_init(struct producers *producers, int32_t max);
void producers_fini(struct producers *producers);

/*
 * The party is about to have an end for sending: 0, and one claim more if it is on trial;
 * CHAN_ELIMIT: others are all that there may be; CHAN_ENOMEM. Each claim is then given back, which
 * may close the channel, unless the party is kept. On channels that do not count, or are closed,
 * none of the three does anything.
 */
int producer_claim(struct engine *e, struct channel *ch, struct party *p);
void producer_give_back(struct engine *e, struct channel *ch, struct party *p);
void producer_keep(struct channel *ch, struct party *p);

/* What the party is to the channel; NULL: no producer. */
struct producer *producer_of(const struct channel *ch, const struct party *p);

/* Whether the party has closed its side of the channel. */
bool producer_is_done_slowly(const struct channel *ch, const struct party *p);
static inline bool producer_is_done(const struct channel *ch, const struct party *p)
{
	return producers_counted(ch) && producers_of(ch)->done > 0 &&
	       producer_is_done_slowly(ch, p);
}

/* The party's CLOSE. 0; CHAN_ENOMEM; or CHAN_ELIMIT: it is none, as what made it one went back, and
 * others are all that there may be. */
int producer_close(struct engine *e, struct channel *ch, struct party *p, const char *reason);

/* The party ends. */
void producers_end(struct engine *e, struct party *p);

/* The channel goes. */
void producers_drop(struct channel *ch);

/* Whether that was noted since this was asked last. */
bool producers_were_lost(struct channel *ch);

/* Those that may send still. */
static inline uint32_t producers_open(const struct channel *ch)
{
	if (!producers_counted(ch))
		return 0;
	return producers_of(ch)->came - producers_of(ch)->done;
}

/* Sends of those that are done may stand: they are looked for at the next pump. */
static inline void producers_note_fewer(struct channel *ch)
{
	producers_of(ch)->fewer = true;
}

/* Whether others than the party are all that there may be. */
bool producers_complete(const struct channel *ch, const struct party *p);

/* For a refusal: who is registered, "a[1]@host, b[2]@host", cut to the size. */
const char *producers_text(const struct channel *ch, char *text, size_t text_bytes);

#endif
