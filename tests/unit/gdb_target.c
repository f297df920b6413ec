/* What test_gdb.sh looks into: a goroutine parked below named functions, two that have not begun, and
 * a place to stop. */
#include "server/runtime/runtime.h"

void gdb_target_ready(void);
void waits_for_a_value(int depth);

__attribute__((noinline)) void gdb_target_ready(void)
{
	__asm__ volatile("");
}

__attribute__((noinline)) void waits_for_a_value(int depth)
{
	if (depth > 0)
		waits_for_a_value(depth - 1);
	else
		go_park(NULL, NULL, WAIT_CHAN_RECEIVE);
	__asm__ volatile(""); /* no tail call: the frames are looked for */
}

static int gdb_target_main(void *arg)
{
	(void)arg;
	go(waits_for_a_value, 2);
	go_yield();
	go(waits_for_a_value, 3);
	go(waits_for_a_value, 4);
	gdb_target_ready();
	return 0;
}

int main(void)
{
	return go_run(&(struct go_options){.procs = 1}, gdb_target_main, NULL);
}
