/* One goroutine offers the next number and listens for "quit", whichever comes first. */
#include "tour.h"

static void fibonacci(struct hchan *c, struct hchan *quit)
{
	int x = 0, y = 1, next;

	for (;;) {
		struct select_case cases[] = {
			select_send(c, &x),
			select_recv(quit, NULL),
		};

		switch (hchan_select(cases, 2, DEADLINE_NEVER)) {
		case 0:
			next = x + y;
			x = y;
			y = next;
			break;
		case 1:
			puts("quit");
			return;
		}
	}
}

static void print_ten(struct hchan *c, struct hchan *quit)
{
	int v;

	for (int i = 0; i < 10; i++) {
		hchan_recv(c, &v);
		printf("%d\n", v);
	}
	hchan_send(quit, NULL);
}

static void go_main(void)
{
	struct hchan *c = hchan_make(int, 0);
	struct hchan *quit = hchan_make(struct {}, 0);

	go(print_ten, c, quit);
	fibonacci(c, quit);
	hchan_unref(c);
	hchan_unref(quit);
}
