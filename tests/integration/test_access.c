/*
 * test_access.c - who may come in and do what, in a real daemon: users over a Unix socket, tokens
 * over TCP, rules that are reloaded, quotas, and what the log says of all that.
 */
#include "tests/support/daemon.h"
#include "tests/support/peer.h"
#include "tests/support/skip.h"

#include <fcntl.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Two tokens, and what `printf %s TOKEN | sha256sum` says of them. */
#define TOKEN "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define TOKEN_SHA256 "a8ae6e6ee929abea3afcfc5258c8ccd6f85273e0d4626d26c7279f3250f77c8e"
#define OTHER_TOKEN "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define OTHER_SHA256 "7b9d07f2404b102b3c62fede026097c5ab81668f18414abd8ea560cecb008006"

static char config_path[64];

static void write_config(const char *text)
{
	FILE *f = fopen(config_path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* A daemon with that configuration, whose socket everybody on the machine may reach. */
static void start(struct test_daemon *d, const char *text)
{
	static char argument[80];
	const char *const arguments[] = {argument, "--socket-mode=0666", NULL};

	strcpy(config_path, "/tmp/chand-test-conf-XXXXXX");
	close(mkstemp(config_path));
	write_config(text);
	snprintf(argument, sizeof(argument), "--config=%s", config_path);
	daemon_start(d, arguments);
	assert_int_equal(chmod(d->dir, 0711), 0);
}

static void stop(struct test_daemon *d)
{
	daemon_stop(d);
	unlink(config_path);
}

/* Returns when it is in force; the log is empty then. */
static void reload(struct test_daemon *d, const char *text)
{
	write_config(text);
	daemon_signal(d, SIGHUP);
	daemon_expect_log(d, "configuration reloaded");
	assert_int_equal(truncate(d->log_path, 0), 0);
}

static void say_hello(struct peer *p, const char *mechanism, const char *token)
{
	struct wire_hello hello = {.version_min = 1,
		.version_max = 1,
		.speaker = {.host = "test"},
		.mechanism = mechanism,
		.token = {(const uint8_t *)token, strlen(token)}};

	peer_say(p, &(struct message){.kind = MESSAGE_HELLO, .hello = &hello});
}

static void dial_with_token(struct peer *p, const char *url, const char *token)
{
	peer_connect(p, url);
	say_hello(p, "token", token);
	peer_expect(p, MESSAGE_WELCOME);
}

/* The broker says GOAWAY with that status; its sentence is in p->m. */
static void expect_goaway(struct peer *p, int status)
{
	peer_expect(p, MESSAGE_GOAWAY);
	assert_int_equal(p->m.goaway.status, status);
}

/* Dials until it is let in: the broker takes a moment to see that others have gone. */
static void dial_when_there_is_room(struct peer *p, const char *url)
{
	for (int i = 0; i < 100000; i++) {
		peer_connect(p, url);
		say_hello(p, "", "");
		peer_hear(p);
		if (p->m.kind == MESSAGE_WELCOME)
			return;
		assert_int_equal(p->m.goaway.status, CHAN_ELIMIT);
		peer_drop(p);
	}
	fail_msg("the broker did not see that a connection had gone");
}

/* As a user who is not root. False: not possible here. */
static bool dial_as(struct peer *p, const char *url, const char *user, bool hello)
{
	struct passwd *pw = getpwnam(user);

	if (geteuid() != 0 || !pw)
		return false;
	assert_int_equal(seteuid(pw->pw_uid), 0);
	peer_connect(p, url);
	assert_int_equal(seteuid(0), 0);
	if (hello)
		peer_hello(p);
	return true;
}

/* ---- users ------------------------------------------------------------------------------------
 */

/* Who comes over the Unix socket is the user of his process. */
static void test_users(void **state)
{
	struct test_daemon d;
	struct peer p, q;

	(void)state;
	start(&d, "rule \"r\" { who = {\"user:nobody\"} may = {make, send} channels = {\"jobs.*\"} "
		  "}\n"
		  "rule \"root\" { who = {\"user:root\"} may = {all} channels = {\"*\"} }\n");
	if (!dial_as(&p, d.url, "nobody", true)) {
		stop(&d);
		SKIP_TEST("it takes root, and a user nobody");
	}
	peer_dial(&q, d.url);
	peer_channel(&q, "other", CHAN_TYPE_STRING, 1);
	peer_channel(&q, "jobs.1", CHAN_TYPE_STRING, 1);
	peer_expect_done(&p, peer_send(&p, peer_opened(&p, "jobs.1", CHAN_SEND), "x"));
	peer_expect_fail(&p, peer_open(&p, "other", CHAN_SEND), CHAN_EPERM);
	peer_expect_fail(&p, peer_open(&p, "jobs.1", CHAN_RECV), CHAN_EPERM);
	assert_non_null(strstr(p.m.fail.message, "may not receive from it"));
	daemon_expect_log(&d, "denied: user ");
	daemon_expect_log(&d, "open 'other' (1 denied so far)");
	peer_drop(&p);
	peer_drop(&q);
	stop(&d);
}

/* Whom no rule is about is told so at once. */
static void test_strangers(void **state)
{
	struct test_daemon d;
	struct peer p;

	(void)state;
	start(&d, "rule \"root\" { who = {\"user:root\"} may = {all} channels = {\"*\"} }\n");
	peer_connect(&p, d.tcp_url);
	say_hello(&p, "", "");
	expect_goaway(&p, CHAN_EAUTH);
	assert_non_null(strstr(p.m.goaway.message, "an anonymous client at 127.0.0.1"));
	peer_expect_end(&p);
	peer_drop(&p);
	daemon_expect_log(&d, "not let in: an anonymous client at 127.0.0.1");
	stop(&d);
}

/* ---- tokens -----------------------------------------------------------------------------------
 */

#define CI_RULES                                                                                   \
	"token \"ci\" { digest = \"sha256:" TOKEN_SHA256 "\" }\n"                                  \
	"rule \"ci\" { who = {\"token:ci\"} may = {make, send, receive} channels = {\"ci.*\"} }\n"

static void test_tokens(void **state)
{
	struct test_daemon d;
	uint64_t channel;
	struct peer p;

	(void)state;
	start(&d, CI_RULES);
	dial_with_token(&p, d.tcp_url, TOKEN);
	channel = peer_channel(&p, "ci.1", CHAN_TYPE_STRING, 1);
	peer_expect_done(&p, peer_send(&p, channel, "x"));
	peer_expect_fail(&p, peer_make(&p, "other", CHAN_TYPE_STRING, 1), CHAN_EPERM);
	assert_non_null(strstr(p.m.fail.message, "token ci may not make it"));
	peer_expect_fail(&p, peer_close(&p, channel), CHAN_EPERM);
	peer_drop(&p);
	/* It stands for its owner also where the user would be known. */
	dial_with_token(&p, d.url, TOKEN);
	peer_expect_fail(&p, peer_make(&p, "other", CHAN_TYPE_STRING, 1), CHAN_EPERM);
	peer_drop(&p);
	stop(&d);
}

static void ask_resume_as(struct peer *p, const char *url, const char *token, int status)
{
	p->token = token;
	peer_ask_resume(p, url);
	if (status == 0) {
		peer_expect(p, MESSAGE_WELCOME);
		assert_true(p->m.welcome->resumed);
	} else {
		expect_goaway(p, status);
		peer_expect_end(p);
	}
	peer_lose(p);
}

/* A session goes on wherever its owner comes from, and for nobody else, though there are no rules. */
static void test_a_session_is_its_owners(void **state)
{
	struct passwd *nobody = getpwnam("nobody");
	struct test_daemon d;
	struct peer p;

	(void)state;
	start(&d, "token \"ci\" { digest = \"sha256:" TOKEN_SHA256 "\" }\n"
		  "token \"cd\" { digest = \"sha256:" OTHER_SHA256 "\" }\n");
	peer_dial_lingering_as(&p, d.tcp_url, 60000, TOKEN);
	peer_lose(&p);
	ask_resume_as(&p, d.tcp_url, NULL, CHAN_EAUTH);
	ask_resume_as(&p, d.tcp_url, OTHER_TOKEN, CHAN_EAUTH);
	ask_resume_as(&p, d.url, NULL, CHAN_EAUTH);
	ask_resume_as(&p, d.tcp_url, TOKEN, 0);
	ask_resume_as(&p, d.url, TOKEN, 0);
	peer_drop(&p);

	peer_dial_lingering(&p, d.url, 60000);
	peer_lose(&p);
	ask_resume_as(&p, d.url, TOKEN, CHAN_EAUTH);
	if (geteuid() == 0 && nobody) {
		assert_int_equal(seteuid(nobody->pw_uid), 0);
		ask_resume_as(&p, d.url, NULL, CHAN_EAUTH);
		assert_int_equal(seteuid(0), 0);
	}
	ask_resume_as(&p, d.url, NULL, 0);
	peer_drop(&p);
	stop(&d);
}

static void test_wrong_credentials(void **state)
{
	static const struct {
		const char *mechanism, *token;
		int status;
	} rows[] = {
		{"token", OTHER_TOKEN, CHAN_EAUTH},
		{"token", "", CHAN_EAUTH},
		{"token", "short", CHAN_EAUTH},
		{"", "", CHAN_EAUTH},
		{"kerberos", "", CHAN_ENOTSUP},
	};
	struct test_daemon d;
	struct peer p;

	(void)state;
	start(&d, CI_RULES);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		peer_connect(&p, d.tcp_url);
		say_hello(&p, rows[i].mechanism, rows[i].token);
		expect_goaway(&p, rows[i].status);
		peer_expect_end(&p);
		peer_drop(&p);
	}
	daemon_expect_log(&d, "does not know the token");
	stop(&d);
}

/* Without any token configured, showing one is refused and not overlooked. */
static void test_a_token_where_there_are_none(void **state)
{
	struct test_daemon d;
	struct peer p;

	(void)state;
	start(&d, "");
	peer_connect(&p, d.tcp_url);
	say_hello(&p, "token", TOKEN);
	expect_goaway(&p, CHAN_EAUTH);
	peer_drop(&p);
	stop(&d);
}

/* ---- reload -----------------------------------------------------------------------------------
 */

/* Sessions that live meet the new rules at their next operation; a token that was taken out or
 * replaced is good for nothing. */
static void test_reload(void **state)
{
	struct test_daemon d;
	struct peer p, q;
	uint64_t channel;

	(void)state;
	start(&d, CI_RULES);
	dial_with_token(&p, d.tcp_url, TOKEN);
	channel = peer_channel(&p, "ci.1", CHAN_TYPE_STRING, 9);
	peer_expect_done(&p, peer_send(&p, channel, "1"));
	reload(&d, "token \"ci\" { digest = \"sha256:" TOKEN_SHA256 "\" }\n"
		   "rule \"ci\" { who = {\"token:ci\"} may = {receive} channels = {\"ci.*\"} }\n");
	peer_expect_fail(&p, peer_send(&p, channel, "2"), CHAN_EPERM);
	peer_taken(&p, peer_expect_deliver(&p, peer_recv(&p, channel), "1"));
	reload(&d, "token \"ci\" { digest = \"sha256:" OTHER_SHA256 "\" }\n"
		   "rule \"ci\" { who = {\"token:ci\"} may = {all} channels = {\"*\"} }\n");
	peer_expect_fail(&p, peer_recv(&p, channel), CHAN_EPERM);
	peer_connect(&q, d.tcp_url);
	say_hello(&q, "token", TOKEN);
	expect_goaway(&q, CHAN_EAUTH);
	peer_drop(&q);
	reload(&d, "");
	peer_expect_done(&p, peer_send(&p, channel, "3"));
	peer_drop(&p);
	stop(&d);
}

/* A file that is wrong leaves the rules as they were. */
static void test_a_wrong_reload(void **state)
{
	struct test_daemon d;
	struct peer p;

	(void)state;
	start(&d, CI_RULES);
	dial_with_token(&p, d.tcp_url, TOKEN);
	write_config("rule \"all\" { who = {\"*\"} may = {everything} channels = {\"*\"} }\n");
	daemon_signal(&d, SIGHUP);
	daemon_expect_log(&d, "may: 'everything' is not one of");
	peer_expect_fail(&p, peer_make(&p, "other", CHAN_TYPE_STRING, 1), CHAN_EPERM);
	peer_drop(&p);
	stop(&d);
}

/* ---- quotas -----------------------------------------------------------------------------------
 */

/* Connections count from the accept on; who leaves makes room. */
static void test_quota_of_connections(void **state)
{
	struct test_daemon d;
	struct peer p, q, r;

	(void)state;
	start(&d, CI_RULES "rule \"all\" { who = {\"*\"} may = {all} channels = {\"*\"} }\n"
			   "quota \"anonymous\" { who = {\"anonymous\"} connections = 2 }\n"
			   "quota \"ci\" { who = {\"token:ci\"} connections = 1 }\n");
	peer_dial(&p, d.tcp_url);
	peer_connect(&q, d.tcp_url);
	peer_hello(&q);
	peer_connect(&r, d.tcp_url);
	say_hello(&r, "", "");
	expect_goaway(&r, CHAN_ELIMIT);
	assert_non_null(strstr(r.m.goaway.message,
		"an anonymous client at 127.0.0.1 has 2 connections, its limit"));
	peer_expect_end(&r);
	peer_drop(&r);
	peer_drop(&q);
	dial_when_there_is_room(&q, d.tcp_url);
	peer_drop(&q);
	peer_drop(&p);
	/* By a token it counts as another. */
	dial_when_there_is_room(&p, d.tcp_url);
	peer_drop(&p);
	dial_with_token(&p, d.url, TOKEN);
	peer_connect(&q, d.url);
	say_hello(&q, "token", TOKEN);
	expect_goaway(&q, CHAN_ELIMIT);
	assert_non_null(strstr(q.m.goaway.message, "token ci has 1 connection, its limit"));
	peer_drop(&q);
	peer_dial(&q, d.url);
	peer_drop(&q);
	peer_drop(&p);
	stop(&d);
}

/* Resumes while the connection before still stands. */
static void resume_over(struct peer *p, const char *url)
{
	struct peer old = *p;

	p->in = (struct buf){0};
	p->parsed = 0;
	peer_resume(p, url);
	peer_expect_end(&old);
	close(old.fd);
	buf_fini(&old.in);
}

static void ask_in_vain(struct peer *p, const char *url, int status)
{
	peer_ask_resume(p, url);
	expect_goaway(p, status);
	peer_expect_end(p);
	peer_lose(p);
}

static void resume_when_there_is_room(struct peer *p, const char *url)
{
	for (int i = 0; i < 100000; i++) {
		peer_ask_resume(p, url);
		peer_hear(p);
		if (p->m.kind == MESSAGE_WELCOME)
			return;
		assert_int_equal(p->m.goaway.status, CHAN_ELIMIT);
		peer_lose(p);
	}
	fail_msg("the broker did not see that a connection had gone");
}

/* Who is at his quota can come back all the same, in place of the connection that is dead without
 * the broker's knowing; but not as one more. */
static void test_a_resume_replaces_its_connection(void **state)
{
	struct test_daemon d;
	struct peer p, q, r, by_token;

	(void)state;
	start(&d, "token \"ci\" { digest = \"sha256:" TOKEN_SHA256 "\" }\n"
		  "quota \"users\" { who = {\"user:*\"} connections = 2 }\n"
		  "quota \"ci\" { who = {\"token:ci\"} connections = 1 }\n");
	peer_dial_lingering(&p, d.url, 60000);
	peer_dial(&q, d.url);
	resume_over(&p, d.url);
	resume_over(&p, d.url);
	peer_connect(&r, d.url);
	say_hello(&r, "", "");
	expect_goaway(&r, CHAN_ELIMIT);
	peer_drop(&r);

	peer_lose(&p);
	dial_when_there_is_room(&r, d.url);
	ask_in_vain(&p, d.url, CHAN_ELIMIT);
	peer_drop(&q);
	resume_when_there_is_room(&p, d.url);
	p.session_id[15] ^= 1;
	ask_in_vain(&p, d.url, CHAN_EUNKNOWN);
	peer_drop(&p);
	peer_drop(&r);

	peer_dial_lingering_as(&by_token, d.tcp_url, 60000, TOKEN);
	resume_over(&by_token, d.tcp_url);
	peer_drop(&by_token);
	stop(&d);
}

/* Who comes beyond his quota and says nothing takes no more than a few places. */
static void test_the_silent_beyond_a_quota(void **state)
{
	enum { EXTRAS = 8 };
	struct peer p, silent[EXTRAS], more;
	struct test_daemon d;

	(void)state;
	start(&d, "quota \"users\" { who = {\"user:*\"} connections = 1 }\n");
	peer_dial_lingering(&p, d.url, 60000);
	for (int i = 0; i < EXTRAS; i++)
		peer_connect(&silent[i], d.url);
	peer_connect(&more, d.url);
	expect_goaway(&more, CHAN_ELIMIT);
	peer_drop(&more);
	for (int i = 0; i < EXTRAS; i++)
		peer_drop(&silent[i]);
	peer_dial(&more, d.tcp_url);
	peer_drop(&more);
	resume_when_there_is_room(&p, d.url);
	peer_drop(&p);
	stop(&d);
}

/* Sessions without a connection: nobody takes the places of all, by a quota's bound or, where there
 * is none, beyond half of what there is. */
static void test_share_of_sessions(void **state)
{
	static const char *const quotas[] = {
		"sessions_max = 9\nquota \"users\" { who = {\"user:*\"} sessions = 1 }\n",
		"sessions_max = 2\n"};
	char text[512];
	struct test_daemon d;
	struct peer p, q, by_token;
	int there = 0;

	(void)state;
	for (int i = 0; i < 2; i++) {
		snprintf(text, sizeof(text),
			"token \"ci\" { digest = \"sha256:" TOKEN_SHA256 "\" }\n%s", quotas[i]);
		start(&d, text);
		peer_dial_lingering(&p, d.url, 60000);
		peer_dial_lingering(&q, d.url, 60000);
		peer_dial_lingering_as(&by_token, d.url, 60000, TOKEN);
		peer_lose(&p);
		peer_lose(&q);
		daemon_expect_log(&d, "has as many without one as it may: 1");
		peer_lose(&by_token);
		peer_resume(&by_token, d.url);
		there = 0;
		for (struct peer *each = &p; each; each = each == &p ? &q : NULL) {
			peer_ask_resume(each, d.url);
			peer_hear(each);
			there += each->m.kind == MESSAGE_WELCOME;
			if (each->m.kind != MESSAGE_WELCOME)
				assert_int_equal(each->m.goaway.status, CHAN_EUNKNOWN);
			peer_drop(each);
		}
		assert_int_equal(there, 1);
		peer_drop(&by_token);
		stop(&d);
	}
}

static void test_quota_of_the_rate(void **state)
{
	struct test_daemon d;
	struct peer p[40]; /* so many that forty seconds would have to pass */
	int refused = 0, n = 0;

	(void)state;
	start(&d, "quota \"users\" { who = {\"user:*\"} connection_rate = 1 connection_burst = 2 "
		  "}\n");
	for (; n < 40 && !refused; n++) {
		peer_connect(&p[n], d.url);
		say_hello(&p[n], "", "");
		peer_hear(&p[n]);
		if (p[n].m.kind == MESSAGE_GOAWAY) {
			assert_int_equal(p[n].m.goaway.status, CHAN_ELIMIT);
			assert_non_null(strstr(p[n].m.goaway.message,
				"connects more often than 1 times a second"));
			refused++;
		}
	}
	assert_int_equal(refused, 1);
	assert_true(n > 2); /* the burst */
	for (int i = 0; i < n; i++)
		peer_drop(&p[i]);
	stop(&d);
}

/* Of all its sessions together: channels, bytes, operations. */
static void test_quotas_of_an_identity(void **state)
{
	struct test_daemon d;
	struct peer p, q;
	uint64_t channel;

	(void)state;
	start(&d, "quota \"users\" { who = {\"user:*\"} channels = 2 buffered_bytes = 200 "
		  "ops_in_flight = 3 }\n");
	peer_dial(&p, d.url);
	peer_dial(&q, d.url);
	channel = peer_channel(&p, "1", CHAN_TYPE_STRING, 9);
	peer_channel(&q, "2", CHAN_TYPE_STRING, 9);
	peer_expect_fail(&q, peer_make(&q, "3", CHAN_TYPE_STRING, 9), CHAN_ELIMIT);
	peer_expect_done(&p, peer_send(&p, channel, "0123456789"));
	peer_opened(&q, "1", CHAN_BOTH);
	peer_expect_done(&q, peer_send(&q, channel, "0123456789"));
	peer_expect_fail(&p, peer_send(&p, channel, "0123456789012345678901234567890123456789"),
		CHAN_ELIMIT);
	assert_non_null(strstr(p.m.fail.message, "buffered_bytes of its quota"));
	channel = peer_opened(&p, "2", CHAN_BOTH);
	peer_recv(&p, channel);
	peer_recv(&p, channel);
	peer_recv(&p, channel);
	peer_expect_quiet(&p);
	peer_opened(&q, "2", CHAN_BOTH);
	peer_expect_fail(&q, peer_recv(&q, channel), CHAN_ELIMIT);
	peer_drop(&p);
	peer_drop(&q);
	stop(&d);
}

/* ---- the log ----------------------------------------------------------------------------------
 */

static size_t count_in_log(const struct test_daemon *d, const char *wanted)
{
	char line[2048];
	FILE *f = fopen(d->log_path, "r");
	size_t count = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		count += strstr(line, wanted) != NULL;
	fclose(f);
	return count;
}

/* However often somebody is refused, or breaks the protocol, the log stays short; and no token
 * ever stands in it. */
static void test_the_log_is_bounded(void **state)
{
	struct test_daemon d;
	struct peer p;

	(void)state;
	start(&d, CI_RULES);
	dial_with_token(&p, d.tcp_url, TOKEN);
	for (int i = 0; i < 300; i++)
		peer_expect_fail(&p, peer_make(&p, "other", CHAN_TYPE_STRING, 1), CHAN_EPERM);
	peer_drop(&p);
	for (int i = 0; i < 100; i++) {
		dial_with_token(&p, d.tcp_url, TOKEN);
		peer_say_bytes(&p, "\377\377\377\377\377\377\377\377", 8);
		expect_goaway(&p, CHAN_EPROTOCOL);
		peer_drop(&p);
		peer_connect(&p, d.tcp_url);
		say_hello(&p, "token", OTHER_TOKEN);
		expect_goaway(&p, CHAN_EAUTH);
		peer_drop(&p);
	}
	assert_in_range(count_in_log(&d, "denied: "), 1, 60);
	assert_in_range(count_in_log(&d, "session ends: EPROTOCOL"), 1, 60);
	assert_in_range(count_in_log(&d, "not let in: "), 1, 60);
	assert_int_equal(count_in_log(&d, TOKEN), 0);
	assert_int_equal(count_in_log(&d, OTHER_TOKEN), 0);
	stop(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_a_session_is_its_owners),
		cmocka_unit_test(test_wrong_credentials),
		cmocka_unit_test(test_a_token_where_there_are_none),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_a_wrong_reload),
		cmocka_unit_test(test_quota_of_connections),
		cmocka_unit_test(test_a_resume_replaces_its_connection),
		cmocka_unit_test(test_the_silent_beyond_a_quota),
		cmocka_unit_test(test_share_of_sessions),
		cmocka_unit_test(test_quota_of_the_rate),
		cmocka_unit_test(test_quotas_of_an_identity),
		cmocka_unit_test(test_the_log_is_bounded),
	};

	test_time_limit();
	return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
