/*
 * type.c - element types: their words, their encodings, and whether bytes fit one.
 */
#include "proto/type.h"
#include "chan/status.h"
#include "proto/endian.h"
#include "proto/limits.h"
#include "proto/name.h"
#include <string.h>
#include <unistr.h>

_Static_assert(TYPE_CHAN_BYTES_MAX == TYPE_CHAN_BYTES_MIN + NAME_BYTES_MAX, "a name fits");
_Static_assert(sizeof(double) == TYPE_FLOAT_BYTES, "double is binary64");

static bool fits_int(const uint8_t *bytes, size_t len)
{
	(void)bytes;
	return len == TYPE_INT_BYTES;
}

static bool fits_bool(const uint8_t *bytes, size_t len)
{
	return len == TYPE_BOOL_BYTES && bytes[0] <= 1;
}

static bool fits_string(const uint8_t *bytes, size_t len)
{
	return len == 0 || !u8_check(bytes, len);
}

static bool fits_bytes(const uint8_t *bytes, size_t len)
{
	(void)bytes;
	(void)len;
	return true;
}

static bool fits_signal(const uint8_t *bytes, size_t len)
{
	(void)bytes;
	return len == 0;
}

static bool fits_chan(const uint8_t *bytes, size_t len)
{
	struct type_chan_ref ref;

	return type_get_chan(bytes, len, &ref) == 0;
}

static bool fits_any(const uint8_t *bytes, size_t len)
{
	enum chan_type type;

	return type_any_split(bytes, len, &type, &bytes, &len) == 0 &&
	       type_check(type, bytes, len) == 0;
}

static const struct {
	const char *word;
	bool (*fits)(const uint8_t *bytes, size_t len);
	const char *rule;
} types[] = {
	[CHAN_TYPE_INT] = {"int", fits_int, "an int has 8 bytes"},
	[CHAN_TYPE_FLOAT] = {"float", fits_int, "a float has 8 bytes"},
	[CHAN_TYPE_BOOL] = {"bool", fits_bool, "a bool has 1 byte, 0 or 1"},
	[CHAN_TYPE_STRING] = {"string", fits_string, "a string is valid UTF-8"},
	[CHAN_TYPE_BYTES] = {"bytes", fits_bytes, "any bytes fit"},
	[CHAN_TYPE_ANY] = {"any", fits_any, "an any has 1 byte of type and then a value of it"},
	[CHAN_TYPE_SIGNAL] = {"signal", fits_signal, "a signal has no bytes"},
	[CHAN_TYPE_CHAN] = {"chan", fits_chan, "a chan is a reference to a channel"},
};

bool type_known(uint32_t type)
{
	return type < sizeof(types) / sizeof(types[0]) && types[type].word;
}

const char *type_name(uint32_t type)
{
	return type_known(type) ? types[type].word : "?";
}

int type_parse(const char *word, enum chan_type *ret_type)
{
	for (uint32_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		if (type_known(t) && !strcmp(types[t].word, word)) {
			*ret_type = t;
			return 0;
		}
	}
	return CHAN_EINVAL;
}

const char *type_words(void)
{
#define TYPE_WORD(name, number, word) " " word
	static const char words[] = CHAN_TYPE_LIST(TYPE_WORD);
#undef TYPE_WORD
	return words + 1;
}

int type_check(enum chan_type type, const uint8_t *bytes, size_t len)
{
	return type_known(type) && types[type].fits(bytes, len) ? 0 : CHAN_ETYPE;
}

const char *type_rule(enum chan_type type)
{
	return type_known(type) ? types[type].rule : "the type is not known";
}

void type_put_int(uint8_t out[TYPE_INT_BYTES], int64_t v)
{
	put_be64(out, (uint64_t)v);
}

int64_t type_get_int(const uint8_t bytes[TYPE_INT_BYTES])
{
	return (int64_t)get_be64(bytes);
}

void type_put_float(uint8_t out[TYPE_FLOAT_BYTES], double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	put_be64(out, bits);
}

double type_get_float(const uint8_t bytes[TYPE_FLOAT_BYTES])
{
	uint64_t bits = get_be64(bytes);
	double v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

int type_any_split(const uint8_t *bytes, size_t len, enum chan_type *ret_type,
	const uint8_t **ret_bytes, size_t *ret_len)
{
	if (len == 0 || !type_known(bytes[0]) || bytes[0] == CHAN_TYPE_ANY)
		return CHAN_ETYPE;
	*ret_type = bytes[0];
	*ret_bytes = bytes + 1;
	*ret_len = len - 1;
	return 0;
}

/* incarnation at 0, channel at 8, direction at 16 */
size_t type_put_chan(uint8_t out[TYPE_CHAN_BYTES_MAX], const struct type_chan_ref *ref)
{
	put_be64(out, ref->incarnation);
	put_be64(out + 8, ref->channel);
	out[16] = ref->direction;
	if (ref->name_bytes > 0)
		memcpy(out + TYPE_CHAN_BYTES_MIN, ref->name, ref->name_bytes);
	return TYPE_CHAN_BYTES_MIN + ref->name_bytes;
}

int type_get_chan(const uint8_t *bytes, size_t len, struct type_chan_ref *ret_ref)
{
	struct type_chan_ref ref;

	if (len < TYPE_CHAN_BYTES_MIN || len > TYPE_CHAN_BYTES_MAX)
		return CHAN_ETYPE;
	ref = (struct type_chan_ref){
		.incarnation = get_be64(bytes),
		.channel = get_be64(bytes + 8),
		.direction = bytes[16],
		.name = (const char *)bytes + TYPE_CHAN_BYTES_MIN,
		.name_bytes = len - TYPE_CHAN_BYTES_MIN,
	};
	if (ref.channel == 0 || ref.direction < CHAN_SEND || ref.direction > CHAN_BOTH)
		return CHAN_ETYPE;
	if (ref.name_bytes > 0 && name_check(ref.name, ref.name_bytes) < 0)
		return CHAN_ETYPE;
	*ret_ref = ref;
	return 0;
}
