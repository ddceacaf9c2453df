/* SPDX-License-Identifier: MIT */
/* Private to line_edit.c and line_draw.c: all of these append to e->change. */
#ifndef QUIRE_LINE_DRAW_H
#define QUIRE_LINE_DRAW_H

#include "line_edit.h"

/* The prompt, with nothing behind it. */
void line_draw_begin(struct line_edit *e, unsigned columns);
/* From what is shown to what should be: the least that does it. */
void line_draw_update(struct line_edit *e);
/* The whole row, on an empty line of the screen. */
void line_draw_again(struct line_edit *e);
/* Leave the row, the whole line shown: the cursor behind it, then `text`. */
void line_draw_end(struct line_edit *e, const char *text);
/* The words to choose from, in columns below the row; then the row again. */
void line_draw_choices(struct line_edit *e, const struct completion *c);
void line_draw_put(struct line_edit *e, const char *text);

#endif
