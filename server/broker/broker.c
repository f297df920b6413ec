#include "server/broker/broker_state.h"

#define LOG_SUBSYSTEM "broker"

#include "chan/status.h"
#include "config.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "server/base/clock.h"
#include "server/base/log_limit.h"
#include "server/base/memory.h"
#include "server/base/random.h"
#include "server/broker/buffers.h"
#include "server/broker/connection.h"
#include "server/broker/session.h"
#include "server/broker/settle.h"
#include "server/broker/writer.h"
#include "server/channel/select.h"
#include "server/runtime/runtime.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Batches that may wait for the broker; a reader that comes when so many do parks, and does not
 * read on. Few suffice to keep the broker busy, and each holds up to 256 KiB of input. */
#define BATCHES_WAITING_MAX 64

/* Batches that others brought and one turn applies, after which answers leave whatever waits. */
#define TURN_BATCHES_MAX 32

/* Turns that a reader goes on for others, who brought batches meanwhile; then the keeper does. */
#define TURNS_MAX 4

/* Of the ceiling, what all sessions together may take once memory is tight: half of what is left
 * until it is scarce. */
#define MEMORY_SPARE_PART 16

/* Connections over a limit that are being told so at once; more are closed without a word. */
#define REFUSALS_MAX 64

/* ---- life --------------------------------------------------------------------------------- */

static void answer(struct party *to, const struct message *m, struct value *const *values,
	const uint32_t *attempts, size_t value_count)
{
	session_answer(party_owner(to), m, values, attempts, value_count);
}

/* Clients can be refused as often as they like. */
static void denied(struct party *p, const char *verb, const char *label)
{
	static struct log_limit limit = LOG_LIMIT_INIT;
	const struct session *s = party_owner(p);

	log_limited(&limit, LOG_LEVEL_NOTICE, "denied: %s, %s %s (%" PRIu64 " denied so far)",
		identity_label(engine_party_identity(p)), verb, label,
		engine_denied(s->broker->engine));
}

struct broker *broker_new(const struct broker_options *options)
{
	struct broker *b = calloc(1, sizeof(*b));
	struct engine_options engine_options = {
		.limits = options->limits,
		.incarnation = random_seed(),
		.seed = random_seed(),
		.unix_offset_ns = clock_wall_ns() - clock_now_ns(),
		.answer = answer,
		.denied = denied,
	};

	if (!b)
		return NULL;
	b->options = *options;
	b->incarnation = engine_options.incarnation;
	list_init(&b->sessions);
	list_init(&b->detached);
	list_init(&b->touched);
	list_init(&b->connections);
	lock_init(&b->lock, LOCK_RANK_OUTER);
	b->watch_ns = b->state_deadline_ns = b->keeper_ns = DEADLINE_NEVER;
	admission_init(&b->admission, options->access, options->connections_max,
		options->sessions_max, options->rings_max);
	b->engine = engine_new(&engine_options);
	if (b->engine)
		engine_set_access(b->engine, options->access);
	b->events = hchan_make(enum broker_event, 2);
	b->alarm = hchan_new(0, 1, NULL);
	b->stopped = hchan_new(0, 0, NULL);
	if (helm_init(&b->helm, BATCHES_WAITING_MAX) < 0 || !b->engine || !b->events || !b->alarm ||
		!b->stopped || connection_init() < 0) {
		broker_free(b);
		return NULL;
	}
	return b;
}

void broker_free(struct broker *b)
{
	struct session *s, *next;

	if (b->abandoned)
		return;
	LIST_FOREACH_SAFE (s, next, &b->sessions, link)
		session_free(s);
	LIST_FOREACH_SAFE (s, next, &b->detached, link)
		session_free(s);
	seqmap_fini(&b->lingering);
	engine_free(b->engine);
	admission_fini(&b->admission);
	helm_fini(&b->helm);
	hchan_unref(b->events);
	hchan_unref(b->alarm);
	hchan_unref(b->stopped);
	batch_stock_fini();
	buffers_fini();
	outbox_stock_fini();
	free(b);
}

