/* Only the sender may close, and then it must not send. */
#include "tour.h"

static void go_main(void)
{
	struct hchan *c = hchan_make(int, 1);

	hchan_close(c);
	hchan_send(c, &(int){1});
}
