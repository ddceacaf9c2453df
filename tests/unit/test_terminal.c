/* SPDX-License-Identifier: MIT */
/* The terminal's cells: text, ANSI, scrolling, edges. */
#include "cm.h"
#include "console/terminal.h"
#include "host.h"
#include <quire/compiler.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 10
#define ROWS    4

static uint32_t cells[COLUMNS * ROWS];
static struct terminal t;

static void fresh(void)
{
	terminal_init(&t, cells, COLUMNS, ROWS);
}

static void write_text(const char *text)
{
	terminal_write(&t, text, strlen(text));
}

/* A row's text without the blanks at its end. */
static const char *row_text(unsigned row)
{
	static char text[COLUMNS * 4 + 1];
	size_t used = 0, end = 0;

	for (unsigned c = 0; c < COLUMNS; c++) {
		used += utf8_encode(cell_point(cells[row * COLUMNS + c]), text + used);
		if (cell_point(cells[row * COLUMNS + c]) != ' ')
			end = used;
	}
	text[end] = 0;
	return text;
}

static void text_wraps_late_and_scrolls(void **state)
{
	(void)state;
	fresh();
	write_text("0123456789");
	assert_int_equal(t.row, 0);
	assert_int_equal(t.column, 9);
	write_text("\nab\ncd\nef\ngh");
	assert_string_equal(row_text(0), "ab");
	assert_string_equal(row_text(3), "gh");
	write_text("\n0123456789x");
	assert_string_equal(row_text(2), "0123456789");
	assert_string_equal(row_text(3), "x");
}

static void the_cursor_moves_as_asked_and_stays_inside(void **state)
{
	(void)state;
	fresh();
	write_text("abcdef\033[3Dx\033[1Cy\b\bz\rA");
	assert_string_equal(row_text(0), "Abcxzy");
	assert_int_equal(t.column, 1);
	write_text("\033[99C");
	assert_int_equal(t.column, COLUMNS - 1);
	write_text("\033[99D");
	assert_int_equal(t.column, 0);
	write_text("\b");
	assert_int_equal(t.column, 0);
	write_text("\t.");
	assert_int_equal(t.column, 9);
	write_text("\033[3;5H");
	assert_int_equal(t.row, 2);
	assert_int_equal(t.column, 4);
	write_text("\033[99;99H");
	assert_int_equal(t.row, ROWS - 1);
	assert_int_equal(t.column, COLUMNS - 1);
}

static void erasing_and_colours(void **state)
{
	(void)state;
	fresh();
	write_text("abcdef\r\033[2C\033[K");
	assert_string_equal(row_text(0), "ab");
	write_text("\033[91mr\033[1;32mg\033[0md\033[37;5;99mw");
	assert_int_equal(cell_colour(cells[2]), 9);
	assert_int_equal(cell_colour(cells[3]), 10);
	assert_int_equal(cell_colour(cells[4]), COLOUR_DEFAULT);
	write_text("\033[2J\033[Hx");
	assert_string_equal(row_text(0), "x");
	write_text("\033[mq\033[?25h\033[5z");
	assert_string_equal(row_text(0), "xq");
}

static void utf8_and_pieces_of_sequences(void **state)
{
	(void)state;
	fresh();
	write_text("\xe2");
	write_text("\x82");
	write_text("\xac\033");
	write_text("[");
	write_text("3");
	write_text("1mr\a");
	assert_int_equal(cell_point(cells[0]), 0x20ac);
	assert_int_equal(cell_colour(cells[1]), 1);
	write_text("\xff");
	assert_int_equal(cell_point(cells[2]), UTF8_REPLACEMENT);
	write_text("\033[\nz");
	assert_string_equal(row_text(1), "z");
}

static void dirty_rows_cover_every_change(void **state)
{
	uint64_t seed = host_seed("terminal");
	uint32_t before[COLUMNS * ROWS];

	(void)state;
	fresh();
	for (int i = 0; i < 100000; i++) {
		static const char alphabet[] = "ab \n\r\t\b\033[[;0123mKJHCD\xc3\xa9\xe2\x82\xac";
		char text[6];
		size_t n = 1 + host_random(&seed) % sizeof text;

		for (size_t k = 0; k < n; k++)
			text[k] = alphabet[host_random(&seed) % (sizeof alphabet - 1)];
		memcpy(before, cells, sizeof before);
		t.dirty_first = ROWS;
		t.dirty_end = 0;
		terminal_write(&t, text, n);
		assert_true(t.row < ROWS && t.column < COLUMNS && t.dirty_end <= ROWS);
		for (unsigned r = 0; r < ROWS; r++)
			if (memcmp(before + r * COLUMNS, cells + r * COLUMNS, COLUMNS * 4))
				assert_true(r >= t.dirty_first && r < t.dirty_end);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_wraps_late_and_scrolls),
		cmocka_unit_test(the_cursor_moves_as_asked_and_stays_inside),
		cmocka_unit_test(erasing_and_colours),
		cmocka_unit_test(utf8_and_pieces_of_sequences),
		cmocka_unit_test(dirty_rows_cover_every_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
