/*
 * seeds.c - writes the fuzzers' first inputs: seeds FOLDER, which is then tests/fuzz/corpus.
 *
 * Those of frame, session and client are conversations in bytes, one of each kind of message at
 * least; engine and account begin with choices by chance; config and url are texts, one a file.
 */
#include "chan/status.h"
#include "chan/value.h"
#include "proto/limits.h"
#include "proto/wire.h"
#include "server/base/random.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *folder;

static void write_input(const char *fuzzer, const char *name, const void *bytes, size_t n)
{
	char path[4096];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", folder, fuzzer);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/%s/%s", folder, fuzzer, name);
	out = fopen(path, "we");
	if (!out || fwrite(bytes, 1, n, out) != n || fclose(out) != 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(EXIT_FAILURE);
	}
}

/* ---- frames ------------------------------------------------------------------------------- */

static void put_payload(struct buf *out, const char *bytes, size_t n)
{
	wire_value_put_prefix(out, n, 1, 0);
	buf_append(out, bytes, n);
}

/* The message as a frame with count values of two bytes, and a SEND's or DELIVER's sizes set. */
static void put(struct buf *out, struct message m, uint32_t count)
{
	struct buf payload = {0};

	for (uint32_t i = 0; i < count; i++)
		put_payload(&payload, "hi", 2);
	if (m.kind == MESSAGE_SEND)
		m.send.count = count, m.send.payload_bytes = buf_len(&payload);
	else if (m.kind == MESSAGE_DELIVER)
		m.deliver.count = count, m.deliver.payload_bytes = buf_len(&payload);
	else if (m.kind == MESSAGE_SELECT)
		m.select.payload_bytes = buf_len(&payload);
	if (wire_encode(out, &m, 0, (uint32_t)buf_len(&payload)) < 0)
		abort();
	buf_append(out, buf_data(&payload), buf_len(&payload));
	buf_fini(&payload);
}

/* A value of n bytes in a frame and a PIECE. */
static void put_in_pieces(struct buf *out, struct message m, uint64_t id, size_t n)
{
	struct message piece = {.kind = MESSAGE_PIECE, .seq = id};
	struct buf payload = {0};
	char *bytes = calloc(1, n);
	size_t half = n / 2;

	put_payload(&payload, bytes, n);
	if (m.kind == MESSAGE_SEND)
		m.send.count = 1, m.send.payload_bytes = buf_len(&payload);
	else
		m.deliver.count = 1, m.deliver.payload_bytes = buf_len(&payload);
	wire_encode(out, &m, FRAME_MORE, (uint32_t)half);
	buf_append(out, buf_data(&payload), half);
	wire_encode(out, &piece, 0, (uint32_t)(buf_len(&payload) - half));
	buf_append(out, buf_data(&payload) + half, buf_len(&payload) - half);
	buf_fini(&payload);
	free(bytes);
}

static const struct wire_case cases[] = {
	{.channel = 1, .direction = CHAN_SEND}, {.channel = 1, .direction = CHAN_RECV}};
static const struct wire_range range = {1, 1};

/* What a client says, in an order that makes sense to a broker; values: how many go along. */
static const struct {
	struct message m;
	uint32_t values;
} asked[] = {
	{{.kind = MESSAGE_MAKE,
		 .seq = 1,
		 .make = {.name = "jobs",
			 .type = CHAN_TYPE_STRING,
			 .capacity = 2,
			 .direction = CHAN_BOTH}},
		0},
	{{.kind = MESSAGE_OPEN, .seq = 2, .open = {.name = "jobs", .direction = CHAN_RECV}}, 0},
	{{.kind = MESSAGE_SEND, .seq = 3, .send = {.channel = 1}}, 3},
	{{.kind = MESSAGE_RECV, .seq = 6, .recv = {.channel = 1, .credit = 2, .stream = true}}, 0},
	{{.kind = MESSAGE_TAKEN, .seq = 7, .settle = {.deliveries = {&range, 1}}}, 0},
	{{.kind = MESSAGE_GRANT, .seq = 6, .grant = {1}}, 0},
	{{.kind = MESSAGE_RETURN, .seq = 8, .settle = {.deliveries = {&range, 1}}}, 0},
	{{.kind = MESSAGE_SELECT, .seq = 9, .select = {.cases = cases, .case_count = 2}}, 1},
	{{.kind = MESSAGE_CANCEL, .seq = 10, .cancel = {9}}, 0},
	{{.kind = MESSAGE_STAT, .seq = 11, .channel_ref = {.name = "jobs"}}, 0},
	{{.kind = MESSAGE_LIST, .seq = 12, .list = {.prefix = "j"}}, 0},
	{{.kind = MESSAGE_PS, .seq = 13}, 0},
	{{.kind = MESSAGE_CLOSE, .seq = 14, .close = {.channel = 1, .reason = "done"}}, 0},
	{{.kind = MESSAGE_RELEASE, .seq = 15, .release = {1}}, 0},
	{{.kind = MESSAGE_REMOVE, .seq = 16, .channel_ref = {.name = "jobs"}}, 0},
};

