/*
 * fuzz_client.c - libchan with a hostile server: whatever that writes, no call crashes, leaks or
 * blocks for longer than its time, and all that the library writes follows the protocol.
 *
 * Input: a byte of options, the script's length in two bytes, the script (which calls the program
 * makes), and all the rest is what the server writes. Sequence numbers are known in advance, so the
 * server's bytes can hold answers to operations that come later.
 *
 * The world is in world.h. The script also has the server say what its bytes would hardly come to
 * by chance. The library does without its thread; a session that the server lets linger is resumed
 * by dialling again.
 *
 * The program keeps what it received across whatever follows: the values' bytes must stay as they
 * are until it is done with them, also when their end or the client is gone.
 */
#include "chan/chan.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/world.h"
#include <string.h>

/* ---- the program -------------------------------------------------------------------------- */

#define ENDS_MAX 4
#define OPS_MAX 16
#define HELD_MAX 16

struct pending {
	struct chan_op *op; /* NULL: none, or its completion was taken */
	struct chan *end;   /* that it is about; NULL: released meanwhile, or several */
	bool opens;         /* completes with a new end */
};

/* A value that was received. */
struct held {
	bool full;
	struct chan *by; /* NULL: given up meanwhile, so that it cannot be settled */
	struct chan_value value;
	unsigned sum; /* of its bytes */
};

static struct {
	struct chan_client *client;
	struct chan *ends[ENDS_MAX];
	struct pending ops[OPS_MAX];
	struct held held[HELD_MAX];
	bool leaves; /* by chan_hangup, with all that it has */
} program;

static struct chan **any_end(void)
{
	return &program.ends[choose(ENDS_MAX)];
}

static const char *any_name(void)
{
	static const char *const names[] = {"jobs", "a", "not a name", ""};

	return names[choose(4)];
}

static int64_t any_timeout(void)
{
	static const int64_t timeouts[] = {CHAN_FOREVER, CHAN_TRY, 1000, 2000000000, INT64_MAX};

	return timeouts[choose(5)];
}

static struct chan_end_options end_options(void)
{
	bool leases = choose(2);

	return (struct chan_end_options){
		.credit = world_has(OPTION_CREDIT) ? 8 : 0,
		.manual = world_has(OPTION_MANUAL) && !leases,
		.lease_ns = leases ? 1000000000 : 0,
		.raw = world_has(OPTION_RAW),
	};
}

static char large[200000];

static struct chan_value any_value(void)
{
	switch (choose(8)) {
	case 0:
		return chan_value_int(7);
	case 1:
		return chan_value_float(0.5);
	case 2:
		return chan_value_bool(true);
	case 3:
		return chan_value_string("text", 4);
	case 4:
		return chan_value_bytes(large, sizeof(large));
	case 5:
		return chan_value_signal();
	case 6:
		return chan_value_chan(*any_end());
	default:
		return chan_value_raw("\1\0\0\0\0\0\0\0\7", 9);
	}
}

static unsigned sum_of(const struct chan_value *v)
{
	const unsigned char *bytes = v->bytes;
	unsigned sum = 1;

	if (v->type != CHAN_TYPE_STRING && v->type != CHAN_TYPE_BYTES && v->type != CHAN_TYPE_RAW)
		return 0;
	for (size_t i = 0; i < v->len; i++)
		sum = sum * 31 + bytes[i];
	return sum;
}

static void let_go(struct held *h)
{
	fuzz_require(sum_of(&h->value) == h->sum);
	chan_value_clear(&h->value);
	h->full = false;
}

/* Where there is no room for another, the program is done with it at once. */
static void keep(struct chan *ch, struct chan_value *v)
{
	for (struct held *h = program.held;
		h < program.held + HELD_MAX && (v->memory || v->delivery); h++)
		if (!h->full) {
			*h = (struct held){true, ch, *v, sum_of(v)};
			return;
		}
	chan_value_clear(v);
}

/* A free slot for an operation, which is its tag; NULL: there is none. */
static struct pending *free_slot(struct chan *end, bool opens)
{
	for (struct pending *p = program.ops; p < program.ops + OPS_MAX; p++)
		if (!p->op) {
			p->end = end;
			p->opens = opens;
			return p;
		}
	return NULL;
}

/* The new end has to go somewhere. */
static void keep_end(struct chan *end)
{
	for (int i = 0; i < ENDS_MAX && end; i++)
		if (!program.ends[i]) {
			program.ends[i] = end;
			return;
		}
	chan_release(end);
}

