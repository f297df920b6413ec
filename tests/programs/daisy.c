/* Ten thousand goroutines (or as many as the argument says) in a row; each adds one to what its
 * right neighbour whispers. */
#include <stdlib.h>

#include "tour.h"

static void whisper(struct hchan *left, struct hchan *right)
{
	int v;

	hchan_recv(right, &v);
	hchan_unref(right);
	v++;
	hchan_send(left, &v);
}

static void begin(struct hchan *c)
{
	hchan_send(c, &(int){1});
}

static void go_main(void)
{
	struct hchan *leftmost = hchan_make(int, 0), *left = leftmost, *right = leftmost;
	long n = argc > 1 ? strtol(argv[1], NULL, 10) : 10000;
	int v;

	for (long i = 0; i < n; i++) {
		right = hchan_make(int, 0);
		go(whisper, left, right);
		left = right;
	}
	go(begin, right);
	hchan_recv(leftmost, &v);
	printf("%d\n", v);
	hchan_unref(leftmost);
}
