#include "server/broker/access.h"

#include "chan/status.h"
#include "proto/limits.h"
#include "server/broker/glob.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct who_list {
	struct who list[ACCESS_PATTERNS_MAX];
	size_t count;
};

struct access_rule {
	char *name;
	struct who_list who;
	uint32_t may; /* a bit for each enum access_action */
	char *channels[ACCESS_PATTERNS_MAX];
	size_t channel_count;
};

struct access_quota {
	char *name;
	struct who_list who;
	struct quota_limits limits;
};

struct token {
	char *name;
	uint8_t digest[TOKEN_DIGEST_BYTES];
};

struct access {
	atomic_uint refs;
	struct access_rule *rules[ACCESS_RULES_MAX];
	struct access_quota *quotas[ACCESS_QUOTAS_MAX];
	struct token tokens[ACCESS_TOKENS_MAX];
	size_t rule_count, quota_count, token_count;
};

static const char *const action_words[] = {
#define ACTION_WORD(name, word) [ACCESS_##name] = word,
	ACCESS_ACTION_LIST(ACTION_WORD)
#undef ACTION_WORD
};

enum { ACTIONS = sizeof(action_words) / sizeof(action_words[0]) };

const char *access_action_word(enum access_action action)
{
	return action_words[action];
}

/* ---- building ----------------------------------------------------------------------------- */

struct access *access_new(void)
{
	struct access *a = calloc(1, sizeof(*a));

	if (a)
		atomic_init(&a->refs, 1);
	return a;
}

static int no_memory(char *why, size_t size)
{
	snprintf(why, size, "out of memory");
	return -ENOMEM;
}

static int too_many(size_t max, const char *what, char *why, size_t size)
{
	snprintf(why, size, "more than %zu %s", max, what);
	return -EINVAL;
}

struct access_rule *access_add_rule(struct access *a, const char *name, char *why, size_t size)
{
	struct access_rule *r;

	if (a->rule_count == ACCESS_RULES_MAX) {
		too_many(ACCESS_RULES_MAX, "rules", why, size);
		return NULL;
	}
	r = calloc(1, sizeof(*r));
	if (r && (r->name = strdup(name)))
		return a->rules[a->rule_count++] = r;
	free(r);
	no_memory(why, size);
	return NULL;
}

struct access_quota *access_add_quota(struct access *a, const char *name, char *why, size_t size)
{
	struct access_quota *q;

	if (a->quota_count == ACCESS_QUOTAS_MAX) {
		too_many(ACCESS_QUOTAS_MAX, "quotas", why, size);
		return NULL;
	}
	q = calloc(1, sizeof(*q));
	if (q && (q->name = strdup(name))) {
		q->limits = quota_unlimited;
		return a->quotas[a->quota_count++] = q;
	}
	free(q);
	no_memory(why, size);
	return NULL;
}

static int add_who(struct who_list *l, const char *pattern, char *why, size_t size)
{
	int rc;

	if (l->count == ACCESS_PATTERNS_MAX)
		return too_many(ACCESS_PATTERNS_MAX, "of them", why, size);
	rc = who_parse(pattern, &l->list[l->count], why, size);
	if (rc == 0)
		l->count++;
	return rc;
}

int access_rule_who(struct access_rule *r, const char *pattern, char *why, size_t size)
{
	return add_who(&r->who, pattern, why, size);
}

int access_quota_who(struct access_quota *q, const char *pattern, char *why, size_t size)
{
	return add_who(&q->who, pattern, why, size);
}

struct quota_limits *access_quota_limits(struct access_quota *q)
{
	return &q->limits;
}

int access_rule_may(struct access_rule *r, const char *word, char *why, size_t size)
{
	if (strcmp(word, "all") == 0) {
		r->may = (1u << ACTIONS) - 1;
		return 0;
	}
	for (int i = 0; i < ACTIONS; i++)
		if (strcmp(word, action_words[i]) == 0) {
			r->may |= 1u << i;
			return 0;
		}
	snprintf(why, size, "'%.64s' is not one of make, send, receive, close, remove, list, all",
		word);
	return -EINVAL;
}

int access_rule_channels(struct access_rule *r, const char *pattern, char *why, size_t size)
{
	if (r->channel_count == ACCESS_PATTERNS_MAX)
		return too_many(ACCESS_PATTERNS_MAX, "of them", why, size);
	if (!*pattern || strlen(pattern) > NAME_BYTES_MAX) {
		snprintf(why, size, "a pattern has 1 to %u bytes", NAME_BYTES_MAX);
		return -EINVAL;
	}
	r->channels[r->channel_count] = strdup(pattern);
	if (!r->channels[r->channel_count])
		return no_memory(why, size);
	r->channel_count++;
	return 0;
}

int access_add_token(struct access *a, const char *name, const char *digest, char *why, size_t size)
{
	struct token *t = &a->tokens[a->token_count];

	if (a->token_count == ACCESS_TOKENS_MAX)
		return too_many(ACCESS_TOKENS_MAX, "tokens", why, size);
	if (!token_digest_parse(digest, t->digest)) {
		snprintf(why, size,
			"'%.80s' is not sha256: and 64 hexadecimal digits; `chanctl token` makes "
			"both, the token and this",
			digest);
		return -EINVAL;
	}
	t->name = strdup(name);
	if (!t->name)
		return no_memory(why, size);
	a->token_count++;
	return 0;
}

