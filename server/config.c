#include "server/config.h"

#include <argp.h>
#include <config.h>
#include <confuse.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/config_access.h"
#include "server/net/address.h"
#include "server/runtime/runtime.h"
#include <sys/stat.h>
#include <unistd.h>

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* ---- the table ---------------------------------------------------------------------------- */

enum setting_kind {
	SETTING_COUNT,
	SETTING_SIZE,
	SETTING_SPAN,
	SETTING_MODE,
	SETTING_LEVEL,
	SETTING_CHOICE, /* a number: which of the words in `argument`, from 0 */
	SETTING_TEXT,
	SETTING_LISTEN
};

struct setting {
	const char *name; /* in the file; on the command line with dashes */
	enum setting_kind kind;
	bool reloads;  /* SIGHUP takes a change over; others want a restart */
	size_t offset; /* of its field in struct config */
	const char *by_default;
	int64_t min, max;
	const char *argument, *help;
};

#define FIELD(field) offsetof(struct config, field)

static const struct setting settings[] = {
	{"listen", SETTING_LISTEN, false, FIELD(listen), "", 0, 0, "URL",
		"Listen on unix:PATH, tcp://HOST:PORT or tls://HOST:PORT instead of the default; "
		"may repeat"},
	{"socket_mode", SETTING_MODE, false, FIELD(socket_mode), "0660", 0, 0777, "MODE",
		"Permissions of the files of Unix sockets"},
	{"user", SETTING_TEXT, false, FIELD(user), "", 0, 0, "NAME",
		"Run as this user once the sockets are bound (when started as root)"},
	{"group", SETTING_TEXT, false, FIELD(group), "", 0, 0, "NAME",
		"With user: its group, instead of the user's own"},
	{"tls_certificate", SETTING_TEXT, true, FIELD(tls_certificate), "", 0, 0, "FILE",
		"Our certificate for tls:// listeners, with those between it and the authority"},
	{"tls_key", SETTING_TEXT, true, FIELD(tls_key), "", 0, 0, "FILE",
		"Its private key, where it is not in the same file"},
	{"tls_client_certificates", SETTING_CHOICE, true, FIELD(tls_clients), "none", 0, 0,
		"none|optional|required", "Whether clients are asked for a certificate"},
	{"tls_client_ca", SETTING_TEXT, true, FIELD(tls_client_ca), "", 0, 0, "FILE",
		"Certificates of the authorities that clients' certificates may come from"},
	{"tls_version_min", SETTING_CHOICE, true, FIELD(tls_v13_only), "1.2", 0, 0, "1.2|1.3",
		"The lowest version of TLS"},
	{"log_level", SETTING_LEVEL, true, FIELD(log_level), "info", 0, 0, "LEVEL",
		"error, warning, notice, info or debug"},
	{"procs", SETTING_COUNT, false, FIELD(procs), "0", 0, GO_PROCS_MAX, "N",
		"Threads that run goroutines at once; 0: as many as there are cores"},
	{"connections_max", SETTING_COUNT, true, FIELD(connections_max), "20000", 1, 1000000, "N",
		"Connections at once"},
	{"rings_max", SETTING_COUNT, false, FIELD(rings_max), "320", 0, 10000, "N",
		"Connections over Unix sockets that go by shared memory; 0: none"},
	{"channels_max", SETTING_COUNT, false, FIELD(channels_max), "1000000", 1, 100000000, "N",
		"Channels at once"},
	{"capacity_max", SETTING_COUNT, false, FIELD(capacity_max), "1048576", 0, 1 << 30, "N",
		"Largest capacity of a channel"},
	{"value_bytes_max", SETTING_SIZE, false, FIELD(value_bytes_max), "1M", KIB,
		VALUE_BYTES_MAX_LIMIT, "SIZE", "Largest value"},
	{"buffered_bytes_max", SETTING_SIZE, false, FIELD(buffered_bytes_max), "1G", MIB,
		1024 * GIB, "SIZE", "Bytes of values in all channels and waiting sends together"},
	{"memory_max", SETTING_SIZE, true, FIELD(memory_max), "0", 0, 1024 * GIB, "SIZE",
		"Ceiling of the daemon's memory; 0: three quarters of what the machine or the "
		"control group has"},
	{"ops_in_flight_max", SETTING_COUNT, false, FIELD(ops_in_flight_max), "65536", 1, 1 << 24,
		"N", "Operations of one session that are not answered yet"},
	{"bytes_in_flight_max", SETTING_SIZE, false, FIELD(bytes_in_flight_max), "16M", KIB,
		64 * GIB, "SIZE", "Bytes of values in one session's waiting sends"},
	{"ends_max", SETTING_COUNT, false, FIELD(ends_max), "65536", 1, 1 << 24, "N",
		"Channels that one session holds open"},
	{"hello_timeout", SETTING_SPAN, false, FIELD(hello_timeout_ns), "10s", 1, 3600 * NS_PER_S,
		"TIME", "A connection that has not said HELLO for so long is closed"},
	{"silence_timeout", SETTING_SPAN, false, FIELD(silence_timeout_ns), "10s", NS_PER_S,
		3600 * NS_PER_S, "TIME",
		"A receiver that was silent for so long loses what it has not confirmed"},
	{"stall_timeout", SETTING_SPAN, false, FIELD(stall_timeout_ns), "1m", 1, 3600 * NS_PER_S,
		"TIME", "A client that reads nothing of what it is sent for so long is cut off"},
	{"settle_timeout", SETTING_SPAN, false, FIELD(settle_timeout_ns), "5s", 0, 3600 * NS_PER_S,
		"TIME", "How long a shutdown waits for confirmations"},
	{"sessions_max", SETTING_COUNT, false, FIELD(sessions_max), "20000", 0, 100000000, "N",
		"Sessions at once that have lost their connection and may be resumed"},
	{"session_linger_max", SETTING_SPAN, false, FIELD(session_linger_max_ns), "5m", 0,
		24 * 3600 * NS_PER_S, "TIME",
		"The longest time without a connection that a client may ask for"},
	{"unseen_bytes_max", SETTING_SIZE, false, FIELD(unseen_bytes_max), "1M", 64 * KIB, GIB,
		"SIZE", "Bytes sent to a session that may be resumed, and not confirmed by it"},
};

