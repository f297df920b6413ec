/* One goroutine alone sends twice and then receives: fine if the buffer has room for both values
 * (`buffered 2`), a deadlock if it has not. */
#include <stdlib.h>

#include "tour.h"

static void go_main(void)
{
	struct hchan *c = hchan_make(int, argc > 1 ? strtoul(argv[1], NULL, 10) : 2);
	int v;

	hchan_send(c, &(int){1});
	hchan_send(c, &(int){2});
	hchan_recv(c, &v);
	printf("%d\n", v);
	hchan_recv(c, &v);
	printf("%d\n", v);
	hchan_unref(c);
}
