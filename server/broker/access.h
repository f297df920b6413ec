/*
 * access.h - who may do what: the rules, tokens and quotas of the configuration.
 *
 * Where there are rules, what none of them allows is refused; where there are none, everybody may
 * do everything. A struct access is built once (server/config_access.c), then never changed, and
 * shared by counted references: a reload replaces it as a whole.
 *
 * An identity is held against the rules once: its *grants* are those that are about it. What
 * remains is to look for a name among their patterns, when an end is opened and not for a value.
 */
#ifndef BROKER_ACCESS_H
#define BROKER_ACCESS_H

#include "server/broker/identity.h"
#include "server/broker/quota.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(NAME, word). stat and ps go with list; acknowledging and extending with receive. */
#define ACCESS_ACTION_LIST(X)                                                                      \
	X(MAKE, "make")                                                                            \
	X(SEND, "send")                                                                            \
	X(RECEIVE, "receive")                                                                      \
	X(CLOSE, "close")                                                                          \
	X(REMOVE, "remove")                                                                        \
	X(LIST, "list")

enum access_action {
#define ACCESS_ACTION_CONSTANT(name, word) ACCESS_##name,
	ACCESS_ACTION_LIST(ACCESS_ACTION_CONSTANT)
#undef ACCESS_ACTION_CONSTANT
};

/* What a configuration may hold: a session start looks at each rule, a HELLO with a token at each
 * token, a question at each pattern. */
enum {
	ACCESS_RULES_MAX = 1024,
	ACCESS_TOKENS_MAX = 4096,
	ACCESS_QUOTAS_MAX = 256,
	ACCESS_PATTERNS_MAX = 64, /* of one list of a rule or quota */
};

struct access;
struct access_rule;
struct access_quota;

/* ---- building: each 0, or -EINVAL or -ENOMEM with what is wrong in why ---- */

/* One reference. NULL: out of memory. */
struct access *access_new(void);

/* A rule or quota to be filled, in order. NULL: too many, or out of memory. */
struct access_rule *access_add_rule(struct access *a, const char *name, char *why, size_t size);
struct access_quota *access_add_quota(struct access *a, const char *name, char *why, size_t size);

int access_rule_who(struct access_rule *r, const char *pattern, char *why, size_t size);
int access_rule_may(struct access_rule *r, const char *word, char *why, size_t size);
int access_rule_channels(struct access_rule *r, const char *pattern, char *why, size_t size);

int access_quota_who(struct access_quota *q, const char *pattern, char *why, size_t size);
struct quota_limits *access_quota_limits(struct access_quota *q);

/* The owner's name, and "sha256:..." of the token. */
int access_add_token(
	struct access *a, const char *name, const char *digest, char *why, size_t size);

struct access *access_ref(struct access *a); /* NULL is fine, and means: no rules, no tokens */
void access_unref(struct access *a);

/* ---- asking; a NULL access has no rules, tokens and quotas ---- */

size_t access_rule_count(const struct access *a);
size_t access_token_count(const struct access *a);

/*
 * Who shows the token: one reference in *ret_identity. 0; or CHAN_EAUTH or CHAN_ENOMEM with a
 * sentence in why, which does not repeat the token. The time it takes says nothing of how much of
 * a token is right.
 */
int access_authenticate(const struct access *a, const void *token, size_t len,
	struct identity **ret_identity, char *why, size_t size);

/* The bounds of an identity: those of the first quota that is about it. */
struct quota_limits access_limits(const struct access *a, const struct identity *i);

/* The rules that are about one identity. It holds what it points to. */
struct access_grants;

/* NULL: out of memory. A token that is configured no more has none. */
struct access_grants *access_grants_new(struct access *a, const struct identity *i);
void access_grants_free(struct access_grants *g); /* NULL is fine */

/* Whether any rule is about it, or there are no rules at all. */
bool access_grants_any(const struct access_grants *g);

/* Whether it may do that to a channel of that name. */
bool access_allows(const struct access_grants *g, enum access_action action, const char *name);

/* Whether there is a name at all to which it may do that. */
bool access_allows_somewhere(const struct access_grants *g, enum access_action action);

/* "make", "send" ... as a rule has them. */
const char *access_action_word(enum access_action action);

#endif
