/*
 * certificates.h - a folder with what certificates.sh makes. Failures are cmocka's, so it is for
 * the main thread.
 */
#ifndef TESTS_SUPPORT_CERTIFICATES_H
#define TESTS_SUPPORT_CERTIFICATES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CERTIFICATES_DIR_BYTES = 64, CERTIFICATES_PATH_BYTES = 96 };

static inline void certificates_make(char dir[static CERTIFICATES_DIR_BYTES])
{
	const char *top = getenv("top_srcdir");
	char command[512];

	strcpy(dir, "/tmp/chand-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command), "sh %s/tests/support/certificates.sh %s",
		top ? top : ".", dir);
	assert_int_equal(system(command), 0);
}

static inline void certificates_remove(const char *dir)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

static inline char *certificates_path(
	const char *dir, const char *name, char path[static CERTIFICATES_PATH_BYTES])
{
	snprintf(path, CERTIFICATES_PATH_BYTES, "%s/%s", dir, name);
	return path;
}

#endif
