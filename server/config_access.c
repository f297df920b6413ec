#include "server/config_access.h"

#include "proto/name.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Names of sections, for the log and for patterns. */
#define NAME_MAX_BYTES 64u

/* ---- what the sections hold ----------------------------------------------------------------- */

enum limit_kind { LIMIT_COUNT, LIMIT_SIZE };

/* The options of a quota, each a bound of struct quota_limits. */
static const struct limit {
	const char *name;
	enum limit_kind kind;
	size_t offset;
	int64_t min, max;
} limits[] = {
	{"connections", LIMIT_COUNT, offsetof(struct quota_limits, connections), 0, 1000000},
	{"connection_rate", LIMIT_COUNT, offsetof(struct quota_limits, connection_rate), 1,
		1000000},
	{"connection_burst", LIMIT_COUNT, offsetof(struct quota_limits, connection_burst), 1,
		1000000},
	{"sessions", LIMIT_COUNT, offsetof(struct quota_limits, sessions), 0, 100000000},
	{"channels", LIMIT_COUNT, offsetof(struct quota_limits, channels), 0, 100000000},
	{"buffered_bytes", LIMIT_SIZE, offsetof(struct quota_limits, buffered_bytes), 0,
		INT64_C(1) << 40},
	{"ops_in_flight", LIMIT_COUNT, offsetof(struct quota_limits, ops_in_flight), 0,
		INT64_C(1) << 32},
};

enum { LIMITS = sizeof(limits) / sizeof(limits[0]) };

