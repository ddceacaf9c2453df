/* SPDX-License-Identifier: MIT */
/* The framebuffer console into memory: the right pixels, no others, whatever the geometry. */
#include "cm.h"
#include "console/fbcon_screen.h"
#include "fake_kmalloc.h"
#include "host.h"
#include <quire/console.h>
#include <quire/errno.h>
#include <quire/fbcon.h>
#include <quire/log.h>
#include <stdlib.h>
#include <string.h>

extern const uint8_t font_small_start[], font_small_end[];

#define MARGIN 0x5eu /* bytes no drawing may touch: the part of a scan line behind the width */

static struct console_sink *added;

void console_add_sink(struct console_sink *sink)
{
	added = sink;
}

void log_write(enum log_level level, const char *tag, const char *format, ...)
{
	(void)level, (void)tag, (void)format;
}

static struct boot_framebuffer framebuffer(unsigned width, unsigned height, unsigned stride)
{
	return (struct boot_framebuffer){
		.width = width,
		.height = height,
		.stride = stride,
		.bytes = (uint64_t)stride * height * 4,
		.format = BOOT_PIXELS_BGRX,
		.red_mask = 0xff0000,
		.green_mask = 0xff00,
		.blue_mask = 0xff,
	};
}

/* Exactly as large as described, so that ASan sees a pixel too far. */
static uint32_t *pixels_for(const struct boot_framebuffer *fb)
{
	uint32_t *p = malloc(fb->bytes);

	memset(p, MARGIN, fb->bytes);
	return p;
}

static int open_small(struct screen *s, const struct boot_framebuffer *fb, void *mapped)
{
	size_t bytes;
	int err = screen_measure(s, fb, mapped, font_small_start,
				 (size_t)(font_small_end - font_small_start), &bytes);

	/* Exactly as much as asked for, so that ASan sees a cell too far. */
	if (!err)
		screen_start(s, malloc(bytes));
	return err;
}

/* `block` is the first piece of the memory. */
static void close_small(struct screen *s)
{
	free(s->block);
}

/* What should be at a pixel, from the terminal's cells and the font, bit by bit. */
static uint32_t pixel_wanted(const struct screen *s, unsigned x, unsigned y)
{
	const struct terminal *t = &s->terminal;
	unsigned column = x / s->font.width, row = y / s->font.height;
	bool lit, cursor = t->column == column && t->row == row;
	const uint8_t *glyph;
	uint32_t cell;

	if (column >= t->columns || row >= t->rows)
		return s->palette[0];
	cell = t->cells[row * t->columns + column];
	glyph = s->font.glyphs + psf_glyph(&s->font, cell_point(cell)) * s->font.glyph_bytes;
	x %= s->font.width;
	lit = glyph[y % s->font.height * s->font.row_bytes + x / 8] >> (7 - x % 8) & 1;
	return lit != cursor ? s->palette[cell_colour(cell)] : s->palette[0];
}

static void check_pixels(const struct screen *s, const struct boot_framebuffer *fb,
			 const uint32_t *pixels)
{
	for (unsigned y = 0; y < fb->height; y++) {
		for (unsigned x = 0; x < fb->stride; x++) {
			uint32_t is = pixels[y * fb->stride + x];

			assert_int_equal(is, x < fb->width ? pixel_wanted(s, x, y)
							   : MARGIN * 0x01010101u);
		}
	}
}

static void an_a_is_an_a(void **state)
{
	/* Terminus 8x16, rows 2..11 of 'A' */
	static const char *const picture[] = {"..####..", ".#....#.", ".#....#.", ".#....#.",
					      ".#....#.", ".######.", ".#....#.", ".#....#.",
					      ".#....#.", ".#....#."};
	struct boot_framebuffer fb = framebuffer(64, 32, 64);
	uint32_t *pixels = pixels_for(&fb);
	struct screen s;

	(void)state;
	assert_int_equal(open_small(&s, &fb, pixels), 0);
	screen_write(&s, "A", 1);
	for (unsigned y = 0; y < array_len(picture); y++)
		for (unsigned x = 0; x < 8; x++)
			assert_int_equal(pixels[(y + 2) * 64 + x],
					 picture[y][x] == '#' ? 0xd0d0d0 : 0);
	close_small(&s);
	free(pixels);
}

static void every_geometry_is_drawn_right(void **state)
{
	static const unsigned sizes[][3] = {{8, 16, 8},     {9, 17, 13},      {100, 50, 128},
					    {641, 99, 700}, {1279, 33, 1280}, {33, 200, 33}};
	uint64_t seed = host_seed("fbcon");

	(void)state;
	for (size_t i = 0; i < array_len(sizes); i++) {
		struct boot_framebuffer fb = framebuffer(sizes[i][0], sizes[i][1], sizes[i][2]);
		uint32_t *pixels = pixels_for(&fb);
		struct screen s;

		assert_int_equal(open_small(&s, &fb, pixels), 0);
		check_pixels(&s, &fb, pixels);
		for (int k = 0; k < 30; k++) {
			static const char alphabet[] = "abcXYZ  \n\n\t\b\r\033[31m\xc3\xa9";
			char text[200];

			for (size_t c = 0; c < sizeof text; c++)
				text[c] = alphabet[host_random(&seed) % (sizeof alphabet - 1)];
			screen_write(&s, text, sizeof text);
			check_pixels(&s, &fb, pixels);
		}
		close_small(&s);
		free(pixels);
	}
}

