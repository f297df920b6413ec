/* The sender forgot to close: the range waits for a value that cannot come. */
#include "tour.h"

static void count(struct hchan *c)
{
	for (int i = 0; i < 3; i++)
		hchan_send(c, &i);
}

static void go_main(void)
{
	struct hchan *c = hchan_make(int, 0);
	int i;

	go(count, c);
	hchan_range (c, i)
		printf("%d\n", i);
}
