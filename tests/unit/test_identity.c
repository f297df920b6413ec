/* test_identity.c - who somebody is, and which patterns that fits. */
#include "server/broker/identity.h"

#include <grp.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t some_digest[TOKEN_DIGEST_BYTES] = {1}, other_digest[TOKEN_DIGEST_BYTES] = {2};

static struct identity *user(uint32_t uid, uint32_t gid)
{
	const uint32_t gids[] = {gid, 7};

	return identity_user(uid, gid, gids, 2);
}

static struct identity *certificate(const char *subject, const char *name)
{
	return identity_certificate(subject, &name, name ? 1 : 0);
}

/* Frees the identity. */
static bool fits(const char *pattern, struct identity *i)
{
	char why[256];
	struct who w;
	bool result;

	if (who_parse(pattern, &w, why, sizeof(why)) < 0)
		fail_msg("'%s': %s", pattern, why);
	result = who_matches(&w, i);
	who_fini(&w);
	identity_unref(i);
	return result;
}

static void test_star_is_everybody(void **state)
{
	(void)state;
	assert_true(fits("*", NULL));
	assert_true(fits("*", identity_anonymous("192.0.2.1")));
	assert_true(fits("*", user(1000, 100)));
	assert_true(fits("*", certificate("CN=x", NULL)));
	assert_true(fits("*", identity_token("ci", some_digest)));
}

static void test_anonymous(void **state)
{
	(void)state;
	assert_true(fits("anonymous", identity_anonymous("")));
	assert_false(fits("anonymous", NULL));
	assert_false(fits("anonymous", user(1000, 100)));
	assert_false(fits("anonymous", identity_token("anonymous", some_digest)));
}

static void test_users(void **state)
{
	(void)state;
	assert_true(fits("user:1000", user(1000, 100)));
	assert_false(fits("user:1000", user(1001, 1000)));
	assert_true(fits("user:root", user(0, 0)));
	assert_false(fits("user:root", user(1, 0)));
	assert_true(fits("user:*", user(12, 0)));
	assert_false(fits("user:*", identity_anonymous("")));
	assert_false(fits("user:*", identity_token("root", some_digest)));
	assert_false(fits("user:1000", NULL));
}

/* The first group and those beside it. */
static void test_groups(void **state)
{
	(void)state;
	assert_true(fits("group:100", user(1000, 100)));
	assert_true(fits("group:7", user(1000, 100)));
	assert_false(fits("group:1000", user(1000, 100)));
	assert_true(fits("group:*", user(1000, 100)));
	assert_false(fits("group:*", certificate("CN=x", NULL)));
	assert_true(fits("group:root", user(1000, 0)));
}

static void test_certificates(void **state)
{
	(void)state;
	assert_true(fits("cert:*", certificate("", NULL)));
	assert_true(fits("cert:CN=build7", certificate("CN=build7", NULL)));
	assert_true(fits("cert:CN=build*", certificate("CN=build7", "DNS:x")));
	assert_false(fits("cert:CN=build7", certificate("CN=build70", NULL)));
	assert_true(fits("cert:*.example.org", certificate("CN=x", "DNS:build7.example.org")));
	assert_true(fits("cert:DNS:*.example.org", certificate("", "DNS:build7.example.org")));
	assert_true(fits("cert:URI:spiffe://x/*", certificate("", "URI:spiffe://x/y")));
	assert_false(fits("cert:*", user(1000, 100)));
	assert_false(fits("cert:CN=x", NULL));
}

/* A name of one sort does not pass for one of another. */
static void test_names_of_certificates_are_not_mixed_up(void **state)
{
	(void)state;
	assert_false(fits("cert:CN=admin", certificate("CN=x", "URI:CN=admin")));
	assert_false(fits("cert:CN=admin", certificate("CN=x", "DNS:CN=admin")));
	assert_false(fits("cert:*.example.org", certificate("CN=a.example.org", NULL)));
	assert_false(fits("cert:*example.org", certificate("CN=x", "URI:http://example.org")));
	assert_false(fits("cert:DNS:a", certificate("DNS:a", "URI:a")));
}

/* A part of a name that is too long could look like somebody else's. */
static void test_long_names_match_nothing(void **state)
{
	char name[2 * IDENTITY_NAME_BYTES_MAX];

	(void)state;
	memset(name, 'a', sizeof(name));
	memcpy(name, "DNS:", 4);
	memcpy(name + IDENTITY_NAME_BYTES_MAX - 4, ".org", 4);
	name[sizeof(name) - 1] = '\0';
	assert_false(fits("cert:*.org", certificate("CN=x", name)));
	name[IDENTITY_NAME_BYTES_MAX] = '\0';
	assert_true(fits("cert:*.org", certificate("CN=x", name)));
}

static void test_tokens(void **state)
{
	(void)state;
	assert_true(fits("token:ci", identity_token("ci", some_digest)));
	assert_true(fits("token:ci-*", identity_token("ci-7", some_digest)));
	assert_false(fits("token:ci", identity_token("ci-7", some_digest)));
	assert_false(fits("token:*", user(1000, 100)));
	assert_false(fits("token:*", NULL));
}

