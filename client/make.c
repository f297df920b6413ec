/*
 * make.c - making, opening, closing and removing channels, and what is known of an end.
 */
#include "client/client.h"
#include "proto/name.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct chan_make_options no_make_options;
static const struct chan_open_options no_open_options;

/* An operation for a new end, whose reference from end_new is to be the program's. */
static struct chan_op *op_for_end(struct chan_client *c, enum op_kind kind, const char *name,
	enum chan_direction direction, const struct chan_end_options *options, int64_t timeout_ns)
{
	struct chan *ch = end_new(c, name, strlen(name), direction, options);
	struct chan_op *op;

	if (!ch)
		return NULL;
	op = op_new(c, kind, ch, timeout_ns);
	if (!op)
		end_unref(ch);
	return op;
}

/* Frees an operation that was not submitted, with its end. */
static int refuse(struct chan_op *op)
{
	if (op->chan)
		end_unref(op->chan);
	op_unref(op);
	return error_say(CHAN_ENOMEM, "open: out of memory");
}

static int check_name(const char *asked, const char *name)
{
	if (name_check(name, strlen(name)) == 0)
		return 0;
	return error_say(CHAN_EINVAL, "%s '%.80s': not a name: %s", asked, name, NAME_RULE);
}

/* ---- attributes --------------------------------------------------------------------------- */

#define ATTRIBUTES_MAX 4
#define NUMBER_BYTES 16

static int add_attribute(struct chan_op *op, const char *name, const char *value)
{
	struct wire_attribute *list = (struct wire_attribute *)op->m.make.attributes;
	const char *kept = op_keep(op, value);

	if (!list)
		op->m.make.attributes = list = op_keep_bytes(op, ATTRIBUTES_MAX * sizeof(*list));
	if (!kept || !list)
		return CHAN_ENOMEM;
	list[op->m.make.attribute_count++] =
		(struct wire_attribute){name, {(const uint8_t *)kept, strlen(kept)}};
	return 0;
}

static int add_number(struct chan_op *op, const char *name, long long n)
{
	char text[NUMBER_BYTES];

	snprintf(text, sizeof(text), "%lld", n);
	return add_attribute(op, name, text);
}

/* What was asked for beyond type and capacity. The broker knows what is allowed. */
static int put_attributes(struct chan_op *op, const struct chan_make_options *options)
{
	int rc = 0;

	if (options->producers == CHAN_PRODUCERS_AUTO)
		rc = add_attribute(op, "producers", "auto");
	else if (options->producers != 0)
		rc = add_number(op, "producers", options->producers);
	if (rc == 0 && options->attempts_max != 0)
		rc = add_number(op, "attempts_max", options->attempts_max);
	if (rc == 0 && options->dead_letter)
		rc = add_attribute(op, "dead_letter", options->dead_letter);
	if (rc == 0 && options->permits != 0)
		rc = add_number(op, "permits", options->permits);
	return rc;
}

int make_build(struct chan_client *c, const char *name, enum chan_type type, int64_t capacity,
	const struct chan_make_options *options, bool with_end, struct chan_op **ret_op)
{
	enum chan_direction direction;
	struct chan_op *op;

	if (name && check_name("make", name) < 0)
		return CHAN_EINVAL;
	if (!options)
		options = &no_make_options;
	if (!name)
		name = "";
	direction = options->direction ? options->direction : CHAN_BOTH;
	op = with_end ? op_for_end(c, OP_MAKE, name, direction, &options->end, CHAN_FOREVER)
		      : op_new(c, OP_MAKE, NULL, CHAN_FOREVER);
	if (!op)
		return CHAN_ENOMEM;
	op->m.kind = MESSAGE_MAKE;
	op->m.make.name = with_end ? op->chan->asked : op_keep(op, name);
	op->m.make.type = type;
	op->m.make.capacity = capacity;
	op->m.make.temporary = options->temporary;
	op->m.make.direction = with_end ? direction : 0;
	if (!op->m.make.name || put_attributes(op, options) < 0)
		return refuse(op);
	*ret_op = op;
	return 0;
}

