/* `v, ok := <-c` tells a zero that was sent from the zero of a closed channel. */
#include <stdbool.h>

#include "tour.h"

static void receive(struct hchan *c)
{
	int v = -1;
	bool ok = hchan_recv(c, &v);

	printf("%d %s\n", v, ok ? "true" : "false");
}

static void go_main(void)
{
	struct hchan *c = hchan_make(int, 2);

	hchan_send(c, &(int){7});
	hchan_send(c, &(int){0});
	hchan_close(c);
	for (int i = 0; i < 4; i++)
		receive(c);
	hchan_unref(c);
}
