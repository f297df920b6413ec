/* Ten thousand goroutines in a row; each adds one to what its right neighbour whispers. */
#include "tour.h"

static void whisper(struct hchan *left, struct hchan *right)
{
	int v;

	hchan_recv(right, &v);
	v++;
	hchan_send(left, &v);
	hchan_unref(right);
}

static void begin(struct hchan *c)
{
	hchan_send(c, &(int){1});
}

static void go_main(void)
{
	struct hchan *leftmost = hchan_make(int, 0), *left = leftmost, *right = leftmost;
	int v;

	for (int i = 0; i < 10000; i++) {
		right = hchan_make(int, 0);
		go(whisper, left, right);
		left = right;
	}
	go(begin, right);
	hchan_recv(leftmost, &v);
	printf("%d\n", v);
	hchan_unref(leftmost);
}
