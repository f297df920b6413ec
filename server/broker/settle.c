#include "server/broker/settle.h"

#include "server/base/memory.h"
#include "server/runtime/runtime.h"

/* Others go on on this processor meanwhile: it takes as long as a disk. */
static bool settle_now(void)
{
	bool settled;

	blocking_enter();
	settled = memory_settle();
	blocking_exit();
	return settled;
}

static void settle(void *unused)
{
	(void)unused;
	do
		go_sleep(MEMORY_SETTLE_NS);
	while (!settle_now());
}

void settle_memory(void)
{
	if (memory_is_unsettled() && go(settle, NULL) < 0)
		memory_put_off();
}
