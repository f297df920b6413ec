/*
 * batch.h - operations on their way from a connection's reader to the helm (helm.h).
 *
 * A reader decodes all that one turn of reading brought into a batch and brings that to the helm:
 * one step, whatever the number of operations. From then on it belongs to who is there, perhaps the
 * same reader, who applies it and gives it back to the stock.
 */
#ifndef BROKER_BATCH_H
#define BROKER_BATCH_H

#include "proto/arena.h"
#include "proto/wire.h"
#include "server/broker/stock.h"
#include "server/broker/value.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;
struct session;

/* Operations of one batch at most: what the broker does between two looks at its clock, and what
 * one turn of one connection may hold in memory (about 140 bytes each). All of it stays in the
 * stock, and in a processor's nearest cache. */
#define BATCH_OPS_MAX 128u

/*
 * Of them LIST and PS, whose answers are pages of up to 16 KiB (a frame's header). An answer counts
 * against its connection only once it is queued; until then just the batches on their way bound
 * what was asked for: about a hundred for the whole broker, so 25 MiB.
 */
#define BATCH_PAGES_MAX 16u

/* The part of both that holds while memory is not free (base/memory.h): about a hundred batches are
 * on their way when many clients send all they can. */
#define BATCH_TIGHT_PART 8u

/* Of sentences and copies: none in most batches, one in most others. */
#define BATCH_ARENA_BYTES 256u

enum batch_what {
	BATCH_OPERATION, /* of a client, for the engine */
	BATCH_BEGIN,     /* a session, by its HELLO */
	BATCH_RESUME, /* another connection for a session, by its HELLO; the batch has none yet */
	BATCH_ANSWER, /* only to be answered: a PONG, or FAIL for what does not reach the engine */
	BATCH_HEARD,  /* the client gives a sign of life after a silence */
	BATCH_HALF,   /* the client has shut its sending side down, and still reads */
	BATCH_END,    /* of the session: by a breach, as the GOAWAY says, or without one */
	BATCH_DETACH, /* its connection has ended; nothing more comes over it */
};

struct batch_op {
	enum batch_what what;
	struct message m;
	size_t value_first; /* its values: batch.values[value_first ...] */
	size_t value_count;
};

struct batch {
	struct stock_piece kept; /* in the stock of batches */
	struct session *session;
	int64_t read_ns; /* when its bytes were read; 0: there were none */
	struct connection *connection; /* of a BATCH_RESUME */
	struct wire_scratch *scratch;  /* what the messages point to */
	struct batch_op *ops;
	size_t count, size;
	size_t pages;          /* operations among them that answer with one */
	struct value **values; /* a reference each, for as long as their operation counts them */
	size_t value_count, value_size;
	struct arena arena; /* what batch_printf and batch_keep hand out */
	_Alignas(max_align_t) uint8_t arena_first[BATCH_ARENA_BYTES];
};

/* An empty batch, from the stock where it has one. Any goroutine. NULL: out of memory. */
struct batch *batch_new(struct session *s);

/* Gives up what it holds and returns it to the stock. NULL is fine. Any goroutine. */
void batch_free(struct batch *b);

/* A new operation at the end, zeroed but for where its values begin; NULL: out of memory. */
struct batch_op *batch_add(struct batch *b);

/* Whether it is to be handed over before anything is added. */
bool batch_is_full(const struct batch *b);

/* Takes back the last operation and the values that were added since. */
void batch_drop_last(struct batch *b);

/* Copies values without envelope, as they stand in so many bytes of a payload, to the last
 * operation, as one pack: count of them with lengths lens. 0 or CHAN_ENOMEM. */
int batch_add_values(struct batch *b, const uint8_t *payload, size_t bytes, const uint32_t *lens,
	uint32_t count);

/* A sentence that lives as long as the batch holds its operations. Never NULL: out of memory gives
 * a constant that says so. */
const char *batch_printf(struct batch *b, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A copy that lives as long. NULL: out of memory. */
void *batch_keep(struct batch *b, const void *bytes, size_t len);

/* Frees what is kept for all; when no batch is out any more. */
void batch_stock_fini(void);

#endif
