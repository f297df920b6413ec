/* A nil channel cannot be closed. */
#include "tour.h"

static void go_main(void)
{
	hchan_close(NULL);
}