static void only_changed_cells_are_drawn(void **state)
{
	struct boot_framebuffer fb = framebuffer(80, 64, 80);
	uint32_t *pixels = pixels_for(&fb);
	struct screen s;

	(void)state;
	assert_int_equal(open_small(&s, &fb, pixels), 0);
	screen_write(&s, "same\nsame\nsame\nsame", 19);
	memset(pixels, MARGIN, fb.bytes);
	screen_write(&s, "\r\nsame", 6); /* scrolls, yet nothing differs */
	for (unsigned i = 0; i < 80 * 48; i++)
		assert_int_equal(pixels[i], MARGIN * 0x01010101u);
	close_small(&s);
	free(pixels);
}

static void other_pixel_formats(void **state)
{
	static const struct {
		uint32_t red, green, blue, white, red_ink;
	} formats[] = {
		{0xff, 0xff00, 0xff0000, 0xffffff, 0x4c4cf1},
		{0xf800, 0x7e0, 0x1f, 0xffff, 29u << 11 | 19u << 5 | 9u},
		{0x3ff00000, 0xffc00, 0x3ff, 0x3fffffff, 967u << 20 | 305u << 10 | 305u},
	};

	(void)state;
	for (size_t i = 0; i < array_len(formats); i++) {
		struct boot_framebuffer fb = framebuffer(16, 16, 16);
		uint32_t *pixels = pixels_for(&fb);
		struct screen s;

		fb.format = BOOT_PIXELS_MASKS;
		fb.red_mask = formats[i].red;
		fb.green_mask = formats[i].green;
		fb.blue_mask = formats[i].blue;
		assert_int_equal(open_small(&s, &fb, pixels), 0);
		assert_int_equal(s.palette[15], formats[i].white);
		assert_int_equal(s.palette[9], formats[i].red_ink);
		close_small(&s);
		free(pixels);
	}
}

static void nonsense_is_refused_and_too_much_is_cut(void **state)
{
	struct boot_framebuffer good = framebuffer(64, 64, 64), fb;
	uint32_t *pixels = pixels_for(&good);
	struct screen s;
	size_t bytes;

	(void)state;
	fb = good, fb.format = BOOT_PIXELS_NONE;
	assert_int_equal(open_small(&s, &fb, pixels), -ENODEV);
	assert_int_equal(open_small(&s, &good, NULL), -ENODEV);
	fb = good, fb.stride = 63;
	assert_int_equal(open_small(&s, &fb, pixels), -EINVAL);
	fb = good, fb.width = 0;
	assert_int_equal(open_small(&s, &fb, pixels), -EINVAL);
	fb = good, fb.height = 0x80000000;
	assert_int_equal(open_small(&s, &fb, pixels), -EINVAL);
	fb = good, fb.green_mask = 0;
	assert_int_equal(open_small(&s, &fb, pixels), -EINVAL);
	fb = good, fb.width = 7;
	assert_int_equal(open_small(&s, &fb, pixels), -ENODEV);
	assert_int_equal(screen_measure(&s, &good, pixels, font_small_start, 100, &bytes), -EINVAL);
	fb = good, fb.bytes = 64 * 4 * 40 + 3; /* room for 40 scan lines: two rows of text */
	assert_int_equal(open_small(&s, &fb, pixels), 0);
	assert_int_equal(s.terminal.rows, 2);
	close_small(&s);
	free(pixels);
}

static void a_panic_brings_its_own_memory(void **state)
{
	struct boot_framebuffer fb = framebuffer(64, 32, 64);
	uint32_t *pixels = pixels_for(&fb);
	struct screen s;
	size_t bytes;
	void *memory;

	(void)state;
	fake_kmalloc_left = 0;
	assert_int_equal(fbcon_init(&fb, pixels), -ENOMEM);
	assert_int_equal(screen_measure(&s, &fb, pixels, font_small_start,
					(size_t)(font_small_end - font_small_start), &bytes),
			 0);
	memory = malloc(bytes);
	assert_int_equal(fbcon_init_in(&fb, pixels, memory, bytes - 1), -ENOMEM);
	fb.stride = 63;
	assert_int_equal(fbcon_init_in(&fb, pixels, memory, bytes), -EINVAL);
	fb.stride = 64;
	added = NULL;
	assert_int_equal(fbcon_init_in(&fb, pixels, memory, bytes), 0);
	assert_int_equal(added->columns, 8);
	added->write(added, "Q", 1);
	fake_kmalloc_left = -1;
	free(memory);
	free(pixels);
}

static void large_screens_get_the_large_font_and_the_sink_writes(void **state)
{
	struct boot_framebuffer fb = framebuffer(2560, 64, 2560);
	uint32_t *pixels = pixels_for(&fb);
	bool lit = false;

	(void)state;
	assert_int_equal(fbcon_init(&fb, pixels), 0);
	assert_int_equal(added->columns, 160);
	added->write(added, "\033[2J\033[HQ", 8);
	for (unsigned i = 0; i < 32 * 2560; i++)
		lit = lit || (i % 2560 < 16 && pixels[i]);
	assert_true(lit);
	/* the screen stays for the life of the kernel: `pixels` is not freed */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_a_is_an_a),
		cmocka_unit_test(every_geometry_is_drawn_right),
		cmocka_unit_test(only_changed_cells_are_drawn),
		cmocka_unit_test(other_pixel_formats),
		cmocka_unit_test(nonsense_is_refused_and_too_much_is_cut),
		cmocka_unit_test(a_panic_brings_its_own_memory),
		cmocka_unit_test(large_screens_get_the_large_font_and_the_sink_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