enum { SETTINGS = sizeof(settings) / sizeof(settings[0]), WORD_BYTES_MAX = 32 };

static void *field_of(struct config *c, const struct setting *o)
{
	return (char *)c + o->offset;
}

/* ---- values ------------------------------------------------------------------------------- */

struct unit {
	const char *word;
	int64_t factor;
};

static const struct unit size_units[] = {{"", 1}, {"K", KIB}, {"M", MIB}, {"G", GIB}, {NULL, 0}};
static const struct unit span_units[] = {
	{"ms", NS_PER_MS}, {"s", NS_PER_S}, {"m", 60 * NS_PER_S}, {NULL, 0}};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

/* Digits and a unit. -1: not that. */
static int64_t parse_number(const char *text, const struct unit *units)
{
	char *end;
	int64_t n;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	n = strtoll(text, &end, 10);
	for (; !errno && units->word; units++)
		if (strcmp(end, units->word) == 0)
			return n <= INT64_MAX / units->factor ? n * units->factor : -1;
	return -1;
}

int64_t config_parse_count(const char *text)
{
	return parse_number(text, no_units);
}

int64_t config_parse_size(const char *text)
{
	return parse_number(text, size_units);
}

static int64_t parse_mode(const char *text)
{
	char *end;
	long n = strtol(text, &end, 8);

	return *text >= '0' && *text <= '7' && !*end ? n : -1;
}

/* Which of the words, which bars separate; -1: none. */
static int64_t parse_choice(const char *text, const char *words)
{
	size_t n = strlen(text);

	for (int64_t i = 0;; i++) {
		size_t len = strcspn(words, "|");

		if (len == n && strncmp(words, text, n) == 0)
			return i;
		if (!words[len])
			return -1;
		words += len + 1;
	}
}

