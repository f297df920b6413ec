/*
 * settle.h - gives memory back to the kernel when a burst is over.
 */
#ifndef BROKER_SETTLE_H
#define BROKER_SETTLE_H

/* To be called where memory is taken or given up, as often as one likes: a load, as a rule. Where there is much
 * of it a goroutine looks after it until nothing goes on any more (memory_settle in base/memory.h). */
void settle_memory(void);

#endif
