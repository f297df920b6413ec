/* 100,000 selects over a busy channel and an idle one: what the losing case leaves in the idle
 * channel is nothing, and the program does not grow. */
#include <unistd.h>

#include "tour.h"

enum { SELECTS = 100000, WARM_UP = 1000 };

static void send_all(struct hchan *busy)
{
	for (int i = 0; i < SELECTS; i++)
		hchan_send(busy, &i);
	hchan_close(busy);
}

static long resident_bytes(void)
{
	long size, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f && fscanf(f, "%ld %ld", &size, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return resident * sysconf(_SC_PAGESIZE);
}

static void go_main(void)
{
	struct hchan *busy = hchan_make(int, 0), *idle = hchan_make(int, 0);
	long before_bytes = 0, grown_bytes;
	int v, selects = 0;

	go(send_all, busy);
	for (;; selects++) {
		struct select_case cases[] = {select_recv(idle, NULL), select_recv(busy, &v)};
		int i = hchan_select(cases, 2, DEADLINE_NEVER);

		if (i != 1 || !cases[i].ok)
			break;
		if (selects == WARM_UP)
			before_bytes = resident_bytes();
	}
	grown_bytes = resident_bytes() - before_bytes;
	printf("%d selects\n", selects);
	printf("%u waiters left in the idle channel\n", wait_queue_length(&idle->recvq));
	printf("grown by %ld bytes\n", grown_bytes);
	hchan_unref(busy);
	hchan_unref(idle);
}
