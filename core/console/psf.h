/* SPDX-License-Identifier: MIT */
/*
 * PC Screen Fonts, version 1 and 2: the bitmap fonts of the Linux console.
 * Pure; the font's bytes are not trusted and stay where they are.
 */
#ifndef QUIRE_PSF_H
#define QUIRE_PSF_H

#include <quire/compiler.h>
#include <stddef.h>
#include <stdint.h>

#define PSF_SIDE_MAX   64 /* largest width or height of a glyph, in pixels */
#define PSF_GLYPHS_MAX 65535

/* One entry of the map: code point -> glyph. */
struct psf_pair {
	uint32_t point;
	uint32_t glyph;
};

struct psf_font {
	unsigned width, height; /* pixels of a glyph */
	unsigned row_bytes;     /* of one row of pixels; the highest bit is the leftmost pixel */
	unsigned glyph_bytes;
	uint32_t count;
	const uint8_t *glyphs; /* glyph g at glyphs + g * glyph_bytes */
	/* the unicode table, still encoded; version 2 as UTF-8, version 1 as 16-bit words */
	unsigned version;
	const uint8_t *table;
	size_t table_bytes;
	/* the map, sorted by point, after psf_map(); none: glyph = code point */
	const struct psf_pair *map;
	size_t map_count;
};

/* Read the header, check that everything lies inside `bytes`. 0 or -EINVAL. */
must_check int psf_parse(const void *data, size_t bytes, struct psf_font *font);

/* How many pairs psf_map() wants. */
size_t psf_pairs(const struct psf_font *font);

/* Decode the unicode table into `pairs` (room for psf_pairs(); kept) and sort it. */
void psf_map(struct psf_font *font, struct psf_pair *pairs);

/* The glyph of a code point; that of '?', else 0, when the font has none. Always < count. */
uint32_t psf_glyph(const struct psf_font *font, uint32_t point);

#endif
