/* SPDX-License-Identifier: MIT */
/*
 * The line editor against a terminal: after every key the screen must show what a plain model of
 * the line says, with the cursor in its place, and nothing else may change.
 */
#include "cm.h"
#include "console/line_edit.h"
#include "console/terminal.h"
#include "host.h"
#include <quire/compiler.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS_MAX 120
#define ROWS        12
#define PROMPT      "quire> "

static struct line_edit e;
static uint32_t cells[COLUMNS_MAX * ROWS];
static struct terminal t;
static unsigned bells;

static const char *const words[] = {"--fast", "--slow", NULL};
static const struct command commands[] = {
	{.name = "help", .arguments = "[--json]"},
	{.name = "mem", .arguments = "[--json]"},
	{.name = "memmap"},
	{.name = "spawn", .words = words},
};
static const struct command *const table[] = {&commands[0], &commands[1], &commands[2],
					      &commands[3], NULL};

static void complete(const char *before, struct completion *out)
{
	complete_line(table, before, out);
}

static void show_change(void)
{
	for (size_t i = 0; i < e.change_length; i++)
		bells += e.change[i] == '\a';
	terminal_write(&t, e.change, e.change_length);
}

static void begin(unsigned columns)
{
	terminal_init(&t, cells, columns, ROWS);
	line_edit_init(&e, PROMPT, complete);
	line_edit_begin(&e, columns);
	show_change();
	bells = 0;
}

static enum line_event key(uint32_t k)
{
	enum line_event event = line_edit_key(&e, k);

	show_change();
	return event;
}

static void type(const char *text)
{
	for (; *text; text++)
		key((uint8_t)*text);
}

static const char *line(void)
{
	static char text[SHELL_LINE_BYTES];

	line_edit_text(&e, text);
	return text;
}

static const char *row_text(unsigned row)
{
	static char text[COLUMNS_MAX * 4 + 1];
	size_t used = 0, end = 0;

	for (unsigned c = 0; c < t.columns; c++) {
		used += utf8_encode(cell_point(cells[row * t.columns + c]), text + used);
		if (cell_point(cells[row * t.columns + c]) != ' ')
			end = used;
	}
	text[end] = 0;
	return text;
}

/* Enter, as the shell does it: the next line begins. */
static void enter(const char *text)
{
	type(text);
	assert_int_equal(key(KEY_ENTER), LINE_ENTERED);
	line_edit_begin(&e, t.columns);
	show_change();
}

static void typing_and_editing_anywhere(void **state)
{
	(void)state;
	begin(80);
	type("ello");
	key(KEY_HOME);
	type("h");
	key(KEY_END);
	type("!");
	assert_string_equal(line(), "hello!");
	assert_string_equal(row_text(0), "quire> hello!");
	key(KEY_LEFT);
	key(KEY_BACKSPACE);
	assert_string_equal(row_text(0), "quire> hell!");
	key(1); /* Ctrl-A */
	key(KEY_DELETE);
	assert_string_equal(row_text(0), "quire> ell!");
	assert_int_equal(t.column, 7);
	key(5); /* Ctrl-E */
	assert_int_equal(t.column, 11);
	type(" two  three");
	key('W' - '@');
	assert_string_equal(line(), "ell! two  ");
	key('W' - '@');
	assert_string_equal(line(), "ell! ");
	key(KEY_LEFT);
	key(KEY_LEFT);
	key('K' - '@');
	assert_string_equal(line(), "ell");
	key(KEY_LEFT);
	key('U' - '@');
	assert_string_equal(line(), "l");
	key('D' - '@');
	assert_string_equal(line(), "");
	assert_string_equal(row_text(0), "quire>");
	assert_int_equal(bells, 0);
}

static void a_typed_character_is_that_character(void **state)
{
	(void)state;
	begin(80);
	line_edit_key(&e, 'a');
	assert_int_equal(e.change_length, 1);
	assert_memory_equal(e.change, "a", 1);
	line_edit_key(&e, KEY_ENTER);
	assert_int_equal(e.change_length, 1);
	assert_memory_equal(e.change, "\n", 1);
}

static void nowhere_to_go_rings(void **state)
{
	static const uint32_t keys[] = {KEY_LEFT,   KEY_RIGHT,   KEY_UP, KEY_DOWN, KEY_BACKSPACE,
					KEY_DELETE, KEY_PAGE_UP, 4,      27,       KEY_TAB,
					'K' - '@'};

	(void)state;
	begin(80);
	type("zz");
	key('U' - '@');
	for (unsigned i = 0; i < array_len(keys); i++) {
		if (keys[i] == KEY_TAB)
			type("zz");
		key(keys[i]);
		assert_int_equal(bells, i + 1);
	}
}