static void test_wrong_patterns(void **state)
{
	static const struct {
		const char *pattern, *why;
	} rows[] = {
		{"", "'' is not one of *, anonymous, user:NAME, group:NAME, cert:NAME, token:NAME"},
		{"alice", "'alice' is not one of *, anonymous, user:NAME, group:NAME, cert:NAME, "
			  "token:NAME"},
		{"user:", "nothing stands behind 'user:'"},
		{"cert:", "nothing stands behind 'cert:'"},
		{"user:no-such-user-here", "there is no user 'no-such-user-here'"},
		{"group:no-such-group-here", "there is no group 'no-such-group-here'"},
		{"user:4294967295", "there is no user '4294967295'"},
		{"user:1x", "there is no user '1x'"},
	};
	char why[256];
	struct who w;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(who_parse(rows[i].pattern, &w, why, sizeof(why)) < 0);
		assert_string_equal(why, rows[i].why);
		who_fini(&w);
	}
}

static bool same(struct identity *a, struct identity *b)
{
	bool result = identity_equal(a, b) && identity_equal(b, a);

	assert_int_equal(identity_equal(a, b), identity_equal(b, a));
	identity_unref(a);
	identity_unref(b);
	return result;
}

/* Who may go on with whose session. */
static void test_equal(void **state)
{
	(void)state;
	assert_true(same(NULL, NULL));
	assert_false(same(NULL, identity_anonymous("")));
	assert_true(same(identity_anonymous("192.0.2.1"), identity_anonymous("192.0.2.2")));
	assert_true(same(user(1000, 100), user(1000, 101)));
	assert_false(same(user(1000, 100), user(1001, 100)));
	assert_true(same(certificate("CN=x", "DNS:y"), certificate("CN=x", "DNS:y")));
	assert_false(same(certificate("CN=x", "DNS:y"), certificate("CN=x", "DNS:z")));
	assert_false(same(certificate("CN=x", "DNS:y"), certificate("CN=x", NULL)));
	assert_true(same(identity_token("ci", some_digest), identity_token("ci", other_digest)));
	assert_false(same(identity_token("ci", some_digest), identity_token("cd", some_digest)));
	assert_false(same(identity_token("1000", some_digest), user(1000, 100)));
}

static bool alike(struct identity *a, struct identity *b)
{
	bool result = identity_same(a, b);

	assert_int_equal(identity_same(b, a), result);
	identity_unref(a);
	identity_unref(b);
	return result;
}

/* One that is shared has to stand for the other in all rules, quotas and labels. */
static void test_same(void **state)
{
	static const uint32_t groups[] = {7, 8};
	static const uint8_t digest[TOKEN_DIGEST_BYTES] = {1}, other[TOKEN_DIGEST_BYTES] = {2};
	static const char *const names[] = {"DNS:a", "DNS:b"};
	static const char *const one_name[] = {"DNS:a\nDNS:b"};

	(void)state;
	assert_true(alike(identity_anonymous("192.0.2.1"), identity_anonymous("192.0.2.1")));
	assert_false(alike(identity_anonymous("192.0.2.1"), identity_anonymous("192.0.2.2")));
	assert_false(alike(identity_anonymous(""), identity_user(5, 5, NULL, 0)));
	assert_true(alike(identity_user(5, 6, groups, 2), identity_user(5, 6, groups, 2)));
	assert_false(alike(identity_user(5, 6, groups, 2), identity_user(5, 6, groups, 1)));
	assert_false(alike(identity_user(5, 6, groups, 2), identity_user(5, 7, groups, 2)));
	assert_true(alike(identity_token("ci", digest), identity_token("ci", digest)));
	assert_false(alike(identity_token("ci", digest), identity_token("ci", other)));
	assert_true(alike(
		identity_certificate("CN=x", names, 2), identity_certificate("CN=x", names, 2)));
	assert_false(alike(
		identity_certificate("CN=x", names, 2), identity_certificate("CN=x", names, 1)));
	assert_false(alike(
		identity_certificate("CN=x", names, 2), identity_certificate("CN=x", one_name, 1)));
}

static void test_labels(void **state)
{
	struct identity *i = user(1000, 100);

	(void)state;
	assert_string_equal(identity_label(i), "user 1000 (groups 100 7)");
	assert_string_equal(identity_account(i), "user:1000");
	assert_ptr_equal(identity_ref(i), i);
	identity_unref(i);
	identity_unref(i);
	i = certificate("CN=x", NULL);
	assert_string_equal(identity_label(i), "certificate CN=x");
	identity_unref(i);
	i = certificate("", "DNS:y");
	assert_string_equal(identity_label(i), "certificate DNS:y");
	identity_unref(i);
	i = identity_anonymous("192.0.2.1");
	assert_string_equal(identity_label(i), "an anonymous client at 192.0.2.1");
	assert_string_equal(identity_account(i), "anonymous@192.0.2.1");
	identity_unref(i);
	i = identity_token("ci", some_digest);
	assert_string_equal(identity_label(i), "token ci");
	assert_memory_equal(identity_digest(i), some_digest, TOKEN_DIGEST_BYTES);
	identity_unref(i);
	assert_string_equal(identity_label(NULL), "nobody that is known");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_star_is_everybody),
		cmocka_unit_test(test_anonymous),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_names_of_certificates_are_not_mixed_up),
		cmocka_unit_test(test_long_names_match_nothing),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_wrong_patterns),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_labels),
	};

	return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
