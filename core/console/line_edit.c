/* SPDX-License-Identifier: MIT */
/*
 * The line editor's keys and history. How the line gets to the screen: line_draw.c.
 *
 *	cursor <= length, bytes = UTF-8 length of text < SHELL_LINE_BYTES
 */
#include "line_draw.h"
#include <quire/string.h>
#include <quire/utf8.h>

#define CTRL(letter) ((letter) - '@')

void line_edit_init(struct line_edit *e, const char *prompt,
		    void (*complete)(const char *before_cursor, struct completion *out))
{
	memset(e, 0, sizeof *e);
	e->prompt = prompt;
	e->complete = complete;
}

static size_t point_bytes(uint32_t point)
{
	char text[4];

	return utf8_encode(point, text);
}

/* One character at the cursor; false when the line is full. */
static bool insert(struct line_edit *e, uint32_t point)
{
	size_t bytes = point_bytes(point);

	if (e->bytes + bytes >= SHELL_LINE_BYTES)
		return false;
	memmove(&e->text[e->cursor + 1], &e->text[e->cursor],
		(e->length - e->cursor) * sizeof *e->text);
	e->text[e->cursor++] = point;
	e->length++;
	e->bytes += bytes;
	return true;
}

/* Remove the characters from..to (to excluded); the cursor ends up at `from`. */
static void cut(struct line_edit *e, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		e->bytes -= point_bytes(e->text[i]);
	memmove(&e->text[from], &e->text[to], (e->length - to) * sizeof *e->text);
	e->length -= to - from;
	e->cursor = from;
}

static void set_text(struct line_edit *e, const char *text)
{
	struct utf8 utf8 = {0};
	uint32_t points[2];

	e->length = e->cursor = e->bytes = 0;
	for (; *text; text++) {
		unsigned n = utf8_decode(&utf8, (uint8_t)*text, points);

		for (unsigned i = 0; i < n; i++)
			insert(e, points[i]);
	}
}

static void encode(const struct line_edit *e, size_t length, char out[static SHELL_LINE_BYTES])
{
	size_t used = 0;

	for (size_t i = 0; i < length; i++)
		used += utf8_encode(e->text[i], out + used);
	out[used] = 0;
}

void line_edit_text(const struct line_edit *e, char out[static SHELL_LINE_BYTES])
{
	encode(e, e->length, out);
}

void line_edit_begin(struct line_edit *e, unsigned columns)
{
	e->length = e->cursor = e->bytes = 0;
	e->history_at = 0;
	line_draw_begin(e, columns);
}

/* ---- history ---- */

/* The n-th newest line, from 1. */
static const char *history_line(const struct line_edit *e, unsigned n)
{
	return e->history[(e->history_next + LINE_HISTORY - n) % LINE_HISTORY];
}

/* Keep the line, unless it is blank or the same as the one before. */
static void remember(struct line_edit *e)
{
	bool blank = true;
	char *slot = e->history[e->history_next];

	for (size_t i = 0; i < e->length; i++)
		blank = blank && e->text[i] == ' ';
	if (blank)
		return;
	line_edit_text(e, slot);
	if (e->history_count && !strcmp(slot, history_line(e, 1)))
		return;
	e->history_next = (e->history_next + 1) % LINE_HISTORY;
	/* One slot is where the next line is written before it is known to be new. */
	if (e->history_count < LINE_HISTORY - 1)
		e->history_count++;
}

static bool show_history(struct line_edit *e, unsigned n)
{
	if (n > e->history_count)
		return false;
	if (e->history_at == 0)
		line_edit_text(e, e->edited);
	e->history_at = n;
	set_text(e, n ? history_line(e, n) : e->edited);
	return true;
}

/* ---- keys ---- */

static size_t word_start(const struct line_edit *e)
{
	size_t at = e->cursor;

	while (at > 0 && e->text[at - 1] == ' ')
		at--;
	while (at > 0 && e->text[at - 1] != ' ')
		at--;
	return at;
}

static bool complete(struct line_edit *e)
{
	char before[SHELL_LINE_BYTES];
	struct completion c;
	bool fits = true;

	if (!e->complete)
		return false;
	encode(e, e->cursor, before);
	e->complete(before, &c);
	if (c.count == 0)
		return false;
	for (size_t i = c.typed; i < c.common; i++)
		fits = insert(e, (uint8_t)c.words[0][i]) && fits;
	if (c.count == 1 && (e->cursor == e->length || e->text[e->cursor] != ' '))
		fits = insert(e, ' ') && fits;
	else if (c.count > 1 && c.common == c.typed)
		line_draw_choices(e, &c);
	return fits;
}

static bool move(struct line_edit *e, size_t to)
{
	e->cursor = to;
	return true;
}

static bool erase(struct line_edit *e, size_t from, size_t to)
{
	cut(e, from, to);
	return from < to;
}

enum outcome {
	DONE,
	REFUSED,  /* nowhere to go, nothing to remove, no room: ring */
	NOT_MINE, /* some other kind of key */
};

static enum outcome done_if(bool done)
{
	return done ? DONE : REFUSED;
}

/* Keys that move in the line or among lines. */
static enum outcome movement_key(struct line_edit *e, uint32_t key)
{
	switch (key) {
	case KEY_LEFT:
	case CTRL('B'):
		return done_if(e->cursor > 0 && move(e, e->cursor - 1));
	case KEY_RIGHT:
	case CTRL('F'):
		return done_if(e->cursor < e->length && move(e, e->cursor + 1));
	case KEY_HOME:
	case CTRL('A'):
		move(e, 0);
		return DONE;
	case KEY_END:
	case CTRL('E'):
		move(e, e->length);
		return DONE;
	case KEY_UP:
	case CTRL('P'):
		return done_if(show_history(e, e->history_at + 1));
	case KEY_DOWN:
	case CTRL('N'):
		return done_if(e->history_at > 0 && show_history(e, e->history_at - 1));
	default:
		return NOT_MINE;
	}
}

/* Keys that change the text; false when this one did not. */
static bool editing_key(struct line_edit *e, uint32_t key)
{
	switch (key) {
	case KEY_BACKSPACE:
		return e->cursor > 0 && erase(e, e->cursor - 1, e->cursor);
	case KEY_DELETE:
	case CTRL('D'):
		return e->cursor < e->length && erase(e, e->cursor, e->cursor + 1);
	case CTRL('K'):
		return erase(e, e->cursor, e->length);
	case CTRL('U'):
		return erase(e, 0, e->cursor);
	case CTRL('W'):
		return erase(e, word_start(e), e->cursor);
	case KEY_TAB:
		return complete(e);
	default:
		return key >= ' ' && key != 0x7f && key < KEY_UP && insert(e, key);
	}
}

enum line_event line_edit_key(struct line_edit *e, uint32_t key)
{
	enum outcome outcome;

	e->change_length = 0;
	switch (key) {
	case KEY_ENTER:
		line_draw_end(e, "\n");
		remember(e);
		return LINE_ENTERED;
	case KEY_INTERRUPT:
		line_draw_end(e, "^C\n");
		return LINE_CANCELLED;
	case CTRL('L'):
		line_draw_put(e, "\033[2J\033[H");
		line_draw_again(e);
		return LINE_EDITING;
	default:
		break;
	}
	outcome = movement_key(e, key);
	if (outcome == NOT_MINE)
		outcome = done_if(editing_key(e, key));
	if (outcome == REFUSED)
		line_draw_put(e, "\a");
	line_draw_update(e);
	return LINE_EDITING;
}
