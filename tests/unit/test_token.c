/* test_token.c - digests of tokens, and how the configuration writes them. */
#include "server/broker/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* As `printf abc | sha256sum` says. */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void test_digest_is_sha256(void **state)
{
	uint8_t digest[TOKEN_DIGEST_BYTES], parsed[TOKEN_DIGEST_BYTES];

	(void)state;
	token_prepare();
	assert_true(token_digest("abc", 3, digest));
	assert_true(token_digest_parse("sha256:" ABC, parsed));
	assert_true(token_digest_equal(digest, parsed));
	parsed[31] ^= 1;
	assert_false(token_digest_equal(digest, parsed));
	assert_true(token_digest("abd", 3, parsed));
	assert_false(token_digest_equal(digest, parsed));
}

static void test_what_is_no_digest(void **state)
{
	static const char *const wrong[] = {
		"",
		"sha256:",
		ABC,
		("sha256:" ABC "0"),
		("md5:" ABC),
		"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a",
		"sha256:ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"sha256: a7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	};
	uint8_t digest[TOKEN_DIGEST_BYTES], upper[TOKEN_DIGEST_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(token_digest_parse(wrong[i], digest));
	assert_true(token_digest_parse("sha256:" ABC, digest));
	assert_true(token_digest_parse(
		"sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD", upper));
	assert_memory_equal(digest, upper, sizeof(digest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digest_is_sha256),
		cmocka_unit_test(test_what_is_no_digest),
	};

	return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
