/*
 * world.h - the world in which fuzz_client runs libchan: one thread, no socket, and no time but
 * ours.
 *
 * Dialling, poll, the clock and sleeping are replaced by the linker (--wrap). A connection that is
 * lost is dialled again at once. What the server has written comes a frame at a time, when the
 * program lets it or waits for it; when nothing more is to come, time passes, and who waits
 * without a deadline finds the connection closed. A call that waits in another way would hang here,
 * and the fuzzer tells.
 *
 * The server writes what the input's last part holds. Before that it writes what the script has it
 * say: frames that are well formed, about operations that the client has sent or is about to send.
 * Bytes alone seldom get as far as several values for a receive that stands.
 */
#ifndef TESTS_FUZZ_WORLD_H
#define TESTS_FUZZ_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The input's first byte. */
enum option {
	OPTION_GREETED = 1,    /* a WELCOME comes before the server's bytes */
	OPTION_TIME_FIRST = 2, /* a wait with a deadline meets it before the server writes more */
	OPTION_SHORT_WRITES = 4,
	OPTION_CHOKED = 8, /* every other write takes nothing */
	OPTION_MANUAL = 16,
	OPTION_CREDIT = 32,
	OPTION_RAW = 64,
	OPTION_LINGERS = 128, /* the session is resumed whenever the connection is lost */
};

/* Begins with an input: options, the script's length in two bytes, the script, the server. */
void world_begin(const uint8_t *bytes, size_t n);
void world_end(void);

bool world_has(enum option o);

/* Whether the script is not at its end. */
bool world_goes_on(void);

/* No more of the script. */
void world_stop(void);

/* The script's next byte, below n. */
uint32_t choose(uint32_t n);

/* Lets the next frame of the server come, or what is no frame. False: there is none. */
bool world_let_come(void);

void world_pass(int64_t ns);

/* Loses the connection, until the next is dialled. */
void world_lose(void);

/* What the server says next, by the script's choice: an operation of any kind was done, or failed;
 * an end is open; there are values; or they were taken away; it is alive. */
void world_say_opened(void);
void world_say_outcome(void);
void world_say_values(void);
void world_say_gone(void);
void world_say_pong(void);

#endif
