/*
 * wire.h - messages as plain structs, and their way to bytes and back.
 *
 * Only wire_shape.* and wire_value.c know protobuf-c. Strings are NUL-terminated UTF-8 and never NULL (""
 * where absent; encoding takes NULL for ""); byte strings are slices. The meaning of every field
 * stands in chand.proto and PROTOCOL.md, and only what differs in C is said here.
 */
#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

#include "chan/status.h"
#include "proto/buf.h"
#include "proto/endian.h"
#include "proto/frame.h"
#include "proto/limits.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(NAME, number, who may send it). C: client to broker, B: broker to client, E: either. */
#define MESSAGE_KIND_LIST(X)                                                                       \
	X(HELLO, 1, C)                                                                             \
	X(BYE, 2, C)                                                                               \
	X(PING, 3, E)                                                                              \
	X(PONG, 4, E)                                                                              \
	X(SEEN, 5, E)                                                                              \
	X(RING_ASK, 6, C)                                                                          \
	X(RING_BEGIN, 7, E)                                                                        \
	X(RING_DECLINE, 8, E)                                                                      \
	X(MAKE, 10, C)                                                                             \
	X(OPEN, 11, C)                                                                             \
	X(RELEASE, 12, C)                                                                          \
	X(SEND, 13, C)                                                                             \
	X(PIECE, 14, E)                                                                            \
	X(RECV, 15, C)                                                                             \
	X(GRANT, 16, C)                                                                            \
	X(TAKEN, 17, C)                                                                            \
	X(RETURN, 18, C)                                                                           \
	X(SELECT, 19, C)                                                                           \
	X(CANCEL, 20, C)                                                                           \
	X(CLOSE, 21, C)                                                                            \
	X(REMOVE, 22, C)                                                                           \
	X(STAT, 23, C)                                                                             \
	X(LIST, 24, C)                                                                             \
	X(PS, 25, C)                                                                               \
	X(ACK, 26, C)                                                                              \
	X(NACK, 27, C)                                                                             \
	X(EXTEND, 28, C)                                                                           \
	X(WELCOME, 40, B)                                                                          \
	X(OPENED, 41, B)                                                                           \
	X(DONE, 42, B)                                                                             \
	X(FAIL, 43, B)                                                                             \
	X(DELIVER, 44, B)                                                                          \
	X(GONE, 45, B)                                                                             \
	X(STATS, 46, B)                                                                            \
	X(WAITERS, 47, B)                                                                          \
	X(GOAWAY, 48, B)                                                                           \
	X(RING_OFFER, 49, B)

enum message_kind {
#define MESSAGE_KIND_CONSTANT(name, number, by) MESSAGE_##name = (number),
	MESSAGE_KIND_LIST(MESSAGE_KIND_CONSTANT)
#undef MESSAGE_KIND_CONSTANT
};

/* Bits of HELLO's and WELCOME's features. (1 was rings whose client was rung by bytes in its socket.) */
#define FEATURE_RINGS UINT64_C(2)

/* The kind's name as PROTOCOL.md writes it, or "?". */
const char *message_kind_name(int kind);

/* Whether a client may send that kind (with by_client) or the broker may. */
bool message_kind_allowed(int kind, bool by_client);

struct wire_bytes {
	const uint8_t *bytes;
	size_t len;
};

struct wire_range {
	uint64_t first;
	uint64_t count;
};

struct wire_ranges {
	const struct wire_range *list;
	size_t count;
};

struct wire_speaker {
	const char *host, *program, *group, *library;
	uint64_t pid;
};

struct wire_limits {
	uint32_t frame_header_bytes, frame_payload_bytes, value_bytes;
	uint64_t capacity;
	uint32_t select_cases, credit, batch_values, ops_in_flight;
	uint64_t bytes_in_flight, unseen_bytes, lease_ns;
};

struct wire_attribute {
	const char *name;
	struct wire_bytes value;
};

struct wire_case {
	uint64_t channel;
	uint32_t direction; /* CHAN_SEND or CHAN_RECV */
	uint32_t type;      /* of a send case's value; 0: not said */
	uint64_t epoch;
	uint64_t lease_ns; /* of a receive case */
};

struct wire_channel_stat {
	const char *name;
	uint64_t channel;
	uint32_t type;
	int64_t capacity;
	uint64_t length;
	bool closed, temporary;
	uint64_t senders_waiting, receivers_waiting, in_flight;
	uint64_t sent, received, redelivered, bytes_buffered, ends_open;
	int64_t made_unix_ns;
	const char *closed_by;
	int64_t closed_unix_ns;
	const char *reason;
	uint64_t epoch, leased;
	bool aborted;
	uint64_t producers;
	const struct wire_attribute *attributes;
	size_t attribute_count;
	uint64_t delayed, dead_lettered, dead_letter_failures;
	const char *dead_letter_problem;
};

