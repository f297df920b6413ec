#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/status.h"
#include "client/url.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void test_unix_paths(void **state)
{
	struct url url;

	(void)state;
	assert_int_equal(url_parse("unix:/run/chand.sock", &url), 0);
	assert_int_equal(url.scheme, URL_UNIX);
	assert_string_equal(url.path, "/run/chand.sock");
	assert_string_equal(url.text, "unix:/run/chand.sock");
}

static void test_hosts_and_ports(void **state)
{
	static const struct {
		const char *text, *host, *port;
	} good[] = {
		{"tcp://localhost", "localhost", "2426"},
		{"tcp://localhost:", "localhost", "2426"},
		{"tcp://localhost:80", "localhost", "80"},
		{"tcp://10.0.0.1:0", "10.0.0.1", "0"},
		{"tcp://[::1]", "::1", "2426"},
		{"tcp://[fe80::1]:65535", "fe80::1", "65535"},
		{"tls://example.org:1", "example.org", "1"},
	};
	struct url url;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(url_parse(good[i].text, &url), 0);
		assert_string_equal(url.host, good[i].host);
		assert_string_equal(url.port, good[i].port);
		assert_int_equal(
			url.scheme, strncmp(good[i].text, "tls", 3) == 0 ? URL_TLS : URL_TCP);
	}
}

static void test_one_that_is_too_long(void **state)
{
	char text[URL_BYTES_MAX + 10];
	struct url url;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "unix:", 5);
	text[URL_BYTES_MAX] = 0;
	assert_true(url_parse(text, &url) < 0);
	text[URL_BYTES_MAX - 1] = 0;
	assert_int_equal(url_parse(text, &url), 0);
}

static void test_several(void **state)
{
	struct url_list urls;
	char many[20 * 16] = "";
	int i;

	(void)state;
	assert_int_equal(url_list_parse("unix:/a,b,tcp://h:1,tls://[::1],unix:c", &urls), 0);
	assert_int_equal(urls.count, 4);
	assert_string_equal(urls.list[0].path, "/a,b"); /* what follows is no scheme */
	assert_string_equal(urls.list[1].text, "tcp://h:1");
	assert_string_equal(urls.list[2].host, "::1");
	assert_string_equal(urls.list[3].path, "c");
	url_list_fini(&urls);
	assert_int_equal(url_list_parse("tcp://h,tcp://", &urls), CHAN_EINVAL);
	url_list_fini(&urls);
	for (i = 0; i < 17; i++)
		strcat(many, i ? ",unix:/x" : "unix:/x");
	assert_int_equal(url_list_parse(many, &urls), CHAN_EINVAL);
	url_list_fini(&urls);
}

static void test_where_it_is_without_being_told(void **state)
{
	char directory[] = "/tmp/chan-test-XXXXXX", text[URLS_BYTES_MAX], path[64], expected[80];

	(void)state;
	unsetenv("CHAN_URL");
	unsetenv("XDG_RUNTIME_DIR");
	url_default(text);
	assert_string_equal(text, "unix:/run/chand/chand.sock");
	/* The user's own only if it is there. */
	assert_non_null(mkdtemp(directory));
	setenv("XDG_RUNTIME_DIR", directory, 1);
	url_default(text);
	assert_string_equal(text, "unix:/run/chand/chand.sock");
	snprintf(path, sizeof(path), "%s/chand.sock", directory);
	fclose(fopen(path, "w"));
	url_default(text);
	snprintf(expected, sizeof(expected), "unix:%s", path);
	assert_string_equal(text, expected);
	unlink(path);
	rmdir(directory);
	setenv("CHAN_URL", "tcp://elsewhere", 1);
	url_default(text);
	assert_string_equal(text, "tcp://elsewhere");
	setenv("CHAN_URL", "", 1);
	unsetenv("XDG_RUNTIME_DIR");
	url_default(text);
	assert_string_equal(text, "unix:/run/chand/chand.sock");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unix_paths),
		cmocka_unit_test(test_hosts_and_ports),
		cmocka_unit_test(test_one_that_is_too_long),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_where_it_is_without_being_told),
	};

	return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
