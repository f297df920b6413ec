/* test_access.c - rules, tokens and quotas: who is let do what. */
#include "server/broker/access.h"

#include "chan/status.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TOKEN "0123456789abcdef0123456789abcdef"

static struct access *rules;
static char why[256];

static int setup(void **state)
{
	(void)state;
	rules = access_new();
	return rules ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	access_unref(rules);
	return 0;
}

static void rule(const char *who, const char *may, const char *channels)
{
	struct access_rule *r = access_add_rule(rules, "test", why, sizeof(why));

	assert_non_null(r);
	assert_int_equal(access_rule_who(r, who, why, sizeof(why)), 0);
	assert_int_equal(access_rule_may(r, may, why, sizeof(why)), 0);
	assert_int_equal(access_rule_channels(r, channels, why, sizeof(why)), 0);
}

/* "sha256:..." of a token. */
static const char *digest_of(const char *token)
{
	static char text[80];
	uint8_t digest[TOKEN_DIGEST_BYTES];
	size_t n = (size_t)sprintf(text, "sha256:");

	assert_true(token_digest(token, strlen(token), digest));
	for (size_t i = 0; i < sizeof(digest); i++)
		n += (size_t)sprintf(text + n, "%02x", digest[i]);
	return text;
}

static bool may(struct identity *i, enum access_action action, const char *name)
{
	struct access_grants *g = access_grants_new(rules, i);
	bool result;

	assert_non_null(g);
	result = access_allows(g, action, name);
	assert_true(!result || (access_grants_any(g) && access_allows_somewhere(g, action)));
	access_grants_free(g);
	identity_unref(i);
	return result;
}

static struct identity *user(uint32_t uid)
{
	return identity_user(uid, 100, NULL, 0);
}

static void test_without_rules_all_is_allowed(void **state)
{
	struct access_grants *g = access_grants_new(NULL, NULL);

	(void)state;
	assert_true(access_allows(g, ACCESS_REMOVE, "x"));
	assert_true(access_grants_any(g));
	access_grants_free(g);
	assert_true(may(identity_anonymous(""), ACCESS_REMOVE, "x"));
	assert_int_equal(access_rule_count(NULL), 0);
}

/* With rules, what none allows is refused. */
static void test_default_is_deny(void **state)
{
	struct access_grants *g;

	(void)state;
	rule("user:1000", "send", "jobs");
	assert_false(may(NULL, ACCESS_SEND, "jobs"));
	assert_false(may(identity_anonymous(""), ACCESS_SEND, "jobs"));
	g = access_grants_new(rules, NULL);
	assert_false(access_grants_any(g));
	access_grants_free(g);
}

/* Each action by its own word, and by none of the others. */
static void test_each_action(void **state)
{
	(void)state;
	for (int i = ACCESS_MAKE; i <= ACCESS_LIST; i++) {
		char channel[16];

		snprintf(channel, sizeof(channel), "c%d", i);
		rule("user:1000", access_action_word((enum access_action)i), channel);
		for (int k = ACCESS_MAKE; k <= ACCESS_LIST; k++)
			assert_int_equal(may(user(1000), (enum access_action)k, channel), i == k);
	}
	rule("user:1001", "all", "c");
	for (int k = ACCESS_MAKE; k <= ACCESS_LIST; k++)
		assert_true(may(user(1001), (enum access_action)k, "c"));
}

static void test_names(void **state)
{
	(void)state;
	rule("user:1000", "send", "jobs.*");
	rule("user:1000", "send", "results");
	assert_true(may(user(1000), ACCESS_SEND, "jobs.a"));
	assert_true(may(user(1000), ACCESS_SEND, "results"));
	assert_false(may(user(1000), ACCESS_SEND, "jobs"));
	assert_false(may(user(1000), ACCESS_SEND, "other"));
	assert_false(may(user(1001), ACCESS_SEND, "jobs.a"));
}

/* Several patterns in one rule. */
static void test_lists(void **state)
{
	struct access_rule *r = access_add_rule(rules, "lists", why, sizeof(why));

	(void)state;
	access_rule_who(r, "user:1000", why, sizeof(why));
	access_rule_who(r, "user:1001", why, sizeof(why));
	access_rule_may(r, "send", why, sizeof(why));
	access_rule_may(r, "receive", why, sizeof(why));
	access_rule_channels(r, "a", why, sizeof(why));
	access_rule_channels(r, "b", why, sizeof(why));
	assert_true(may(user(1001), ACCESS_RECEIVE, "b"));
	assert_true(may(user(1000), ACCESS_SEND, "a"));
	assert_false(may(user(1002), ACCESS_SEND, "a"));
	assert_false(may(user(1000), ACCESS_CLOSE, "a"));
}

