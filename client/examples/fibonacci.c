/*
 * fibonacci.c - one thread makes Fibonacci numbers, another prints them until there are no more.
 *
 * The channel has room for ten values, so the maker is at most ten ahead; close tells the printer
 * that it has seen all.
 */
#include <chan/chan.h>
#include <err.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void *make_numbers(void *arg)
{
	struct chan *numbers = arg;
	int64_t x = 0, y = 1, next, i, n = chan_cap(numbers);

	for (i = 0; i < n; i++) {
		if (chan_send_int(numbers, x) < 0)
			errx(1, "%s", chan_error_text());
		next = x + y;
		x = y;
		y = next;
	}
	if (chan_close(numbers, "that is all") < 0)
		errx(1, "%s", chan_error_text());
	return NULL;
}

int main(void)
{
	struct chan_client *client;
	struct chan *numbers;
	pthread_t maker;
	int64_t n;
	int rc;

	if (chan_dial(NULL, NULL, &client) < 0 ||
		chan_make(client, NULL, CHAN_TYPE_INT, 10, NULL, &numbers) < 0)
		errx(1, "%s", chan_error_text());
	if (pthread_create(&maker, NULL, make_numbers, numbers) != 0)
		errx(1, "no thread");
	while ((rc = chan_recv_int(numbers, &n)) > 0)
		printf("%" PRId64 "\n", n);
	if (rc < 0)
		errx(1, "%s", chan_error_text());
	pthread_join(maker, NULL);
	chan_release(numbers);
	chan_hangup(client);
	return 0;
}
