/* A channel is closed once. */
#include "tour.h"

static void go_main(void)
{
	struct hchan *c = hchan_make(int, 0);

	hchan_close(c);
	hchan_close(c);
}
