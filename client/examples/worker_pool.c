/*
 * worker_pool.c - three workers take jobs from one channel and put results on another.
 *
 * Each worker is a process with a client of its own, as it could be on another machine: the names
 * of the channels are all they share. A worker fetches a few jobs ahead and confirms each when its
 * result is sent, so that a job of a worker that dies is done by another.
 */
#include <chan/chan.h>
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 3, JOBS = 30 };

static char jobs_name[64], results_name[64];

/* Ends the program with the sentence of the call that failed. */
static void must(int rc)
{
	if (rc < 0)
		errx(1, "%s", chan_error_text());
}

static int work(void)
{
	struct chan_open_options careful = {.wait_create = true,
		.end = {.credit = 4, .manual = true}};
	struct chan_open_options later = {.wait_create = true};
	struct chan_client *client;
	struct chan *jobs, *results;
	struct chan_value job;
	int rc;

	must(chan_dial(NULL, NULL, &client));
	must(chan_open(client, jobs_name, CHAN_RECV, &careful, &jobs));
	must(chan_open(client, results_name, CHAN_SEND, &later, &results));
	while ((rc = chan_recv(jobs, &job)) > 0) {
		must(chan_send_int(results, job.i * job.i));
		must(chan_confirm(jobs, &job, 1));
	}
	must(rc);
	chan_hangup(client); /* gives up the ends, too */
	return 0;
}

static void start_workers(void)
{
	int i;

	for (i = 0; i < WORKERS; i++) {
		switch (fork()) {
		case -1:
			err(1, "fork");
		case 0:
			_exit(work());
		}
	}
}

static void stop_workers(void)
{
	int i, status;

	for (i = 0; i < WORKERS; i++)
		if (wait(&status) < 0 || status != 0)
			errx(1, "a worker failed");
}

int main(void)
{
	struct chan_client *client;
	struct chan *jobs, *results;
	int64_t i, square, sum = 0;

	snprintf(jobs_name, sizeof(jobs_name), "example.jobs.%d", (int)getpid());
	snprintf(results_name, sizeof(results_name), "example.results.%d", (int)getpid());
	start_workers(); /* first: a client has a thread, and does not survive fork() */
	must(chan_dial(NULL, NULL, &client));
	must(chan_make(client, jobs_name, CHAN_TYPE_INT, 10, NULL, &jobs));
	must(chan_make(client, results_name, CHAN_TYPE_INT, JOBS, NULL, &results));
	for (i = 1; i <= JOBS; i++)
		must(chan_send_int(jobs, i));
	must(chan_close(jobs, NULL)); /* the workers end when the last job is taken */
	for (i = 0; i < JOBS; i++) {
		must(chan_recv_int(results, &square));
		sum += square;
	}
	printf("the squares of 1 to %d add up to %" PRId64 "\n", JOBS, sum);
	stop_workers();
	must(chan_remove(client, jobs_name));
	must(chan_remove(client, results_name));
	chan_release(jobs);
	chan_release(results);
	chan_hangup(client);
	return 0;
}
