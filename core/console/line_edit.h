/* SPDX-License-Identifier: MIT */
/*
 * A line editor: keys in, changes to one row of a terminal out. Pure; one caller.
 *
 * The row never wraps: a line longer than the screen is seen through a window that moves
 * with the cursor, '<' and '>' marking that there is more.
 */
#ifndef QUIRE_LINE_EDIT_H
#define QUIRE_LINE_EDIT_H

#include "shell/complete.h"
#include <quire/console.h>
#include <quire/shell.h>

#define LINE_HISTORY      33 /* slots; the next line is written in one of them */
#define LINE_COLUMNS_MAX  256
#define LINE_CHANGE_BYTES 4096

enum line_event {
	LINE_EDITING,
	LINE_ENTERED,   /* Enter: the text is ready */
	LINE_CANCELLED, /* Ctrl-C */
};

struct line_edit {
	/* set once by line_edit_init() */
	const char *prompt;
	void (*complete)(const char *before_cursor, struct completion *out); /* or NULL */

	/* the text: code points, `bytes` as UTF-8; cursor <= length */
	uint32_t text[SHELL_LINE_BYTES];
	size_t length, cursor, bytes;

	/* history: the last `history_count` lines, the newest at history_next - 1 */
	char history[LINE_HISTORY][SHELL_LINE_BYTES];
	unsigned history_count, history_next;
	unsigned history_at;           /* 0: the line being edited; n: the n-th newest */
	char edited[SHELL_LINE_BYTES]; /* the line being edited, while history is shown */

	/* the row as the terminal has it, behind the prompt */
	unsigned room; /* cells */
	size_t left;   /* the window's first character */
	uint32_t shown[LINE_COLUMNS_MAX];
	unsigned shown_count, shown_cursor;

	/* what the last call wants written to the terminal; not terminated */
	char change[LINE_CHANGE_BYTES];
	size_t change_length;
};

void line_edit_init(struct line_edit *e, const char *prompt,
		    void (*complete)(const char *before_cursor, struct completion *out));
/* A new empty line, on a terminal that many columns wide; `change` shows the prompt. */
void line_edit_begin(struct line_edit *e, unsigned columns);
enum line_event line_edit_key(struct line_edit *e, uint32_t key);
/* The text as UTF-8, terminated. */
void line_edit_text(const struct line_edit *e, char out[static SHELL_LINE_BYTES]);
/* What draws the whole row from its first column. Returns the length. */
size_t line_edit_row(const struct line_edit *e, char out[static CONSOLE_ROW_BYTES]);

#endif
