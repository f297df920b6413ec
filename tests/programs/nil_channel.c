/* A nil channel is never ready: `send` and `recv` wait for ever, and so does a select. */
#include <string.h>

#include "tour.h"

static void go_main(void)
{
	struct select_case cases[] = {select_recv(NULL, NULL), select_send(NULL, NULL)};
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "send"))
		hchan_send(NULL, NULL);
	else if (!strcmp(what, "recv"))
		hchan_recv(NULL, NULL);
	else if (!strcmp(what, "select"))
		hchan_select(cases, 2, DEADLINE_NEVER);
	else
		hchan_select(NULL, 0, DEADLINE_NEVER);
}
