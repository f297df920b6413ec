#include "server/broker/semaphore.h"
#include "chan/status.h"
#include "server/broker/buffer.h"
#include "server/broker/state.h"

static int put(struct call *c, struct channel *ch)
{
	const struct asked nobody = {0};
	struct value *signal = value_new(0);

	if (!signal)
		return CHAN_ENOMEM;
	if (call_check_value(c, nobody, ch, signal) < 0) {
		value_unref(signal);
		return CHAN_ELIMIT;
	}
	engine_hold_value(c->engine, c->party->account, ch->type, signal);
	if (buffer_accept(c->engine, ch, &signal, 1) == 1)
		return 0;
	engine_drop_value(c->engine, ch->type, signal);
	return CHAN_ENOMEM;
}

int permits_fill(struct call *c, struct channel *ch)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < permits_of(ch); i++)
		rc = put(c, ch);
	return rc;
}
