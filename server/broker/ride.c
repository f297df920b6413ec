#include "server/broker/ride.h"

void ride_end(struct ride *r)
{
	r->first = r->end = 0;
	r->due = r->due || r->waiting > 0;
}

/* Of several runs the leave is for the last: what of those before is not done is answered at
 * once. */
static void give_leave(struct ride *r, uint64_t seq, uint32_t count)
{
	if (seq != r->end)
		r->first = seq;
	r->end = seq + count;
}

void ride_note_operation(struct ride *r, const struct message *m)
{
	switch (m->kind) {
	case MESSAGE_SEND:
		if (m->send.ride)
			give_leave(r, m->seq, m->send.count);
		else
			ride_end(r);
		break;
	case MESSAGE_RECV: /* what the client waits for */
	case MESSAGE_SELECT:
	case MESSAGE_GRANT:
		break;
	default:
		if (m->seq)
			ride_end(r);
	}
}

void ride_note_answer(struct ride *r, const struct message *m)
{
	if (m->kind == MESSAGE_DONE && m->seq >= r->first && m->seq + m->done.count <= r->end)
		r->waiting += m->done.count;
	else
		r->due = true;
	if (r->waiting > RIDES_MAX)
		r->due = true;
}
