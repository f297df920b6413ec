#include "client/chanctl/options.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chan/chan.h"
#include "client/chanctl/complain.h"
#include "client/chanctl/duration.h"
#include "client/chanctl/exit_codes.h"
#include "client/chanctl/guard.h"
#include "client/chanctl/text.h"

/* Options of one command, at most: the table of all and the end mark. */
#define COMMAND_OPTIONS_MAX 48

/* Sets one option; false: the text is not valid. */
typedef bool option_setter(struct options *o, const char *text);

struct option_row {
	struct argp_option shape;
	option_setter *set;
	const char *wants; /* what a text must be to be valid; NULL: any is */
};

static const char types[] = "int, float, bool, string, bytes, any, signal or chan";
static const char a_number[] = "a whole number above 0";
static const char a_duration[] = "a decimal number and ns, us, ms, s, m or h, as in 1.5s";

/* Below it a lease could end before its extension can be answered on a loaded machine. */
#define LEASE_NS_MIN INT64_C(100000000)

/* Below it a page that is shown anew would cost the broker more than it tells. */
#define INTERVAL_NS_MIN INT64_C(100000000)

static bool whole_number(const char *text, int64_t *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoll(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && text[0] != ' ';
}

static bool positive_number(const char *text, uint64_t *ret_number)
{
	int64_t number;

	if (!whole_number(text, &number) || number <= 0)
		return false;
	*ret_number = (uint64_t)number;
	return true;
}

static bool set_framing(struct options *o, enum framing framing)
{
	if (o->framing != FRAMING_NONE && o->framing != framing)
		options_refuse("--lines, --null, --frame and --raw exclude each other");
	o->framing = framing;
	return true;
}

static bool set_url(struct options *o, const char *text)
{
	o->url = text;
	return true;
}

static bool set_tls_ca(struct options *o, const char *text)
{
	o->tls_ca = text;
	return true;
}

static bool set_tls_cert(struct options *o, const char *text)
{
	o->tls_certificate = text;
	return true;
}

static bool set_tls_key(struct options *o, const char *text)
{
	o->tls_key = text;
	return true;
}

static bool set_insecure(struct options *o, const char *text)
{
	(void)text;
	return o->insecure = true;
}

static bool set_token_file(struct options *o, const char *text)
{
	o->token_file = text;
	return true;
}

static bool set_reconnect(struct options *o, const char *text)
{
	return duration_parse(text, &o->reconnect_ns) == 0;
}

static bool set_json(struct options *o, const char *text)
{
	(void)text;
	return o->json = true;
}

static bool set_timeout(struct options *o, const char *text)
{
	return duration_parse(text, &o->timeout_ns) == 0;
}

static bool set_try(struct options *o, const char *text)
{
	(void)text;
	return o->try = true;
}

static bool set_create(struct options *o, const char *text)
{
	(void)text;
	return o->create = true;
}

static bool set_wait_create(struct options *o, const char *text)
{
	(void)text;
	return o->wait_create = true;
}

static bool set_type(struct options *o, const char *text)
{
	o->type = chan_type_parse(text);
	return o->type != 0;
}

static bool set_capacity(struct options *o, const char *text)
{
	/* Whether a capacity is allowed is the broker's to say: it knows its limit. */
	return o->capacity_given = whole_number(text, &o->capacity);
}

static bool set_as(struct options *o, const char *text)
{
	o->as = chan_type_parse(text);
	return o->as != 0 && o->as != CHAN_TYPE_ANY;
}

static bool set_lines(struct options *o, const char *text)
{
	(void)text;
	return set_framing(o, FRAMING_LINES);
}

static bool set_null(struct options *o, const char *text)
{
	(void)text;
	return set_framing(o, FRAMING_NULL);
}

static bool set_frame(struct options *o, const char *text)
{
	return strcmp(text, "len") == 0 && set_framing(o, FRAMING_LEN);
}

static bool set_raw(struct options *o, const char *text)
{
	(void)text;
	return set_framing(o, FRAMING_RAW);
}

static bool set_format(struct options *o, const char *text)
{
	o->format = text;
	return text_format_valid(text);
}

static bool set_close(struct options *o, const char *text)
{
	(void)text;
	return o->close = true;
}

static bool set_reason(struct options *o, const char *text)
{
	o->reason = text;
	return true;
}

static bool set_count(struct options *o, const char *text)
{
	return positive_number(text, &o->count);
}

static bool set_values(struct options *o, const char *text)
{
	return positive_number(text, &o->values);
}

static bool set_bytes(struct options *o, const char *text)
{
	return positive_number(text, &o->bytes);
}

static bool set_round_trips(struct options *o, const char *text)
{
	return positive_number(text, &o->round_trips);
}

static bool set_jobs(struct options *o, const char *text)
{
	return positive_number(text, &o->jobs) && o->jobs <= GUARD_GROUPS_MAX;
}

static bool set_retry(struct options *o, const char *text)
{
	return positive_number(text, &o->retry);
}

static bool set_dead(struct options *o, const char *text)
{
	o->dead = text;
	return true;
}

static bool set_lease(struct options *o, const char *text)
{
	/* How long a lease may be is the broker's to say. */
	return duration_parse(text, &o->lease_ns) == 0 && o->lease_ns >= LEASE_NS_MIN;
}

static bool set_grace(struct options *o, const char *text)
{
	return duration_parse(text, &o->grace_ns) == 0;
}

static bool set_backoff(struct options *o, const char *text)
{
	return duration_parse(text, &o->backoff_ns) == 0;
}

static bool set_interval(struct options *o, const char *text)
{
	return duration_parse(text, &o->interval_ns) == 0 && o->interval_ns >= INTERVAL_NS_MIN;
}

static bool set_producers(struct options *o, const char *text)
{
	uint64_t number;

	if (strcmp(text, "auto") == 0) {
		o->producers = CHAN_PRODUCERS_AUTO;
		return true;
	}
	if (!positive_number(text, &number) || number > INT_MAX)
		return false;
	o->producers = (int)number;
	return true;
}

static bool set_attempts(struct options *o, const char *text)
{
	return positive_number(text, &o->attempts) && o->attempts <= UINT32_MAX;
}

static bool set_abort(struct options *o, const char *text)
{
	(void)text;
	return o->abort = true;
}

static const struct option_row rows[] = {
	{{"url", OPTION_URL, "URL", 0, "the broker: unix:PATH, tcp://HOST:PORT or tls://HOST:PORT",
		 0},
		set_url, NULL},
	{{"tls-ca", OPTION_TLS_CA, "FILE", 0, "whom to trust: certificates of authorities", 0},
		set_tls_ca, NULL},
	{{"tls-cert", OPTION_TLS_CERT, "FILE", 0, "our certificate", 0}, set_tls_cert, NULL},
	{{"tls-key", OPTION_TLS_KEY, "FILE", 0, "its key", 0}, set_tls_key, NULL},
	{{"insecure", OPTION_INSECURE, NULL, 0, "take whoever answers for the broker (dangerous)",
		 0},
		set_insecure, NULL},
	{{"token-file", OPTION_TOKEN_FILE, "FILE", 0, "show the broker the token in FILE", 0},
		set_token_file, NULL},
	{{"reconnect", OPTION_RECONNECT, "DURATION", 0,
		 "come back to a lost connection for so long; 0: not at all", 0},
		set_reconnect, a_duration},
	{{"json", OPTION_JSON, NULL, 0, "print JSON", 0}, set_json, NULL},
	{{"timeout", OPTION_TIMEOUT, "DURATION", 0,
		 "wait at most so long, for each value anew; worker: end a command that "
		 "runs longer", 0},
		set_timeout, a_duration},
	{{"try", OPTION_TRY, NULL, 0, "do not wait; exit code 2 where it would have to", 0},
		set_try, NULL},
	{{"create", OPTION_CREATE, NULL, 0, "make the channel where there is none", 0}, set_create,
		NULL},
	{{"wait-create", OPTION_WAIT_CREATE, NULL, 0, "wait until the channel is made", 0},
		set_wait_create, NULL},
	{{"type", OPTION_TYPE, "TYPE", 0,
		 "int, float, bool, string (the default), bytes, any, signal or chan", 0},
		set_type, types},
	{{"cap", OPTION_CAP, "N", 0, "values that the channel buffers; 0 is the default", 0},
		set_capacity, "a whole number"},
	{{"as", OPTION_AS, "TYPE", 0, "what a value for a channel of any is; string by default", 0},
		set_as, "a type other than any"},
	{{"lines", OPTION_LINES, NULL, 0, "send each line of stdin as a value", 0}, set_lines,
		NULL},
	{{"null", OPTION_NULL, NULL, 0, "values end with a zero byte", 0}, set_null, NULL},
	{{"frame", OPTION_FRAME, "len", 0, "a 4-byte big-endian length stands before each value",
		 0},
		set_frame, "len"},
	{{"raw", OPTION_RAW, NULL, 0, "print the bytes of values, nothing added", 0}, set_raw,
		NULL},
	{{"format", OPTION_FORMAT, "FORMAT", 0,
		 "print %v value, %n channel, %t type, %a attempt, %%, \\n, \\t, \\0, \\\\", 0},
		set_format, "text with %v, %n, %t, %a, %%, \\n, \\t, \\0 and \\\\"},
	{{"close", OPTION_CLOSE, NULL, 0, "close the channel when all was sent", 0}, set_close,
		NULL},
	{{"reason", OPTION_REASON, "TEXT", 0, "why it is closed, for who asks", 0}, set_reason,
		NULL},
	{{"count", OPTION_COUNT, "N", 0,
		 "so many values; sem: so many permits; ping and top: so often", 0},
		set_count, a_number},
	{{"values", OPTION_VALUES, "N", 0, "values to stream", 0}, set_values, a_number},
	{{"bytes", OPTION_BYTES, "N", 0, "bytes of each value", 0}, set_bytes, a_number},
	{{"round-trips", OPTION_ROUND_TRIPS, "N", 0, "round trips to time", 0}, set_round_trips,
		a_number},
	{{"jobs", OPTION_JOBS, "N", 0, "run so many commands at once; 1 is the default", 0},
		set_jobs, "a whole number from 1 to 1024"},
	{{"retry", OPTION_RETRY, "N", 0, "try a value so often in all; for ever without it", 0},
		set_retry, a_number},
	{{"dead", OPTION_DEAD, "CHANNEL", 0, "where values go that were tried often enough", 0},
		set_dead, NULL},
	{{"lease", OPTION_LEASE, "DURATION", 0,
		 "how long a value is ours unless that is extended; 30s is the default", 0},
		set_lease, "a duration of at least 100ms"},
	{{"grace", OPTION_GRACE, "DURATION", 0,
		 "from SIGTERM to SIGKILL for a command that is ended; 5s is the default", 0},
		set_grace, a_duration},
	{{"backoff", OPTION_BACKOFF, "DURATION", 0,
		 "how long a value rests after its first failure, twice as long after each further "
		 "one; 100ms is the default",
		 0},
		set_backoff, a_duration},
	{{"interval", OPTION_INTERVAL, "DURATION", 0, "show it anew so often; 1s is the default",
		 0},
		set_interval, "a duration of at least 100ms"},
	{{"producers", OPTION_PRODUCERS, "N|auto", 0,
		 "close it when so many senders, or all that came, have closed it", 0},
		set_producers, "a whole number above 0, or auto"},
	{{"attempts", OPTION_ATTEMPTS, "N", 0,
		 "a value that came back from a lease so often goes to --dead", 0},
		set_attempts, a_number},
	{{"abort", OPTION_ABORT, NULL, 0, "as a death would: receivers get an error at the end", 0},
		set_abort, NULL},
};

static const enum option_key global_keys[] = {OPTION_URL, OPTION_JSON, OPTION_TLS_CA,
	OPTION_TLS_CERT, OPTION_TLS_KEY, OPTION_INSECURE, OPTION_TOKEN_FILE, OPTION_RECONNECT,
	0};

static const struct option_row *row_find(int key)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].shape.key == key)
			return &rows[i];
	return NULL;
}