struct access *access_ref(struct access *a)
{
	if (a)
		atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
	return a;
}

static void who_list_fini(struct who_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		who_fini(&l->list[i]);
}

static void rule_free(struct access_rule *r)
{
	who_list_fini(&r->who);
	for (size_t i = 0; i < r->channel_count; i++)
		free(r->channels[i]);
	free(r->name);
	free(r);
}

void access_unref(struct access *a)
{
	if (!a || atomic_fetch_sub(&a->refs, 1) != 1)
		return;
	for (size_t i = 0; i < a->rule_count; i++)
		rule_free(a->rules[i]);
	for (size_t i = 0; i < a->quota_count; i++) {
		who_list_fini(&a->quotas[i]->who);
		free(a->quotas[i]->name);
		free(a->quotas[i]);
	}
	for (size_t i = 0; i < a->token_count; i++)
		free(a->tokens[i].name);
	free(a);
}

/* ---- asking ------------------------------------------------------------------------------- */

size_t access_rule_count(const struct access *a)
{
	return a ? a->rule_count : 0;
}

size_t access_token_count(const struct access *a)
{
	return a ? a->token_count : 0;
}

/* Goes on behind one that fits, and is as long whichever fits. */
static const struct token *find_token(
	const struct access *a, const uint8_t digest[static TOKEN_DIGEST_BYTES])
{
	const struct token *found = NULL;

	for (size_t i = 0; i < access_token_count(a); i++)
		if (token_digest_equal(a->tokens[i].digest, digest))
			found = &a->tokens[i];
	return found;
}

int access_authenticate(const struct access *a, const void *token, size_t len,
	struct identity **ret_identity, char *why, size_t size)
{
	uint8_t digest[TOKEN_DIGEST_BYTES];
	const struct token *t;

	if (len < TOKEN_BYTES_MIN || len > TOKEN_BYTES_MAX) {
		snprintf(why, size,
			"the token has %zu bytes and should have %u to %u; `chanctl token` makes "
			"one",
			len, TOKEN_BYTES_MIN, TOKEN_BYTES_MAX);
		return CHAN_EAUTH;
	}
	if (!token_digest(token, len, digest)) {
		snprintf(why, size, "the broker is out of memory");
		return CHAN_ENOMEM;
	}
	t = find_token(a, digest);
	if (!t) {
		snprintf(why, size,
			"the broker does not know the token; ask who runs it for one that its "
			"configuration lists");
		return CHAN_EAUTH;
	}
	*ret_identity = identity_token(t->name, digest);
	if (*ret_identity)
		return 0;
	snprintf(why, size, "the broker is out of memory");
	return CHAN_ENOMEM;
}

static bool who_list_matches(const struct who_list *l, const struct identity *i)
{
	for (size_t k = 0; k < l->count; k++)
		if (who_matches(&l->list[k], i))
			return true;
	return false;
}

struct quota_limits access_limits(const struct access *a, const struct identity *i)
{
	for (size_t k = 0; a && k < a->quota_count; k++)
		if (who_list_matches(&a->quotas[k]->who, i))
			return a->quotas[k]->limits;
	return quota_unlimited;
}

/* ---- grants ------------------------------------------------------------------------------- */

struct access_grants {
	struct access *access; /* one reference */
	bool all;              /* there are no rules */
	size_t count;
	const struct access_rule *rules[];
};

/* A token that was taken out of the configuration, or replaced, is no longer good for anything. */
static bool is_known(const struct access *a, const struct identity *i)
{
	return !i || identity_kind(i) != IDENTITY_TOKEN || find_token(a, identity_digest(i));
}

struct access_grants *access_grants_new(struct access *a, const struct identity *i)
{
	size_t rules = access_rule_count(a);
	struct access_grants *g = malloc(sizeof(*g) + rules * sizeof(g->rules[0]));
	struct access_grants *smaller;

	if (!g)
		return NULL;
	*g = (struct access_grants){.access = access_ref(a), .all = rules == 0};
	if (!is_known(a, i))
		rules = 0;
	for (size_t k = 0; k < rules; k++)
		if (who_list_matches(&a->rules[k]->who, i))
			g->rules[g->count++] = a->rules[k];
	smaller = realloc(g, sizeof(*g) + g->count * sizeof(g->rules[0]));
	return smaller ? smaller : g;
}

void access_grants_free(struct access_grants *g)
{
	if (!g)
		return;
	access_unref(g->access);
	free(g);
}

bool access_grants_any(const struct access_grants *g)
{
	return g->all || g->count > 0;
}

static bool rule_covers(const struct access_rule *r, const char *name)
{
	for (size_t i = 0; i < r->channel_count; i++)
		if (glob_match(r->channels[i], name))
			return true;
	return false;
}

bool access_allows(const struct access_grants *g, enum access_action action, const char *name)
{
	for (size_t i = 0; i < g->count; i++)
		if (g->rules[i]->may & 1u << action && rule_covers(g->rules[i], name))
			return true;
	return g->all;
}

bool access_allows_somewhere(const struct access_grants *g, enum access_action action)
{
	for (size_t i = 0; i < g->count; i++)
		if (g->rules[i]->may & 1u << action)
			return true;
	return g->all;
}
