/* SPDX-License-Identifier: MIT */
/* A terminal drawn on pixels: the part of fbcon that tests can hold in their hands. */
#ifndef QUIRE_FBCON_SCREEN_H
#define QUIRE_FBCON_SCREEN_H

#include "psf.h"
#include "terminal.h"
#include <quire/boot_info.h>

struct screen {
	struct terminal terminal;
	struct psf_font font;
	struct psf_pair *pairs;
	uint8_t *pixels;        /* written only */
	size_t stride_bytes;    /* of a scan line */
	unsigned width, height; /* pixels */
	uint32_t palette[CELL_COLOURS];
	uint32_t *shown; /* the cell drawn at each place, with CELL_CURSOR */
	uint32_t *block; /* the pixels of a run of cells */
};

/*
 * Take geometry and font; *bytes is the memory screen_start() will want. 0; -ENODEV: nothing to
 * draw on, or not even one character fits; -EINVAL: description or font contradicts itself.
 */
must_check int screen_measure(struct screen *s, const struct boot_framebuffer *fb, void *mapped,
			      const void *font, size_t font_bytes, size_t *bytes);
/* Clear the screen. `memory` as large as screen_measure() said, 16-byte aligned; kept. */
void screen_start(struct screen *s, void *memory);
/* Take text, bring the pixels up to date. */
void screen_write(struct screen *s, const char *text, size_t length);

#endif