static void history_keeps_the_line_being_edited(void **state)
{
	(void)state;
	begin(80);
	enter("one");
	enter("two");
	enter("two");
	enter("   ");
	type("dra");
	key(KEY_UP);
	assert_string_equal(line(), "two");
	key('P' - '@');
	assert_string_equal(line(), "one");
	key(KEY_UP);
	assert_int_equal(bells, 1);
	assert_string_equal(line(), "one");
	key(KEY_DOWN);
	key(KEY_DOWN);
	assert_string_equal(line(), "dra");
	key(KEY_DOWN);
	assert_int_equal(bells, 2);
	type("ft");
	assert_string_equal(line(), "draft");
}

static void history_holds_the_last_32(void **state)
{
	char text[16];

	(void)state;
	begin(80);
	for (int i = 0; i < 100; i++) {
		sprintf(text, "line %d", i);
		enter(text);
	}
	for (int i = 0; i < 32; i++)
		key(KEY_UP);
	assert_string_equal(line(), "line 68");
	assert_int_equal(bells, 0);
	key(KEY_UP);
	assert_int_equal(bells, 1);
}

static void completion_of_commands_and_words(void **state)
{
	(void)state;
	begin(80);
	type("sp\t");
	assert_string_equal(line(), "spawn ");
	type("--f\t");
	assert_string_equal(line(), "spawn --fast ");
	type("; h\t");
	assert_string_equal(line(), "spawn --fast ; help ");
	type("sp\t");
	assert_string_equal(line(), "spawn --fast ; help spawn ");
	assert_int_equal(bells, 0);
	key('U' - '@');
	type("m\t");
	assert_string_equal(line(), "mem");
	key(KEY_TAB); /* two fit: list them, then the row again */
	assert_string_equal(row_text(1), "mem     memmap");
	assert_string_equal(row_text(2), "quire> mem");
	assert_int_equal(t.column, 10);
	type(" --j\t");
	assert_string_equal(line(), "mem --json ");
	assert_string_equal(row_text(2), "quire> mem --json");
	type("x\t");
	assert_int_equal(bells, 1);
}

static void keys_that_end_a_line(void **state)
{
	(void)state;
	begin(80);
	type("abc");
	key(KEY_HOME);
	assert_int_equal(key(KEY_INTERRUPT), LINE_CANCELLED);
	assert_string_equal(row_text(0), "quire> abc^C");
	assert_int_equal(t.row, 1);
	line_edit_begin(&e, 80);
	show_change();
	type("xyz");
	key(KEY_LEFT);
	key('L' - '@');
	assert_string_equal(row_text(0), "quire> xyz");
	assert_string_equal(row_text(1), "");
	assert_int_equal(t.column, 9);
}

static void a_long_line_is_left_whole_on_the_screen(void **state)
{
	(void)state;
	begin(20);
	type("abcdefghijklmnopqrstuvwxyz");
	key(KEY_HOME);
	assert_string_equal(row_text(0), "quire> abcdefghijk>");
	assert_int_equal(key(KEY_ENTER), LINE_ENTERED);
	assert_string_equal(row_text(0), "quire> abcdefghijklm");
	assert_string_equal(row_text(1), "nopqrstuvwxyz");
	assert_int_equal(t.row, 2);
	assert_int_equal(t.column, 0);
}

static void too_long_is_refused_and_loses_nothing(void **state)
{
	(void)state;
	begin(80);
	for (int i = 0; i < SHELL_LINE_BYTES - 1; i++)
		key('a' + (uint32_t)i % 26);
	assert_int_equal(bells, 0);
	assert_int_equal(strlen(line()), SHELL_LINE_BYTES - 1);
	key('!');
	assert_int_equal(bells, 1);
	assert_int_equal(strlen(line()), SHELL_LINE_BYTES - 1);
	key(KEY_BACKSPACE);
	key(0x20ac); /* three bytes do not fit where one was */
	assert_int_equal(bells, 2);
	assert_int_equal(strlen(line()), SHELL_LINE_BYTES - 2);
	assert_int_equal(key(KEY_ENTER), LINE_ENTERED);
	line_edit_begin(&e, 80);
	show_change();
	key(KEY_UP);
	assert_int_equal(strlen(line()), SHELL_LINE_BYTES - 2);
}

