/* test_credentials.c - where the token comes from. */
#include "client/credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];

static int setup(void **state)
{
	int fd;

	(void)state;
	unsetenv("CHAN_TOKEN");
	unsetenv("CHAN_TOKEN_FILE");
	strcpy(path, "/tmp/chand-test-token-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	return close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* What is found; "" for nothing. */
static const char *found(const char *token, const char *file)
{
	static char text[2048];
	struct chan_dial_options options = {.token = token, .token_file = file};
	struct wire_hello hello = {0};
	struct credentials c;

	assert_int_equal(credentials_find(&options, &c), 0);
	credentials_show(&c, &hello);
	assert_int_equal(hello.mechanism != NULL, c.token != NULL);
	snprintf(text, sizeof(text), "%.*s", (int)hello.token.len,
		hello.token.bytes ? (const char *)hello.token.bytes : "");
	credentials_fini(&c);
	assert_null(c.token);
	return text;
}

static void test_what_comes_first(void **state)
{
	(void)state;
	assert_string_equal(found(NULL, NULL), "");
	write_file("from a file");
	setenv("CHAN_TOKEN_FILE", path, 1);
	assert_string_equal(found(NULL, NULL), "from a file");
	setenv("CHAN_TOKEN", "from the environment", 1);
	assert_string_equal(found(NULL, NULL), "from the environment");
	assert_string_equal(found(NULL, path), "from a file");
	assert_string_equal(found("from the program", path), "from the program");
}

static void test_an_empty_variable_is_none(void **state)
{
	(void)state;
	setenv("CHAN_TOKEN", "", 1);
	setenv("CHAN_TOKEN_FILE", "", 1);
	assert_string_equal(found(NULL, NULL), "");
}

static void test_the_end_of_a_file_is_trimmed(void **state)
{
	(void)state;
	write_file("a token\r\n \n");
	assert_string_equal(found(NULL, path), "a token");
}

static void test_failures(void **state)
{
	struct chan_dial_options options = {.token_file = "/nonexistent/token"};
	char longest[1026];
	struct credentials c;

	(void)state;
	assert_int_equal(credentials_find(&options, &c), CHAN_EINVAL);
	assert_non_null(strstr(chan_error_text(), "/nonexistent/token cannot be read"));
	options.token_file = path;
	assert_int_equal(credentials_find(&options, &c), CHAN_EINVAL);
	assert_non_null(strstr(chan_error_text(), "has 0 bytes"));
	memset(longest, 'a', sizeof(longest));
	longest[1025] = '\0';
	write_file(longest);
	assert_int_equal(credentials_find(&options, &c), CHAN_EINVAL);
	assert_null(strstr(chan_error_text(), "aaaa"));
	longest[1024] = '\0';
	assert_string_equal(found(longest, NULL), longest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_comes_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_empty_variable_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_end_of_a_file_is_trimmed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
	};

	return cmocka_run_group_tests_name("credentials", tests, NULL, NULL);
}
