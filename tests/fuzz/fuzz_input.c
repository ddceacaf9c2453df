/* SPDX-License-Identifier: MIT */
/*
 * Whatever comes in on a serial line, up to the words of a command:
 *
 *   bytes ──serial_decode──► keys ──line_edit──► a line, and changes to a terminal's row
 *                                                └──parse_command──► words
 *
 * The shadow of the screen is a second terminal on which the editor's row is
 * drawn anew: what was changed bit by bit must look the same, cursor included.
 *
 *   byte 0   columns of the terminal
 */
#include "console/line_edit.h"
#include "console/serial_decode.h"
#include "console/terminal.h"
#include "must.h"
#include "shell/parse.h"
#include <string.h>

#define COLUMNS_MAX 90u
#define ROWS        3u
#define PROMPT      "quire> "

static struct line_edit editor;
static struct terminal screen, anew;
static uint32_t cells[COLUMNS_MAX * ROWS], cells_anew[COLUMNS_MAX * ROWS];

static const char *const words[] = {"churn", "spin", NULL};
static const struct command help = {.name = "help", .arguments = "[--json]"};
static const struct command spawn = {.name = "spawn", .words = words};
static const struct command *const table[] = {&help, &spawn, NULL};

static void complete(const char *before, struct completion *out)
{
	complete_line(table, before, out);
}

static void compare_rows(void)
{
	char row[CONSOLE_ROW_BYTES];
	size_t bytes = line_edit_row(&editor, row);
	const uint32_t *shown = &cells[screen.row * screen.columns];

	must(bytes <= sizeof row, "a row longer than its room");
	terminal_init(&anew, cells_anew, screen.columns, ROWS);
	terminal_write(&anew, row, bytes);
	must(anew.row == 0, "a row that is longer than the screen is wide");
	must(anew.column == screen.column && anew.wrap_pending == screen.wrap_pending,
	     "the cursor is elsewhere");
	for (unsigned c = 0; c < screen.columns; c++)
		must(cell_point(shown[c]) == cell_point(cells_anew[c]), "the row looks different");
}

static void check_editor(void)
{
	must(editor.cursor <= editor.length && editor.length <= editor.bytes, "cursor or length");
	must(editor.bytes < SHELL_LINE_BYTES, "a line longer than a line");
	must(editor.left <= editor.cursor, "the cursor is left of the window");
	must(editor.change_length <= LINE_CHANGE_BYTES, "a change longer than its room");
}

/* A line as it was entered: words come out until it is used up, each inside the text. */
static void check_words(void)
{
	static struct parsed_command p;
	char line[SHELL_LINE_BYTES];
	const char *at = line, *last;

	line_edit_text(&editor, line);
	must(strlen(line) == editor.bytes, "the text is of another length");
	do {
		last = at;
		if (parse_command(&at, &p) <= 0)
			return;
		must(at > last && at <= line + strlen(line), "the parser does not go on");
		must(p.argc >= 0 && p.argc <= SHELL_ARGS_MAX && !p.argv[p.argc], "words");
		for (int i = 0; i < p.argc; i++)
			must(p.argv[i] >= p.text &&
				     p.argv[i] + strlen(p.argv[i]) < p.text + sizeof p.text,
			     "a word outside the text");
	} while (*at);
}

static void begin_line(unsigned columns)
{
	line_edit_begin(&editor, columns);
	terminal_write(&screen, editor.change, editor.change_length);
}

static void press(uint32_t key, unsigned columns, bool look)
{
	enum line_event event = line_edit_key(&editor, key);

	check_editor();
	terminal_write(&screen, editor.change, editor.change_length);
	if (event == LINE_EDITING) {
		if (look)
			compare_rows();
		return;
	}
	must(screen.column == 0, "what comes next begins in the middle of a row");
	if (event == LINE_ENTERED)
		check_words();
	begin_line(columns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct serial_decoder decoder = {0};
	unsigned columns;

	if (size < 1)
		return 0;
	columns = 12 + data[0] % (COLUMNS_MAX - 12);
	terminal_init(&screen, cells, columns, ROWS);
	line_edit_init(&editor, PROMPT, complete);
	begin_line(columns);
	for (size_t i = 1; i < size; i++) {
		uint32_t keys[2];
		unsigned n = serial_decode(&decoder, data[i], keys);

		must(n <= 2, "more keys than there is room for");
		for (unsigned k = 0; k < n; k++)
			press(keys[k], columns, i % 8 == 0 || i + 1 == size);
	}
	return 0;
}
