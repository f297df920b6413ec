/* A close that comes while a send waits is a send on a closed channel as well. */
#include "tour.h"

static void send(struct hchan *c)
{
	hchan_send(c, &(int){1});
}

static void go_main(void)
{
	struct hchan *c = hchan_make(int, 0);
	struct hchan *never = NULL;

	go(send, c);
	go_yield();
	hchan_close(c);
	hchan_recv(never, NULL);
}