static void completed(struct chan_completion *done)
{
	struct pending *p = done->tag;

	fuzz_require(p >= program.ops && p < program.ops + OPS_MAX && p->op);
	p->op = NULL;
	fuzz_require(done->status >= 0 || (done->error && *done->error->text));
	if (p->opens)
		keep_end(done->chan);
	else
		keep(p->end, &done->value);
}

static void take_completions(void)
{
	struct chan_completion done;

	while (chan_next_completion(program.client, &done) > 0)
		completed(&done);
}

static void do_make(void)
{
	struct chan_make_options options = {.temporary = choose(2), .end = end_options()};
	struct pending *p = free_slot(NULL, true);

	if (p)
		chan_start_make(program.client, choose(4) ? any_name() : NULL,
			(enum chan_type)choose(10), (int64_t)choose(4) - 1, &options, p, &p->op);
}

static void do_open(void)
{
	struct chan_open_options options = {
		.wait_create = choose(2), .timeout_ns = choose(2), .end = end_options()};
	struct pending *p = free_slot(NULL, true);

	if (p)
		chan_start_open(program.client, any_name(), (enum chan_direction)choose(5),
			&options, p, &p->op);
}

static void do_open_now(void)
{
	struct chan_open_options options = {.end = end_options()};
	struct chan **end = any_end();

	if (!*end && chan_open(program.client, "jobs", CHAN_BOTH, &options, end) < 0)
		fuzz_require(*chan_error_text());
}

static void do_send(void)
{
	struct chan *ch = *any_end();
	struct chan_value values[3] = {any_value(), any_value(), any_value()};
	struct pending *p = free_slot(ch, false);

	if (ch && p)
		chan_start_send(ch, values, choose(4), any_timeout(), p, &p->op);
}

static void do_recv(void)
{
	struct chan *ch = *any_end();
	struct pending *p = free_slot(ch, false);

	if (ch && p)
		chan_start_recv(ch, any_timeout(), p, &p->op);
}

static size_t any_cases(struct chan_case cases[static 3])
{
	size_t n = choose(4);

	for (size_t i = 0; i < n; i++)
		cases[i] = (struct chan_case){.chan = *any_end(),
			.direction = (enum chan_direction)(1 + choose(2)),
			.value = any_value()};
	return n;
}

static void do_select(void)
{
	struct chan_case cases[3];
	size_t n = any_cases(cases);
	struct pending *p = free_slot(NULL, false);

	if (p)
		chan_start_select(program.client, cases, n, any_timeout(), p, &p->op);
}

static void do_select_now(void)
{
	struct chan_case cases[3];
	size_t n = any_cases(cases);
	int chosen = chan_select(program.client, cases, n, any_timeout());

	fuzz_require(chosen < (int)n);
	if (chosen >= 0 && cases[chosen].direction == CHAN_RECV && cases[chosen].result == 1)
		keep(cases[chosen].chan, &cases[chosen].value);
}

static void do_send_now(void)
{
	struct chan_value v = any_value();
	struct chan *ch = *any_end();

	if (ch)
		chan_send_timeout(ch, &v, any_timeout());
}

static void do_recv_now(void)
{
	struct chan *ch = *any_end();
	struct chan_value v;

	if (ch && chan_recv_timeout(ch, &v, any_timeout()) == 1)
		keep(ch, &v);
}

static void do_recv_many(void)
{
	struct chan *ch = *any_end();
	struct chan_value v[5];
	int n = ch ? chan_recvv(ch, v, 5, any_timeout()) : 0;

	fuzz_require(n <= 5);
	for (int i = 0; i < n; i++)
		keep(ch, &v[i]);
}

static struct held *any_held(void)
{
	return &program.held[choose(HELD_MAX)];
}

static void do_settle(void)
{
	struct held *h = any_held();
	int (*settle)(struct chan *, struct chan_value *, size_t) =
		choose(2) ? chan_confirm : chan_return;

	if (h->full && h->by)
		settle(h->by, &h->value, 1);
	if (h->full)
		let_go(h);
}

static void do_close(void)
{
	struct chan *ch = *any_end();
	struct pending *p = free_slot(ch, false);

	if (ch && p)
		chan_start_close(ch, choose(2) ? "done" : NULL, p, &p->op);
}

static void do_cancel(void)
{
	struct chan_op *op = program.ops[choose(OPS_MAX)].op;

	if (op)
		chan_op_cancel(op);
}

static void do_wait(void)
{
	struct chan_completion done;

	if (chan_wait_completion(program.client, &done, any_timeout()) == 1)
		completed(&done);
}

