/* SPDX-License-Identifier: MIT */
/*
 * The framebuffer console: the one screen the firmware left us, as a console sink.
 * From 1440 lines (or 2560 columns) of pixels up a font of twice the size is used.
 *
 * Lock: the console's, held by whoever calls the sink.
 */
#define LOG_TAG "screen"
#include "fbcon_screen.h"
#include <quire/console.h>
#include <quire/fbcon.h>
#include <quire/log.h>

#define LARGE_WIDTH  2560
#define LARGE_HEIGHT 1440

/* font.S */
extern const uint8_t font_small_start[], font_small_end[];
extern const uint8_t font_large_start[], font_large_end[];

static struct screen screen;

static void fbcon_write(struct console_sink *sink, const char *text, size_t length)
{
	(void)sink;
	screen_write(&screen, text, length);
}

static struct console_sink sink = {.name = "framebuffer", .write = fbcon_write};

int fbcon_init(const struct boot_framebuffer *fb, void *mapped)
{
	bool large = fb->width >= LARGE_WIDTH || fb->height >= LARGE_HEIGHT;
	const uint8_t *font = large ? font_large_start : font_small_start;
	const uint8_t *end = large ? font_large_end : font_small_end;
	int err = screen_open(&screen, fb, mapped, font, (size_t)(end - font));

	if (err)
		return err;
	sink.columns = screen.terminal.columns;
	console_add_sink(&sink);
	log_info("%ux%u pixels, %ux%u characters", screen.width, screen.height,
		 screen.terminal.columns, screen.terminal.rows);
	return 0;
}
