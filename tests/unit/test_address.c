/* test_address.c - URLs of listeners. */
#include "server/net/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char why[512];

/* What is parsed is formatted as it was written, ports and brackets included. */
static void test_round_trip(void **state)
{
	static const char *const urls[] = {"unix:/run/chand/chand.sock", "unix:relative",
		"tcp://127.0.0.1:2426", "tcp://[::1]:0", "tcp://0.0.0.0:65535"};
	char text[ADDRESS_TEXT_BYTES_MAX];
	struct address a;

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		assert_int_equal(address_parse(urls[i], &a, why, sizeof(why)), 0);
		assert_int_equal(a.count, 1);
		address_format((struct sockaddr *)&a.sockets[0], a.lengths[0], text);
		assert_string_equal(text, urls[i]);
	}
}

/* Without a port it is 2426, and without a host every interface. */
static void test_defaults(void **state)
{
	char text[ADDRESS_TEXT_BYTES_MAX];
	struct address a;

	(void)state;
	assert_int_equal(address_parse("tcp://127.0.0.1", &a, why, sizeof(why)), 0);
	address_format((struct sockaddr *)&a.sockets[0], a.lengths[0], text);
	assert_string_equal(text, "tcp://127.0.0.1:2426");
	assert_int_equal(address_parse("tcp://:7", &a, why, sizeof(why)), 0);
	assert_true(a.count >= 1);
	for (int i = 0; i < a.count; i++) {
		address_format((struct sockaddr *)&a.sockets[i], a.lengths[i], text);
		assert_true(
			strcmp(text, "tcp://0.0.0.0:7") == 0 || strcmp(text, "tcp://[::]:7") == 0);
	}
}

/* What is no URL of ours is refused with a sentence. */
static void test_refused(void **state)
{
	static const struct {
		const char *url;
		int rc;
		const char *words;
	} cases[] = {
		{"", -EINVAL, "is not unix:PATH"},
		{"http://x", -EINVAL, "is not unix:PATH"},
		{"unix:", -EINVAL, "this has 0"},
		{"tcp://127.0.0.1:", -EINVAL, "HOST:PORT"},
		{"tcp://127.0.0.1:65536", -EINVAL, "up to 65535"},
		{"tcp://127.0.0.1:000001", -EINVAL, "up to 65535"},
		{"tcp://127.0.0.1:http", -EINVAL, "HOST:PORT"},
		{"tcp://[::1", -EINVAL, "HOST:PORT"},
		{"tcp://[::1]x", -EINVAL, "HOST:PORT"},
		{"tcp://127.0.0.1:1:2", -EINVAL, "HOST:PORT"},
		{"tls://localhost:x", -EINVAL, "HOST:PORT"},
		{"tls:localhost", -EINVAL, "is not unix:PATH"},
		{"tcp://256.1.1.1.invalid:1", -ENOENT, "cannot look up"},
	};
	char longest[300] = "unix:";
	struct address a;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(address_parse(cases[i].url, &a, why, sizeof(why)), cases[i].rc);
		if (!strstr(why, cases[i].words))
			fail_msg("%s: '%s' does not say '%s'", cases[i].url, why, cases[i].words);
	}
	memset(longest + 5, 'x', 107);
	assert_int_equal(address_parse(longest, &a, why, sizeof(why)), 0);
	memset(longest + 5, 'x', 108);
	assert_int_equal(address_parse(longest, &a, why, sizeof(why)), -EINVAL);
}

/* Only what stays within the machine. */
static void test_loopback(void **state)
{
	static const struct {
		const char *url;
		bool is;
	} cases[] = {
		{"tcp://127.0.0.1:1", true},
		{"tcp://127.255.0.9:1", true},
		{"tcp://[::1]:1", true},
		{"tcp://0.0.0.0:1", false},
		{"tcp://128.0.0.1:1", false},
		{"tcp://[::]:1", false},
		{"tcp://[::2]:1", false},
		{"unix:/run/127.0.0.1", false},
	};
	struct address a;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(address_parse(cases[i].url, &a, why, sizeof(why)), 0);
		if (address_is_loopback((struct sockaddr *)&a.sockets[0]) != cases[i].is)
			fail_msg("%s", cases[i].url);
	}
}

/* A daemon that is told nothing meets its user's clients. */
static void test_default_address(void **state)
{
	char url[128];

	(void)state;
	setenv("XDG_RUNTIME_DIR", "/run/user/5", 1);
	address_default(url, sizeof(url));
	assert_string_equal(url, "unix:/run/user/5/chand.sock");
	unsetenv("XDG_RUNTIME_DIR");
	address_default(url, sizeof(url));
	assert_string_equal(url, "unix:/run/chand/chand.sock");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_default_address),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