const struct broker_options *broker_options(const struct broker *b)
{
	return &b->options;
}

/* ---- connections -------------------------------------------------------------------------- */

static void list_connection(struct broker *b, struct connection *c)
{
	lock_acquire(&b->lock);
	list_push_back(&b->connections, &c->link);
	b->connection_count++;
	lock_release(&b->lock);
}

/* Where memory is scarce nobody comes in, and for a resume it may be better soon. */
static int check_memory(char why[static TEXT_BYTES_MAX])
{
	if (memory_look(clock_now_ns()) < MEMORY_SCARCE)
		return 0;
	snprintf(why, TEXT_BYTES_MAX,
		"the broker's memory is near its ceiling (memory_max); try again later");
	return CHAN_ELIMIT;
}

/* Whether one more may be told why it is refused. */
static bool may_refuse(struct broker *b)
{
	bool may;

	lock_acquire(&b->lock);
	may = b->refused_count < REFUSALS_MAX;
	b->refused_count += may;
	lock_release(&b->lock);
	return may;
}

void broker_accept(void *arg, struct stream *stream)
{
	struct broker *b = arg;
	struct connection *c = connection_new(b, stream);
	char why[TEXT_BYTES_MAX];
	int rc;

	if (!c)
		return;
	list_connection(b, c);
	rc = check_memory(why);
	if (rc == 0)
		rc = admission_enter(&b->admission, stream, &c->admitted, why, sizeof(why));
	if (rc == 0)
		connection_start(c, b->options.hello_timeout_ns);
	else if (may_refuse(b))
		connection_refuse(c, rc, why);
	else
		connection_unref(c);
}

void broker_connection_gone(struct broker *b, struct connection *c)
{
	bool empty;

	admission_leave(&b->admission, &c->admitted);
	lock_acquire(&b->lock);
	list_remove(&c->link);
	b->connection_count--;
	b->refused_count -= c->refused;
	empty = b->leaving && b->connection_count == 0;
	lock_release(&b->lock);
	if (empty)
		hchan_try_send(b->events, &(enum broker_event){EVENT_EMPTY});
}

void broker_set_connections_max(struct broker *b, uint32_t connections_max)
{
	admission_set_connections_max(&b->admission, connections_max);
}

void broker_set_access(struct broker *b, struct access *access)
{
	admission_replace(&b->admission, access);
	atomic_store(&b->access_replaced, true);
}

/* Closes every connection with GOAWAY; their readers and writers do the rest, and the last of them
 * tells EVENT_EMPTY. False: there is none. */
static bool close_connections(struct broker *b)
{
	struct connection *c, **list;
	uint32_t n = 0;
	bool any;

	lock_acquire(&b->lock);
	b->leaving = true;
	any = b->connection_count > 0;
	list = malloc((b->connection_count + 1) * sizeof(struct connection *));
	LIST_FOREACH (c, &b->connections, link)
		if (list && connection_try_ref(c))
			list[n++] = c;
	lock_release(&b->lock);

	for (uint32_t i = 0; i < n; i++) {
		connection_close(list[i], CHAN_ESHUTDOWN, "the broker is shutting down");
		connection_unref(list[i]);
	}
	free(list);
	return any;
}

/* ---- greeting ----------------------------------------------------------------------------- */

/* Whether the client is who it says, and may come in. */
static int check_identity(struct broker *b, struct connection *c, const struct wire_hello *hello,
	char *why, size_t why_bytes)
{
	static struct log_limit limit = LOG_LIMIT_INIT;
	int rc = admission_greet(&b->admission, c->stream, hello, &c->admitted, why, why_bytes);

	if (rc == CHAN_EAUTH)
		log_limited(&limit, LOG_LEVEL_NOTICE, "not let in: %s: %s",
			identity_label(c->admitted.identity), why);
	return rc;
}

