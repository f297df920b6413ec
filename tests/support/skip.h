/*
 * skip.h - to leave a test that cannot be run here.
 *
 * cmocka's skip() prints `not ok ... # SKIP', which automake takes for a failure.
 */
#ifndef SUPPORT_SKIP_H
#define SUPPORT_SKIP_H

/* Leaves the test function that it stands in; cmocka.h comes before. */
#define SKIP_TEST(why)                                                                             \
	do {                                                                                       \
		print_message("# skipped: %s\n", why);                                             \
		return;                                                                            \
	} while (0)

#endif
