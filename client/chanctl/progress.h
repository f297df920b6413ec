/*
 * progress.h - one line on stderr that tells how far a long run is.
 *
 * It appears only where a person can see it and it is in nobody's way: stderr is a terminal and
 * stdout is not, and the run has lasted a second. It changes at most five times a second.
 */
#ifndef CHANCTL_PROGRESS_H
#define CHANCTL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *verb; /* "send" */
	const char *name; /* the channel's */
	uint64_t count;   /* values done */
	int64_t start_ns, next_ns;
	bool enabled;
	bool shown; /* the line stands on the terminal */
};

/* verb and name must outlive it. */
void progress_init(struct progress *p, const char *verb, const char *name);

/* Counts values that are done, and shows it if it is time. */
void progress_add(struct progress *p, uint64_t values);

/* Ends the line, so that what is said next stands on its own. */
void progress_end(struct progress *p);

#endif
