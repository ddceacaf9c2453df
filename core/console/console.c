/* SPDX-License-Identifier: MIT */
/*
 * The console's output side: one stream of text to every sink.
 *
 * Three writers share the screen: commands (console_write), the log, and the line
 * editor, whose row is always the last one. They are kept apart by two rules:
 *
 *	- other output goes in above the edited row: erase it, write, draw it again;
 *	- lines of the log go in between lines: only while  at_line_start or editing,
 *	  until then they wait in the log's ring.
 *
 * Every sink has seen the same lines of the log: those below shown_log. A new one
 * gets these first and then joins.
 *
 * Lock: console_lock. It is held while the sinks write. Inside it only the log's lock
 * is taken.
 */
#include <quire/console.h>
#include <quire/format.h>
#include <quire/log.h>
#include <quire/spinlock.h>
#include <quire/string.h>

#define COLUMNS_UNKNOWN 80
#define ERASE_ROW       "\r\033[K"

static struct spinlock console_lock = SPINLOCK_INIT(LOCK_RANK_CONSOLE);
static bool console_forced;

/* ---- under console_lock ---- */
static struct list sinks = {&sinks, &sinks};
static struct console_sink *busy_sink; /* the one whose write() runs */
static uint64_t shown_log;             /* lines of the log below this have been shown */
static bool at_line_start = true;
static enum {
	IN_TEXT,
	IN_ESCAPE,
	IN_SEQUENCE
} scan;                             /* for at_line_start: where in an ANSI sequence */
static char row[CONSOLE_ROW_BYTES]; /* draws the edited row */
static size_t row_length;           /* 0: nobody edits */

static port_irq_t lock_console(void)
{
	return __atomic_load_n(&console_forced, __ATOMIC_RELAXED) ? port_irq_save()
								  : spin_lock(&console_lock);
}

static void unlock_console(port_irq_t irq)
{
	if (__atomic_load_n(&console_forced, __ATOMIC_RELAXED))
		port_irq_restore(irq);
	else
		spin_unlock(&console_lock, irq);
}

/* Follow the text just far enough to know whether the cursor is in the first column. */
static void track_column(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (scan == IN_TEXT) {
			if (c == '\033')
				scan = IN_ESCAPE;
			else if (c == '\n' || c == '\r')
				at_line_start = true;
			else if ((unsigned char)c >= ' ' || c == '\t')
				at_line_start = false;
		} else if (scan == IN_ESCAPE) {
			scan = c == '[' ? IN_SEQUENCE : IN_TEXT;
		} else if (c >= '@' && c <= '~') {
			scan = IN_TEXT;
			if (c == 'H')
				at_line_start = true;
			else if (c == 'C')
				at_line_start = false;
		}
	}
}

static void sink_write(struct console_sink *sink, const char *text, size_t length)
{
	busy_sink = sink;
	sink->write(sink, text, length);
	busy_sink = NULL;
}

static void emit_locked(const char *text, size_t length)
{
	if (!length)
		return;
	list_for_each (node, &sinks)
		sink_write(list_entry(node, struct console_sink, link), text, length);
	track_column(text, length);
}

/* Make room above the edited row ... */
static void open_row_locked(void)
{
	if (row_length)
		emit_locked(ERASE_ROW, sizeof ERASE_ROW - 1);
}

/* ... and put the row back below what was written. */
static void close_row_locked(void)
{
	if (!row_length)
		return;
	if (!at_line_start)
		emit_locked("\n", 1);
	emit_locked(row, row_length);
}

/* Show the lines of the log that wait, if this is a moment for it. */
static void show_log_locked(void)
{
	char text[LOG_TEXT_BYTES];
	struct log_line line;
	bool opened = false;

	if (!row_length && !at_line_start && !console_forced)
		return;
	while (log_read(shown_log, &line)) {
		shown_log = line.sequence + 1;
		if (line.level > log_console_level())
			continue;
		if (!opened)
			open_row_locked();
		opened = true;
		if (!at_line_start)
			emit_locked("\n", 1);
		emit_locked(text, log_line_format(text, &line));
	}
	if (opened)
		close_row_locked();
}

void console_log_changed(void)
{
	port_irq_t irq = lock_console();

	show_log_locked();
	unlock_console(irq);
}

void console_add_sink(struct console_sink *sink)
{
	char text[LOG_TEXT_BYTES];
	struct log_line line;
	port_irq_t irq = lock_console();

	for (uint64_t s = 0; s < shown_log && log_read(s, &line); s = line.sequence + 1)
		if (line.sequence < shown_log && line.level <= log_console_level())
			sink_write(sink, text, log_line_format(text, &line));
	if (row_length)
		sink_write(sink, row, row_length);
	/* The latest first: a screen before the serial line, so that whoever waits for text on the
	 * line finds it on the screen too. */
	list_push_front(&sinks, &sink->link);
	show_log_locked();
	unlock_console(irq);
}

void console_write(const char *text, size_t length)
{
	port_irq_t irq = lock_console();

	open_row_locked();
	emit_locked(text, length);
	close_row_locked();
	show_log_locked();
	unlock_console(irq);
}

/* Pieces of one console_printf(), collected so that the sinks get few calls. */
struct pieces {
	size_t used;
	char text[256];
};

static void flush_pieces(struct pieces *p)
{
	emit_locked(p->text, p->used);
	p->used = 0;
}

static void add_piece(void *context, const char *text, size_t length)
{
	struct pieces *p = context;

	if (length > sizeof p->text - p->used)
		flush_pieces(p);
	if (length > sizeof p->text) {
		emit_locked(text, length);
		return;
	}
	memcpy(p->text + p->used, text, length);
	p->used += length;
}

void console_printf_v(const char *format, va_list args)
{
	struct pieces p = {.used = 0};
	port_irq_t irq = lock_console();

	open_row_locked();
	format_to(add_piece, &p, format, args);
	flush_pieces(&p);
	close_row_locked();
	show_log_locked();
	unlock_console(irq);
}

void console_printf(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	console_printf_v(format, args);
	va_end(args);
}

void console_edit(const char *change, size_t change_length, const char *new_row, size_t new_length)
{
	port_irq_t irq = lock_console();

	/* A command that left its last line open does not get the prompt glued to it. */
	if (!row_length && !at_line_start)
		emit_locked("\n", 1);
	emit_locked(change, change_length);
	row_length = new_length < sizeof row ? new_length : sizeof row;
	memcpy(row, new_row, row_length);
	show_log_locked();
	unlock_console(irq);
}

unsigned console_columns(void)
{
	unsigned columns = COLUMNS_UNKNOWN;
	port_irq_t irq = lock_console();

	list_for_each (node, &sinks) {
		const struct console_sink *s = list_entry(node, struct console_sink, link);

		if (s->columns && s->columns < columns)
			columns = s->columns;
	}
	unlock_console(irq);
	return columns;
}

void console_force(void)
{
	bool again = __atomic_exchange_n(&console_forced, true, __ATOMIC_RELAXED);

	log_force();
	if (again && busy_sink) {
		/* Not list_remove(): the walk that called it may yet go on from this node. */
		struct list *gone = &busy_sink->link;

		gone->prev->next = gone->next;
		gone->next->prev = gone->prev;
		busy_sink = NULL;
	}
	/* Whatever stood open is closed: the report starts in the first column, in plain colours. */
	row_length = 0;
	scan = IN_TEXT;
	if (!at_line_start)
		emit_locked("\033[0m\n", 5);
	console_log_changed();
}