static const struct wire_channel_stat stat_row = {.name = "jobs", .channel = 1, .type = 4};
static const char *const waits_on[] = {"recv:jobs"};
static const struct wire_waiter waiter_row = {.id = 1,
	.speaker = {"host", "program", "", "", 7},
	.operation = "select",
	.channels = waits_on,
	.channel_count = 1};

/* What a broker says to a client that opens, sends, receives and looks. */
static const struct {
	struct message m;
	uint32_t values;
} answered[] = {
	{{.kind = MESSAGE_OPENED,
		 .seq = 1,
		 .opened = {.channel = 1,
			 .name = "jobs",
			 .type = CHAN_TYPE_STRING,
			 .capacity = 2,
			 .direction = CHAN_BOTH}},
		0},
	{{.kind = MESSAGE_DONE, .seq = 2, .done = {.count = 1}}, 0},
	{{.kind = MESSAGE_DELIVER, .seq = 3, .deliver = {.delivery = 1, .channel = 1}}, 1},
	{{.kind = MESSAGE_FAIL, .seq = 4, .fail = {.count = 1, .status = CHAN_ECLOSED}}, 0},
	{{.kind = MESSAGE_STATS, .seq = 5, .stats = {.channels = &stat_row, .count = 1}}, 0},
	{{.kind = MESSAGE_WAITERS, .seq = 6, .waiters = {.waiters = &waiter_row, .count = 1}}, 0},
	{{.kind = MESSAGE_GONE, .settle = {.deliveries = {&range, 1}}}, 0},
	{{.kind = MESSAGE_PONG, .ping = {.nonce = 1}}, 0},
	{{.kind = MESSAGE_GOAWAY, .goaway = {.status = CHAN_ESHUTDOWN, .message = "bye"}}, 0},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What is said about rings, by either side. */
static const struct message agreed[] = {
	{.kind = MESSAGE_RING_ASK},
	{.kind = MESSAGE_RING_OFFER, .ring_offer = {4096, 65536}},
	{.kind = MESSAGE_RING_BEGIN},
	{.kind = MESSAGE_RING_DECLINE, .ring_decline = {.message = "no"}},
};

static void write_frames(void)
{
	struct message hello = {.kind = MESSAGE_HELLO,
		.hello = &(struct wire_hello){.version_min = 1, .version_max = 1}};
	struct message welcome = {
		.kind = MESSAGE_WELCOME, .welcome = &(struct wire_welcome){.version = 1}};
	struct message send = {.kind = MESSAGE_SEND, .seq = 1, .send = {.channel = 1}};
	struct buf all = {0};

	put(&all, hello, 0);
	for (size_t i = 0; i < COUNT(asked); i++)
		put(&all, asked[i].m, asked[i].values);
	write_input("frame", "asked", buf_data(&all), buf_len(&all));
	buf_consume(&all, buf_len(&all));
	put(&all, welcome, 0);
	for (size_t i = 0; i < COUNT(answered); i++)
		put(&all, answered[i].m, answered[i].values);
	write_input("frame", "answered", buf_data(&all), buf_len(&all));
	buf_consume(&all, buf_len(&all));
	for (size_t i = 0; i < COUNT(agreed); i++)
		put(&all, agreed[i], 0);
	write_input("frame", "rings", buf_data(&all), buf_len(&all));
	buf_consume(&all, buf_len(&all));
	put_in_pieces(&all, send, 1, 100);
	write_input("frame", "pieces", buf_data(&all), buf_len(&all));
	write_input("frame", "flags", "\0\0\0\4\3\2\0\0", 8);
	write_input("frame", "long", "\377\377\377\377\3\0\0\0", 8);
	buf_fini(&all);
}

/* ---- sessions ----------------------------------------------------------------------------- */

/* The conversation of one client, and of two that take turns; first: the byte before each frame. */
static void write_session(const char *name, uint8_t first, bool turns)
{
	struct buf all = {0};

	for (size_t i = 0; i < COUNT(asked); i++)
		for (uint8_t client = 0; client <= turns; client++) {
			uint8_t byte = (uint8_t)(first + client);

			buf_append(&all, &byte, 1);
			put(&all, asked[i].m, asked[i].values);
		}
	write_input("session", name, buf_data(&all), buf_len(&all));
	buf_fini(&all);
}

static void write_session_in_pieces(void)
{
	struct message send = {.kind = MESSAGE_SEND, .seq = 2, .send = {.channel = 1}};
	struct message receive = {.kind = MESSAGE_RECV, .seq = 3, .recv = {.channel = 1}};
	struct buf all = {0}, pieces = {0};
	struct frame f;
	long n;

	buf_append(&all, "", 1);
	put(&all, asked[0].m, 0);
	put_in_pieces(&pieces, send, 2, 65000);
	while ((n = frame_parse(buf_data(&pieces), buf_len(&pieces), &f)) > 0) {
		buf_append(&all, "", 1);
		buf_append(&all, buf_data(&pieces), (size_t)n);
		buf_consume(&pieces, (size_t)n);
	}
	buf_append(&all, "", 1);
	put(&all, receive, 0);
	write_input("session", "pieces", buf_data(&all), buf_len(&all));
	buf_fini(&all);
	buf_fini(&pieces);
}

/* ---- clients ------------------------------------------------------------------------------ */

/* The script opens an end (action 2) and does one thing after another; the answers follow. */
static void write_client(const char *name, uint8_t options, uint8_t action)
{
	const uint8_t script[] = {2, 0, action, 0, 0, 0, 0, 14, 3, 15, 6, 0, 2, 7, 0, 2, action, 1,
		1, 1, 1, 13, 3, 16, 0, 0, 17, 0};
	struct buf all = {0};

	buf_append(&all, &options, 1);
	buf_append(&all, "\0", 1);
	buf_append(&all, &(uint8_t){sizeof(script)}, 1);
	buf_append(&all, script, sizeof(script));
	for (size_t i = 0; i < COUNT(answered); i++)
		put(&all, answered[i].m, answered[i].values);
	write_input("client", name, buf_data(&all), buf_len(&all));
	buf_fini(&all);
}

/* Steps of scripts in which the server says what is needed, see fuzz_client.c and world.c. */
#define OPENS                                                                                      \
	"\30\17\0\3\2\2"                                                                           \
	"\2\0\0" /* a string channel with a buffer, as end 0 */
#define RECEIVES                                                                                   \
	"\4\0\0"                                                                                   \
	"\16\0" /* by the first receive, a stream's */
#define SIX                                                                                        \
	"\0\0\0"                                                                                   \
	"\2\0\0"                                                                                   \
	"\3\0\0"                                                                                   \
	"\1\0\0"                                                                                   \
	"\2\1\0"                                                                                   \
	"\0\0\0"
#define VALUES_COME "\32\0\0\0\5" SIX "\16\1"
#define TAKES "\17"
#define RECEIVES_MANY "\10\0\1"
#define RECEIVES_TEXT "\26\0"
#define GIVES_UP                                                                                   \
	"\21\0"                                                                                    \
	"\16\0"
#define CANCELS                                                                                    \
	"\14\0"                                                                                    \
	"\16\0"
#define CLOSES                                                                                     \
	"\13\0\0"                                                                                  \
	"\16\0"
#define STREAM_ENDS                                                                                \
	"\31\0\1"                                                                                  \
	"\16\1"
#define LOSES                                                                                      \
	"\23"                                                                                      \
	"\16\0"
#define LEAVES "\27"

/* Several values on their way, and some in the program's hands, when it gives up what they are for.
 */
static const struct {
	const char *name;
	const char *script;
	size_t bytes;
} given_up[] = {
#define SCRIPT(name, script)                                                                       \
	{                                                                                          \
		name, script, sizeof(script) - 1                                                   \
	}
	SCRIPT("end", OPENS RECEIVES VALUES_COME TAKES GIVES_UP VALUES_COME STREAM_ENDS),
	SCRIPT("end-with-receive", OPENS RECEIVES GIVES_UP VALUES_COME VALUES_COME),
	SCRIPT("receive", OPENS RECEIVES CANCELS VALUES_COME RECEIVES_MANY GIVES_UP VALUES_COME),
	SCRIPT("channel", OPENS RECEIVES VALUES_COME CLOSES VALUES_COME RECEIVES_TEXT GIVES_UP),
	SCRIPT("text", OPENS RECEIVES VALUES_COME RECEIVES_TEXT RECEIVES_MANY GIVES_UP VALUES_COME),
	SCRIPT("connection", OPENS RECEIVES VALUES_COME TAKES LOSES GIVES_UP VALUES_COME),
	SCRIPT("client", OPENS RECEIVES VALUES_COME TAKES VALUES_COME LEAVES),
};

static void write_given_up(const char *name, uint8_t options, const char *script, uint8_t bytes)
{
	struct buf all = {0};
	char path[64];

	snprintf(path, sizeof(path), "given-up-%s-%u", name, options);
	buf_append(&all, &options, 1);
	buf_append(&all, "\0", 1);
	buf_append(&all, &bytes, 1);
	buf_append(&all, script, bytes);
	write_input("client", path, buf_data(&all), buf_len(&all));
	buf_fini(&all);
}

static void write_clients(void)
{
	static const uint8_t options[] = {33, 33 | 16, 33 | 64, 33 | 128};
	char name[32];

	for (size_t i = 0; i < COUNT(given_up) * COUNT(options); i++)
		write_given_up(given_up[i / COUNT(options)].name, options[i % COUNT(options)],
			given_up[i / COUNT(options)].script,
			(uint8_t)given_up[i / COUNT(options)].bytes);

	for (uint8_t action = 0; action < 19; action++) {
		snprintf(name, sizeof(name), "action-%u", action);
		write_client(name, (uint8_t)(1 | action << 1), action);
	}
}

/* ---- choices and texts -------------------------------------------------------------------- */

static void write_choices(const char *fuzzer)
{
	struct random random;
	uint8_t bytes[512];
	char name[32];

	random_init(&random, 1);
	for (size_t n = 32; n <= sizeof(bytes); n *= 2) {
		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)random_below(&random, 256);
		snprintf(name, sizeof(name), "chance-%zu", n);
		write_input(fuzzer, name, bytes, n);
	}
}

