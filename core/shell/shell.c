/* SPDX-License-Identifier: MIT */
/*
 * The shell: prompt, edit, run, for ever. One thread; its state needs no lock.
 *
 * A line is checked as a whole before any of it runs. A command that fails does
 * not keep the ones behind it from running; Ctrl-C does.
 */
#include "complete.h"
#include "console/line_edit.h"
#include "parse.h"
#include <quire/assert.h>
#include <quire/console.h>
#include <quire/errno.h>
#include <quire/format.h>
#include <quire/shell.h>
#include <quire/string.h>
#include <quire/thread.h>

#define PROMPT       "quire> "
#define COMMANDS_MAX 64

/* The linker's list of commands, in link order. */
extern const struct command *const __start_shell_commands[];
extern const struct command *const __stop_shell_commands[];

static const struct command *commands[COMMANDS_MAX + 1]; /* by name, NULL-terminated */
static const struct command *running;
static bool interrupted;
static struct line_edit editor;

/* The linker's list, sorted; made at the first call. */
static const struct command *const *command_table(void)
{
	size_t count = 0;

	if (commands[0])
		return commands;
	for (const struct command *const *c = __start_shell_commands; c < __stop_shell_commands;
	     c++) {
		size_t at = count++;

		assert(count <= COMMANDS_MAX);
		for (; at > 0 && strcmp(commands[at - 1]->name, (*c)->name) > 0; at--)
			commands[at] = commands[at - 1];
		commands[at] = *c;
	}
	return commands;
}

const struct command *shell_command(size_t i)
{
	return i < COMMANDS_MAX ? command_table()[i] : NULL;
}

/* ---- output ---- */

/* Where the last line goes instead of to the consoles; see shell_capture(). */
static struct {
	char *line; /* NULL: it does not */
	size_t bytes, used;
	bool complete; /* the next character begins another */
} capture;

static void capture_text(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\n') {
			capture.complete = true;
			continue;
		}
		if (capture.complete)
			capture.used = 0;
		capture.complete = false;
		if (capture.used + 1 < capture.bytes)
			capture.line[capture.used++] = text[i];
		capture.line[capture.used] = 0;
	}
}

static void print(const char *text, size_t length)
{
	if (capture.line)
		capture_text(text, length);
	else
		console_write(text, length);
}

/*
 * JSON comes in morsels; the consoles get them by the plateful. Not a large one: interrupts are off
 * while a slow serial line takes it.
 */
static struct {
	size_t used;
	char text[128];
} plate;

static void serve(void)
{
	if (plate.used)
		print(plate.text, plate.used);
	plate.used = 0;
}

void shell_capture(char *line, size_t bytes)
{
	serve(); /* what is on the plate belongs where it was meant to go */
	capture.line = line;
	capture.bytes = bytes;
	capture.used = 0;
	capture.complete = false;
	if (line)
		line[0] = 0;
}

void shell_printf(const char *format, ...)
{
	char text[256]; /* of a captured line: cut */
	va_list args;

	va_start(args, format);
	if (capture.line) {
		format_buffer_v(text, sizeof text, format, args);
		capture_text(text, strlen(text));
	} else {
		console_printf_v(format, args);
	}
	va_end(args);
}

int shell_error(const char *format, ...)
{
	char text[160];
	va_list args;

	va_start(args, format);
	format_buffer_v(text, sizeof text, format, args);
	va_end(args);
	/* A message that ends in a hint of its own needs no other. */
	if (running && text[strlen(text) - 1] != ')')
		shell_printf("%s: %s (try: help %s)\n", running->name, text, running->name);
	else if (running)
		shell_printf("%s: %s\n", running->name, text);
	else
		shell_printf("%s\n", text);
	return -EINVAL;
}

static void add_morsel(void *context, const char *text, size_t length)
{
	(void)context;
	if (length > sizeof plate.text - plate.used)
		serve();
	if (length > sizeof plate.text) {
		print(text, length);
		return;
	}
	memcpy(plate.text + plate.used, text, length);
	plate.used += length;
}

void shell_json_begin(struct json *j)
{
	json_begin(j, add_morsel, NULL);
}

void shell_json_end(struct json *j)
{
	json_end(j);
	serve();
}

bool shell_interrupted(void)
{
	if (console_interrupted())
		interrupted = true;
	return interrupted;
}

/* ---- running ---- */

static const struct command *find_command(const char *name)
{
	for (const struct command *const *c = command_table(); *c; c++)
		if (!strcmp((*c)->name, name))
			return *c;
	return NULL;
}

static int unknown_command(const char *name)
{
	const char *nearest = complete_nearest(command_table(), name);

	if (nearest)
		shell_printf("unknown command '%s': did you mean '%s'? (try: help)\n", name,
			     nearest);
	else
		shell_printf("unknown command '%s' (try: help)\n", name);
	return -ENOENT;
}

static int run_command(struct parsed_command *p)
{
	const struct command *outer = running, *command = find_command(p->argv[0]);
	int result;

	if (!command)
		return unknown_command(p->argv[0]);
	running = command;
	result = command->run(p->argc, p->argv);
	running = outer;
	return result;
}

/* Does every command of the line parse? Says what is wrong otherwise. */
static int check_line(const char *line)
{
	struct parsed_command p;
	int err;

	do
		err = parse_command(&line, &p);
	while (err > 0);
	if (err == -E2BIG)
		shell_printf("a command has at most %d words and %d characters\n", SHELL_ARGS_MAX,
			     SHELL_LINE_BYTES - 1);
	else if (err)
		shell_printf("the line ends inside quotes, or in a backslash\n");
	return err;
}

int shell_run_line(const char *line)
{
	struct parsed_command p;
	int result = check_line(line);

	if (result)
		return result;
	interrupted = false;
	console_interrupted(); /* a Ctrl-C from before this line is not meant for it */
	while (parse_command(&line, &p) > 0) {
		if (p.argc)
			result = run_command(&p);
		if (shell_interrupted()) {
			console_flush_interrupt();
			shell_printf("^C\n");
			return -EINTR;
		}
	}
	return result;
}

/* ---- the thread ---- */

static void complete(const char *before_cursor, struct completion *out)
{
	complete_line(command_table(), before_cursor, out);
}

/* Show what the editor changed; the row is kept for repainting unless editing is over. */
static void show(bool editing)
{
	char row[CONSOLE_ROW_BYTES];
	size_t length = editing ? line_edit_row(&editor, row) : 0;

	console_edit(editor.change, editor.change_length, row, length);
}

/* Edit one line. False when it was cancelled, or the thread is to stop. */
static bool read_line(char line[static SHELL_LINE_BYTES])
{
	enum line_event event = LINE_EDITING;

	line_edit_begin(&editor, console_columns());
	show(true);
	while (event == LINE_EDITING) {
		uint32_t key = console_read_key(0);

		if (key == KEY_NONE) {
			console_edit("\n", 1, NULL, 0);
			return false;
		}
		event = line_edit_key(&editor, key);
		show(event == LINE_EDITING);
	}
	line_edit_text(&editor, line);
	return event == LINE_ENTERED;
}

void shell_thread(void *argument)
{
	static char line[SHELL_LINE_BYTES];
	const char *autorun = argument;

	console_input_init();
	line_edit_init(&editor, PROMPT, complete);
	if (autorun && *autorun) {
		console_printf(PROMPT "%s\n", autorun);
		shell_run_line(autorun);
	}
	while (!thread_should_stop())
		if (read_line(line))
			shell_run_line(line);
}
