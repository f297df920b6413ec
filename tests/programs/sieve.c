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

enum { PRIMES = 25 };

static void go_main(void)
{
	static struct hchan *chain[PRIMES + 1]; /* it has no end: is left waiting */
	int prime;

	chain[0] = hchan_make(int, 0);
	go(generate, chain[0]);
	for (int i = 0; i < PRIMES; i++) {
		hchan_recv(chain[i], &prime);
		printf("%d\n", prime);
		chain[i + 1] = hchan_make(int, 0);
		go(filter, chain[i], chain[i + 1], prime);
	}
}
