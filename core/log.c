/* SPDX-License-Identifier: MIT */
/*
 * The log: the last LOG_LINES lines, in a ring.
 *
 *	line with sequence number s  stands in  ring[s % LOG_LINES]
 *	kept are  max(0, next_sequence - LOG_LINES) <= s < next_sequence
 *
 * A line is formatted before the lock is taken and shown after it is given back,
 * so that the lock is held for one copy. The consoles fetch the lines themselves
 * (console_log_changed()), in order, whoever wrote them.
 *
 * Lock: log_lock, innermost of all. Nothing here allocates: the log works from the
 * first instruction on, and in interrupts.
 */
#include <quire/console.h>
#include <quire/format.h>
#include <quire/log.h>
#include <quire/spinlock.h>
#include <quire/string.h>
#include <quire/time.h>

#define LOG_LINES 512 /* 96 KiB */

static struct spinlock log_lock = SPINLOCK_INIT(LOCK_RANK_LOG);
static bool log_forced;
static uint64_t next_sequence;
static struct log_line ring[LOG_LINES];

/* Not under the lock: one word, and a line more or less on the console does no harm. */
static enum log_level console_level = LOG_INFO;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static port_irq_t lock_log(void)
{
	return __atomic_load_n(&log_forced, __ATOMIC_RELAXED) ? port_irq_save()
							      : spin_lock(&log_lock);
}

static void unlock_log(port_irq_t irq)
{
	if (__atomic_load_n(&log_forced, __ATOMIC_RELAXED))
		port_irq_restore(irq);
	else
		spin_unlock(&log_lock, irq);
}

void log_force(void)
{
	__atomic_store_n(&log_forced, true, __ATOMIC_RELAXED);
}

/* One line is one line: what would break it becomes a blank. */
static void flatten(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

void log_write(enum log_level level, const char *tag, const char *format, ...)
{
	struct log_line line = {.ns = time_ns(), .level = level};
	va_list args;
	port_irq_t irq;

	strlcpy(line.tag, tag, sizeof line.tag);
	va_start(args, format);
	format_buffer_v(line.text, sizeof line.text, format, args);
	va_end(args);
	flatten(line.text);

	irq = lock_log();
	line.sequence = next_sequence++;
	ring[line.sequence % LOG_LINES] = line;
	unlock_log(irq);

	console_log_changed();
}

bool log_read(uint64_t sequence, struct log_line *out)
{
	port_irq_t irq = lock_log();
	bool found;

	if (next_sequence > LOG_LINES && sequence < next_sequence - LOG_LINES)
		sequence = next_sequence - LOG_LINES;
	found = sequence < next_sequence;
	if (found)
		*out = ring[sequence % LOG_LINES];
	unlock_log(irq);
	return found;
}

size_t log_line_format(char out[static LOG_TEXT_BYTES], const struct log_line *line)
{
	const char *colour = line->level == LOG_ERROR  ? "\033[91m"
			     : line->level == LOG_WARN ? "\033[93m"
						       : "";
	uint64_t us = line->ns / 1000;

	return format_buffer(out, LOG_TEXT_BYTES, "[%5llu.%06llu] %s%s: %s%s\n",
			     (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000),
			     colour, line->tag, line->text, *colour ? "\033[0m" : "");
}

void log_set_console_level(enum log_level level)
{
	__atomic_store_n(&console_level, level, __ATOMIC_RELAXED);
}

enum log_level log_console_level(void)
{
	return __atomic_load_n(&console_level, __ATOMIC_RELAXED);
}

int log_level_from_name(const char *name)
{
	for (size_t i = 0; i < array_len(level_names); i++)
		if (!strcmp(name, level_names[i]))
			return (int)i;
	return -1;
}

const char *log_level_name(enum log_level level)
{
	return level < array_len(level_names) ? level_names[level] : "?";
}
