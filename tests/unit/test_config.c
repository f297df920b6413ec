/* test_config.c - the daemon's configuration: defaults, file, command line, and what is wrong. */
#include "server/config.h"

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/broker/access.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];

static int make_path(void **state)
{
	int fd;

	(void)state;
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	strcpy(path, "/tmp/chand-test-conf-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	return 0;
}

static int remove_path(void **state)
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

/* Loads a file's text (NULL: no file) with up to three arguments. */
static int load(const char *text, struct config *c, char *why, const char *a, const char *b)
{
	char *argv[] = {"chand", (char *)a, (char *)b, NULL};
	struct config_arguments arguments;
	int rc;

	if (text)
		write_file(text);
	config_parse_arguments(b ? 3 : a ? 2 : 1, argv, &arguments);
	if (text)
		arguments.file = path;
	rc = config_load(&arguments, c, why);
	return rc;
}

/* The text must be refused with exactly this reason; "PATH" in it stands for the file. */
static void assert_refused(const char *text, const char *reason)
{
	char why[CONFIG_WHY_BYTES_MAX], expected[CONFIG_WHY_BYTES_MAX];
	struct config c;

	if (strncmp(reason, "PATH", 4) == 0)
		snprintf(expected, sizeof(expected), "%s%s", path, reason + 4);
	else
		snprintf(expected, sizeof(expected), "%s", reason);
	assert_true(load(text, &c, why, NULL, NULL) < 0);
	assert_string_equal(why, expected);
}

/* Runs config_parse_arguments in a child: its exit status, -1 if it returned; what it wrote. */
static int run_arguments(const char *argument, char *text, size_t text_bytes)
{
	char *argv[] = {"chand", (char *)argument, NULL};
	struct config_arguments arguments;
	int fds[2], status;
	size_t n = 0;
	ssize_t got;

	assert_int_equal(pipe(fds), 0);
	if (fork() == 0) {
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		close(fds[0]);
		config_parse_arguments(2, argv, &arguments);
		_exit(99);
	}
	close(fds[1]);
	while ((got = read(fds[0], text + n, text_bytes - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	close(fds[0]);
	assert_true(wait(&status) > 0);
	return WEXITSTATUS(status) == 99 ? -1 : WEXITSTATUS(status);
}

/* Without file and arguments the documented defaults hold. */
static void test_defaults(void **state)
{
	char why[CONFIG_WHY_BYTES_MAX];
	struct broker_options b;
	struct config c;

	(void)state;
	assert_int_equal(load(NULL, &c, why, NULL, NULL), 0);
	assert_int_equal(c.listen_count, 1);
	assert_string_equal(c.listen[0], "unix:/run/user/7/chand.sock");
	assert_int_equal(c.log_level, LOG_LEVEL_INFO);
	assert_int_equal(c.socket_mode, 0660);
	b = config_broker_options(&c);
	assert_int_equal(b.connections_max, 20000);
	assert_int_equal(b.rings_max, 320);
	assert_int_equal(b.limits.value_bytes_max, 1024 * 1024);
	assert_int_equal(b.silence_ns, 10 * NS_PER_S);
	assert_int_equal(b.settle_timeout_ns, 5 * NS_PER_S);
	assert_int_equal(b.sessions_max, 20000);
	assert_int_equal(b.session_linger_max_ns, 300 * NS_PER_S);
	assert_int_equal(b.unseen_bytes_max, 1024 * 1024);

	unsetenv("XDG_RUNTIME_DIR");
	assert_int_equal(load(NULL, &c, why, NULL, NULL), 0);
	assert_string_equal(c.listen[0], "unix:/run/chand/chand.sock");
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
}

/* Reads the lines of conf/chand.conf that begin so, without the first byte. */
static void uncomment_lines(const char *begin, char *text, size_t text_bytes)
{
	const char *dir = getenv("top_srcdir");
	char name[512], line[256];
	FILE *f;

	snprintf(name, sizeof(name), "%s/conf/chand.conf", dir ? dir : ".");
	f = fopen(name, "r");
	if (!f)
		fail_msg("%s is not there", name);
	*text = '\0';
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, begin, strlen(begin)) == 0 &&
			(strlen(begin) > 1 || (line[1] >= 'a' && line[1] <= 'z')))
			strncat(text, line + 1, text_bytes - strlen(text) - 1);
	fclose(f);
}

/* Its options (listen first, whose default has two forms), without the sections. */
static void uncomment_example(char *text, size_t text_bytes)
{
	uncomment_lines("#", text, text_bytes);
}

/* What conf/chand.conf shows as defaults are the defaults. */
static void test_example_shows_defaults(void **state)
{
	char why[CONFIG_WHY_BYTES_MAX], text[8192];
	struct config defaults, example;
	char *eol;

	(void)state;
	uncomment_example(text, sizeof(text));
	assert_int_equal(strncmp(text, "listen = ", 9), 0);
	eol = strchr(text, '\n');
	assert_int_equal(load(NULL, &defaults, why, NULL, NULL), 0);
	if (load(eol + 1, &example, why, NULL, NULL) < 0)
		fail_msg("%s", why);
	assert_memory_equal(&example, &defaults, sizeof(example));
	if (load(text, &example, why, NULL, NULL) < 0)
		fail_msg("%s", why);
}

/* The sections that conf/chand.conf shows are right, and show each option that there is. */
static void test_example_of_sections(void **state)
{
	char why[CONFIG_WHY_BYTES_MAX], text[8192];
	struct quota_limits limits;
	struct identity *i;
	struct config c;

	(void)state;
	uncomment_lines("#   ", text, sizeof(text));
	if (load(text, &c, why, NULL, NULL) < 0)
		fail_msg("%s", why);
	assert_int_equal(access_rule_count(c.access), 2);
	assert_int_equal(access_token_count(c.access), 1);
	i = identity_token("ci", (const uint8_t[TOKEN_DIGEST_BYTES]){0});
	limits = access_limits(c.access, i);
	assert_int_equal(limits.connections, 100);
	assert_int_equal(limits.connection_rate, 10);
	assert_int_equal(limits.connection_burst, 50);
	assert_int_equal(limits.sessions, 100);
	assert_int_equal(limits.channels, 1000);
	assert_int_equal(limits.buffered_bytes, 64 * 1024 * 1024);
	assert_int_equal(limits.ops_in_flight, 10000);
	identity_unref(i);
	config_release(&c);
}

/* Every option of the command line stands in conf/chand.conf. */
static void test_example_is_complete(void **state)
{
	char help[8192], text[8192], name[64];
	int options = 0;

	(void)state;
	uncomment_example(text, sizeof(text));
	assert_int_equal(run_arguments("--help", help, sizeof(help)), 0);
	for (char *at = help; (at = strstr(at, "--")); at++) {
		int n = (int)strspn(at, "-abcdefghijklmnopqrstuvwxyz");

		snprintf(name, sizeof(name), "%.*s = ", n - 2, at + 2);
		if (at[n] != '=' || strcmp(name, "config = ") == 0)
			continue;
		for (char *p = name; (p = strchr(p, '-'));)
			*p = '_';
		if (!strstr(text, name))
			fail_msg("conf/chand.conf does not show '%s'", name);
		options++;
	}
	assert_true(options >= 16);
}

/* Values are read with their units, strings with and without quotes, lists with all their members.
 */
static void test_file(void **state)
{
	char why[CONFIG_WHY_BYTES_MAX];
	struct config c;

	(void)state;
	assert_int_equal(load("value_bytes_max = 2M\nhello_timeout = \"500ms\"\nuser = nobody\n"
			      "# a comment\nlisten = {\"unix:/tmp/a\", \"tcp://[::1]:0\"}\n"
			      "socket_mode = 0600\nlog_level = debug\n",
				 &c, why, NULL, NULL),
		0);
	assert_int_equal(c.value_bytes_max, 2 * 1024 * 1024);
	assert_int_equal(c.hello_timeout_ns, 500 * NS_PER_MS);
	assert_string_equal(c.user, "nobody");
	assert_int_equal(c.listen_count, 2);
	assert_string_equal(c.listen[1], "tcp://[::1]:0");
	assert_int_equal(c.socket_mode, 0600);
	assert_int_equal(c.log_level, LOG_LEVEL_DEBUG);
}

/* The command line wins over the file, and its first --listen replaces all of the file's. */
static void test_command_line_wins(void **state)
{
	char why[CONFIG_WHY_BYTES_MAX];
	struct config c;

	(void)state;
	assert_int_equal(load("procs = 3\nlisten = {\"unix:/a\", \"unix:/b\"}\n", &c, why,
				 "--procs=5", "--listen=tcp://:0"),
		0);
	assert_int_equal(c.procs, 5);
	assert_int_equal(c.listen_count, 1);
	assert_string_equal(c.listen[0], "tcp://:0");
	assert_int_equal(load(NULL, &c, why, "-lunix:/a", "--listen=unix:/b"), 0);
	assert_int_equal(c.listen_count, 2);
}

/* What is wrong in the file is told with its line and what would be right. */
static void test_file_errors(void **state)
{
	(void)state;
	assert_refused("procs = 1\nprocess = 2\n", "PATH:2: no such option 'process'");
	assert_refused("\n\nvalue_bytes_max = much\n",
		"PATH:3: value_bytes_max: 'much' is not a size in bytes (512, 64K, 1M, 2G)");
	assert_refused("# one\n# two # {\"\n\ntls_key = \"#\" # three\nprocs = x # four\n",
		"PATH:5: procs: 'x' is not a whole number");
	assert_refused("listen = {\"unix:/a\", # first\n\"tcp://h:65536\"}\n",
		"PATH:2: listen: 'h:65536' is not HOST:PORT with a port up to 65535 "
		"(IPv6 addresses in brackets: [::1]:2426)");
	assert_refused("hello_timeout = 10\n",
		"PATH:1: hello_timeout: '10' is not a time (500ms, 10s, 1m)");
	assert_refused("connections_max = 0\n",
		"PATH:1: connections_max: 0 is out of range: 1 to 1000000");
	assert_refused("value_bytes_max = 1G\n",
		"PATH:1: value_bytes_max: 1G is out of range: 1024 to 256M");
	assert_refused("log_level = loud\n",
		"PATH:1: log_level: 'loud' is not one of error, warning, notice, info, debug");
	assert_refused("socket_mode = 999\n",
		"PATH:1: socket_mode: '999' is not a file mode in octal (0660)");
	assert_refused("listen = {\"tls://h:1\"}\n",
		"listen: tls://h:1 needs a certificate (tls_certificate) and its key (tls_key)");
	assert_refused("tls_client_ca = /ca\n",
		"tls_client_ca and tls_client_certificates (optional or required) go together: who "
		"is asked for a certificate, and who may have made it");
	assert_refused("tls_client_certificates = some\n",
		"PATH:1: tls_client_certificates: 'some' is not none|optional|required");
	assert_refused("tls_version_min = 1.1\n", "PATH:1: tls_version_min: '1.1' is not 1.2|1.3");
	assert_refused("bytes_in_flight_max = 2K\n",
		"bytes_in_flight_max (2048) must hold a value of value_bytes_max (1048576)");
}

#define DIGEST "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"

/* Rules, tokens and quotas: what is wrong is told with the section's last line and its name. */
static void test_section_errors(void **state)
{
	(void)state;
	assert_refused("rule \"a\" {\nwho = {\"*\"}\nmay = {send}\n}\n",
		"PATH:4: rule \"a\": channels is missing");
	assert_refused("rule \"a\" { who = {\"user:no-such-user\"} may = {send} channels = {x} }\n",
		"PATH:1: rule \"a\": who: there is no user 'no-such-user'");
	assert_refused("\nrule \"a\" { who = {\"*\"} may = {read} channels = {x} }\n",
		"PATH:2: rule \"a\": may: 'read' is not one of make, send, receive, close, remove, "
		"list, all");
	assert_refused("rule \"a b\" { who = {\"*\"} may = {send} channels = {x} }\n",
		"PATH:1: rule \"a b\": a name has 1 to 64 bytes of A-Z a-z 0-9 . _ - / :");
	assert_refused("rule \"a\" { whom = {\"*\"} }\n", "PATH:1: no such option 'whom'");
	assert_refused("token \"a\" { }\n", "PATH:1: token \"a\": digest is missing");
	assert_refused("token \"a\" { digest = secret }\n",
		"PATH:1: token \"a\": 'secret' is not sha256: and 64 hexadecimal digits; `chanctl "
		"token` makes both, the token and this");
	assert_refused("token \"a\" { digest = \"" DIGEST "\" }\n"
		       "token \"a\" { digest = \"" DIGEST "\" }\n",
		"PATH:2: found duplicate title 'a'");
	assert_refused("quota \"a\" { channels = 5 }\n", "PATH:1: quota \"a\": who is missing");
	assert_refused("quota \"a\" { who = {\"*\"} channels = many }\n",
		"PATH:1: quota \"a\": channels: 'many' is not a whole number from 0 to 100000000");
	assert_refused("quota \"a\" { who = {\"*\"} buffered_bytes = 1X }\n",
		"PATH:1: quota \"a\": buffered_bytes: '1X' is not a size in bytes (512, 64K, 1M) "
		"from 0 to 1099511627776");
	assert_refused("quota \"a\" { who = {\"*\"} connection_rate = 0 }\n",
		"PATH:1: quota \"a\": connection_rate: '0' is not a whole number from 1 to "
		"1000000");
}

/* A rate without a burst lets a second's connections in at once. */
static void test_burst(void **state)
{
	char why[CONFIG_WHY_BYTES_MAX];
	struct config c;

	(void)state;
	assert_int_equal(
		load("quota \"a\" { who = {\"*\"} connection_rate = 7 }\n", &c, why, NULL, NULL),
		0);
	assert_int_equal(access_limits(c.access, NULL).connection_burst, 7);
	config_release(&c);
}

/* Users and groups are looked up when the configuration is checked. */
static void test_privileges(void **state)
{
	char why[CONFIG_WHY_BYTES_MAX];
	struct config c;

	(void)state;
	assert_refused("user = no-such-user\n", "user: there is no user 'no-such-user'");
	assert_refused("user = nobody\ngroup = no-such-group\n",
		"group: there is no group 'no-such-group'");
	assert_refused("group = root\n", "group: it is only changed together with user");
	assert_int_equal(load("user = nobody\ngroup = root\n", &c, why, NULL, NULL), 0);
	assert_true(c.privileges.change && c.privileges.uid != 0);
	assert_int_equal(c.privileges.gid, 0);
	assert_int_equal(load("", &c, why, NULL, NULL), 0);
	assert_false(c.privileges.change);
}

static void test_missing_file(void **state)
{
	char why[CONFIG_WHY_BYTES_MAX];
	struct config c;

	(void)state;
	assert_true(load(NULL, &c, why, "--config=/nonexistent/chand.conf", NULL) < 0);
	assert_string_equal(
		why, "/nonexistent/chand.conf: cannot be read: No such file or directory");
}

/* A wrong command line exits with 64 and says what is wrong. */
static void test_usage_errors(void **state)
{
	char text[4096];

	(void)state;
	assert_int_equal(run_arguments("--nonsense", text, sizeof(text)), 64);
	assert_int_equal(run_arguments("stray", text, sizeof(text)), 64);
	assert_int_equal(run_arguments("--procs=many", text, sizeof(text)), 64);
	assert_non_null(strstr(text, "'many' is not a whole number"));
	assert_int_equal(run_arguments("--listen=foo", text, sizeof(text)), 64);
	assert_non_null(strstr(text, "--listen: "));
	assert_int_equal(run_arguments("--version", text, sizeof(text)), 0);
	assert_int_equal(strncmp(text, "chand ", 6), 0);
	assert_int_equal(run_arguments("--check-config", text, sizeof(text)), -1);
}

/* A reload knows which changes it cannot take over. */
static void test_needs_restart(void **state)
{
	char why[CONFIG_WHY_BYTES_MAX], names[256];
	struct config then, now;

	(void)state;
	assert_int_equal(load("", &then, why, NULL, NULL), 0);
	assert_int_equal(
		load("log_level = debug\nconnections_max = 5\n", &now, why, NULL, NULL), 0);
	assert_false(config_needs_restart(&then, &now, names, sizeof(names)));
	assert_int_equal(load("procs = 1\nlisten = {\"unix:/x\"}\n", &now, why, NULL, NULL), 0);
	assert_true(config_needs_restart(&then, &now, names, sizeof(names)));
	assert_string_equal(names, "listen procs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_example_shows_defaults),
		cmocka_unit_test(test_example_of_sections),
		cmocka_unit_test(test_example_is_complete),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_command_line_wins),
		cmocka_unit_test(test_file_errors),
		cmocka_unit_test(test_section_errors),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_privileges),
		cmocka_unit_test(test_missing_file),
		cmocka_unit_test(test_usage_errors),
		cmocka_unit_test(test_needs_restart),
	};

	return cmocka_run_group_tests_name("config", tests, make_path, remove_path);
}
