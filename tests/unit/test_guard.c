/* Guards as a bounded cache: under every stack that runs, and few. */
#include "server/runtime/guard.h"

#include "server/runtime/stack.h"
#include "tests/support/run.h"

#include <sched.h>
#include <string.h>

static struct countdown all;
static _Atomic int unguarded;

/* Who looks for a victim lowers a runner's flag for a moment, and then sees that it runs (guard.c): a
 * flag that is down says something only if it stays down. */
static bool is_guarded(struct goroutine *g)
{
	for (int looks = 0; looks < 10000; looks++) {
		if (atomic_load(&g->guarded))
			return true;
		sched_yield();
	}
	return false;
}

static void run_a_few_times(int n)
{
	for (int i = 0; i < n; i++) {
		if (!is_guarded(go_self()))
			atomic_fetch_add(&unguarded, 1);
		go_yield();
	}
	countdown_done(&all);
}

enum { GUARDS = 20 };

/* As /proc/self/maps has it: mappings without any access, as long as a page. */
static int mapped_guards(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	int n = 0;
	unsigned long from, to;
	char access[8], line[512];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %7s", &from, &to, access) == 3 &&
			strcmp(access, "---p") == 0 && to - from == 4096)
			n++;
	if (f)
		fclose(f);
	return n;
}

static int more_stacks_than_guards(void *arg)
{
	int n = SCALE(3000), before = *(int *)arg;

	all = (struct countdown)COUNTDOWN(n);
	for (int i = 0; i < n; i++)
		expect(go(run_a_few_times, 5) == 0);
	countdown_wait(&all);
	expect(atomic_load(&unguarded) == 0);
	expect(guard_count() <= GUARDS);
	expect(mapped_guards() - before <= GUARDS + 10);
	return 0;
}

static void every_running_stack_has_one(void **state)
{
	struct go_options o = {.guards = GO_GUARDS_MPROTECT, .guards_max = GUARDS};
	int before = mapped_guards();

	(void)state;
	for (o.procs = 1; o.procs <= 4; o.procs++)
		run_with(o, more_stacks_than_guards, &before);
}

/* Even where all that may stand are under running stacks. */
static void more_may_stand_if_all_run(void **state)
{
	struct go_options o = {.guards = GO_GUARDS_MPROTECT, .guards_max = 1, .procs = 4};
	int before = mapped_guards();

	(void)state;
	run_with(o, more_stacks_than_guards, &before);
}

static int count_guards(void *arg)
{
	int n = SCALE(3000);

	(void)arg;
	all = (struct countdown)COUNTDOWN(n);
	for (int i = 0; i < n; i++)
		expect(go(run_a_few_times, 2) == 0);
	countdown_wait(&all);
	expect(guard_cached == true);
	expect(guard_count() > 0);
	return 0;
}

static void the_default_is_what_the_kernel_leaves(void **state)
{
	struct go_options o = {.guards = GO_GUARDS_MPROTECT, .procs = 2};

	(void)state;
	run_with(o, count_guards, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_running_stack_has_one),
		cmocka_unit_test(more_may_stand_if_all_run),
		cmocka_unit_test(the_default_is_what_the_kernel_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
