/* SPDX-License-Identifier: MIT */
/*
 * The kernel log: a ring in memory, copied to the consoles as it comes.
 * A file that logs defines LOG_TAG before including this. Any context, except
 * under the page or kmalloc lock.
 */
#ifndef QUIRE_LOG_H
#define QUIRE_LOG_H

#include <quire/compiler.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
	LOG_ERROR,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG,
};

/* One line; no newline at the end of the format. "[    0.123456] tag: text" */
void log_write(enum log_level level, const char *tag, const char *format, ...) printf_like(3, 4);

#define log_error(...) log_write(LOG_ERROR, LOG_TAG, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, LOG_TAG, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, LOG_TAG, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, LOG_TAG, __VA_ARGS__)

/* Lines up to this level reach the consoles; all reach the ring. */
void log_set_console_level(enum log_level level);
enum log_level log_console_level(void);
/* "error", "warn", "info", "debug" or -1. */
int log_level_from_name(const char *name);
const char *log_level_name(enum log_level level);

struct log_line {
	uint64_t sequence; /* counts every line ever written, from 0 */
	uint64_t ns;
	enum log_level level;
	char tag[12];
	char text[160]; /* cut to fit, always terminated */
};

/* The first line with that sequence number or later that the ring still has. False when there is
 * none. */
bool log_read(uint64_t sequence, struct log_line *out);

/* From a panic: go on even if some CPU holds the log's lock. */
void log_force(void);

/* "[    0.123456] tag: text" with its newline and colours, as the consoles show it. Returns its
 * length. */
#define LOG_TEXT_BYTES 224
size_t log_line_format(char out[static LOG_TEXT_BYTES], const struct log_line *line);

#endif
