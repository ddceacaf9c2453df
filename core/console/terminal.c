/* SPDX-License-Identifier: MIT */
/*
 * The terminal's screen. Understands what quire/console.h promises for sinks; other
 * sequences are swallowed whole (ECMA-48 section 5.4).
 *
 *	column < columns, row < rows; after the last column was written the cursor
 *	stays on it with wrap_pending set, as terminals do, so that a full row is not
 *	followed by an empty one.
 */
#include "terminal.h"
#include <quire/compiler.h>
#include <quire/string.h>

enum state {
	TEXT,
	ESCAPE,
	SEQUENCE,
};

#define TAB_COLUMNS 8

static void touch(struct terminal *t, unsigned first, unsigned end)
{
	if (first < t->dirty_first)
		t->dirty_first = first;
	if (end > t->dirty_end)
		t->dirty_end = end;
}

static void blank(struct terminal *t, unsigned row, unsigned from)
{
	for (unsigned c = from; c < t->columns; c++)
		t->cells[(size_t)row * t->columns + c] = cell_make(' ', COLOUR_DEFAULT);
	touch(t, row, row + 1);
}

static void clear_screen(struct terminal *t)
{
	for (unsigned row = 0; row < t->rows; row++)
		blank(t, row, 0);
}

void terminal_init(struct terminal *t, uint32_t *cells, unsigned columns, unsigned rows)
{
	*t = (struct terminal){
		.cells = cells, .columns = columns, .rows = rows, .colour = COLOUR_DEFAULT};
	clear_screen(t);
}

static void new_line(struct terminal *t)
{
	size_t row_cells = t->columns;

	t->wrap_pending = false;
	if (t->row + 1 < t->rows) {
		t->row++;
		return;
	}
	memmove(t->cells, t->cells + row_cells, (t->rows - 1) * row_cells * sizeof *t->cells);
	blank(t, t->rows - 1, 0);
	touch(t, 0, t->rows);
}

static void put_point(struct terminal *t, uint32_t point)
{
	unsigned colour = t->colour + (t->bold && t->colour < 8 ? 8u : 0u);

	if (t->wrap_pending) {
		t->column = 0;
		new_line(t);
	}
	t->cells[(size_t)t->row * t->columns + t->column] = cell_make(point, colour);
	touch(t, t->row, t->row + 1);
	if (t->column + 1 < t->columns)
		t->column++;
	else
		t->wrap_pending = true;
}

static void move_to(struct terminal *t, unsigned row, unsigned column)
{
	t->row = row < t->rows ? row : t->rows - 1;
	t->column = column < t->columns ? column : t->columns - 1;
	t->wrap_pending = false;
}

static void put_character(struct terminal *t, uint32_t c)
{
	switch (c) {
	case '\033':
		t->state = ESCAPE;
		break;
	case '\n':
		t->column = 0;
		new_line(t);
		break;
	case '\r':
		move_to(t, t->row, 0);
		break;
	case '\b':
		move_to(t, t->row, t->column ? t->column - 1 : 0);
		break;
	case '\t':
		move_to(t, t->row, (t->column / TAB_COLUMNS + 1) * TAB_COLUMNS);
		break;
	default:
		if (c >= ' ' && c != 0x7f)
			put_point(t, c);
		break;
	}
}

/* CSI ... m */
static void select_graphics(struct terminal *t)
{
	for (unsigned i = 0; i < t->parameter_count; i++) {
		unsigned p = t->parameters[i];

		if (p == 0) {
			t->colour = COLOUR_DEFAULT;
			t->bold = false;
		} else if (p == 1) {
			t->bold = true;
		} else if (p >= 30 && p <= 37) {
			t->colour = (uint8_t)(p - 30);
		} else if (p >= 90 && p <= 97) {
			t->colour = (uint8_t)(p - 90 + 8);
		}
	}
}

static void run_sequence(struct terminal *t, char final)
{
	unsigned first = t->parameters[0], distance = first ? first : 1;

	switch (final) {
	case 'm':
		select_graphics(t);
		break;
	case 'K':
		if (first == 0)
			blank(t, t->row, t->column);
		break;
	case 'J':
		if (first == 2)
			clear_screen(t);
		break;
	case 'C':
		move_to(t, t->row, t->column + distance);
		break;
	case 'D':
		move_to(t, t->row, t->column > distance ? t->column - distance : 0);
		break;
	case 'H': {
		unsigned second = t->parameter_count > 1 ? t->parameters[1] : 0;

		move_to(t, distance - 1, second ? second - 1 : 0);
		break;
	}
	default:
		break;
	}
}

static void sequence_character(struct terminal *t, uint32_t c)
{
	uint16_t *p = &t->parameters[t->parameter_count - 1];

	if (c >= '0' && c <= '9') {
		if (*p < 1000)
			*p = (uint16_t)(*p * 10 + (c - '0'));
	} else if (c == ';') {
		if (t->parameter_count < array_len(t->parameters))
			t->parameters[t->parameter_count++] = 0;
	} else if (c >= '@' && c <= '~') {
		t->state = TEXT;
		run_sequence(t, (char)c);
	} else if (c < ' ') { /* broken off */
		t->state = TEXT;
		put_character(t, c);
	}
}

static void take(struct terminal *t, uint32_t c)
{
	if (t->state == SEQUENCE) {
		sequence_character(t, c);
	} else if (t->state == ESCAPE) {
		t->state = c == '[' ? SEQUENCE : TEXT;
		t->parameter_count = 1;
		t->parameters[0] = 0;
	} else {
		put_character(t, c);
	}
}

void terminal_write(struct terminal *t, const char *text, size_t length)
{
	uint32_t points[2];

	touch(t, t->row, t->row + 1); /* the cursor leaves */
	for (size_t i = 0; i < length; i++) {
		unsigned n = utf8_decode(&t->utf8, (uint8_t)text[i], points);

		for (unsigned k = 0; k < n; k++)
			take(t, points[k]);
	}
	touch(t, t->row, t->row + 1); /* and arrives */
}
