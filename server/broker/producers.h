/*
 * producers.h - who may send on a channel that counts its producers, and what their ends mean.
 *
 * A session registers when it first opens an end for sending, in whatever way, and once; up to
 * producers_max of them. Its CLOSE says that it is *done*. With the last of producers_max (with
 * PRODUCERS_AUTO: of those that came) the channel is closed. A session that ends and is not done
 * aborts it. Giving the end up changes nothing: a program that opens and releases as it goes along
 * has not said that its stream is complete.
 */
#ifndef BROKER_PRODUCERS_H
#define BROKER_PRODUCERS_H

#include "server/broker/attributes.h"
#include "server/broker/channel.h"

struct party;

/* The reason of such an abort. */
#define PRODUCER_DIED "its session ended, and it had not closed the channel"

struct producer {
	struct list link; /* channel->producers */
	struct channel *channel;
	struct party *party;
	bool done;
};

/* Whether the channel counts them. */
static inline bool producers_counted(const struct channel *ch)
{
	return ch->attributes && ch->attributes->producers_max;
}

/*
 * The party is about to have an end for sending. 0, and *ret_new says whether that registered it;
 * CHAN_ELIMIT: others are all that there may be; CHAN_ENOMEM. On channels that do not count, or are
 * closed, it does nothing.
 */
int producer_register(struct engine *e, struct channel *ch, struct party *p, bool *ret_new);
void producer_unregister(struct channel *ch, struct party *p);

/* Whether the party has closed its side of the channel. */
bool producer_is_done_slowly(const struct channel *ch, const struct party *p);
static inline bool producer_is_done(const struct channel *ch, const struct party *p)
{
	return ch->producers_done > 0 && producer_is_done_slowly(ch, p);
}

/* The party's CLOSE. 0, or CHAN_ENOMEM with nothing changed. */
int producer_close(struct engine *e, struct channel *ch, struct party *p, const char *reason);

/* The party ends. */
void producers_end(struct engine *e, struct party *p);

/* The channel goes. */
void producers_drop(struct channel *ch);

/* Those that may send still. */
static inline uint32_t producers_open(const struct channel *ch)
{
	return ch->producers_came - ch->producers_done;
}

/* Whether others than the party are all that there may be. */
bool producers_complete(const struct channel *ch, const struct party *p);

/* For a refusal: who is registered, "a[1]@host, b[2]@host", cut to the size. */
const char *producers_text(const struct channel *ch, char *text, size_t text_bytes);

#endif