static const char *const configs[] = {
	"listen = {\"unix:/tmp/a\", \"tcp://127.0.0.1:0\"}\nlog_level = debug\n",
	"# a comment\nsocket_mode = 0600\nuser = \"nobody\"\nprocs = 2\n",
	"connections_max = 100\nbuffered_bytes_max = 64M\nvalue_bytes_max = 64K\n",
	"hello_timeout = 500ms\nsilence_timeout = 10s\nstall_timeout = 1m\n",
	"value_bytes_max = 1G\n",
	"unknown = 1\nlisten = {",
	"rule \"r\" {\n who = {\"user:root\", \"cert:*.example.org\"}\n may = {make, send}\n"
	" channels = {\"jobs.*\"}\n}\n",
	"token \"ci\" {\n digest = "
	"\"sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97b"
	"f527a25b\"\n}\nrule \"t\" { who = {\"token:ci\"}\n may = {list}\n channels = {\"*\"} }\n",
	"quota \"q\" {\n who = {\"token:*\"}\n connections = 100\n connection_rate = 10\n"
	" connection_burst = 50\n sessions = 7\n channels = 9\n buffered_bytes = 64M\n"
	" ops_in_flight = 1\n}\n",
	"user = 'it''s' \"\\x41${HOME}\\\n\"",
};

