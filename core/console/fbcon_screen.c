/* SPDX-License-Identifier: MIT */
/*
 * A terminal drawn on a linear framebuffer.
 *
 *	pixels under cell i  =  drawing of shown[i]
 *	after screen_write():   shown[i] = terminal.cells[i] (+ CELL_CURSOR at the cursor)
 *
 * A framebuffer is slow to write and far slower to read, so it is never read, and only
 * cells that differ from what is shown are drawn: a scroll costs the characters that
 * changed, several lines at once cost one redraw. A run of such cells is made in RAM
 * and copied out a scan line at a time:
 *
 *	block  [ A scan 0 | B scan 0 | C scan 0 ] ──memcpy──► pixels + y * stride
 *	       [ A scan 1 | B scan 1 | C scan 1 ] ──memcpy──► pixels + (y + 1) * stride
 *
 * Lock: none; the console's is held around screen_write().
 */
#include "fbcon_screen.h"
#include <quire/errno.h>
#include <quire/string.h>

#define CELL_CURSOR  0x80000000u
#define CELL_UNDRAWN 0x40000000u /* equals no cell */
#define RUN_CELLS    32          /* drawn at a time */
#define PIXELS_MAX   32768       /* a side; keeps products far from overflow */

/* The usual sixteen, a little softer than pure, on black. */
static const uint32_t rgb[CELL_COLOURS] = {
	0x000000, 0xcd3131, 0x0dbc79, 0xe5e510, 0x2472c8, 0xbc3fbc, 0x11a8cd, 0xd0d0d0,
	0x666666, 0xf14c4c, 0x23d18b, 0xf5f543, 0x3b8eea, 0xd670d6, 0x29b8db, 0xffffff,
};

/* An 8-bit intensity in the place and width of `mask`. */
static uint32_t component(uint32_t value, uint32_t mask)
{
	unsigned shift = (unsigned)__builtin_ctz(mask);
	uint64_t most = mask >> shift;

	return (uint32_t)((value * most + 127) / 255) << shift;
}

static bool make_palette(struct screen *s, const struct boot_framebuffer *fb)
{
	if (!fb->red_mask || !fb->green_mask || !fb->blue_mask)
		return false;
	for (unsigned i = 0; i < CELL_COLOURS; i++)
		s->palette[i] = component(rgb[i] >> 16, fb->red_mask) |
				component(rgb[i] >> 8 & 0xff, fb->green_mask) |
				component(rgb[i] & 0xff, fb->blue_mask);
	return true;
}

/* Size and place of the pixels; the firmware's word is checked, and cut where it claims too much. */
static int take_geometry(struct screen *s, const struct boot_framebuffer *fb, void *mapped)
{
	if (fb->format == BOOT_PIXELS_NONE || !mapped)
		return -ENODEV;
	if (fb->width == 0 || fb->width > PIXELS_MAX || fb->height == 0 ||
	    fb->height > PIXELS_MAX || fb->stride < fb->width || fb->stride > PIXELS_MAX)
		return -EINVAL;
	s->pixels = mapped;
	s->stride_bytes = (size_t)fb->stride * 4;
	s->width = fb->width;
	s->height = fb->height;
	/* Only whole scan lines inside the given bytes are used. */
	if (fb->bytes / s->stride_bytes < s->height)
		s->height = (unsigned)(fb->bytes / s->stride_bytes);
	return make_palette(s, fb) ? 0 : -EINVAL;
}

/* All of the screen, once: the margins no cell covers are never drawn again. */
static void paint_background(struct screen *s)
{
	size_t piece = (size_t)RUN_CELLS * s->font.width; /* one scan line of `block` */

	for (size_t i = 0; i < piece; i++)
		s->block[i] = s->palette[0];
	for (unsigned y = 0; y < s->height; y++) {
		uint8_t *to = s->pixels + y * s->stride_bytes;

		for (size_t x = 0; x < s->width; x += piece) {
			size_t count = s->width - x < piece ? s->width - x : piece;

			memcpy(to + x * 4, s->block, count * 4);
		}
	}
}

/* The pieces of the one allocation, in this order; the first is the most strictly aligned. */
static size_t block_bytes(const struct screen *s)
{
	return (size_t)RUN_CELLS * s->font.width * s->font.height * sizeof *s->block;
}

static size_t pairs_bytes(const struct screen *s)
{
	return (psf_pairs(&s->font) + 1) * sizeof *s->pairs; /* psf_map() looks one further */
}