static void do_process(void)
{
	for (uint32_t n = choose(4); n > 0; n--)
		world_let_come();
	chan_events(program.client);
	chan_process(program.client);
}

static int see_stat(const struct chan_stat *stat, void *arg)
{
	(void)arg;
	fuzz_require(memchr(stat->name, '\0', sizeof(stat->name)));
	return 0;
}

static int see_waiter(const struct chan_waiter *w, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < w->channel_count; i++)
		fuzz_require(w->channels[i]);
	return 0;
}

static void do_look(void)
{
	struct chan_stat stat;
	struct chan *ch = *any_end();

	switch (choose(6)) {
	case 0:
		chan_stat(program.client, "jobs", &stat);
		break;
	case 1:
		chan_list(program.client, "j", see_stat, NULL);
		break;
	case 2:
		chan_ps(program.client, see_waiter, NULL);
		break;
	case 3:
		chan_remove(program.client, "jobs");
		break;
	case 4:
		chan_ping(program.client, NULL);
		break;
	default:
		if (ch)
			chan_len(ch);
	}
}

/* No call may use the end any more. */
static void forget_end(const struct chan *end)
{
	for (int i = 0; i < OPS_MAX; i++)
		if (program.ops[i].end == end)
			program.ops[i].end = NULL;
	for (struct held *h = program.held; h < program.held + HELD_MAX; h++)
		if (h->by == end)
			h->by = NULL;
}

static void do_release(void)
{
	struct chan **end = any_end();

	forget_end(*end);
	chan_release(*end);
	*end = NULL;
}

static void do_time(void)
{
	world_pass(choose(2) ? INT64_C(1000000) : INT64_C(9000000000));
}

static void do_abort(void)
{
	struct chan *ch = *any_end();
	struct pending *p = free_slot(ch, false);

	if (ch && p)
		chan_start_abort(ch, choose(2) ? "died" : NULL, p, &p->op);
}

/* With what may have been received under a lease. */
static void do_lease(void)
{
	struct held *h = any_held();

	if (!h->full || !h->by)
		return;
	chan_lease_lost(h->by, &h->value);
	switch (choose(3)) {
	case 0:
		chan_extend(h->by, &h->value, 1, 1000000);
		return;
	case 1:
		chan_ack(h->by, &h->value, 1);
		break;
	default:
		chan_nack(h->by, &h->value, 1, choose(2));
	}
	let_go(h);
}

/* Text of its own: of a pack, or what was one. */
static void do_recv_text(void)
{
	struct chan *ch = *any_end();
	char *text;
	size_t len;

	if (ch && chan_recv_string(ch, &text, &len) == 1) {
		fuzz_require(text[len] == 0);
		free(text);
	}
}

/* Without a word to what it has begun. */
static void do_leave(void)
{
	program.leaves = true;
	world_stop();
}

static void (*const actions[])(void) = {do_make, do_open, do_open_now, do_send, do_recv, do_select,
	do_send_now, do_recv_now, do_recv_many, do_select_now, do_settle, do_close, do_cancel,
	do_wait, do_process, take_completions, do_look, do_release, do_time, world_lose, do_abort,
	do_lease, do_recv_text, do_leave, world_say_opened, world_say_outcome, world_say_values,
	world_say_gone, world_say_pong};

#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

/* ---- the input ---------------------------------------------------------------------------- */

/* Ends that came as values are the client's, and go before it; the others outlive it. */
static void let_ends_go(void)
{
	for (struct held *h = program.held; h < program.held + HELD_MAX; h++)
		if (h->full && h->value.type == CHAN_TYPE_CHAN)
			let_go(h);
	for (int i = 0; i < ENDS_MAX && !program.leaves; i++) {
		forget_end(program.ends[i]);
		chan_release(program.ends[i]);
	}
}

static void end_program(void)
{
	if (!program.leaves)
		take_completions();
	let_ends_go();
	chan_hangup(program.client);
	for (struct held *h = program.held; h < program.held + HELD_MAX; h++)
		if (h->full)
			let_go(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct chan_dial_options options = {.no_keeper = true, .ring_after = 3};

	memset(&program, 0, sizeof(program));
	world_begin(bytes, n);
	options.linger_ns = world_has(OPTION_LINGERS) ? 0 : -1;
	if (chan_dial("unix:/hostile", &options, &program.client) == 0) {
		while (world_goes_on())
			actions[choose(ACTIONS)]();
		end_program();
	}
	world_end();
	return 0;
}