struct wire_waiter {
	uint64_t id;
	struct wire_speaker speaker;
	uint32_t participant;
	const char *operation;
	const char *const *channels;
	size_t channel_count;
	uint64_t waiting_ns, remaining_ns;
};

/* HELLO and WELCOME come once a connection and would make struct message, of which each operation
 * holds one on either side, more than twice as large: so it points to them. */
struct wire_hello {
	uint32_t version_min, version_max;
	uint64_t features;
	struct wire_speaker speaker;
	const char *mechanism;
	struct wire_bytes token;
	uint64_t linger_ms;
	struct wire_bytes session_id, session_secret;
	uint64_t connection_epoch, incarnation, frames_received;
};

struct wire_welcome {
	uint32_t version;
	uint64_t features;
	const char *broker;
	uint64_t incarnation;
	struct wire_bytes session_id, session_secret;
	uint64_t connection_epoch;
	bool resumed;
	uint64_t frames_received, linger_ms, heartbeat_ms;
	struct wire_limits limits;
};

/* What is large stands first in each kind, so that 72 bytes are enough for all. */
struct message {
	enum message_kind kind;
	uint64_t seq; /* of the operation that is asked or answered; of a PIECE its id */
	union {
		const struct wire_hello *hello;
		const struct wire_welcome *welcome;
		const void *apart; /* either of them */
		struct {
			uint64_t nonce, frames_received;
		} ping; /* PING, PONG and, without nonce, SEEN */
		struct {
			int status; /* CHAN_E..., negative */
			const char *message, *redirect_url;
		} goaway;
		struct {
			const char *message;
		} ring_decline;
		struct {
			uint32_t ring_bytes, larger_ring_bytes; /* the latter 0: none */
		} ring_offer;
		struct {
			const char *name, *type_name;
			int64_t capacity;
			const struct wire_attribute *attributes;
			size_t attribute_count;
			uint32_t type, direction, participant;
			bool temporary;
		} make;
		struct {
			const char *name;
			uint64_t channel, incarnation;
			uint32_t direction;
			bool wait_create;
			uint64_t timeout_ns;
			uint32_t participant;
		} open;
		struct {
			uint64_t channel;
		} release;
		struct {
			uint64_t channel, payload_bytes, timeout_ns, epoch;
			uint32_t count, participant;
			uint32_t type; /* that the values are meant to have; 0: not said */
			bool try, ride;
		} send;
		struct {
			uint64_t channel;
			uint32_t credit;
			bool stream, try;
			uint64_t timeout_ns;
			uint32_t participant;
			uint64_t epoch, lease_ns;
		} recv;
		struct {
			uint32_t credit;
		} grant;
		struct {
			struct wire_ranges deliveries;
			uint64_t delay_ns; /* of a RETURN or NACK */
			uint64_t lease_ns; /* of an EXTEND */
		} settle;                  /* TAKEN, RETURN, ACK, NACK, EXTEND and GONE */
		struct {
			const struct wire_case *cases;
			size_t case_count;
			uint64_t payload_bytes;
			bool try;
			uint64_t timeout_ns;
			uint32_t participant;
		} select;
		struct {
			uint64_t target;
		} cancel;
		struct {
			uint64_t channel;
			const char *reason;
			bool abort;
			uint32_t participant;
			uint64_t epoch;
		} close;
		struct {
			const char *name; /* or, where "", */
			uint64_t channel;
		} channel_ref; /* REMOVE and STAT */
		struct {
			const char *prefix, *after;
			uint32_t count_max;
		} list;
		struct {
			uint64_t after;
			uint32_t count_max;
		} ps;
		struct {
			uint64_t channel;
			const char *name;
			uint32_t type;
			int64_t capacity;
			uint32_t direction;
			bool created;
			uint64_t epoch;
		} opened;
		struct {
			uint32_t count, case_index;
		} done;
		struct {
			const char *message, *closed_by, *reason, *redirect_url;
			int64_t closed_unix_ns;
			int status; /* CHAN_E..., negative */
			uint32_t count, case_index;
		} fail;
		struct {
			uint64_t delivery, channel;
			uint32_t count;
			uint64_t payload_bytes;
			uint32_t case_index;
			uint64_t token; /* of the first value, rising by 1; 0: no leases.
					 * Travels in the values' envelopes */
		} deliver;
		struct {
			const struct wire_channel_stat *channels;
			size_t count;
			bool more;
			const char *after; /* of the next page */
		} stats;
		struct {
			const struct wire_waiter *waiters;
			size_t count;
			bool more;
			uint64_t after; /* of the next page */
		} waiters;
	};
};

