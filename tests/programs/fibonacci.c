/* The sender closes when there is no more to come; the receiver's range ends then. */
#include "tour.h"

static void fibonacci(size_t n, struct hchan *c)
{
	int x = 0, y = 1;

	for (size_t i = 0; i < n; i++) {
		int next = x + y;

		hchan_send(c, &x);
		x = y;
		y = next;
	}
	hchan_close(c);
}

static void go_main(void)
{
	struct hchan *c = hchan_make(int, 10);
	int i;

	go(fibonacci, hchan_cap(c), c);
	hchan_range (c, i)
		printf("%d\n", i);
	hchan_unref(c);
}