/* Copies the shapes of the options with these keys to the end of the list, and ends it. */
static void shapes_add(struct argp_option *shapes, const enum option_key *keys, int group)
{
	while (shapes->name != NULL)
		shapes++;
	for (; *keys != 0; keys++, shapes++) {
		*shapes = row_find(*keys)->shape;
		shapes->group = group;
	}
	*shapes = (struct argp_option){0};
}

/* What a negative number would have to be as an option. No command has one of these. */
static const char number_keys[] = "123456789.";

/* So that argp asks us about them and not its user; help does not show them. */
static void shapes_add_numbers(struct argp_option *shapes)
{
	while (shapes->name != NULL)
		shapes++;
	for (const char *key = number_keys; *key != '\0'; key++)
		*shapes++ = (struct argp_option){.key = *key, .flags = OPTION_HIDDEN};
	*shapes = (struct argp_option){0};
}

static bool begins_a_number(int key)
{
	return key > 0 && key < CHAR_MAX && strchr(number_keys, key) != NULL;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
	const struct option_row *row = row_find(key);

	if (begins_a_number(key))
		argp_error(state,
			"there is no option -%c; a value that begins with - comes after --, as in "
			"'send nums -- -5'",
			key);
	if (row == NULL)
		return ARGP_ERR_UNKNOWN;
	if (!row->set(state->input, text))
		argp_error(state, "--%s: '%s' is not %s", row->shape.name, text, row->wants);
	return 0;
}

