/*
 * select_deadline.c - waits for whichever comes first, but not for ever.
 *
 * A ticker sends three ticks and then falls silent. The loop takes ticks while they come; a select
 * that waits in vain for its deadline ends it. The third case has no channel: it is never ready,
 * which is how a case is switched off.
 */
#include <chan/chan.h>
#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const int64_t ms = 1000000;

/* Ends the program with the sentence of the call that failed. */
static void must(int rc)
{
	if (rc < 0)
		errx(1, "%s", chan_error_text());
}

static void *tick(void *arg)
{
	int i;

	for (i = 0; i < 3; i++)
		must(chan_send_signal(arg));
	return NULL;
}

int main(void)
{
	struct chan_client *client;
	struct chan *ticks, *stop;
	pthread_t ticker;
	int chosen;

	must(chan_dial(NULL, NULL, &client));
	must(chan_make(client, NULL, CHAN_TYPE_SIGNAL, 0, NULL, &ticks));
	must(chan_make(client, NULL, CHAN_TYPE_SIGNAL, 0, NULL, &stop));
	if (pthread_create(&ticker, NULL, tick, ticks) != 0)
		errx(1, "no thread");

	struct chan_case cases[] = {
		{.chan = ticks, .direction = CHAN_RECV},
		{.chan = stop, .direction = CHAN_RECV},
		{.chan = NULL, .direction = CHAN_RECV},
	};
	while ((chosen = chan_select(client, cases, 3, 300 * ms)) == 0)
		printf("tick\n");
	if (chosen != CHAN_ETIMEDOUT)
		must(chosen < 0 ? chosen : CHAN_EINVAL);
	printf("silence\n");

	chosen = chan_select(client, cases, 3, CHAN_TRY);
	printf("%s\n", chosen == CHAN_EWOULDBLOCK ? "nothing is ready" : "something came");
	pthread_join(ticker, NULL);
	chan_release(ticks);
	chan_release(stop);
	chan_hangup(client);
	return 0;
}
