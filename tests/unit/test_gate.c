/* test_gate.c - how many are inside, and that nobody is left outside. */
#include "server/broker/gate.h"

#include "server/base/clock.h"
#include "server/base/memory.h"
#include "tests/support/goroutine_test.h"
#include "tests/support/waitgroup.h"

#define MAX 4u
#define VISITORS 300
#define VISITS 20

static struct gate gate;
static struct waitgroup visitors;
static atomic_uint inside, most;

static void note_inside(void)
{
	unsigned int now = atomic_fetch_add(&inside, 1) + 1, before = atomic_load(&most);

	while (now > before && !atomic_compare_exchange_weak(&most, &before, now))
		;
}

static void visit(void *arg)
{
	(void)arg;
	for (int i = 0; i < VISITS; i++) {
		bool counted = gate_enter(&gate);

		note_inside();
		go_yield();
		atomic_fetch_sub(&inside, 1);
		gate_leave(&gate, counted);
	}
	waitgroup_done(&visitors);
}

/* The most that were inside when all came at once. */
static unsigned int visit_all(void)
{
	visitors = (struct waitgroup)WAITGROUP_INIT;
	atomic_store(&most, 0);
	waitgroup_add(&visitors, VISITORS);
	for (int i = 0; i < VISITORS; i++)
		expect(go(visit, NULL) == 0);
	waitgroup_wait(&visitors);
	return atomic_load(&most);
}

static void set_level(uint64_t max_bytes, enum memory_level level)
{
	memory_set_max(max_bytes);
	expect(memory_look(clock_now_ns()) == level);
}

static void come_at_once(void)
{
	set_level(4096, MEMORY_FULL);
	expect(visit_all() <= MAX);
	set_level(UINT64_C(1) << 40, MEMORY_FREE);
	expect(visit_all() > MAX);
	expect(atomic_load(&gate.inside) == 0 && atomic_load(&gate.waiting) == 0);
}

static void few_are_inside_while_memory_is_scarce(void **state)
{
	(void)state;
	assert_int_equal(gate_init(&gate, MAX), 0);
	run_everywhere(come_at_once);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_are_inside_while_memory_is_scarce),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
