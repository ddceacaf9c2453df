/* SPDX-License-Identifier: MIT */
/*
 * The line editor's row on the screen.
 *
 *	quire> <ext seen through a windo>
 *	       |<-------- room -------->|    and one more column, where only the cursor goes
 *
 * `shown` is what the terminal has, cell by cell. An update makes the row that should be
 * there, finds the first cell that differs, and writes from there: a character typed at
 * the end is that one character, and the prompt is never sent again for it.
 * Every character takes one cell; what would take none or two is shown as '?'.
 */
#include "line_draw.h"
#include <quire/format.h>
#include <quire/string.h>
#include <quire/utf8.h>

static void put_bytes(struct line_edit *e, const char *text, size_t length)
{
	if (length > sizeof e->change - e->change_length)
		length = sizeof e->change - e->change_length;
	memcpy(e->change + e->change_length, text, length);
	e->change_length += length;
}

void line_draw_put(struct line_edit *e, const char *text)
{
	put_bytes(e, text, strlen(text));
}

/*
 * Terminals give some characters no cell or two: combining marks; East Asian wide ones and
 * emoji (Unicode Standard Annex 11). In whole ranges, on the safe side.
 */
static bool takes_one_cell(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} others[] = {
		{0x80, 0x9f},     {0xad, 0xad},       {0x300, 0x36f},   {0x483, 0x489},
		{0x591, 0x8ff},   {0x900, 0x11ff},    {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff},
		{0x200b, 0x200f}, {0x202a, 0x202e},   {0x2060, 0x206f}, {0x20d0, 0x20ff},
		{0x231a, 0x231b}, {0x2600, 0x27bf},   {0x2b00, 0x2bff}, {0x2e80, 0xd7ff},
		{0xe000, 0xfffc}, {0xfffe, 0x10ffff},
	};

	for (size_t i = 0; i < array_len(others); i++)
		if (c >= others[i].first && c <= others[i].last)
			return false;
	return true;
}

/* Keep the cursor in the window, off the marks at its ends; scroll by half a window. */
static void place_window(struct line_edit *e)
{
	size_t room = e->room;

	if (e->length <= room) {
		e->left = 0;
		return;
	}
	bool before = e->left > 0 && e->cursor <= e->left;
	bool behind = e->length > e->left + room ? e->cursor + 1 >= e->left + room
						 : e->cursor > e->left + room;

	if (before || behind)
		e->left = e->cursor > room / 2 ? e->cursor - room / 2 : 0;
}

/* The row as it should be. Returns how many cells. */
static unsigned make_cells(const struct line_edit *e, uint32_t cells[static LINE_COLUMNS_MAX])
{
	size_t rest = e->length - e->left;
	unsigned count = rest < e->room ? (unsigned)rest : e->room;

	for (unsigned i = 0; i < count; i++) {
		uint32_t c = e->text[e->left + i];

		cells[i] = takes_one_cell(c) ? c : '?';
	}
	if (count && e->left > 0)
		cells[0] = '<';
	if (count && rest > count)
		cells[count - 1] = '>';
	return count;
}

static size_t encode_cells(char *out, const uint32_t *cells, unsigned count)
{
	size_t used = 0;

	for (unsigned i = 0; i < count; i++)
		used += utf8_encode(cells[i], out + used);
	return used;
}

/* The sequence that moves the cursor along the row; empty when it need not. */
static size_t encode_move(char out[static 12], unsigned from, unsigned to)
{
	if (to == from)
		return 0;
	if (to + 1 == from) {
		*out = '\b';
		return 1;
	}
	return format_buffer(out, 12, "\033[%u%c", to < from ? from - to : to - from,
			     to < from ? 'D' : 'C');
}

static void put_move(struct line_edit *e, unsigned to)
{
	char text[12];

	put_bytes(e, text, encode_move(text, e->shown_cursor, to));
	e->shown_cursor = to;
}

void line_draw_update(struct line_edit *e)
{
	uint32_t cells[LINE_COLUMNS_MAX];
	char text[LINE_COLUMNS_MAX * 4];
	unsigned count, same = 0;

	place_window(e);
	count = make_cells(e, cells);
	while (same < count && same < e->shown_count && cells[same] == e->shown[same])
		same++;
	if (same < count || same < e->shown_count) {
		put_move(e, same);
		put_bytes(e, text, encode_cells(text, cells + same, count - same));
		if (count < e->shown_count)
			line_draw_put(e, "\033[K");
		e->shown_cursor = count;
	}
	memcpy(e->shown, cells, count * sizeof *cells);
	e->shown_count = count;
	put_move(e, (unsigned)(e->cursor - e->left));
}

static void show_nothing(struct line_edit *e)
{
	line_draw_put(e, e->prompt);
	e->shown_count = e->shown_cursor = 0;
}

void line_draw_begin(struct line_edit *e, unsigned columns)
{
	size_t taken = strlen(e->prompt) + 1; /* and the last column, so that nothing ever wraps */

	e->room = columns > taken + 1 ? columns - (unsigned)taken : 1;
	if (e->room > LINE_COLUMNS_MAX)
		e->room = LINE_COLUMNS_MAX;
	e->left = 0;
	e->change_length = 0;
	show_nothing(e);
}

void line_draw_again(struct line_edit *e)
{
	show_nothing(e);
	line_draw_update(e);
}

/* A window's line in full: nothing is drawn on these rows again, so that here it may wrap. */
static void show_all(struct line_edit *e)
{
	char text[SHELL_LINE_BYTES];

	line_edit_text(e, text);
	put_move(e, 0);
	line_draw_put(e, "\033[K");
	line_draw_put(e, text);
}

void line_draw_end(struct line_edit *e, const char *text)
{
	if (e->length > e->room || e->left > 0)
		show_all(e);
	else
		put_move(e, e->shown_count);
	line_draw_put(e, text);
}

void line_draw_choices(struct line_edit *e, const struct completion *c)
{
	/* The row itself must fit in `change` after the list. */
	size_t limit = sizeof e->change - LINE_COLUMNS_MAX * 4 - 64;
	size_t width = 0, per_line, columns = e->room + strlen(e->prompt);

	for (unsigned i = 0; i < c->count; i++)
		if (strlen(c->words[i]) + 2 > width)
			width = strlen(c->words[i]) + 2;
	per_line = columns / width ? columns / width : 1;
	put_move(e, e->shown_count);
	for (unsigned i = 0; i < c->count && e->change_length + width + 1 < limit; i++) {
		char text[80];

		if (i % per_line == 0)
			line_draw_put(e, "\n");
		format_buffer(text, sizeof text, "%-*s", (int)width, c->words[i]);
		line_draw_put(e, text);
	}
	line_draw_put(e, "\n");
	line_draw_again(e);
}

size_t line_edit_row(const struct line_edit *e, char out[static CONSOLE_ROW_BYTES])
{
	size_t used = strlcpy(out, e->prompt, CONSOLE_ROW_BYTES);

	used += encode_cells(out + used, e->shown, e->shown_count);
	return used + encode_move(out + used, e->shown_count, e->shown_cursor);
}
