/* Two goroutines sum half of a slice each; one channel brings both results. */
#include "tour.h"

static void sum(const int *s, int n, struct hchan *c)
{
	int total = 0;

	for (int i = 0; i < n; i++)
		total += s[i];
	hchan_send(c, &total);
}

static void go_main(void)
{
	static const int s[] = {7, 2, 8, -9, 4, 0};
	struct hchan *c = hchan_make(int, 0);
	int x, y;

	go(sum, s, 3, c);
	go(sum, s + 3, 3, c);
	hchan_recv(c, &x);
	hchan_recv(c, &y);
	printf("%d %d %d\n", x, y, x + y);
	hchan_unref(c);
}