int open_build(struct chan_client *c, const char *name, enum chan_direction direction,
	const struct chan_open_options *options, struct chan_op **ret_op)
{
	struct chan_op *op;

	if (check_name("open", name) < 0)
		return CHAN_EINVAL;
	if (direction < CHAN_SEND || direction > CHAN_BOTH)
		return error_say(CHAN_EINVAL, "open '%s': neither to send nor to receive", name);
	if (!options)
		options = &no_open_options;
	op = op_for_end(c, OP_OPEN, name, direction, &options->end,
		options->timeout_ns > 0 ? options->timeout_ns : CHAN_FOREVER);
	if (!op)
		return CHAN_ENOMEM;
	op->m.kind = MESSAGE_OPEN;
	op->m.open.name = op->chan->asked;
	op->m.open.direction = direction;
	op->m.open.wait_create = options->wait_create;
	*ret_op = op;
	return 0;
}

int close_build(struct chan *ch, enum op_kind kind, const char *reason, struct chan_op **ret_op)
{
	struct chan_op *op;
	int rc = end_check(ch, CHAN_SEND, op_kind_word(kind));

	if (rc < 0)
		return rc;
	op = op_new(ch->client, kind, ch, CHAN_FOREVER);
	if (!op)
		return CHAN_ENOMEM;
	op->m.kind = MESSAGE_CLOSE;
	op->m.close.channel = ch->id;
	op->m.close.abort = kind == OP_ABORT;
	op->m.close.reason = op_keep(op, reason);
	if (!op->m.close.reason) {
		op_unref(op);
		return error_say(
			CHAN_ENOMEM, "%s '%s': out of memory", op_kind_word(kind), ch->name);
	}
	*ret_op = op;
	return 0;
}

/* ---- blocking ----------------------------------------------------------------------------- */

/* Runs what was built, if it was, and passes the end on. */
static int run_for_end(struct chan_client *c, struct chan_op *op, struct chan **ret_chan)
{
	struct chan_completion done;
	int rc;

	client_submit(op);
	rc = client_run(c, op, &done);
	if (rc == 0 && ret_chan)
		*ret_chan = done.chan;
	return rc;
}

int chan_make(struct chan_client *c, const char *name, enum chan_type type, int64_t capacity,
	const struct chan_make_options *options, struct chan **ret_chan)
{
	struct chan_op *op;
	int rc;

	if (!name && !ret_chan)
		return error_say(CHAN_EINVAL, "make: an unnamed channel that nobody holds");
	client_lock(c);
	rc = make_build(c, name, type, capacity, options, ret_chan != NULL, &op);
	if (rc == 0)
		rc = run_for_end(c, op, ret_chan);
	client_unlock(c);
	return rc;
}

int chan_open(struct chan_client *c, const char *name, enum chan_direction direction,
	const struct chan_open_options *options, struct chan **ret_chan)
{
	struct chan_op *op;
	int rc;

	client_lock(c);
	rc = open_build(c, name, direction, options, &op);
	if (rc == 0)
		rc = run_for_end(c, op, ret_chan);
	client_unlock(c);
	return rc;
}

int chan_open_reference(struct chan_client *c, const void *bytes, size_t len,
	const struct chan_end_options *options, struct chan **ret_chan)
{
	struct chan *ch;
	int rc;

	client_lock(c);
	ch = end_from_reference(c, bytes, len, options);
	rc = ch ? end_resolve(ch, "open")
		: error_say(CHAN_EINVAL, "open: the bytes are not a reference to a channel");
	if (rc == 0)
		*ret_chan = ch;
	else
		end_unref(ch);
	client_unlock(c);
	return rc;
}

