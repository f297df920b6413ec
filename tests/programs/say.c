/* Two goroutines take turns. Nobody waits for "world": it is said as often as there is time for. */
#include "tour.h"

static void say(const char *s)
{
	for (int i = 0; i < 5; i++) {
		go_yield();
		puts(s);
	}
}

static void go_main(void)
{
	go(say, "world");
	say("hello");
}