/* The window of the model line that must be on screen, given where the editor put it. */
static void check_screen(unsigned row)
{
	char wanted[COLUMNS_MAX * 4 + 1];
	size_t used = (size_t)sprintf(wanted, PROMPT), end;
	unsigned room = e.room;

	for (size_t i = 0; i < room && e.left + i < e.length; i++) {
		uint32_t c = e.text[e.left + i];

		if (i == 0 && e.left > 0)
			c = '<';
		if (i == room - 1 && e.left + room < e.length)
			c = '>';
		used += utf8_encode(c == 0x4e2d ? '?' : c, wanted + used);
	}
	for (end = used; end > 0 && wanted[end - 1] == ' ';)
		end--;
	wanted[end] = 0;
	assert_string_equal(row_text(row), wanted);
	assert_int_equal(t.row, row);
	assert_int_equal(t.column, strlen(PROMPT) + e.cursor - e.left);
	assert_false(t.wrap_pending);
	/* The cursor stands on the text, not on the marks. */
	if (room >= 4 && e.left > 0)
		assert_true(e.cursor > e.left);
	if (room >= 4 && e.left + room < e.length)
		assert_true(e.cursor + 1 < e.left + room);
}

/* Model of the text alone. */
static uint32_t model[SHELL_LINE_BYTES];
static size_t model_length, model_cursor;

static void model_key(uint32_t k, bool full)
{
	if (k == KEY_LEFT && model_cursor)
		model_cursor--;
	else if (k == KEY_RIGHT && model_cursor < model_length)
		model_cursor++;
	else if (k == KEY_HOME)
		model_cursor = 0;
	else if (k == KEY_END)
		model_cursor = model_length;
	else if (k == KEY_DELETE && model_cursor < model_length)
		memmove(model + model_cursor, model + model_cursor + 1,
			(--model_length - model_cursor) * 4);
	else if (k == KEY_BACKSPACE && model_cursor) {
		memmove(model + model_cursor - 1, model + model_cursor,
			(model_length - model_cursor) * 4);
		model_cursor--, model_length--;
	} else if (k >= ' ' && k < KEY_UP && !full) {
		memmove(model + model_cursor + 1, model + model_cursor,
			(model_length++ - model_cursor) * 4);
		model[model_cursor++] = k;
	}
}

static void random_keys_never_garble_the_screen(void **state)
{
	static const uint32_t keys[] = {'a',           'b',       'c',      ' ',     'd',
					'e',           0xe9,      0x20ac,   0x4e2d,  KEY_LEFT,
					KEY_LEFT,      KEY_RIGHT, KEY_HOME, KEY_END, KEY_DELETE,
					KEY_BACKSPACE, KEY_UP,    KEY_DOWN};
	static const unsigned widths[] = {80, 40, 20, 12, 120, 9};
	uint64_t seed = host_seed("line_edit");

	(void)state;
	for (size_t w = 0; w < array_len(widths); w++) {
		begin(widths[w]);
		model_length = model_cursor = 0;
		for (int i = 0; i < 20000; i++) {
			uint64_t r = host_random(&seed);
			uint32_t k = keys[r % array_len(keys)];
			char row[CONSOLE_ROW_BYTES];
			size_t n;
			bool full;

			if (r >> 32 & 1) /* drift towards long lines */
				k = keys[r % 9];
			if (r >> 40 & 1 && i % 3000 > 2000)
				k = KEY_BACKSPACE;
			full = e.bytes + 3 >= SHELL_LINE_BYTES && k >= ' ' && k < KEY_UP;
			if (full)
				continue;
			key(k);
			model_key(k, full);
			assert_int_equal(e.length, model_length);
			assert_int_equal(e.cursor, model_cursor);
			assert_memory_equal(e.text, model, model_length * 4);
			check_screen(0);
			if (i % 50)
				continue;
			/* Repainting after other output gives the same row. */
			n = line_edit_row(&e, row);
			terminal_write(&t, "\r\033[K", 4);
			terminal_write(&t, row, n);
			check_screen(0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(typing_and_editing_anywhere),
		cmocka_unit_test(a_typed_character_is_that_character),
		cmocka_unit_test(nowhere_to_go_rings),
		cmocka_unit_test(history_keeps_the_line_being_edited),
		cmocka_unit_test(history_holds_the_last_32),
		cmocka_unit_test(completion_of_commands_and_words),
		cmocka_unit_test(keys_that_end_a_line),
		cmocka_unit_test(a_long_line_is_left_whole_on_the_screen),
		cmocka_unit_test(too_long_is_refused_and_loses_nothing),
		cmocka_unit_test(random_keys_never_garble_the_screen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