static int parse_text(char out[static CONFIG_TEXT_BYTES_MAX], const char *text, char *why)
{
	if (strlen(text) >= CONFIG_TEXT_BYTES_MAX) {
		snprintf(why, CONFIG_WHY_BYTES_MAX, "has more than %d bytes",
			CONFIG_TEXT_BYTES_MAX - 1);
		return -EINVAL;
	}
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

/* Only the form is looked at: names are looked up when the daemon listens. */
static int add_listen(struct config *c, const char *text, char *why)
{
	if (c->listen_count == CONFIG_LISTEN_MAX) {
		snprintf(why, CONFIG_WHY_BYTES_MAX, "at most %d listeners are possible",
			CONFIG_LISTEN_MAX);
		return -EINVAL;
	}
	if (address_check(text, why, CONFIG_WHY_BYTES_MAX) < 0)
		return -EINVAL;
	if (parse_text(c->listen[c->listen_count], text, why) < 0)
		return -EINVAL;
	c->listen_count++;
	return 0;
}

static const char *kind_words(const struct setting *o)
{
	switch (o->kind) {
	case SETTING_SIZE:
		return "a size in bytes (512, 64K, 1M, 2G)";
	case SETTING_SPAN:
		return "a time (500ms, 10s, 1m)";
	case SETTING_MODE:
		return "a file mode in octal (0660)";
	case SETTING_LEVEL:
		return "one of error, warning, notice, info, debug";
	case SETTING_CHOICE:
		return o->argument;
	default:
		return "a whole number";
	}
}

/* A bound as the option's kind writes it. */
static void format_bound(const struct setting *o, int64_t n, char text[static 32])
{
	if (o->kind == SETTING_SPAN)
		snprintf(text, 32, "%" PRId64 "%s", n / (n < NS_PER_S ? NS_PER_MS : NS_PER_S),
			n < NS_PER_S ? "ms" : "s");
	else if (o->kind == SETTING_SIZE && n >= MIB)
		snprintf(text, 32, "%" PRId64 "M", n / MIB);
	else
		snprintf(text, 32, o->kind == SETTING_MODE ? "0%" PRIo64 : "%" PRId64, n);
}

/* Sets one option in c. 0, or -EINVAL with why. */
static int set_value(struct config *c, const struct setting *o, const char *text, char *why)
{
	char min[32], max[32];
	int64_t n = -1;

	switch (o->kind) {
	case SETTING_LISTEN:
		return add_listen(c, text, why);
	case SETTING_TEXT:
		return parse_text(field_of(c, o), text, why);
	case SETTING_LEVEL:
		n = log_level_parse(text);
		break;
	case SETTING_CHOICE:
		n = parse_choice(text, o->argument);
		break;
	case SETTING_MODE:
		n = parse_mode(text);
		break;
	case SETTING_SPAN:
		n = parse_number(text, span_units);
		break;
	case SETTING_SIZE:
		n = parse_number(text, size_units);
		break;
	case SETTING_COUNT:
		n = parse_number(text, no_units);
		break;
	}
	if (n < 0) {
		snprintf(why, CONFIG_WHY_BYTES_MAX, "'%.200s' is not %s", text, kind_words(o));
		return -EINVAL;
	}
	if (o->max && (n < o->min || n > o->max)) {
		format_bound(o, o->min, min);
		format_bound(o, o->max, max);
		snprintf(why, CONFIG_WHY_BYTES_MAX, "%.200s is out of range: %s to %s", text, min,
			max);
		return -EINVAL;
	}
	*(int64_t *)field_of(c, o) = n;
	return 0;
}

static void set_defaults(struct config *c)
{
	char why[CONFIG_WHY_BYTES_MAX];

	*c = (struct config){0};
	for (int i = 0; i < SETTINGS; i++)
		if (settings[i].kind != SETTING_LISTEN)
			set_value(c, &settings[i], settings[i].by_default, why);
}

/* ---- the file ----------------------------------------------------------------------------- */

static const struct setting *find_setting(const char *name)
{
	for (int i = 0; i < SETTINGS; i++)
		if (strcmp(settings[i].name, name) == 0)
			return &settings[i];
	return NULL;
}

/* libconfuse has no argument for its callbacks; one file is read at a time. */
static const char *file_path;
static char *file_why;
static struct config *file_config;

static void file_error(cfg_t *cfg, const char *format, va_list args)
{
	int n;

	if (*file_why)
		return; /* the first is what helps */
	n = snprintf(file_why, CONFIG_WHY_BYTES_MAX, "%s:%d: ", file_path, cfg->line);
	vsnprintf(file_why + n, CONFIG_WHY_BYTES_MAX - (size_t)n, format, args);
}

/* Called behind each value, perhaps twice for the last, while its line is known. */
static int file_value(cfg_t *cfg, cfg_opt_t *opt)
{
	const struct setting *o = find_setting(cfg_opt_name(opt));
	char why[CONFIG_WHY_BYTES_MAX];

	if (o->kind == SETTING_LISTEN)
		file_config->listen_count = 0;
	for (unsigned int i = 0; i < cfg_opt_size(opt); i++)
		if (set_value(file_config, o, cfg_opt_getnstr(opt, i), why) < 0) {
			cfg_error(cfg, "%s: %s", o->name, why);
			return -1;
		}
	return 0;
}

/*
 * The text of a file, its comments left out: libconfuse 3.3 counts each as three lines, and we want
 * to tell the line of what is wrong. The caller frees it. NULL with errno.
 */
static char *read_without_comments(const char *path)
{
	FILE *in = fopen(path, "re"), *out;
	char *text = NULL, quote = '\0';
	size_t size;
	int c, error;

	if (!in)
		return NULL;
	out = open_memstream(&text, &size);
	while (out && (c = getc(in)) != EOF) {
		if (c == '#' && !quote)
			while (c != '\n' && (c = getc(in)) != EOF)
				;
		if (c == EOF)
			break;
		putc(c, out);
		if (c == '\\' && quote && (c = getc(in)) != EOF)
			putc(c, out);
		else if (quote ? c == quote : c == '"' || c == '\'')
			quote = quote ? '\0' : (char)c;
	}
	error = ferror(in) || !out ? errno : 0;
	fclose(in);
	if (out && fclose(out) != 0 && !error)
		error = errno;
	if (!error)
		return text;
	free(text);
	errno = error;
	return NULL;
}

enum { FILE_OPTIONS = SETTINGS + CONFIG_SECTIONS + 1 };

/* What may stand in a file. */
static void list_options(cfg_opt_t opts[static FILE_OPTIONS])
{
	cfg_opt_t end = CFG_END();

	for (int i = 0; i < SETTINGS; i++) {
		cfg_opt_t text = CFG_STR((char *)settings[i].name, NULL, CFGF_NODEFAULT);
		cfg_opt_t list = CFG_STR_LIST((char *)settings[i].name, NULL, CFGF_NODEFAULT);

		opts[i] = settings[i].kind == SETTING_LISTEN ? list : text;
	}
	config_access_options(&opts[SETTINGS]);
	opts[SETTINGS + CONFIG_SECTIONS] = end;
}

/* 0, or -EINVAL with why. */
static int parse_file(
	struct config *c, const char *path, const char *content, char *why)
{
	cfg_opt_t opts[FILE_OPTIONS];
	cfg_t *cfg;
	int rc;

	list_options(opts);
	cfg = cfg_init(opts, CFGF_NONE);
	if (!cfg) {
		snprintf(why, CONFIG_WHY_BYTES_MAX, "%s: out of memory", path);
		return -EINVAL;
	}
	*why = '\0';
	file_path = path;
	file_why = why;
	file_config = c;
	cfg_set_error_function(cfg, file_error);
	for (int i = 0; i < SETTINGS; i++)
		cfg_set_validate_func(cfg, settings[i].name, file_value);
	rc = cfg_parse_buf(cfg, content) == CFG_SUCCESS ? 0 : -EINVAL;
	if (rc == 0)
		rc = config_access_read(cfg, path, &c->access, why);
	cfg_free(cfg);
	if (rc < 0 && !*why)
		snprintf(why, CONFIG_WHY_BYTES_MAX, "%s: not a configuration file", path);
	return rc;
}

static int load_file(struct config *c, const char *path, char *why)
{
	char *content = read_without_comments(path);
	int rc;

	if (!content) {
		snprintf(
			why, CONFIG_WHY_BYTES_MAX, "%s: cannot be read: %s", path, strerror(errno));
		return -EINVAL;
	}
	rc = parse_file(c, path, content, why);
	free(content);
	return rc;
}

/* ---- the command line --------------------------------------------------------------------- */

enum { KEY_CONFIG = 'c', KEY_LISTEN = 'l', KEY_CHECK = 0x100, KEY_OPTION = 0x200 };

const char *argp_program_version = "chand " PACKAGE_VERSION;

/* An option's name as the command line has it. */
static void dashed_name(const struct setting *o, char name[static WORD_BYTES_MAX])
{
	snprintf(name, WORD_BYTES_MAX, "%s", o->name);
	for (char *p = name; (p = strchr(p, '_'));)
		*p = '-';
}

/* Once to learn what is asked and to refuse what is wrong (config NULL), and at each load to set.
 */
struct command_line {
	struct config_arguments *arguments;
	struct config *config;
	bool listens; /* a --listen was seen: the first replaces what the file says */
	char *why;    /* where an error goes while loading */
};

static error_t take_setting(const struct setting *o, const char *text, struct argp_state *state)
{
	struct command_line *line = state->input;
	char why[CONFIG_WHY_BYTES_MAX], name[WORD_BYTES_MAX];
	struct config scratch = {0};

	dashed_name(o, name);
	if (!line->config && set_value(&scratch, o, text, why) < 0)
		argp_error(state, "--%s: %s", name, why);
	if (!line->config)
		return 0;
	if (o->kind == SETTING_LISTEN && !line->listens) {
		line->config->listen_count = 0;
		line->listens = true;
	}
	if (set_value(line->config, o, text, why) == 0)
		return 0;
	if (!*line->why)
		snprintf(line->why, CONFIG_WHY_BYTES_MAX, "--%s: %.900s", name, why);
	return 0;
}

static error_t take_argument(int key, char *text, struct argp_state *state)
{
	struct command_line *line = state->input;

	switch (key) {
	case KEY_CONFIG:
		line->arguments->file = text;
		return 0;
	case KEY_CHECK:
		line->arguments->check_config = true;
		return 0;
	case KEY_LISTEN:
		return take_setting(find_setting("listen"), text, state);
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", text);
		return 0;
	default:
		if (key < KEY_OPTION || key >= KEY_OPTION + SETTINGS)
			return ARGP_ERR_UNKNOWN;
		return take_setting(&settings[key - KEY_OPTION], text, state);
	}
}

static void parse(int argc, char **argv, struct command_line *line, unsigned int flags)
{
	static char names[SETTINGS][WORD_BYTES_MAX], docs[SETTINGS][192];
	struct argp_option table[SETTINGS + 3] = {
		{"config", KEY_CONFIG, "FILE", 0, "Read the configuration from FILE", 1},
		{"check-config", KEY_CHECK, NULL, 0,
			"Check the configuration, and exit (78: it is wrong)", 1},
	};
	const struct argp argp = {.options = table,
		.parser = take_argument,
		.doc = "Go's channels between processes: the daemon.\v"
		       "SIGTERM ends it in order, SIGHUP reads the configuration again, SIGQUIT "
		       "prints every "
		       "goroutine. See chand(8) and chand.conf(5)."};

	for (int i = 0; i < SETTINGS; i++) {
		const struct setting *o = &settings[i];

		dashed_name(o, names[i]);
		snprintf(docs[i], sizeof(docs[i]), *o->by_default ? "%s (%s)" : "%s", o->help,
			o->by_default);
		table[i + 2] = (struct argp_option){names[i],
			o->kind == SETTING_LISTEN ? KEY_LISTEN : KEY_OPTION + i, o->argument, 0,
			docs[i], 2};
	}
	argp_parse(&argp, argc, argv, flags, NULL, line);
}

void config_parse_arguments(int argc, char **argv, struct config_arguments *ret_arguments)
{
	struct command_line line = {.arguments = ret_arguments};

	*ret_arguments = (struct config_arguments){.argc = argc, .argv = argv};
	parse(argc, argv, &line, 0);
}

/* ---- all together ------------------------------------------------------------------------- */

static int check_tls(const struct config *c, char *why)
{
	for (int64_t i = 0; i < c->listen_count; i++)
		if (address_is_tls(c->listen[i]) && !*c->tls_certificate) {
			snprintf(why, CONFIG_WHY_BYTES_MAX,
				"listen: %s needs a certificate (tls_certificate) and its key "
				"(tls_key)",
				c->listen[i]);
			return -EINVAL;
		}
	if ((c->tls_clients != TLS_CLIENTS_NONE) == (*c->tls_client_ca != '\0'))
		return 0;
	snprintf(why, CONFIG_WHY_BYTES_MAX,
		"tls_client_ca and tls_client_certificates (optional or required) go together: who "
		"is asked for a certificate, and who may have made it");
	return -EINVAL;
}

static int check_together(struct config *c, char *why)
{
	if (c->bytes_in_flight_max < c->value_bytes_max) {
		snprintf(why, CONFIG_WHY_BYTES_MAX,
			"bytes_in_flight_max (%" PRId64
			") must hold a value of value_bytes_max (%" PRId64 ")",
			c->bytes_in_flight_max, c->value_bytes_max);
		return -EINVAL;
	}
	if (c->buffered_bytes_max < c->value_bytes_max) {
		snprintf(why, CONFIG_WHY_BYTES_MAX,
			"buffered_bytes_max (%" PRId64
			") must hold a value of value_bytes_max (%" PRId64 ")",
			c->buffered_bytes_max, c->value_bytes_max);
		return -EINVAL;
	}
	if (check_tls(c, why) < 0)
		return -EINVAL;
	return privileges_find(c->user, c->group, &c->privileges, why, CONFIG_WHY_BYTES_MAX);
}

void config_release(struct config *c)
{
	access_unref(c->access);
	c->access = NULL;
}

int config_load(const struct config_arguments *arguments, struct config *ret_config,
	char why[static CONFIG_WHY_BYTES_MAX])
{
	struct config_arguments ignored = *arguments;
	struct config c = {0};
	struct command_line line = {.arguments = &ignored, .config = &c, .why = why};
	int rc;

	set_defaults(&c);
	if (arguments->file) {
		rc = load_file(&c, arguments->file, why);
		if (rc < 0)
			return rc;
	}
	*why = '\0';
	if (arguments->argc)
		parse(arguments->argc, arguments->argv, &line, ARGP_NO_EXIT);
	if (*why) {
		rc = -EINVAL;
		goto out;
	}
	if (c.listen_count == 0) {
		address_default(c.listen[0], sizeof(c.listen[0]));
		c.listen_count = 1;
	}
	rc = check_together(&c, why);
out:
	if (rc == 0)
		*ret_config = c;
	else
		config_release(&c);
	return rc;
}

/* Whether an option has another value; listeners are compared with their number. */
static bool differs(const struct setting *o, const struct config *a, const struct config *b)
{
	const char *x = (const char *)a + o->offset, *y = (const char *)b + o->offset;

	if (o->kind == SETTING_LISTEN)
		return a->listen_count != b->listen_count || memcmp(x, y, sizeof(a->listen)) != 0;
	if (o->kind == SETTING_TEXT)
		return strcmp(x, y) != 0;
	return *(const int64_t *)x != *(const int64_t *)y;
}

bool config_needs_restart(
	const struct config *then, const struct config *now, char *names, size_t names_bytes)
{
	size_t n = 0;

	*names = '\0';
	for (int i = 0; i < SETTINGS; i++)
		if (!settings[i].reloads && differs(&settings[i], then, now) && n < names_bytes)
			n += (size_t)snprintf(
				names + n, names_bytes - n, n ? " %s" : "%s", settings[i].name);
	return n > 0;
}

struct tls_settings config_tls_settings(const struct config *c)
{
	return (struct tls_settings){
		.certificate = c->tls_certificate,
		.key = c->tls_key,
		.client_ca = c->tls_client_ca,
		.clients = (enum tls_clients)c->tls_clients,
		.v13_only = c->tls_v13_only,
	};
}

struct broker_options config_broker_options(const struct config *c)
{
	return (struct broker_options){
		.limits =
			{
				.channels_max = (uint32_t)c->channels_max,
				.capacity_max = c->capacity_max,
				.value_bytes_max = (uint32_t)c->value_bytes_max,
				.buffered_bytes_max = (uint64_t)c->buffered_bytes_max,
				.ops_in_flight_max = (uint32_t)c->ops_in_flight_max,
				.bytes_in_flight_max = (uint64_t)c->bytes_in_flight_max,
				.ends_max = (uint32_t)c->ends_max,
			},
		.access = c->access,
		.connections_max = (uint32_t)c->connections_max,
		.rings_max = (uint32_t)c->rings_max,
		.hello_timeout_ns = c->hello_timeout_ns,
		.silence_ns = c->silence_timeout_ns,
		.stall_ns = c->stall_timeout_ns,
		.settle_timeout_ns = c->settle_timeout_ns,
		.sessions_max = (uint32_t)c->sessions_max,
		.session_linger_max_ns = c->session_linger_max_ns,
		.unseen_bytes_max = (size_t)c->unseen_bytes_max,
	};
}