static int close_end(struct chan *ch, enum op_kind kind, const char *reason)
{
	struct chan_op *op;
	int rc;

	client_lock(ch->client);
	rc = close_build(ch, kind, reason, &op);
	if (rc == 0)
		rc = run_for_end(ch->client, op, NULL);
	client_unlock(ch->client);
	return rc;
}

int chan_close(struct chan *ch, const char *reason)
{
	return close_end(ch, OP_CLOSE, reason);
}

int chan_abort(struct chan *ch, const char *reason)
{
	return close_end(ch, OP_ABORT, reason);
}

int chan_remove(struct chan_client *c, const char *name)
{
	struct chan_op *op;
	int rc;

	if (check_name("remove", name) < 0)
		return CHAN_EINVAL;
	client_lock(c);
	op = op_new(c, OP_REMOVE, NULL, CHAN_FOREVER);
	rc = op ? 0 : CHAN_ENOMEM;
	if (rc == 0) {
		op->m.kind = MESSAGE_REMOVE;
		op->m.channel_ref.name = op_keep(op, name);
		rc = op->m.channel_ref.name ? run_for_end(c, op, NULL) : refuse(op);
	}
	client_unlock(c);
	return rc;
}

void chan_release(struct chan *ch)
{
	struct chan_client *c;

	if (!ch)
		return;
	c = ch->client;
	client_lock(c);
	end_release(ch);
	end_unref(ch);
	client_flush(c);
	client_unlock(c);
}

/* ---- asynchronous ------------------------------------------------------------------------- */

int chan_start_make(struct chan_client *c, const char *name, enum chan_type type, int64_t capacity,
	const struct chan_make_options *options, void *tag, struct chan_op **ret_op)
{
	struct chan_op *op;
	int rc;

	client_lock(c);
	rc = make_build(c, name, type, capacity, options, true, &op);
	if (rc == 0)
		client_start(op, tag, ret_op);
	client_unlock(c);
	return rc;
}

int chan_start_open(struct chan_client *c, const char *name, enum chan_direction direction,
	const struct chan_open_options *options, void *tag, struct chan_op **ret_op)
{
	struct chan_op *op;
	int rc;

	client_lock(c);
	rc = open_build(c, name, direction, options, &op);
	if (rc == 0)
		client_start(op, tag, ret_op);
	client_unlock(c);
	return rc;
}

static int start_close(
	struct chan *ch, enum op_kind kind, const char *reason, void *tag, struct chan_op **ret_op)
{
	struct chan_op *op;
	int rc;

	client_lock(ch->client);
	rc = close_build(ch, kind, reason, &op);
	if (rc == 0)
		client_start(op, tag, ret_op);
	client_unlock(ch->client);
	return rc;
}

int chan_start_close(struct chan *ch, const char *reason, void *tag, struct chan_op **ret_op)
{
	return start_close(ch, OP_CLOSE, reason, tag, ret_op);
}

int chan_start_abort(struct chan *ch, const char *reason, void *tag, struct chan_op **ret_op)
{
	return start_close(ch, OP_ABORT, reason, tag, ret_op);
}

/* ---- what is known of an end -------------------------------------------------------------- */

static bool is_known(struct chan *ch)
{
	bool known;

	client_lock(ch->client);
	known = end_resolve(ch, "open") == 0;
	client_unlock(ch->client);
	return known;
}

const char *chan_name(const struct chan *ch)
{
	return ch->name;
}

enum chan_type chan_type(struct chan *ch)
{
	return is_known(ch) ? ch->type : CHAN_TYPE_RAW;
}

int64_t chan_cap(struct chan *ch)
{
	return is_known(ch) ? ch->capacity : -1;
}

uint64_t chan_id(const struct chan *ch)
{
	return ch->id;
}

enum chan_direction chan_direction(const struct chan *ch)
{
	return ch->direction;
}

struct chan_client *chan_client_of(const struct chan *ch)
{
	return ch->client;
}
