/*
 * engine.h - the rules of named channels, as a state machine: messages in, messages out.
 *
 * The engine owns every named channel, every end, every waiting operation and every delivery that
 * is out. It knows neither goroutines nor sockets nor frames nor clocks: time and randomness come
 * in as arguments, so that the same calls give the same answers (tests, the fuzzer's oracle, and
 * later a log that replays). One goroutine at a time calls it (helm.h); there is no lock.
 *
 * Rules: the contract in README.md and proto/PROTOCOL.md. Each is written once, in channel.c
 * (matching, settling, closing) or where PROTOCOL.md's section names it.
 */
#ifndef BROKER_ENGINE_H
#define BROKER_ENGINE_H

#include "proto/wire.h"
#include "server/base/memory.h"
#include "server/broker/value.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct access;
struct engine;
struct identity;
struct party;

/* Bounds on everything that a client can make grow. All are inclusive. */
struct engine_limits {
	uint32_t channels_max;
	uint32_t capacity_max;
	uint32_t value_bytes_max;
	uint64_t buffered_bytes_max;  /* of all channels and waiting sends together */
	uint32_t ops_in_flight_max;   /* of one party: not answered */
	uint64_t bytes_in_flight_max; /* of one party: in its waiting sends */
	uint32_t ends_max;            /* of one party: channels that it holds open */
};

struct engine_options {
	struct engine_limits limits;
	uint64_t incarnation;   /* of this run of the broker; in every chan value */
	uint64_t seed;          /* of select's choice */
	int64_t unix_offset_ns; /* unix time less now_ns: for the times that people read */

	/* Told of what the rules refused (it was answered by FAIL): "send to", "'jobs'". NULL: not
	 * wanted. Must not call the engine. */
	void (*denied)(struct party *p, const char *verb, const char *label);

	/*
	 * Receives every answer, in the order in which the party must see them. m, the strings in
	 * it and values[] live for the call only; who keeps a value takes a reference. Must not
	 * call the engine. A DELIVER comes with one or more values, their attempts and, in m, the
	 * token of the first, with which those of leases rise by 1: joining
	 * neighbours into one frame, and payload_bytes, are the receiver's business.
	 */
	void (*answer)(struct party *to, const struct message *m, struct value *const *values,
		const uint32_t *attempts, size_t value_count);
};

/* NULL: out of memory. Freeing ends whatever is left without answers. */
struct engine *engine_new(const struct engine_options *options);
void engine_free(struct engine *e);

/*
 * A party is a session as the engine sees it: it holds ends, operations and deliveries. owner is
 * what party_owner returns, for the answer callback. The speaker is copied. NULL: out of memory.
 */
struct party *engine_party_new(struct engine *e, void *owner, const struct wire_speaker *speaker);
void *party_owner(const struct party *p);

/*
 * Says who the party is: what the rules let it do, and on whose account it counts. One that is
 * never identified is nobody. Again when its session goes on as an equal identity. Takes a
 * reference. 0 or CHAN_ENOMEM, and nothing has changed.
 */
int engine_party_identify(struct engine *e, struct party *p, struct identity *identity);

/* As it was identified; NULL: it was not. */
const struct identity *engine_party_identity(const struct party *p);

/* Whether any rule is about the party, or there are none. */
bool engine_party_welcome(const struct party *p);

/*
 * Replaces the rules and quotas (access.h; NULL: none, so that everything is allowed); takes a
 * reference. What parties have opened is asked anew when they use it next; what waits already goes
 * on. A quota that is exceeded now lets nothing more in.
 */
void engine_set_access(struct engine *e, struct access *access);

/* Operations that the rules refused. */
uint64_t engine_denied(const struct engine *e);

/*
 * The party's session has ended: its waiting operations are withdrawn without answers, what was
 * out for delivery or leased to it goes back to its place, channels that it was a producer of and
 * did not close are aborted, its ends are given up (temporary channels may
 * go with them, and who waits for it on the other side of them is told). Frees the party.
 */
void engine_party_end(struct engine *e, struct party *p, int64_t now_ns);

/*
 * Applies one operation (MAKE ... PS) of a party. values are those of its payload (SEND, SELECT),
 * in order (those of a pack as they lie there); their references pass to the engine in every case, and
 * the array is its own to change. Whatever is wrong with the message
 * is answered by FAIL and changes nothing. Returns 0, or CHAN_EPROTOCOL when the message could
 * not come from a client that follows the protocol at all (a kind that is not an operation, a
 * count that is not the payload's): the connection must end.
 *
 * That sequence numbers rise is checked before (session.c), in the order in which operations
 * begin to arrive. One whose payload came in pieces is applied when it is whole, so here its
 * number may be below others that were applied meanwhile; it is never used twice.
 */
int engine_apply(struct engine *e, struct party *p, const struct message *m, struct value **values,
	size_t value_count, int64_t now_ns);

/*
 * Nobody is there to receive for the party (its connection is lost, or silent): its
 * receives, and the receive cases of its selects, keep their places and are passed over until
 * engine_party_present. Everything else goes on: sends and send cases stand, deadlines come, what
 * is out stays out, a channel that closes or goes is told. Calling either twice does nothing.
 */
void engine_party_absent(struct engine *e, struct party *p, int64_t now_ns);
void engine_party_present(struct engine *e, struct party *p, int64_t now_ns);

/*
 * Takes back whatever is out for delivery to the party, which is absent, but for leases, which have a
 * time of their own: each value returns to its place, and the party is told by GONE.
 */
void engine_party_revoke(struct engine *e, struct party *p, int64_t now_ns);

/*
 * Memory has become scarce, or no longer is: see memory.h for the levels. While it is, operations
 * that would make the engine hold more are refused with ELIMIT: those of a party that holds its
 * share of spare_bytes already, at MEMORY_FULL every SEND, MAKE, and SELECT with values, too.
 */
void engine_set_memory(struct engine *e, enum memory_level level, uint64_t spare_bytes);

/*
 * The party asks for nothing more: its receives, and selects that only receive, are withdrawn
 * (ECANCELED), what is out goes back, and it is absent for good. Its sends are answered as they
 * end.
 */
void engine_party_finish(struct engine *e, struct party *p, int64_t now_ns);

/* Values that are out for delivery to the party, leases not among them; its operations that wait,
 * and those of all. */
uint64_t engine_party_deliveries_out(const struct party *p);
uint64_t engine_party_waiting(const struct party *p);
uint64_t engine_waiting(const struct engine *e);

/* Ends every operation whose deadline is not after now_ns (see contract: what is out for
 * delivery is settled first), and every lease and delay whose time is up. */
void engine_expire(struct engine *e, int64_t now_ns);

/* When engine_expire has something to do next; INT64_MAX: nothing waits with a deadline. */
int64_t engine_deadline_ns(const struct engine *e);

/*
 * Shutting down: from here on operations are refused with ESHUTDOWN except those that settle, and
 * every operation that only waits is answered so. What is out for delivery stays to be settled;
 * engine_deliveries_out tells how many. Buffered and leased values stay until engine_free.
 */
void engine_shutdown(struct engine *e, int64_t now_ns);
uint64_t engine_deliveries_out(const struct engine *e);
uint64_t engine_values_buffered(const struct engine *e);

/* Asserts every invariant (they stand atop channel.c). Slow: for tests; with --enable-debug it runs
 * after every call. */
void engine_check(const struct engine *e);

#endif
