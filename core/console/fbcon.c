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
#include <quire/errno.h>
#include <quire/fbcon.h>
#include <quire/kmalloc.h>
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

static struct console_sink sink = {.write = fbcon_write};

static int measure(const struct boot_framebuffer *fb, void *mapped, size_t *bytes)
{
	bool large = fb->width >= LARGE_WIDTH || fb->height >= LARGE_HEIGHT;
	const uint8_t *font = large ? font_large_start : font_small_start;
	const uint8_t *end = large ? font_large_end : font_small_end;

	return screen_measure(&screen, fb, mapped, font, (size_t)(end - font), bytes);
}

static void start(void *memory)
{
	screen_start(&screen, memory);
	sink.columns = screen.terminal.columns;
	console_add_sink(&sink);
}

int fbcon_init(const struct boot_framebuffer *fb, void *mapped)
{
	size_t bytes;
	int err = measure(fb, mapped, &bytes);
	void *memory;

	if (err)
		return err;
	memory = kmalloc_array(bytes, 1);
	if (!memory)
		return -ENOMEM;
	start(memory);
	log_info("%ux%u pixels, %ux%u characters", screen.width, screen.height,
		 screen.terminal.columns, screen.terminal.rows);
	return 0;
}

int fbcon_init_in(const struct boot_framebuffer *fb, void *mapped, void *memory, size_t bytes)
{
	size_t wanted;
	int err = measure(fb, mapped, &wanted);

	if (err)
		return err;
	if (wanted > bytes)
		return -ENOMEM;
	start(memory);
	return 0;
}