int broker_check_hello(struct broker *b, struct connection *c, const struct wire_hello *hello,
	char *why, size_t why_bytes)
{
	if (hello->version_min > PROTOCOL_VERSION || hello->version_max < PROTOCOL_VERSION) {
		snprintf(why, why_bytes,
			"this broker speaks version %u of the protocol, the client %" PRIu32
			" to %" PRIu32,
			PROTOCOL_VERSION, hello->version_min, hello->version_max);
		return CHAN_ENOTSUP;
	}
	if (hello->session_id.len && hello->incarnation != b->incarnation) {
		snprintf(why, why_bytes,
			"the broker has restarted; it knows nothing of the session");
		return CHAN_ERESTARTED;
	}
	return check_identity(b, c, hello, why, why_bytes);
}

int broker_take_rings(struct broker *b, struct connection *c, char *why, size_t why_bytes)
{
	return admission_take_rings(&b->admission, &c->admitted, why, why_bytes);
}

void broker_give_rings(struct broker *b, struct connection *c)
{
	admission_give_rings(&b->admission, &c->admitted);
}

void broker_fill_welcome(const struct broker *b, const struct session *s,
	const struct connection *c, struct wire_welcome *ret_welcome)
{
	const struct engine_limits *limits = &b->options.limits;
	struct wire_welcome w = {.version = PROTOCOL_VERSION};

	w.features = c->rings == RINGS_GRANTED ? FEATURE_RINGS : 0;
	w.broker = PACKAGE_NAME " " PACKAGE_VERSION;
	w.incarnation = b->incarnation;
	w.session_id = (struct wire_bytes){s->id, sizeof(s->id)};
	w.session_secret = (struct wire_bytes){s->secret, sizeof(s->secret)};
	w.connection_epoch = s->epoch;
	w.resumed = s->epoch > 1;
	w.frames_received = s->frames_received;
	w.linger_ms = (uint64_t)(s->linger_ns / NS_PER_MS);
	w.heartbeat_ms = (uint64_t)(broker_heartbeat_ns(b) / NS_PER_MS);
	w.limits = (struct wire_limits){
		.frame_header_bytes = FRAME_HEADER_BYTES_MAX,
		.frame_payload_bytes = FRAME_PAYLOAD_BYTES_MAX,
		.value_bytes = limits->value_bytes_max,
		.capacity = (uint64_t)limits->capacity_max,
		.select_cases = SELECT_CASES_MAX,
		.credit = CREDIT_MAX,
		.batch_values = BATCH_VALUES_MAX,
		.ops_in_flight = limits->ops_in_flight_max,
		.bytes_in_flight = limits->bytes_in_flight_max,
		.unseen_bytes = b->options.unseen_bytes_max,
		.lease_ns = LEASE_NS_MAX,
	};
	*ret_welcome = w;
}

/* ---- sessions, at the helm ----------------------------------------------------------------- */

void broker_touch(struct broker *b, struct session *s)
{
	if (list_empty(&s->touched))
		list_push_back(&b->touched, &s->touched);
}

/* While there is no connection the answers gather in the session. */
size_t broker_flush(struct session *s, struct connection **chain)
{
	static struct log_limit limit = LOG_LIMIT_INIT;
	struct outbox *answers = s->answers;

	list_remove(&s->touched);
	if (!s->connection)
		return 0;
	s->answers = NULL;
	ride_left(&s->ride);
	if (s->failed) {
		log_limited(&limit, LOG_LEVEL_WARNING,
			"out of memory for an answer; its connection is cut");
		outbox_free(answers);
		connection_cut(s->connection);
	} else if (answers) {
		return connection_queue(s->connection, answers, chain);
	}
	return 0;
}