static void operand_add(struct options *o, const char *text, bool literal)
{
	struct operand *operands =
		reallocarray(o->operands, o->operand_count + 1, sizeof(*operands));

	if (operands == NULL) {
		complain("out of memory");
		exit(EXIT_UNAVAILABLE);
	}
	o->operands = operands;
	operands[o->operand_count++] = (struct operand){.text = text, .literal = literal};
}

static error_t parse_command(int key, char *text, struct argp_state *state)
{
	if (key != ARGP_KEY_ARG)
		return parse_option(key, text, state);
	operand_add(state->input, text, state->quoted > 0 && state->next > state->quoted);
	return 0;
}

/* The first operand is the command; what follows is its own. */
static error_t parse_global(int key, char *text, struct argp_state *state)
{
	if (key != ARGP_KEY_ARG)
		return parse_option(key, text, state);
	return ARGP_ERR_UNKNOWN;
}

void options_init(struct options *o)
{
	*o = (struct options){.timeout_ns = -1,
		.reconnect_ns = -1,
		.lease_ns = -1,
		.grace_ns = -1,
		.backoff_ns = -1,
		.interval_ns = -1};
}

void options_fini(struct options *o)
{
	free(o->operands);
}

int options_parse_global(struct options *o, int argc, char **argv, const char *summary)
{
	struct argp_option shapes[COMMAND_OPTIONS_MAX] = {{0}};
	const struct argp argp = {
		shapes, parse_global, "COMMAND [ARGUMENT...]", summary, NULL, NULL, NULL};
	int index = argc;

	shapes_add(shapes, global_keys, 0);
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, &index, o);
	return index;
}

