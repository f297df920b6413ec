/*
 * collect.h - removal of channels that only hold each other, by chan values in their buffers.
 */
#ifndef BROKER_COLLECT_H
#define BROKER_COLLECT_H

struct engine;

/* Removes all of them now. Looks at every channel, and at the buffers of those that nobody has
 * open. Out of memory: does nothing. */
void engine_collect(struct engine *e);

/* The same once so many channels were given up while a value held them, that looking costs little
 * each, and that what is lost meanwhile stays a fraction of what is there. */
#define SUSPECTS_MIN 32u
void engine_collect_if_due(struct engine *e);

#endif