void broker_end_party(struct broker *b, struct session *s, int status, const char *text)
{
	static struct log_limit limit = LOG_LIMIT_INIT;
	struct connection *chain = NULL;

	if (!s->party)
		return;
	engine_party_end(b->engine, s->party, clock_now_ns());
	s->party = NULL;
	b->half_count -= s->half;
	resume_forget(b, s);
	broker_flush(s, &chain);
	connection_start_writers(chain);
	if (status)
		log_limited(
			&limit, LOG_LEVEL_INFO, "session ends: %s: %s", status_name(status), text);
	if (s->connection)
		connection_close(s->connection, status, text);
}

/* Whether they wait for company. */
static bool keeps_answers(struct broker *b, struct session *s)
{
	if (!ride_waits(&s->ride) || s->failed)
		return false;
	list_remove(&s->touched);
	watch_ride(b);
	return true;
}

/* About a round's worth of answers is for whoever writes *chain, and each further round for another
 * goroutine. A chain is written from its end: who is given a value comes before who sent it, as the
 * last that was touched. */
static void flush_touched(struct broker *b, struct connection **chain)
{
	size_t bytes = 0;

	while (!list_empty(&b->touched)) {
		struct session *s = list_entry(b->touched.next, struct session, touched);

		if (s->failed && !s->connection) {
			resume_end(b, s, "out of memory for an answer");
			continue;
		}
		if (s->failed || (s->half && s->party && !engine_party_waiting(s->party)))
			broker_end_party(b, s, 0, NULL);
		if (keeps_answers(b, s))
			continue;
		bytes += broker_flush(s, chain);
		if (bytes < WRITER_ROUND_BYTES)
			continue;
		connection_start_writers(*chain);
		*chain = NULL;
		bytes = 0;
	}
}

static void begin_party(struct broker *b, struct session *s, const struct wire_hello *hello)
{
	list_push_back(&b->sessions, &s->link);
	if (b->state != BROKER_RUNNING) {
		connection_close(s->connection, CHAN_ESHUTDOWN, "the broker is shutting down");
		return;
	}
	if (resume_register(b, s) == 0)
		s->party = engine_party_new(b->engine, s, &hello->speaker);
	if (s->party &&
		engine_party_identify(b->engine, s->party, s->connection->admitted.identity) == 0)
		return;
	if (s->party)
		engine_party_end(b->engine, s->party, clock_now_ns());
	s->party = NULL;
	resume_forget(b, s);
	connection_close(s->connection, CHAN_ENOMEM, "the broker is out of memory");
}

static void end_session(struct broker *b, struct session *s, const struct message *m)
{
	resume_refuse_next(s, CHAN_EUNKNOWN, "the session has ended");
	broker_end_party(b, s, m->goaway.status, m->goaway.message);
	session_free(s);
}

/* The client has shut its sending side down: what it sends is still answered. */
static void finish_party(struct broker *b, struct session *s, int64_t now_ns)
{
	if (!s->party)
		return;
	s->half = true;
	b->half_count++;
	engine_party_finish(b->engine, s->party, now_ns);
	ride_end(&s->ride);
	broker_touch(b, s);
	watch_half(s);
}

/* What the operation says about answers that may wait; those that did may have to leave. */
static void note_leave(struct broker *b, struct session *s, const struct message *m)
{
	ride_note_operation(&s->ride, m);
	if (s->answers)
		broker_touch(b, s);
}

/* An operation of a client. */
static void operate(struct broker *b, struct session *s, struct batch *batch, struct batch_op *op,
	int64_t now_ns)
{
	struct value **values = batch->values + op->value_first;
	int rc;

	if (!s->party)
		return;
	note_leave(b, s, &op->m);
	rc = engine_apply(b->engine, s->party, &op->m, values, op->value_count, now_ns);
	op->value_count = 0; /* their references were the engine's to take */
	if (rc < 0)
		broker_end_party(b, s, rc,
			"the operation cannot come from a client that follows the protocol");
}

