/*
 * limits.h - every bound that both ends know, with its reason.
 *
 * What an operator may change stands in server/config.h with these as defaults; the broker
 * states the bounds in force in its WELCOME.
 */
#ifndef PROTO_LIMITS_H
#define PROTO_LIMITS_H

#include <stdint.h>

/* The version of the protocol that this tree speaks. */
#define PROTOCOL_VERSION 1u

/* u32 length, u8 kind, u8 flags, u16 header_bytes. */
#define FRAME_PREFIX_BYTES 8u

/* A control frame waits at most behind one data frame, so this bounds its wait: 64 KiB on a
 * 1 Gbit/s line are half a millisecond. Larger payloads travel in pieces. */
#define FRAME_PAYLOAD_BYTES_MAX (64u * 1024u + 1024u)

/* Protobuf header of one frame. The largest is a SELECT with SELECT_CASES_MAX cases (16 bytes
 * each); lists are sent in pages that fit. */
#define FRAME_HEADER_BYTES_MAX (16u * 1024u)

#define FRAME_BYTES_MAX (FRAME_PREFIX_BYTES + FRAME_HEADER_BYTES_MAX + FRAME_PAYLOAD_BYTES_MAX)

/* u8 flags, u32 length before each value of a payload. */
#define VALUE_PREFIX_BYTES 5u

/* The contract's name: 1 to 255 bytes of A-Z a-z 0-9 . _ - / : */
#define NAME_BYTES_MAX 255u

/* A sentence or reason that travels: closing reasons, error texts. */
#define TEXT_BYTES_MAX 1024u

/* Default for the largest value, and the most that an operator may set: a value is held whole in
 * memory at least twice (once by each end). */
#define VALUE_BYTES_MAX_DEFAULT (1024u * 1024u)
#define VALUE_BYTES_MAX_LIMIT (256u * 1024u * 1024u)

/* Values of a channel's buffer. A slot costs about 32 bytes once it is used. */
#define CAPACITY_MAX_DEFAULT (1024 * 1024)

/* Cases of one select: matching looks at each. */
#define SELECT_CASES_MAX 1024u

/* Values that a receiver may have out unconfirmed: what a crash of it makes others see again. */
#define CREDIT_MAX 4096u

/* Values of one SEND or DELIVER frame. */
#define BATCH_VALUES_MAX 4096u

/* Operations of one session that are not answered: about 200 bytes each in the broker. */
#define OPS_IN_FLIGHT_MAX_DEFAULT 65536u

/* Bytes of values of one session that wait in the broker (waiting sends, pieces not complete). */
#define BYTES_IN_FLIGHT_MAX_DEFAULT (16u * 1024u * 1024u)

/*
 * Bytes of frames that either end may have sent and the other not confirmed by SEEN: what is kept for
 * a resume. Enough for a fast line (1 MiB in a round trip of 1 ms is 8 Gbit/s); a session that can
 * be resumed costs at most so much on each side.
 */
#define UNSEEN_BYTES_MAX_DEFAULT (1024u * 1024u)

/* The receiver sends SEEN at the latest when so much has come since its last: twice as often as
 * PROTOCOL.md asks, since the sender keeps it all until then; rarely enough to cost nothing. */
#define SEEN_EVERY_BYTES(unseen_bytes_max) ((unseen_bytes_max) / 8)

/*
 * From here on it rides with what is written next. Alone it costs a system call on either side and
 * wakes the sender: two round trips were 15 to 100 us longer. It is due so early that something is
 * nearly always written in time, and that what the sender then drops is a few hundred small frames.
 */
#define SEEN_RIDES_BYTES(unseen_bytes_max) ((unseen_bytes_max) / 64)

/* Leases of one session: enough for any number of workers behind one connection; each holds about
 * 200 bytes and a value in the broker, out of the reach of the channel's capacity. */
#define LEASES_MAX 65536u

/* Of the attributes of MAKE. A session that is a producer costs about 100 bytes, a permit as much as
 * any value of a buffer. */
#define PRODUCERS_MAX 65536
#define ATTEMPTS_MAX 1000000
#define PERMITS_MAX 1048576

/* The longest lease, and delay of a value that is given back: whoever holds a value for longer says
 * so again in time. */
#define LEASE_NS_MAX (24ull * 3600 * 1000000000)

#endif