int screen_measure(struct screen *s, const struct boot_framebuffer *fb, void *mapped,
		   const void *font, size_t font_bytes, size_t *bytes)
{
	size_t cells;
	int err;

	*s = (struct screen){.pixels = NULL};
	err = take_geometry(s, fb, mapped);
	if (!err)
		err = psf_parse(font, font_bytes, &s->font);
	if (err)
		return err;
	cells = (size_t)(s->width / s->font.width) * (s->height / s->font.height);
	if (!cells)
		return -ENODEV;
	*bytes = block_bytes(s) + pairs_bytes(s) + 2 * cells * sizeof *s->shown;
	return 0;
}

void screen_start(struct screen *s, void *memory)
{
	unsigned columns = s->width / s->font.width, rows = s->height / s->font.height;
	size_t count = (size_t)columns * rows;

	s->block = memory;
	s->pairs = (void *)((char *)memory + block_bytes(s));
	s->shown = (void *)((char *)s->pairs + pairs_bytes(s));
	psf_map(&s->font, s->pairs);
	terminal_init(&s->terminal, s->shown + count, columns, rows);
	for (size_t i = 0; i < count; i++)
		s->shown[i] = CELL_UNDRAWN;
	paint_background(s);
	screen_write(s, "", 0);
}

/* Two neighbouring pixels: the unit a glyph is made of, one 8-byte move each. */
struct pair {
	uint32_t left, right;
};

/* Make one glyph's pixels in a block whose scan lines are `pitch` pixels apart. */
static void make_glyph(const struct psf_font *f, const uint8_t *bits, uint32_t ink, uint32_t paper,
		       uint32_t *to, size_t pitch)
{
	/* by two bits of the font, the higher one the left pixel */
	const struct pair pairs[4] = {{paper, paper}, {paper, ink}, {ink, paper}, {ink, ink}};

	for (unsigned y = 0; y < f->height; y++, to += pitch, bits += f->row_bytes) {
		const uint8_t *from = bits;
		unsigned x = 0;

		for (; x + 8 <= f->width; x += 8, from++) {
			struct pair *four = (struct pair *)(void *)(to + x);

			four[0] = pairs[*from >> 6];
			four[1] = pairs[*from >> 4 & 3];
			four[2] = pairs[*from >> 2 & 3];
			four[3] = pairs[*from & 3];
		}
		for (unsigned bit = 0x80; x < f->width; x++, bit >>= 1)
			to[x] = *from & bit ? ink : paper;
	}
}

/* Draw `count` (at most RUN_CELLS) cells of one row, as `shown` has them. */
static void draw_run(struct screen *s, unsigned row, unsigned column, unsigned count)
{
	const struct psf_font *f = &s->font;
	const uint32_t *cells = &s->shown[(size_t)row * s->terminal.columns + column];
	size_t pitch = (size_t)count * f->width;
	uint8_t *to = s->pixels + (size_t)row * f->height * s->stride_bytes +
		      (size_t)column * f->width * 4;

	for (unsigned i = 0; i < count; i++) {
		const uint8_t *bits =
			f->glyphs + (size_t)psf_glyph(f, cell_point(cells[i])) * f->glyph_bytes;
		uint32_t ink = s->palette[cell_colour(cells[i])], paper = s->palette[0];
		bool cursor = cells[i] & CELL_CURSOR;

		make_glyph(f, bits, cursor ? paper : ink, cursor ? ink : paper,
			   s->block + (size_t)i * f->width, pitch);
	}
	for (unsigned y = 0; y < f->height; y++, to += s->stride_bytes)
		memcpy(to, s->block + y * pitch, pitch * 4);
}

/* Bring one row up to date: find the runs of cells that differ, draw each. */
static void update_row(struct screen *s, unsigned row)
{
	const struct terminal *t = &s->terminal;
	const uint32_t *wanted = &t->cells[(size_t)row * t->columns];
	uint32_t *shown = &s->shown[(size_t)row * t->columns];
	unsigned run = 0; /* cells in the run that ends before `column` */

	for (unsigned column = 0; column < t->columns; column++) {
		uint32_t cell = wanted[column];

		if (row == t->row && column == t->column)
			cell |= CELL_CURSOR;
		if (cell != shown[column]) {
			shown[column] = cell;
			run++;
			if (run < RUN_CELLS)
				continue;
			draw_run(s, row, column + 1 - run, run);
			run = 0;
		} else if (run) {
			draw_run(s, row, column - run, run);
			run = 0;
		}
	}
	if (run)
		draw_run(s, row, t->columns - run, run);
}

void screen_write(struct screen *s, const char *text, size_t length)
{
	struct terminal *t = &s->terminal;

	terminal_write(t, text, length);
	for (unsigned row = t->dirty_first; row < t->dirty_end; row++)
		update_row(s, row);
	t->dirty_first = t->rows;
	t->dirty_end = 0;
}