void config_access_options(cfg_opt_t options[static CONFIG_SECTIONS])
{
	static cfg_opt_t token[] = {CFG_STR("digest", NULL, CFGF_NODEFAULT), CFG_END()};
	static cfg_opt_t rule[] = {CFG_STR_LIST("who", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("may", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("channels", NULL, CFGF_NODEFAULT), CFG_END()};
	static cfg_opt_t quota[LIMITS + 2] = {CFG_STR_LIST("who", NULL, CFGF_NODEFAULT)};
	const cfg_flag_t flags = CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES;
	cfg_opt_t sections[CONFIG_SECTIONS] = {CFG_SEC("token", token, flags),
		CFG_SEC("rule", rule, flags), CFG_SEC("quota", quota, flags)};

	for (int i = 0; i < LIMITS; i++)
		quota[i + 1] = (cfg_opt_t)CFG_STR((char *)limits[i].name, NULL, CFGF_NODEFAULT);
	quota[LIMITS + 1] = (cfg_opt_t)CFG_END();
	memcpy(options, sections, sizeof(sections));
}

/* ---- reading them --------------------------------------------------------------------------- */

/* One pass over the file: what is made of it, and what is wrong. */
struct reading {
	struct access *access;
	char why[CONFIG_WHY_BYTES_MAX / 2];
};

/* Adds one element of a list to a rule or quota. */
typedef int add_fn(void *to, const char *text, char *why, size_t size);

static int add_all(struct reading *r, cfg_t *section, const char *option, add_fn *add, void *to)
{
	char why[256];

	if (cfg_size(section, option) == 0) {
		snprintf(r->why, sizeof(r->why), "%s is missing", option);
		return -EINVAL;
	}
	for (unsigned int i = 0; i < cfg_size(section, option); i++)
		if (add(to, cfg_getnstr(section, option, i), why, sizeof(why)) < 0) {
			snprintf(r->why, sizeof(r->why), "%s: %s", option, why);
			return -EINVAL;
		}
	return 0;
}

static int add_rule_who(void *to, const char *text, char *why, size_t size)
{
	return access_rule_who(to, text, why, size);
}

static int add_rule_may(void *to, const char *text, char *why, size_t size)
{
	return access_rule_may(to, text, why, size);
}

static int add_rule_channels(void *to, const char *text, char *why, size_t size)
{
	return access_rule_channels(to, text, why, size);
}

static int add_quota_who(void *to, const char *text, char *why, size_t size)
{
	return access_quota_who(to, text, why, size);
}

static int read_token(struct reading *r, cfg_t *section)
{
	const char *digest = cfg_getstr(section, "digest");

	if (digest)
		return access_add_token(
			r->access, cfg_title(section), digest, r->why, sizeof(r->why));
	snprintf(r->why, sizeof(r->why), "digest is missing");
	return -EINVAL;
}

static int read_rule(struct reading *r, cfg_t *section)
{
	struct access_rule *rule =
		access_add_rule(r->access, cfg_title(section), r->why, sizeof(r->why));
	int rc = rule ? add_all(r, section, "who", add_rule_who, rule) : -EINVAL;

	if (rc == 0)
		rc = add_all(r, section, "may", add_rule_may, rule);
	return rc < 0 ? rc : add_all(r, section, "channels", add_rule_channels, rule);
}

static int read_limit(
	struct reading *r, cfg_t *section, const struct limit *l, struct quota_limits *to)
{
	const char *text = cfg_getstr(section, l->name);
	int64_t n;

	if (!text)
		return 0;
	n = l->kind == LIMIT_SIZE ? config_parse_size(text) : config_parse_count(text);
	if (n < l->min || n > l->max) {
		snprintf(r->why, sizeof(r->why),
			"%s: '%.64s' is not %s from %" PRId64 " to %" PRId64, l->name, text,
			l->kind == LIMIT_SIZE ? "a size in bytes (512, 64K, 1M)" : "a whole number",
			l->min, l->max);
		return -EINVAL;
	}
	*(uint64_t *)((char *)to + l->offset) = (uint64_t)n;
	return 0;
}

static int read_quota(struct reading *r, cfg_t *section)
{
	struct access_quota *quota =
		access_add_quota(r->access, cfg_title(section), r->why, sizeof(r->why));
	int rc = quota ? add_all(r, section, "who", add_quota_who, quota) : -EINVAL;
	struct quota_limits *to;

	if (rc < 0)
		return rc;
	to = access_quota_limits(quota);
	for (int i = 0; rc == 0 && i < LIMITS; i++)
		rc = read_limit(r, section, &limits[i], to);
	/* Who gives no burst gets a second's connections at once. */
	if (to->connection_burst == QUOTA_NONE)
		to->connection_burst = to->connection_rate;
	return rc;
}

static int check_title(struct reading *r, cfg_t *section)
{
	const char *title = cfg_title(section);
	size_t n = title ? strlen(title) : 0;

	if (n <= NAME_MAX_BYTES && name_check(title ? title : "", n) == 0)
		return 0;
	snprintf(r->why, sizeof(r->why),
		"a name has 1 to %u bytes of A-Z a-z 0-9 . _ - / :", NAME_MAX_BYTES);
	return -EINVAL;
}

static const struct section_row {
	const char *name;
	int (*read)(struct reading *r, cfg_t *section);
} rows[CONFIG_SECTIONS] = {
	{"token", read_token},
	{"rule", read_rule},
	{"quota", read_quota},
};

static int read_sections(
	struct reading *r, cfg_t *file, const struct section_row *row, const char *path, char *why)
{
	for (unsigned int i = 0; i < cfg_size(file, row->name); i++) {
		cfg_t *section = cfg_getnsec(file, row->name, i);
		int rc = check_title(r, section);

		if (rc == 0)
			rc = row->read(r, section);
		if (rc == 0)
			continue;
		snprintf(why, CONFIG_WHY_BYTES_MAX, "%.256s:%d: %s \"%.64s\": %s", path,
			section->line, row->name, cfg_title(section), r->why);
		return rc;
	}
	return 0;
}

int config_access_read(cfg_t *file, const char *path, struct access **ret_access,
	char why[static CONFIG_WHY_BYTES_MAX])
{
	struct reading r = {0};
	unsigned int count = 0;
	int rc = 0;

	for (int i = 0; i < CONFIG_SECTIONS; i++)
		count += cfg_size(file, rows[i].name);
	*ret_access = NULL;
	if (count == 0)
		return 0;
	r.access = access_new();
	if (!r.access) {
		snprintf(why, CONFIG_WHY_BYTES_MAX, "%s: out of memory", path);
		return -ENOMEM;
	}
	for (int i = 0; rc == 0 && i < CONFIG_SECTIONS; i++)
		rc = read_sections(&r, file, &rows[i], path, why);
	if (rc == 0)
		*ret_access = r.access;
	else
		access_unref(r.access);
	return rc;
}