void options_parse_command(struct options *o, const struct usage *usage, int argc, char **argv)
{
	struct argp_option shapes[COMMAND_OPTIONS_MAX] = {{0}};
	const struct argp argp = {
		shapes, parse_command, usage->arguments, usage->summary, NULL, NULL, NULL};

	shapes_add(shapes, usage->options, 0);
	shapes_add(shapes, global_keys, 1);
	shapes_add_numbers(shapes);
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, o);
	if (o->operand_count < usage->operands_min || o->operand_count > usage->operands_max) {
		fprintf(stderr, "Usage: %s [OPTION...] %s\n", argv[0], usage->arguments);
		exit(EXIT_USAGE);
	}
	if (o->try && o->timeout_ns >= 0)
		options_refuse("--try and --timeout exclude each other");
	if (o->wait_create && o->create)
		options_refuse("--create and --wait-create exclude each other");
	if (o->wait_create && o->try)
		options_refuse("--try and --wait-create exclude each other");
}

void options_require_command(const struct options *o, size_t index)
{
	if (o->operand_count <= index || !o->operands[index].literal)
		options_refuse("the command to run stands behind `--': chanctl ... -- COMMAND "
			       "[ARGUMENT...]");
}

void options_refuse(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain_v(format, arguments);
	va_end(arguments);
	exit(EXIT_USAGE);
}
