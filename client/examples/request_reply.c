/*
 * request_reply.c - a request is a channel, over which the question goes and the answer comes.
 *
 * All that is known by name is the channel of requests. A caller makes an unnamed channel, passes
 * it to the server as a value, and then they talk over it alone. It goes when both have released
 * it. The server is another process.
 */
#include <chan/chan.h>
#include <ctype.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char requests_name[64];

/* Ends the program with the sentence of the call that failed. */
static void must(int rc)
{
	if (rc < 0)
		errx(1, "%s", chan_error_text());
}

/* Answers in capitals. */
static void answer(struct chan *call)
{
	char *text, *at;

	must(chan_recv_string(call, &text, NULL));
	for (at = text; *at; at++)
		*at = (char)toupper((unsigned char)*at);
	must(chan_send_string(call, text));
	free(text);
}

static int serve(void)
{
	struct chan_open_options later = {.wait_create = true};
	struct chan_client *client;
	struct chan *requests, *call;
	int rc;

	must(chan_dial(NULL, NULL, &client));
	must(chan_open(client, requests_name, CHAN_RECV, &later, &requests));
	while ((rc = chan_recv_chan(requests, &call)) > 0) {
		answer(call);
		chan_release(call);
	}
	must(rc);
	chan_hangup(client);
	return 0;
}

static void ask(struct chan_client *client, struct chan *requests, const char *question)
{
	struct chan *call;
	char *text;

	must(chan_make(client, NULL, CHAN_TYPE_STRING, 0, NULL, &call));
	must(chan_send_chan(requests, call));
	must(chan_send_string(call, question));
	must(chan_recv_string(call, &text, NULL));
	printf("%s -> %s\n", question, text);
	free(text);
	chan_release(call);
}

int main(void)
{
	struct chan_client *client;
	struct chan *requests;
	pid_t server;
	int status;

	snprintf(requests_name, sizeof(requests_name), "example.requests.%d", (int)getpid());
	server = fork(); /* first: a client has a thread, and does not survive it */
	if (server < 0)
		err(1, "fork");
	if (server == 0)
		_exit(serve());
	must(chan_dial(NULL, NULL, &client));
	must(chan_make(client, requests_name, CHAN_TYPE_CHAN, 0, NULL, &requests));
	ask(client, requests, "red");
	ask(client, requests, "green");
	ask(client, requests, "blue");
	must(chan_close(requests, NULL));
	if (waitpid(server, &status, 0) < 0 || status != 0)
		errx(1, "the server failed");
	must(chan_remove(client, requests_name));
	chan_release(requests);
	chan_hangup(client);
	return 0;
}
