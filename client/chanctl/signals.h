/*
 * signals.h - signals as something to read, for what runs commands.
 *
 * interrupt.h is for what only waits: a signal ends it. Here signals have other meanings: they stop
 * the taking of values, go on to a command, or say that one has ended.
 */
#ifndef CHANCTL_SIGNALS_H
#define CHANCTL_SIGNALS_H

#include <stdbool.h>

/* From now on these (ends with 0) make the returned descriptor readable and do nothing else. Those
 * that came ignored stay so. -errno where there is no descriptor. */
int signals_open(const int *numbers);

/* The next one that has come, or 0. Does not block. */
int signals_next(int fd);

/*
 * Stops this process as the terminal's ^Z would have, until it is continued. whole_job: and all
 * others of its group, which the terminal did not reach because a command had it. False, at once:
 * nobody is there who could continue us, and so we were not stopped.
 */
bool signals_pause(bool whole_job);

#endif