/*
 * Holds what decoded messages point to. Decoding adds to it, so that a batch of messages lives
 * in one scratch until wire_scratch_reset. Bounded by the frames that were decoded into it: the
 * widest ratio of decoded to encoded bytes is stated in wire.c.
 */
struct wire_scratch;
struct wire_scratch *wire_scratch_new(void);     /* NULL: out of memory */
void wire_scratch_reset(struct wire_scratch *s); /* forgets, keeps some memory for the next use */
void wire_scratch_free(struct wire_scratch *s);  /* NULL is fine */
size_t wire_scratch_used(const struct wire_scratch *s); /* bytes, since the last reset */

/*
 * Decodes a frame's header. What ret_message points to lies in the scratch, not in the frame's
 * bytes; on failure it is not to be looked at. 0, CHAN_EPROTOCOL (unknown kind, malformed header,
 * a string that is not UTF-8 or holds a NUL, no seq) or CHAN_ENOMEM. Where 0 counts as 1 (a RECV's
 * credit, the count of DONE and FAIL) the message has 1.
 */
int wire_decode(const struct frame *f, struct wire_scratch *s, struct message *ret_message);

/* Says in a sentence why wire_decode answered CHAN_EPROTOCOL, for the GOAWAY and the log. */
void wire_explain(const struct frame *f, char *text, size_t text_size);

/*
 * Appends a frame's prefix and header to out, for a payload of payload_bytes that the caller
 * appends or writes after it. Nothing is appended on failure: CHAN_ENOMEM, CHAN_ETOOLARGE when
 * the header exceeds FRAME_HEADER_BYTES_MAX or the payload FRAME_PAYLOAD_BYTES_MAX, or
 * CHAN_EPROTOCOL when there is no such kind.
 */
int wire_encode(struct buf *out, const struct message *m, uint8_t flags, uint32_t payload_bytes);

/* ---- payloads: values one after another --------------------------------------------------
 *
 *   u8  flags           VALUE_ENVELOPE
 *   u32 length          of what follows, big-endian
 *   [u16 envelope_bytes, envelope]   with VALUE_ENVELOPE, counted in length
 *   the value's bytes
 */
#define VALUE_ENVELOPE 0x01u

struct wire_value {
	const uint8_t *bytes;
	size_t len;
	uint32_t attempt; /* 1 without an envelope; more: redelivered */
	bool enveloped;   /* an envelope came with it */
	uint64_t token;   /* of its lease; 0: without one */
};

/*
 * Takes the next value off a whole payload (*at, *left are moved). 1, 0 at the end, or
 * CHAN_EPROTOCOL. bytes point into the payload.
 */
static inline int wire_value_next(const uint8_t **at, size_t *left, struct wire_value *ret_value);

/* The same, of any value; the other has in line what nearly all are. */
int wire_value_next_any(const uint8_t **at, size_t *left, struct wire_value *ret_value);

/*
 * Takes the next values off a payload that have no envelope: count_max of them at most and, together
 * with their prefixes, bytes_max, but the first in any case. Their lengths go to lens. Returns how
 * many; 0 at the end, or when the next has an envelope; CHAN_EPROTOCOL.
 */
int wire_values_next(const uint8_t **at, size_t *left, uint32_t *lens, uint32_t count_max,
	size_t bytes_max);

/* Bytes that a value takes in a payload. */
size_t wire_value_bytes(size_t len, uint32_t attempt, uint64_t token);

/* Writes what stands before the bytes of a value without an envelope, VALUE_PREFIX_BYTES; returns
 * where those go. */
static inline uint8_t *wire_value_prefix(uint8_t *at, size_t len)
{
	at[0] = 0;
	put_be32(at + 1, (uint32_t)len);
	return at + VALUE_PREFIX_BYTES;
}

/* Without an envelope. */
static inline int wire_value_next(const uint8_t **at, size_t *left, struct wire_value *ret_value)
{
	const uint8_t *bytes = *at;
	size_t len;

	if (*left < VALUE_PREFIX_BYTES || bytes[0] != 0)
		return wire_value_next_any(at, left, ret_value);
	len = get_be32(bytes + 1);
	if (len > *left - VALUE_PREFIX_BYTES)
		return CHAN_EPROTOCOL;
	*at += VALUE_PREFIX_BYTES + len;
	*left -= VALUE_PREFIX_BYTES + len;
	*ret_value = (struct wire_value){
		.bytes = bytes + VALUE_PREFIX_BYTES, .len = len, .attempt = 1};
	return 1;
}

/* Appends what stands before a value's bytes: its prefix and, with attempt > 1 or a token, an
 * envelope. CHAN_ENOMEM and CHAN_ETOOLARGE (not below 4 GiB) leave out as it was. */
int wire_value_put_prefix(struct buf *out, size_t len, uint32_t attempt, uint64_t token);

#endif