static void apply(struct broker *b, struct batch *batch, struct batch_op *op, int64_t now_ns)
{
	struct session *s = batch->session; /* the last operation may free it */

	switch (op->what) {
	case BATCH_OPERATION:
		operate(b, s, batch, op, now_ns);
		break;
	case BATCH_BEGIN:
		begin_party(b, s, op->m.hello);
		break;
	case BATCH_RESUME:
		resume_ask(b, batch->connection, op->m.hello);
		break;
	case BATCH_ANSWER:
		if (s->party)
			session_answer(s, &op->m, NULL, NULL, 0);
		break;
	case BATCH_HEARD:
		watch_heard(b, s);
		break;
	case BATCH_HALF:
		finish_party(b, s, now_ns);
		break;
	case BATCH_END:
		end_session(b, s, &op->m);
		break;
	case BATCH_DETACH:
		resume_detach(b, s);
		break;
	}
}

/* ---- states ---------------------------------------------------------------------------------- */

static void enter_state(struct broker *b, enum broker_state state, int64_t span_ns)
{
	b->state = state;
	b->state_deadline_ns = clock_deadline_ns(span_ns);
}

/* What follows from the state, at the end of a turn. */
static void advance(struct broker *b, struct connection **chain, int64_t now_ns)
{
	bool late = now_ns >= b->state_deadline_ns;
	uint64_t out;

	if (b->state == BROKER_SETTLING) {
		out = engine_deliveries_out(b->engine);
		if (out && !late)
			return;
		if (out)
			log_warning("%" PRIu64
				    " values were out for delivery and not confirmed in time",
				out);
		b->dropped = engine_values_buffered(b->engine);
		enter_state(b, BROKER_LEAVING, 2 * CONNECTION_LINGER_NS);
		resume_expire(b, now_ns, true);
		watch_end_rides(b);
		flush_touched(b, chain);
		if (!close_connections(b))
			b->state = BROKER_STOPPED;
	} else if (b->state == BROKER_LEAVING && late) {
		b->abandoned = true;
		b->state = BROKER_STOPPED;
	}
}

/* Before each batch, and not by an event: who is told that the rules are in force may ask at once, and
 * his batch would come to the helm before the keeper, or into a turn that is under way. */
static void adopt_access(struct broker *b)
{
	struct access *access;

	if (!atomic_load(&b->access_replaced))
		return;
	atomic_store(&b->access_replaced, false);
	access = admission_access(&b->admission);
	engine_set_access(b->engine, access);
	access_unref(access);
}

/* It is the event that ends LEAVING, and not the count: who sends it is done with the broker. */
static void handle_event(struct broker *b, enum broker_event event)
{
	if (event == EVENT_EMPTY && b->state == BROKER_LEAVING) {
		b->state = BROKER_STOPPED;
	} else if (event == EVENT_STOP && b->state == BROKER_RUNNING) {
		engine_shutdown(b->engine, clock_now_ns());
		enter_state(b, BROKER_SETTLING, b->options.settle_timeout_ns);
	}
}

/* ---- turns ----------------------------------------------------------------------------------- */

static void apply_batch(struct broker *b, struct batch *batch, int64_t now_ns)
{
	adopt_access(b);
	for (size_t i = 0; i < batch->count; i++)
		apply(b, batch, &batch->ops[i], now_ns);
	batch_free(batch);
	b->unsure = true; /* by the readers alone: the ticks for it would never end */
}

/* The time of a turn: of a batch that has not waited that of its read, a few microseconds ago, which spares
 * a look at the clock. It never goes back. */
static int64_t time_turn(struct broker *b, const struct batch *own)
{
	int64_t now_ns = own && own->read_ns ? own->read_ns : clock_now_ns();

	if (now_ns > b->turn_ns)
		b->turn_ns = now_ns;
	return b->turn_ns;
}

/* Applies what waits, and then the caller's own batch, if there is one; then ends what is due, and
 * gives the answers to their connections. */
