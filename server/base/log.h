/*
 * log.h - one line an event on stderr, as journald likes it: `<N>subsystem: text`.
 *
 * The `<N>` (syslog's level) is written only where stderr is the journal ($JOURNAL_STREAM); else a
 * line begins with its level in words. A line is one write(2), so lines never mix; what is longer
 * than LOG_LINE_BYTES_MAX is cut. Control bytes in the text are escaped, since much of it comes from
 * clients. Libraries and layers below the broker do not log: they return.
 */
#ifndef CHAND_BASE_LOG_H
#define CHAND_BASE_LOG_H

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

enum { LOG_LINE_BYTES_MAX = 1024 };

#define log_error(...) log_line(LOG_LEVEL_ERROR, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, LOG_SUBSYSTEM, __VA_ARGS__)

/* A file that logs may name its subsystem before it includes this header. */
#ifndef LOG_SUBSYSTEM
#define LOG_SUBSYSTEM "chand"
#endif

/* Writes a line if `level` is within what log_set_level allows (LOG_LEVEL_INFO at first). Errors of
 * the write are ignored: there is nobody to tell. Blocks as long as stderr does. Keeps errno. */
void log_line(enum log_level level, const char *subsystem, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

void log_set_level(enum log_level level);

/* Sets what is called before (true) and after (false) each write, which may block: the daemon tells
 * its scheduler so. NULL for nothing. Before there are threads. */
void log_set_blocking(void (*blocks)(bool begins));

/* "error", "warning", "notice", "info", "debug" → the level; -1 for other words. */
int log_level_parse(const char *word);

#endif
