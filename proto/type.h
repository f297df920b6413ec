/*
 * type.h - element types: their words, their encodings, and whether bytes fit one.
 *
 * The encodings are listed in chan/value.h. The broker checks values with these functions and
 * the client packs and unpacks with them. No function allocates.
 */
#ifndef PROTO_TYPE_H
#define PROTO_TYPE_H

#include "chan/value.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The word for a type ("int"), or "?" for a number that is none. Static. */
const char *type_name(uint32_t type);

/* The type of that word. 0, or CHAN_EINVAL with *ret_type untouched. */
int type_parse(const char *word, enum chan_type *ret_type);

bool type_known(uint32_t type);

/* "int float bool ..." for an error that names what would be allowed. Static. */
const char *type_words(void);

/* Whether bytes are a value of the type: 0 or CHAN_ETYPE. Not whether a chan value's channel
 * lives: that is the broker's to know. */
int type_check(enum chan_type type, const uint8_t *bytes, size_t len);

/* The rule that type_check applies, for an error: "an int has 8 bytes". Static. */
const char *type_rule(enum chan_type type);

#define TYPE_INT_BYTES 8u
#define TYPE_FLOAT_BYTES 8u
#define TYPE_BOOL_BYTES 1u

void type_put_int(uint8_t out[TYPE_INT_BYTES], int64_t v);
void type_put_float(uint8_t out[TYPE_FLOAT_BYTES], double v);

/* bytes must have passed type_check. */
int64_t type_get_int(const uint8_t bytes[TYPE_INT_BYTES]);
double type_get_float(const uint8_t bytes[TYPE_FLOAT_BYTES]);

/* Takes an any value apart: its type, and where the value it carries begins (1 byte later).
 * 0 or CHAN_ETYPE (no byte, an unknown type, any within any). Does not check what is carried. */
int type_any_split(const uint8_t *bytes, size_t len, enum chan_type *ret_type,
	const uint8_t **ret_bytes, size_t *ret_len);

/*
 * What a value of type chan says: a channel and the end of it that is handed over.
 */
struct type_chan_ref {
	uint64_t incarnation; /* of the broker's run that made the channel */
	uint64_t channel;     /* its id */
	uint8_t direction;    /* bits of enum chan_direction */
	const char *name;     /* not terminated; for the reader's eyes; the id decides */
	size_t name_bytes;    /* 0: unnamed */
};

/* incarnation, channel, direction; the name follows. */
#define TYPE_CHAN_BYTES_MIN 17u
#define TYPE_CHAN_BYTES_MAX (TYPE_CHAN_BYTES_MIN + 255u)

/* Writes the reference, returns its length; the name is at most NAME_BYTES_MAX. */
size_t type_put_chan(uint8_t out[TYPE_CHAN_BYTES_MAX], const struct type_chan_ref *ref);

/* 0 or CHAN_ETYPE. The name points into bytes. */
int type_get_chan(const uint8_t *bytes, size_t len, struct type_chan_ref *ret_ref);

#endif