static void take_turn(struct broker *b, struct batch *own, struct connection **chain)
{
	/* With a batch of its own all that waits, which may have earlier ones of the same reader. */
	int max = own ? BATCHES_WAITING_MAX : TURN_BATCHES_MAX;
	int64_t now_ns = time_turn(b, own);
	struct batch *batch;

	adopt_access(b);
	engine_set_memory(b->engine, memory_look(now_ns), memory_max() / MEMORY_SPARE_PART);
	settle_memory();
	while (max-- > 0 && (batch = helm_next(&b->helm)))
		apply_batch(b, batch, now_ns);
	if (own)
		apply_batch(b, own, now_ns);
	if (now_ns >= engine_deadline_ns(b->engine))
		engine_expire(b->engine, now_ns);
	watch(b, now_ns);
	flush_touched(b, chain);
	advance(b, chain, now_ns);
}

static int64_t next_deadline(const struct broker *b)
{
	int64_t deadline_ns = engine_deadline_ns(b->engine);

	if (b->watch_ns < deadline_ns)
		deadline_ns = b->watch_ns;
	return b->state_deadline_ns < deadline_ns ? b->state_deadline_ns : deadline_ns;
}

/* Has the keeper come for a deadline that is earlier than what it waits for. Where none is, it comes
 * too early, once: that is cheaper than to set its timer again with each turn. */
static void set_alarm(struct broker *b)
{
	int64_t deadline_ns = next_deadline(b);

	if (deadline_ns >= b->keeper_ns)
		return;
	b->keeper_ns = deadline_ns;
	hchan_try_send(b->alarm, NULL); /* where it would wait, the keeper comes anyway */
}

/* A reader's way from the helm; false: it stays for another turn. A broker that stops is left to the
 * keeper, who ends it. */
static bool leave(struct broker *b, int turns)
{
	if (b->state != BROKER_RUNNING || turns == TURNS_MAX) {
		helm_hand_over(&b->helm);
		return true;
	}
	set_alarm(b);
	return helm_leave(&b->helm);
}

void broker_submit(struct broker *b, struct batch *batch, struct connection **chain)
{
	int turns = 0;

	if (!helm_bring(&b->helm, &batch))
		return;
	do {
		take_turn(b, batch, chain);
		batch = NULL;
	} while (!leave(b, ++turns));
}

/* ---- the keeper ------------------------------------------------------------------------------ */

/* Waits for something that nobody else does, and comes to the helm. */
static void await_work(struct broker *b, int64_t until_ns)
{
	enum broker_event event;
	struct select_case cases[] = {
		select_recv(helm_handed(&b->helm), NULL),
		select_recv(b->events, &event),
		select_recv(b->alarm, NULL),
	};
	int rc = hchan_select(cases, 3, until_ns);

	if (rc != 0)
		helm_call(&b->helm);
	if (rc == 1)
		handle_event(b, event);
}

/* Until nothing waits; others run between its turns. True: the broker has stopped, and the helm is
 * nobody's any more. */
static bool steer(struct broker *b, int64_t *ret_until_ns)
{
	struct connection *chain = NULL;

	for (;;) {
		take_turn(b, NULL, &chain);
		connection_start_writers(chain);
		chain = NULL;
		if (b->state == BROKER_STOPPED)
			return true;
		*ret_until_ns = b->keeper_ns = next_deadline(b);
		if (helm_leave(&b->helm))
			return false;
		go_yield();
	}
}

static void keep(struct broker *b)
{
	int64_t until_ns = DEADLINE_NEVER;

	go_set_label("broker");
	do
		await_work(b, until_ns);
	while (!steer(b, &until_ns));
	hchan_close(b->stopped);
}

int broker_start(struct broker *b)
{
	return go(keep, b);
}

uint64_t broker_stop(struct broker *b)
{
	hchan_send(b->events, &(enum broker_event){EVENT_STOP});
	hchan_recv(b->stopped, NULL);
	return b->dropped;
}
