#include "client/chanctl/text.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

/* The longest number: 17 digits, sign, point, exponent. More in a text is no number of ours. */
#define NUMBER_BYTES_MAX 511

/* ---- reading ------------------------------------------------------------------------------ */

/* Copies a number's text to where the C library can read it: it ends with a NUL there. */
static bool number_text(const char *text, size_t length, char *number)
{
	if (length == 0 || length > NUMBER_BYTES_MAX || memchr(text, '\0', length) != NULL)
		return false;
	/* strtoll and strtod would skip blanks. */
	if (strchr(" \t\n\v\f\r", text[0]) != NULL)
		return false;
	memcpy(number, text, length);
	number[length] = '\0';
	return true;
}

static const char *parse_int(const char *text, size_t length, struct chan_value *v)
{
	char number[NUMBER_BYTES_MAX + 1], *end;

	if (!number_text(text, length, number))
		return "is not a decimal number";
	errno = 0;
	v->i = strtoll(number, &end, 10);
	if (*end != '\0')
		return "is not a decimal number";
	return errno == ERANGE ? "does not fit 64 bits" : NULL;
}

static const char *parse_float(const char *text, size_t length, struct chan_value *v)
{
	char number[NUMBER_BYTES_MAX + 1], *end;

	if (!number_text(text, length, number))
		return "is not a decimal number";
	errno = 0;
	v->f = strtod(number, &end);
	if (*end != '\0' || strpbrk(number, "xX(") != NULL)
		return "is not a decimal number";
	/* Too small for a float is read as the nearest that there is. */
	return errno == ERANGE && isinf(v->f) ? "does not fit a 64-bit float" : NULL;
}

static bool text_is(const char *text, size_t length, const char *word)
{
	return length == strlen(word) && memcmp(text, word, length) == 0;
}

static const char *parse_bool(const char *text, size_t length, struct chan_value *v)
{
	v->b = text_is(text, length, "true");
	return v->b || text_is(text, length, "false") ? NULL : "is neither true nor false";
}

static const char *parse_string(const char *text, size_t length, struct chan_value *v)
{
	v->bytes = text;
	v->len = length;
	return u8_check((const uint8_t *)text, length) == NULL ? NULL : "is not valid UTF-8";
}

static const char *parse_bytes(const char *text, size_t length, struct chan_value *v)
{
	v->bytes = text;
	v->len = length;
	return NULL;
}

static const char *parse_signal(const char *text, size_t length, struct chan_value *v)
{
	(void)text;
	(void)v;
	return length == 0 ? NULL : "is not empty";
}

/* By type; chan is apart, as it needs the broker. */
static const char *(*const parsers[])(const char *, size_t, struct chan_value *) = {
	[CHAN_TYPE_INT] = parse_int,
	[CHAN_TYPE_FLOAT] = parse_float,
	[CHAN_TYPE_BOOL] = parse_bool,
	[CHAN_TYPE_STRING] = parse_string,
	[CHAN_TYPE_BYTES] = parse_bytes,
	[CHAN_TYPE_SIGNAL] = parse_signal,
};

static int parse_chan(struct chan_client *client, const char *text, size_t length,
	struct chan_value *v, const char **ret_why)
{
	char *name;
	int rc;

	if (memchr(text, '\0', length) != NULL) {
		*ret_why = "is not the name of a channel";
		return CHAN_ETYPE;
	}
	name = strndup(text, length);
	if (name == NULL)
		return CHAN_ENOMEM;
	rc = chan_open(client, name, CHAN_BOTH, NULL, &v->chan);
	free(name);
	if (rc < 0)
		*ret_why = chan_error_text();
	return rc;
}

int text_parse(struct chan_client *client, enum chan_type type, enum chan_type as, const char *text,
	size_t length, struct chan_value *ret_value, const char **ret_why)
{
	if (type == CHAN_TYPE_ANY)
		type = as != 0 ? as : CHAN_TYPE_STRING;
	*ret_value = chan_value_of(type);
	if (type == CHAN_TYPE_CHAN)
		return parse_chan(client, text, length, ret_value, ret_why);
	*ret_why = parsers[type](text, length, ret_value);
	return *ret_why == NULL ? 0 : CHAN_ETYPE;
}

char *text_shown(char *shown, const char *text, size_t length)
{
	size_t at = 0;

	for (; at < length && at < TEXT_SHOWN_BYTES - 1; at++)
		shown[at] = text[at] >= ' ' && text[at] <= '~' ? text[at] : '?';
	shown[at] = '\0';
	return shown;
}

/* ---- writing ------------------------------------------------------------------------------ */

/*
 * The fewest digits with which a float reads back the same. A number of up to 15 digits survives
 * being a double, so that rounding to 15 finds it and %g drops the zeros; only the subnormals have
 * less to tell apart.
 */
static int float_digits(double f)
{
	char text[64];
	int digits = fpclassify(f) == FP_SUBNORMAL ? 1 : DBL_DIG;

	for (; digits < DBL_DECIMAL_DIG; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, f);
		if (strtod(text, NULL) == f)
			break;
	}
	return digits;
}

/*
 * The floats below a power of two are twice as dense as those above. So it may be that the nearest
 * 16 digits lie below it and read back as its neighbour, and the next ones above it do not.
 */
static bool power_of_two_text(double f, char *text, size_t size)
{
	int exponent;
	char *last;

	if (fabs(frexp(f, &exponent)) != 0.5)
		return false;
	snprintf(text, size, "%.15e", f);
	last = strchr(text, 'e') - 1;
	if (*last == '9')
		return false;
	++*last;
	return strtod(text, NULL) == f;
}

