/* The concurrent prime sieve: a chain of filters, one a prime, as long as it is needed. */
#include "tour.h"

static void generate(struct hchan *out)
{
	for (int i = 2;; i++)
		hchan_send(out, &i);
}

static void filter(struct hchan *in, struct hchan *out, int prime)
{
	int i;

	for (;;) {
		hchan_recv(in, &i);
		if (i % prime != 0)
			hchan_send(out, &i);
	}
}

static void go_main(void)
{
	struct hchan *c = hchan_make(int, 0);
	int prime;

	go(generate, c);
	for (int i = 0; i < 25; i++) {
		struct hchan *next = hchan_make(int, 0);

		hchan_recv(c, &prime);
		printf("%d\n", prime);
		go(filter, c, next, prime);
		c = next;
	}
}
