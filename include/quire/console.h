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
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An output device. write() gets UTF-8 with \n line ends and the few ANSI sequences of
 * console_write(). */
struct console_sink {
	const char *name;
	void (*write)(struct console_sink *sink, const char *text, size_t length);
	struct list link;
};

/* Add a sink; it first gets the log so far replayed. Threads or boot. */
void console_add_sink(struct console_sink *sink);

/*
 * Write to every sink, atomically with respect to other writers. Any context.
 * Understood by all sinks: printable UTF-8, \n \r \t \b, and ANSI: CSI n m (0, 1, 30-37, 90-97),
 * CSI K, CSI n C / D, CSI 2 J, CSI H.
 */
void console_write(const char *text, size_t length);
void console_printf(const char *format, ...) printf_like(1, 2);

/* From a panic or fatal exception: write even if some CPU holds the console lock. */
void console_force(void);

/* Every sink's name, in the order added; false past the end. */
bool console_sink_name(size_t i, const char **name);

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

/* From a keyboard driver, in interrupt context: a whole key. */
void console_key(uint32_t key);
/* From the serial driver, in interrupt context: a raw byte; escape sequences and UTF-8 are decoded
 * here. */
void console_serial_byte(uint8_t byte);

/* The next key; waits. timeout_ns 0 = for ever. KEY_NONE on timeout or when killed. Threads only.
 */
uint32_t console_read_key(uint64_t timeout_ns);
/* A Ctrl-C was typed since the last call (it is also queued as a key). Long commands poll it. */
bool console_interrupted(void);

#endif