static int append_float(struct bytes *out, double f)
{
	int digits = float_digits(f);
	char text[64];

	if (isnan(f))
		return bytes_append_string(out, "nan");
	if (digits < DBL_DECIMAL_DIG || !power_of_two_text(f, text, sizeof(text)))
		snprintf(text, sizeof(text), "%.*g", digits, f);
	return bytes_append_string(out, text);
}

static int append_int(struct bytes *out, int64_t i)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRId64, i);
	return bytes_append_string(out, text);
}

/* The name of a channel that is a value, or its number in this run of the broker. */
static const char *chan_text(struct chan *ch, char *text, size_t size)
{
	if (chan_name(ch)[0] != '\0')
		return chan_name(ch);
	snprintf(text, size, "@%016" PRIx64 ".%" PRIu64, chan_incarnation(chan_client_of(ch)),
		chan_id(ch));
	return text;
}

int text_append(struct bytes *out, const struct chan_value *value)
{
	char reference[64];

	switch (value->type) {
	case CHAN_TYPE_INT:
		return append_int(out, value->i);
	case CHAN_TYPE_FLOAT:
		return append_float(out, value->f);
	case CHAN_TYPE_BOOL:
		return bytes_append_string(out, value->b ? "true" : "false");
	case CHAN_TYPE_CHAN:
		return bytes_append_string(
			out, chan_text(value->chan, reference, sizeof(reference)));
	case CHAN_TYPE_SIGNAL:
		return 0;
	default:
		return bytes_append(out, value->bytes, value->len);
	}
}

/* ---- JSON --------------------------------------------------------------------------------- */

static json_t *json_base64(const unsigned char *bytes, size_t length)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *text = malloc((length + 2) / 3 * 4 + 1), *at = text;
	json_t *json;

	if (text == NULL)
		return NULL;
	for (size_t i = 0; i < length; i += 3) {
		size_t left = length - i;
		uint32_t group = (uint32_t)bytes[i] << 16;

		group |= left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
		group |= left > 2 ? bytes[i + 2] : 0;
		*at++ = digits[group >> 18];
		*at++ = digits[group >> 12 & 63];
		*at++ = left > 1 ? digits[group >> 6 & 63] : '=';
		*at++ = left > 2 ? digits[group & 63] : '=';
	}
	json = json_stringn(text, (size_t)(at - text));
	free(text);
	return json;
}

static json_t *json_float(double f)
{
	if (isnan(f))
		return json_string("nan");
	if (isinf(f))
		return json_string(f > 0 ? "inf" : "-inf");
	return json_real(f);
}

static json_t *json_value(const struct chan_value *value)
{
	char reference[64];

	switch (value->type) {
	case CHAN_TYPE_INT:
		return json_integer(value->i);
	case CHAN_TYPE_FLOAT:
		return json_float(value->f);
	case CHAN_TYPE_BOOL:
		return json_boolean(value->b);
	case CHAN_TYPE_CHAN:
		return json_string(chan_text(value->chan, reference, sizeof(reference)));
	case CHAN_TYPE_SIGNAL:
		return json_null();
	case CHAN_TYPE_STRING:
		return json_stringn(value->bytes, value->len);
	default:
		return json_base64(value->bytes, value->len);
	}
}

json_t *text_json(const char *channel, const struct chan_value *value, size_t *ret_flags)
{
	const char *key = value->type == CHAN_TYPE_BYTES ? "value_base64" : "value";
	json_t *json = json_pack("{s:s, s:s, s:o}", "channel", channel, "type",
		chan_type_name(value->type), key, json_value(value));

	*ret_flags = JSON_COMPACT;
	if (value->type == CHAN_TYPE_FLOAT)
		*ret_flags |= JSON_REAL_PRECISION(float_digits(value->f));
	if (json != NULL && value->attempt > 1)
		json_object_set_new(json, "attempt", json_integer(value->attempt));
	return json;
}

int text_append_json(struct bytes *out, const char *channel, const struct chan_value *value)
{
	size_t flags;
	json_t *json = text_json(channel, value, &flags);
	char *text = json != NULL ? json_dumps(json, flags) : NULL;
	int rc = text != NULL ? bytes_append_string(out, text) : -ENOMEM;

	free(text);
	json_decref(json);
	return rc;
}

/* ---- formats ------------------------------------------------------------------------------ */

/* What a backslash and this letter stand for, or -1. */
static int escaped(char letter)
{
	static const char letters[] = "nt0\\", meanings[] = "\n\t\0\\";
	const char *at = letter != '\0' ? strchr(letters, letter) : NULL;

	return at != NULL ? meanings[at - letters] : -1;
}

bool text_format_valid(const char *format)
{
	for (; *format != '\0'; format++) {
		if (*format == '%' && (*++format == '\0' || strchr("vnta%", *format) == NULL))
			return false;
		if (*format == '\\' && escaped(*++format) < 0)
			return false;
	}
	return true;
}

static int append_directive(
	struct bytes *out, char directive, const char *channel, const struct chan_value *value)
{
	switch (directive) {
	case 'v':
		return text_append(out, value);
	case 'n':
		return bytes_append_string(out, channel);
	case 't':
		return bytes_append_string(out, chan_type_name(value->type));
	case 'a':
		return append_int(out, value->attempt);
	default:
		return bytes_append(out, &directive, 1);
	}
}

int text_append_format(
	struct bytes *out, const char *format, const char *channel, const struct chan_value *value)
{
	int rc = 0;
	char c;

	for (; *format != '\0' && rc == 0; format++) {
		c = *format;
		if (c == '%') {
			rc = append_directive(out, *++format, channel, value);
			continue;
		}
		if (c == '\\')
			c = (char)escaped(*++format);
		rc = bytes_append(out, &c, 1);
	}
	return rc;
}