/* The first byte says which word it is: see checks[] of fuzz_url.c, of which there are 6. */
static const char *const words[] = {
	"0unix:/run/chand/chand.sock",
	"0tcp://[::1]:2426",
	"6tls://host",
	"0tcp://h:99999",
	"1tcp://:2426",
	"1unix:",
	"71.5ms",
	"21h",
	"2250us",
	"3-12",
	"93.25e10",
	"?true",
	"Etext",
	"3nan",
	"4{channel}: {value}\\n",
	"4%v %%",
	"5line\nline\n",
	";a\0b",
	"A\0\0\0\2hi",
};

static void write_texts(void)
{
	char name[32];

	for (size_t i = 0; i < COUNT(configs); i++) {
		snprintf(name, sizeof(name), "text-%zu", i);
		write_input("config", name, configs[i], strlen(configs[i]));
	}
	for (size_t i = 0; i < COUNT(words); i++) {
		snprintf(name, sizeof(name), "word-%zu", i);
		write_input("url", name, words[i], strlen(words[i]));
	}
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: seeds FOLDER\n");
		return 64;
	}
	folder = argv[1];
	mkdir(folder, 0777);
	write_frames();
	write_session("one", 0, false);
	write_session("two", 0, true);
	write_session("time", 3, true);
	write_session_in_pieces();
	write_clients();
	write_choices("engine");
	write_choices("account");
	write_texts();
	return 0;
}
