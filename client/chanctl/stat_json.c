#include "client/chanctl/stat_json.h"

/* What only some channels have. */
static void add_attributes(json_t *json, const struct chan_stat *s)
{
	if (s->producers == CHAN_PRODUCERS_AUTO)
		json_object_set_new(json, "producers", json_string("auto"));
	else if (s->producers != 0)
		json_object_set_new(json, "producers", json_integer(s->producers));
	if (s->producers != 0)
		json_object_set_new(
			json, "producers_open", json_integer((json_int_t)s->producers_open));
	if (s->permits != 0)
		json_object_set_new(json, "permits", json_integer(s->permits));
	if (s->attempts_max == 0)
		return;
	json_object_set_new(json, "attempts_max", json_integer(s->attempts_max));
	json_object_set_new(json, "dead_letter", json_string(s->dead_letter));
	json_object_set_new(json, "dead_lettered", json_integer((json_int_t)s->dead_lettered));
	json_object_set_new(
		json, "dead_letter_failures", json_integer((json_int_t)s->dead_letter_failures));
	json_object_set_new(json, "dead_letter_problem", json_string(s->dead_letter_problem));
}

json_t *stat_json(const struct chan_stat *s)
{
	json_t *json = json_pack(
		"{s:s, s:I, s:s, s:I, s:I, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
		"s:I, s:I, s:I}",
		"name", s->name, "id", (json_int_t)s->id, "type", chan_type_name(s->type), "cap",
		(json_int_t)s->capacity, "len", (json_int_t)s->length, "closed", s->closed,
		"temporary", s->temporary, "senders_waiting", (json_int_t)s->senders_waiting,
		"receivers_waiting", (json_int_t)s->receivers_waiting, "in_flight",
		(json_int_t)s->in_flight, "leased", (json_int_t)s->leased, "delayed",
		(json_int_t)s->delayed, "sent", (json_int_t)s->sent, "received",
		(json_int_t)s->received, "redelivered", (json_int_t)s->redelivered,
		"bytes_buffered", (json_int_t)s->bytes_buffered, "ends_open",
		(json_int_t)s->ends_open, "made_unix_ns", (json_int_t)s->made_unix_ns);

	if (json == NULL)
		return NULL;
	add_attributes(json, s);
	if (!s->closed)
		return json;
	json_object_set_new(json, "aborted", json_boolean(s->aborted));
	json_object_set_new(json, "closed_unix_ns", json_integer(s->closed_unix_ns));
	json_object_set_new(json, "closed_by", json_string(s->closed_by));
	json_object_set_new(json, "reason", json_string(s->reason));
	return json;
}
