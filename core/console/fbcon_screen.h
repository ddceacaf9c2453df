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

/* 0, or as fbcon_init(); on failure nothing is left behind. */
must_check int screen_open(struct screen *s, const struct boot_framebuffer *fb, void *mapped,
			   const void *font, size_t font_bytes);
void screen_close(struct screen *s);
/* Take text, bring the pixels up to date. */
void screen_write(struct screen *s, const char *text, size_t length);

#endif
