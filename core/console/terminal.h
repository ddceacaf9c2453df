/* SPDX-License-Identifier: MIT */
/*
 * A terminal's screen as cells of text in RAM: takes what sinks get (quire/console.h),
 * keeps what a screen would show. Pure; whoever draws it looks at the cells.
 */
#ifndef QUIRE_TERMINAL_H
#define QUIRE_TERMINAL_H

#include <quire/utf8.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A cell: code point and colour.
 *
 *	31       28 27      24 23 21 20                    0
 *	|    0     | colour   |  0  |   Unicode code point  |
 */
#define CELL_POINT_MASK   0x1fffffu
#define CELL_COLOUR_SHIFT 24
#define CELL_COLOURS      16 /* the ANSI colours: 0-7 normal, 8-15 bright */
#define COLOUR_DEFAULT    7

struct terminal {
	uint32_t *cells; /* rows * columns, row by row */
	unsigned columns, rows;
	unsigned column, row; /* the cursor; column < columns */
	bool wrap_pending;    /* the last column is written: the next character starts a new row */
	uint8_t colour;
	bool bold;
	unsigned dirty_first, dirty_end; /* rows changed since the owner reset these */
	/* the parser */
	uint8_t state;
	uint8_t parameter_count;
	uint16_t parameters[8];
	struct utf8 utf8;
};

/* A blank screen in the caller's cells. */
void terminal_init(struct terminal *t, uint32_t *cells, unsigned columns, unsigned rows);
void terminal_write(struct terminal *t, const char *text, size_t length);

static inline uint32_t cell_make(uint32_t point, unsigned colour)
{
	return point | colour << CELL_COLOUR_SHIFT;
}

static inline uint32_t cell_point(uint32_t cell)
{
	return cell & CELL_POINT_MASK;
}

static inline unsigned cell_colour(uint32_t cell)
{
	return cell >> CELL_COLOUR_SHIFT & (CELL_COLOURS - 1);
}

#endif
