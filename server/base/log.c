#include "server/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const level_words[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_NOTICE] = "notice",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static _Atomic int log_level = LOG_LEVEL_INFO;
static void (*log_blocks)(bool begins);

void log_set_blocking(void (*blocks)(bool begins))
{
	log_blocks = blocks;
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&log_level, level, memory_order_relaxed);
}

int log_level_parse(const char *word)
{
	for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++)
		if (strcmp(word, level_words[i]) == 0)
			return i;
	return -1;
}

/* Copies `text` into line[at..], control bytes as \xNN; stops where an escape would not fit. */
static size_t append_escaped(char line[static LOG_LINE_BYTES_MAX], size_t at, const char *text)
{
	for (; *text && at + 5 < LOG_LINE_BYTES_MAX; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c != 0x7f) {
			line[at++] = (char)c;
		} else {
			snprintf(line + at, 5, "\\x%02x", c);
			at += 4;
		}
	}
	return at;
}

/* Out of line: log_blocks may move its goroutine to another thread, and compilers keep the address of
 * the first one's errno for a whole function. */
static __attribute__((noinline)) void set_errno(int value)
{
	errno = value;
}

/* A line that cannot be written is lost, and nothing else: there is nowhere to say so. */
static void write_out(const char *line, size_t bytes)
{
	size_t at = 0;
	ssize_t n;

	while (at < bytes) {
		n = write(STDERR_FILENO, line + at, bytes - at);
		if (n < 0 && errno != EINTR)
			return;
		at += n > 0 ? (size_t)n : 0;
	}
}

void log_line(enum log_level level, const char *subsystem, const char *format, ...)
{
	char text[LOG_LINE_BYTES_MAX], line[LOG_LINE_BYTES_MAX];
	int saved_errno = errno, n;
	size_t at;
	va_list args;

	if ((int)level > atomic_load_explicit(&log_level, memory_order_relaxed))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);

	if (getenv("JOURNAL_STREAM"))
		n = snprintf(line, 64, "<%d>%s: ", level, subsystem);
	else
		n = snprintf(line, 64, "%s: %s: ", level_words[level], subsystem);
	at = append_escaped(line, n > 0 && n < 64 ? (size_t)n : 0, text);
	line[at] = '\n';
	if (log_blocks)
		log_blocks(true);
	write_out(line, at + 1);
	if (log_blocks)
		log_blocks(false);
	set_errno(saved_errno);
}
