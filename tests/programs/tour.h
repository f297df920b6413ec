/*
 * tour.h - what the programs of the tour share: main(), which runs the program's go_main() as the
 * main goroutine. Its return ends the program without waiting for the rest.
 */
#ifndef TESTS_PROGRAMS_TOUR_H
#define TESTS_PROGRAMS_TOUR_H

#include <stdio.h>

#include "server/channel/hchan.h"
#include "server/channel/select.h"
#include "server/runtime/go.h"
#include "server/runtime/runtime.h"

static int argc;
static char **argv;

static void go_main(void);

static int run_go_main(void *unused)
{
	(void)unused;
	go_main();
	return 0;
}

int main(int count, char **values)
{
	struct go_options options = {0};

	argc = count;
	argv = values;
	setvbuf(stdout, NULL, _IOLBF, 0);
	return go_run(&options, run_go_main, NULL);
}

#endif