static void test_what_is_wrong(void **state)
{
	struct access_rule *r = access_add_rule(rules, "wrong", why, sizeof(why));
	char long_pattern[300];

	(void)state;
	assert_true(access_rule_may(r, "write", why, sizeof(why)) < 0);
	assert_string_equal(
		why, "'write' is not one of make, send, receive, close, remove, list, all");
	assert_true(access_rule_channels(r, "", why, sizeof(why)) < 0);
	memset(long_pattern, 'a', sizeof(long_pattern));
	long_pattern[256] = '\0';
	assert_true(access_rule_channels(r, long_pattern, why, sizeof(why)) < 0);
	assert_string_equal(why, "a pattern has 1 to 255 bytes");
	assert_true(access_rule_who(r, "me", why, sizeof(why)) < 0);
	for (int i = 0; i < ACCESS_PATTERNS_MAX; i++)
		assert_int_equal(access_rule_channels(r, "x", why, sizeof(why)), 0);
	assert_true(access_rule_channels(r, "x", why, sizeof(why)) < 0);
	assert_string_equal(why, "more than 64 of them");
	assert_true(access_add_token(rules, "ci", "secret", why, sizeof(why)) < 0);
	assert_non_null(strstr(why, "chanctl token"));
	for (int i = 1; i < ACCESS_RULES_MAX; i++)
		assert_non_null(access_add_rule(rules, "more", why, sizeof(why)));
	assert_null(access_add_rule(rules, "more", why, sizeof(why)));
	assert_string_equal(why, "more than 1024 rules");
}

static void test_tokens(void **state)
{
	struct identity *i = NULL;

	(void)state;
	assert_int_equal(access_add_token(rules, "other", digest_of("x"), why, sizeof(why)), 0);
	assert_int_equal(access_add_token(rules, "ci", digest_of(TOKEN), why, sizeof(why)), 0);
	assert_int_equal(access_token_count(rules), 2);
	assert_int_equal(access_authenticate(rules, TOKEN, strlen(TOKEN), &i, why, sizeof(why)), 0);
	assert_string_equal(identity_label(i), "token ci");
	identity_unref(i);
}

/* A token that is not known, one like it, one that is too short to be one, and any where there are
 * none. The sentence does not repeat it. */
static void test_wrong_tokens(void **state)
{
	static const char *const wrong[] = {
		"1123456789abcdef0123456789abcdef",
		"0123456789abcdef0123456789abcdee",
		"0123456789abcdef0123456789abcdef0",
	};
	struct identity *i = NULL;

	(void)state;
	access_add_token(rules, "ci", digest_of(TOKEN), why, sizeof(why));
	access_add_token(rules, "weak", digest_of("secret"), why, sizeof(why));
	for (size_t k = 0; k < sizeof(wrong) / sizeof(wrong[0]); k++) {
		assert_int_equal(access_authenticate(
					 rules, wrong[k], strlen(wrong[k]), &i, why, sizeof(why)),
			CHAN_EAUTH);
		assert_null(strstr(why, wrong[k]));
	}
	assert_int_equal(access_authenticate(rules, "secret", 6, &i, why, sizeof(why)), CHAN_EAUTH);
	assert_null(strstr(why, "secret"));
	assert_int_equal(access_authenticate(NULL, TOKEN, 32, &i, why, sizeof(why)), CHAN_EAUTH);
	assert_null(i);
}

/* A token that was replaced, or taken out, opens nothing any more. */
static void test_a_token_that_is_gone(void **state)
{
	struct identity *i;

	(void)state;
	rule("token:ci", "send", "*");
	access_add_token(rules, "ci", digest_of(TOKEN), why, sizeof(why));
	assert_int_equal(access_authenticate(rules, TOKEN, 32, &i, why, sizeof(why)), 0);
	assert_true(may(identity_ref(i), ACCESS_SEND, "x"));
	access_unref(rules);
	rules = access_new();
	rule("token:ci", "send", "*");
	access_add_token(rules, "ci", digest_of("another"), why, sizeof(why));
	assert_false(may(i, ACCESS_SEND, "x"));
}

static void test_quotas(void **state)
{
	struct identity *alice = user(1000), *bob = user(1001), *nobody = identity_anonymous("");
	struct access_quota *q;

	(void)state;
	q = access_add_quota(rules, "alice", why, sizeof(why));
	access_quota_who(q, "user:1000", why, sizeof(why));
	access_quota_limits(q)->channels = 5;
	q = access_add_quota(rules, "users", why, sizeof(why));
	access_quota_who(q, "user:*", why, sizeof(why));
	access_quota_limits(q)->channels = 3;
	assert_int_equal(access_limits(rules, alice).channels, 5);
	assert_int_equal(access_limits(rules, bob).channels, 3);
	assert_true(access_limits(rules, bob).connections == QUOTA_NONE);
	assert_true(access_limits(rules, nobody).channels == QUOTA_NONE);
	assert_true(access_limits(NULL, alice).channels == QUOTA_NONE);
	identity_unref(alice);
	identity_unref(bob);
	identity_unref(nobody);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_without_rules_all_is_allowed),
		TEST(test_default_is_deny),
		TEST(test_each_action),
		TEST(test_names),
		TEST(test_lists),
		TEST(test_what_is_wrong),
		TEST(test_tokens),
		TEST(test_wrong_tokens),
		TEST(test_a_token_that_is_gone),
		TEST(test_quotas),
	};

	return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
