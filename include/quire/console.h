/* SPDX-License-Identifier: MIT */
/*
 * The console: one stream of characters out to every sink (serial line,
 * framebuffer), one stream of keys in from every source (serial line, PS/2).
 * Any of them may be absent.
 */
#ifndef QUIRE_CONSOLE_H
#define QUIRE_CONSOLE_H

#include <quire/compiler.h>
#include <quire/list.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An output device. write() gets UTF-8 with \n line ends and the few ANSI sequences of
 * console_write(). */
struct console_sink {
	unsigned columns; /* of its screen; 0 where nobody knows, taken as 80 */
	void (*write)(struct console_sink *sink, const char *text, size_t length);
	struct list link;
};

/* Add a sink; it first gets the log so far replayed. Threads or boot. */
void console_add_sink(struct console_sink *sink);

/*
 * Write to every sink, atomically with respect to other writers. Any context.
 * Understood by all sinks: printable UTF-8, \n \r \t \b, and ANSI: CSI n m (0, 1, 30-37, 90-97),
 * CSI K, CSI n C / D, CSI 2 J, CSI H.
 *
 * Lines of the log appear between lines, never inside one: as long as the last
 * write did not end its line, they wait.
 */
void console_write(const char *text, size_t length);
void console_printf(const char *format, ...) printf_like(1, 2);
void console_printf_v(const char *format, va_list args);

/*
 * The line being edited, always the last row. `change` is what brings the screen
 * up to date after a key; `row` draws the whole row from its first column and is
 * kept (CONSOLE_ROW_BYTES), so that other output can go in above it. row_length 0
 * ends the editing: `change` then ends the line. One editor at a time.
 */
#define CONSOLE_ROW_BYTES 1536
void console_edit(const char *change, size_t change_length, const char *row, size_t row_length);

/* Columns of the narrowest sink. */
unsigned console_columns(void);

/* The log has new lines: show them, now or as soon as a line ends. Any context. */
void console_log_changed(void);

/*
 * From a panic or fatal exception: from now on write even if some CPU holds the console lock (or
 * the log's). Called a second time from inside a sink, it gives that sink up.
 */
void console_force(void);

/* Keys: Unicode code points, control characters as in ASCII, and these. */
enum key {
	KEY_NONE = 0,
	KEY_INTERRUPT = 3, /* Ctrl-C */
	KEY_ENTER = '\r',
	KEY_TAB = '\t',
	KEY_BACKSPACE = 8,
	KEY_UP = 0x110000,
	KEY_DOWN,
	KEY_LEFT,
	KEY_RIGHT,
	KEY_HOME,
	KEY_END,
	KEY_DELETE,
	KEY_PAGE_UP,
	KEY_PAGE_DOWN,
};

/* Before the first console_read_key(), after sched_init(). Keys that come earlier are kept. */
void console_input_init(void);

/* From a keyboard driver, in interrupt context: a whole key. */
void console_key(uint32_t key);
/* From the serial driver, in interrupt context: a raw byte; escape sequences and UTF-8 are decoded
 * here. */
void console_serial_byte(uint8_t byte);

/* The next key; waits. timeout_ns 0 = for ever. KEY_NONE on timeout or when killed. Threads only.
 */
uint32_t console_read_key(uint64_t timeout_ns);
/* Forget the keys typed up to the last Ctrl-C, it included. */
void console_flush_interrupt(void);
/* A Ctrl-C was typed since the last call (it is also queued as a key). Long commands poll it. */
bool console_interrupted(void);

#endif
