/*
 * fuzz_url.c - words that people write: URLs as both ends read them, durations, and chanctl's
 * values and framings.
 *
 * Input: a byte that says which, then the word.
 */
#include "chan/chan.h"
#include "client/chanctl/duration.h"
#include "client/chanctl/framing.h"
#include "client/chanctl/text.h"
#include "client/url.h"
#include "server/net/address.h"
#include "tests/fuzz/fuzz.h"
#include <errno.h>
#include <string.h>

struct word {
	uint8_t variant; /* what is left of the first byte */
	char *text;      /* with a NUL behind it; it may hold others */
	size_t length;
};

static void check_url(const struct word *w)
{
	struct url url;
	int rc = url_parse(w->text, &url);

	fuzz_require(rc == 0 || (rc == CHAN_EINVAL && *chan_error_text()));
	if (rc < 0)
		return;
	fuzz_require(strcmp(url.text, w->text) == 0);
	if (url.scheme == URL_UNIX)
		fuzz_require(*url.path);
	else
		fuzz_require(*url.host && *url.port && atol(url.port) <= 65535);
}

static void check_address(const struct word *w)
{
	char why[1024] = "";
	int rc = address_check(w->text, why, sizeof(why));

	fuzz_require(rc == 0 || ((rc == -EINVAL || rc == -ENOTSUP) && *why));
}

static void check_duration(const struct word *w)
{
	char text[DURATION_TEXT_BYTES];
	int64_t ns = 0;
	int rc = duration_parse(w->text, &ns);

	fuzz_require((rc == 0 && ns >= 0) || rc == -EINVAL);
	fuzz_require(*duration_format(text, ns));
}

/* A value that was read is written as a text that is read as the same value. */
static void check_written(enum chan_type type, const struct chan_value *v)
{
	struct bytes once = {0}, twice = {0};
	struct chan_value again;
	const char *why;

	fuzz_require(text_append(&once, v) == 0);
	fuzz_require(text_parse(NULL, type, v->type, once.used ? once.at : "", once.used, &again,
			     &why) == 0);
	fuzz_require(text_append(&twice, &again) == 0);
	fuzz_require(once.used == twice.used &&
		     (!once.used || memcmp(once.at, twice.at, once.used) == 0));
	bytes_fini(&once);
	bytes_fini(&twice);
}

static void check_json(const struct chan_value *v)
{
	struct bytes out = {0};
	json_t *json;

	fuzz_require(text_append_json(&out, "name", v) == 0);
	json = json_loadb(out.at, out.used, JSON_ALLOW_NUL, NULL);
	fuzz_require(json_is_object(json));
	json_decref(json);
	bytes_fini(&out);
}

static void check_text(const struct word *w)
{
	static const enum chan_type types[] = {CHAN_TYPE_INT, CHAN_TYPE_FLOAT, CHAN_TYPE_BOOL,
		CHAN_TYPE_STRING, CHAN_TYPE_BYTES, CHAN_TYPE_SIGNAL, CHAN_TYPE_ANY};
	enum { TYPES = sizeof(types) / sizeof(types[0]) };
	enum chan_type type = types[w->variant % TYPES], as = 0;
	char shown[TEXT_SHOWN_BYTES];
	struct chan_value v;
	const char *why = "";

	if (type == CHAN_TYPE_ANY)
		as = types[w->variant / TYPES % (TYPES - 1)];
	text_shown(shown, w->text, w->length);
	fuzz_require(memchr(shown, '\0', sizeof(shown)));
	if (text_parse(NULL, type, as, w->text, w->length, &v, &why) < 0) {
		fuzz_require(*why);
		return;
	}
	check_written(type, &v);
	check_json(&v);
}

static void check_format(const struct word *w)
{
	struct chan_value v = chan_value_int(w->variant);
	struct bytes out = {0};

	if (text_format_valid(w->text))
		fuzz_require(text_append_format(&out, w->text, "name", &v) == 0);
	bytes_fini(&out);
}

static void check_framing(const struct word *w)
{
	static const enum framing framings[] = {
		FRAMING_LINES, FRAMING_NULL, FRAMING_LEN, FRAMING_RAW};
	enum framing framing = framings[w->variant % 4];
	bool at_end = w->variant & 4;
	const char *at = w->text, *value;
	size_t left = w->length, length, step;

	while (framing_next(framing, at, left, at_end, &value, &length, &step) > 0) {
		fuzz_require(step > 0 || framing == FRAMING_RAW);
		fuzz_require(step <= left && value >= at && value + length <= at + step);
		at += step;
		left -= step;
		if (framing == FRAMING_RAW)
			break;
	}
}

static void (*const checks[])(const struct word *) = {
	check_url, check_address, check_duration, check_text, check_format, check_framing};

#define CHECKS (sizeof(checks) / sizeof(checks[0]))

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	uint8_t which = fuzz_byte(&bytes, &n);
	struct word w = {.variant = (uint8_t)(which / CHECKS), .text = malloc(n + 1), .length = n};

	fuzz_require(w.text);
	memcpy(w.text, bytes, n);
	w.text[n] = '\0';
	checks[which % CHECKS](&w);
	free(w.text);
	return 0;
}
