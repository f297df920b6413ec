/* test_helm.c - one is at the helm, and what anybody brings is applied once and in order. */
#include "server/broker/helm.h"

#include "server/base/clock.h"
#include "server/channel/hchan.h"
#include "server/channel/select.h"
#include "tests/support/goroutine_test.h"
#include "tests/support/waitgroup.h"

#define WAITING_MAX 3
#define BRINGERS 20
#define EACH 500

/* The helm knows batches by their address only: here one is a number of a bringer. */
static struct {
	char number[EACH];
	int applied; /* plain, as is all that belongs to who is at the helm: for ThreadSanitizer too
		      */
} bringers[BRINGERS];

static struct helm helm;
static struct waitgroup coming;
static int total;
static int at_helm;
static atomic_bool ended;

static struct batch *batch_of(int bringer, int i)
{
	return (struct batch *)&bringers[bringer].number[i];
}

static void apply(struct batch *b)
{
	size_t at = (size_t)((char *)b - (char *)bringers);
	int bringer = (int)(at / sizeof(bringers[0])), i = (int)(at % sizeof(bringers[0]));

	expect(bringers[bringer].applied++ == i);
	total++;
}

/* Everything that who is at the helm has to do, sometimes with a pause; with no batch of its own it
 * may leave others waiting. */
static void steer(struct batch *own)
{
	int max = own ? WAITING_MAX : 1;
	struct batch *b;

	expect(at_helm++ == 0);
	while (max-- > 0 && (b = helm_next(&helm)))
		apply(b);
	if (own)
		apply(own);
	if (total % 7 == 0)
		go_yield();
	expect(at_helm-- == 1);
}

static void bring(int bringer)
{
	for (int i = 0; i < EACH; i++) {
		struct batch *b = batch_of(bringer, i);

		if (!helm_bring(&helm, &b))
			continue;
		do {
			steer(b);
			b = NULL;
			if (total % 5 == 0) {
				helm_hand_over(&helm);
				break;
			}
		} while (!helm_leave(&helm));
	}
	waitgroup_done(&coming);
}

/* The keeper takes what is handed over, and comes by itself, too. */
static void keep(struct hchan *gone)
{
	bool mine;

	while (!atomic_load(&ended)) {
		struct select_case handed[] = {select_recv(helm_handed(&helm), NULL)};

		mine = hchan_select(handed, 1, clock_deadline_ns(NS_PER_MS / 10)) == 0;
		if (!mine)
			helm_call(&helm);
		do
			steer(NULL);
		while (!helm_leave(&helm));
		go_yield();
	}
	hchan_close(gone);
}

static void all_is_applied_once(void)
{
	struct hchan *gone = hchan_new(0, 0, NULL);

	memset(bringers, 0, sizeof(bringers));
	total = 0;
	atomic_store(&ended, false);
	coming = (struct waitgroup)WAITGROUP_INIT;
	expect(helm_init(&helm, WAITING_MAX) == 0);
	expect(go(keep, gone) == 0);
	waitgroup_add(&coming, BRINGERS);
	for (int i = 0; i < BRINGERS; i++)
		expect(go(bring, i) == 0);
	waitgroup_wait(&coming);
	atomic_store(&ended, true);
	hchan_recv(gone, NULL);
	helm_call(&helm); /* what was handed to the keeper, which was about to go */
	do
		steer(NULL);
	while (!helm_leave(&helm));
	expect(total == BRINGERS * EACH);
	helm_fini(&helm);
	hchan_unref(gone);
}

static void what_many_bring_is_applied_once_and_in_order(void **state)
{
	(void)state;
	run_everywhere(all_is_applied_once);
}

static void bring_one(struct hchan *done)
{
	struct batch *b = batch_of(0, 0);

	hchan_send(done, &(bool){helm_bring(&helm, &b)});
}

/* While the helm is taken batches wait; then whoever leaves it finds them. */
static void who_leaves_sees_what_came(void)
{
	struct hchan *done = hchan_make(bool, 0);
	struct batch *b = batch_of(1, 0);
	bool taken;

	expect(helm_init(&helm, WAITING_MAX) == 0);
	expect(helm_bring(&helm, &b) && b);
	expect(go(bring_one, done) == 0);
	hchan_recv(done, &taken);
	expect(!taken);
	expect(!helm_leave(&helm));
	expect(helm_next(&helm) == batch_of(0, 0));
	expect(!helm_next(&helm));
	expect(helm_leave(&helm));
	helm_fini(&helm);
	hchan_unref(done);
}

static void a_batch_that_came_meanwhile_is_not_left(void **state)
{
	(void)state;
	run_everywhere(who_leaves_sees_what_came);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_many_bring_is_applied_once_and_in_order),
		cmocka_unit_test(a_batch_that_came_meanwhile_is_not_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
