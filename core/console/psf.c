/* SPDX-License-Identifier: MIT */
/*
 * PC Screen Fonts (kbd's doc/font-formats/font-formats-1.html).
 *
 *	version 1   36 04  mode  height              width 8, 256 or 512 glyphs
 *	version 2   72 b5 4a 86  version  header_bytes  flags  count  glyph_bytes  height  width
 *
 * then the glyphs, then, when flagged, the unicode table: for each glyph in turn the code
 * points it stands for, then sequences of code points (combining; not used here),
 * then an end mark. In version 1 all of these are 16-bit words.
 */
#include "psf.h"
#include <quire/errno.h>
#include <quire/string.h>
#include <quire/utf8.h>
#include <stdbool.h>

#define PSF1_MODE_512   0x01
#define PSF1_MODE_TABLE 0x06
#define PSF1_SEQUENCE   0xfffe
#define PSF1_END        0xffff
#define PSF2_FLAG_TABLE 0x01
#define PSF2_SEQUENCE   0xfe
#define PSF2_END        0xff

struct psf2_header {
	uint8_t magic[4];
	uint32_t version, header_bytes, flags, count, glyph_bytes, height, width;
};

static bool parse_header1(const uint8_t *p, size_t bytes, struct psf_font *f, size_t *header,
			  bool *table)
{
	if (bytes < 4 || p[0] != 0x36 || p[1] != 0x04)
		return false;
	f->version = 1;
	f->width = 8;
	f->height = p[3];
	f->count = p[2] & PSF1_MODE_512 ? 512 : 256;
	f->glyph_bytes = f->height;
	*header = 4;
	*table = p[2] & PSF1_MODE_TABLE;
	return true;
}

static bool parse_header2(const uint8_t *p, size_t bytes, struct psf_font *f, size_t *header,
			  bool *table)
{
	static const uint8_t magic[4] = {0x72, 0xb5, 0x4a, 0x86};
	struct psf2_header h;

	if (bytes < sizeof h)
		return false;
	memcpy(&h, p, sizeof h);
	if (memcmp(h.magic, magic, sizeof magic) || h.header_bytes < sizeof h ||
	    h.header_bytes > bytes)
		return false;
	f->version = 2;
	f->width = h.width;
	f->height = h.height;
	f->count = h.count;
	f->glyph_bytes = h.glyph_bytes;
	*header = h.header_bytes;
	*table = h.flags & PSF2_FLAG_TABLE;
	return true;
}

int psf_parse(const void *data, size_t bytes, struct psf_font *font)
{
	struct psf_font f = {0};
	size_t header, glyph_area;
	bool table;

	if (!parse_header1(data, bytes, &f, &header, &table) &&
	    !parse_header2(data, bytes, &f, &header, &table))
		return -EINVAL;
	if (f.width == 0 || f.width > PSF_SIDE_MAX || f.height == 0 || f.height > PSF_SIDE_MAX ||
	    f.count == 0 || f.count > PSF_GLYPHS_MAX)
		return -EINVAL;
	f.row_bytes = (f.width + 7) / 8;
	if (f.glyph_bytes != f.row_bytes * f.height)
		return -EINVAL;
	/* At most 65535 glyphs of 64 * 8 bytes: no overflow. */
	glyph_area = (size_t)f.count * f.glyph_bytes;
	if (glyph_area > bytes - header)
		return -EINVAL;
	f.glyphs = (const uint8_t *)data + header;
	if (table) {
		f.table = f.glyphs + glyph_area;
		f.table_bytes = bytes - header - glyph_area;
	}
	*font = f;
	return 0;
}

/* Where the walk through the unicode table stands. */
struct walk {
	const uint8_t *p, *end;
	uint32_t glyph;
	bool in_sequence;
};

/* The next code point of a version 1 table; false at its end. */
static bool next1(struct walk *w, uint32_t count, struct psf_pair *out)
{
	while (w->end - w->p >= 2 && w->glyph < count) {
		uint32_t word = w->p[0] | (uint32_t)w->p[1] << 8;

		w->p += 2;
		if (word == PSF1_END) {
			w->glyph++;
			w->in_sequence = false;
		} else if (word == PSF1_SEQUENCE) {
			w->in_sequence = true;
		} else if (!w->in_sequence) {
			*out = (struct psf_pair){.point = word, .glyph = w->glyph};
			return true;
		}
	}
	return false;
}

static bool next2(struct walk *w, uint32_t count, struct psf_pair *out)
{
	struct utf8 utf8 = {0};

	while (w->p < w->end && w->glyph < count) {
		uint8_t byte = *w->p++;
		uint32_t points[2];

		if (byte == PSF2_END) {
			w->glyph++;
			w->in_sequence = false;
			utf8 = (struct utf8){0};
		} else if (byte == PSF2_SEQUENCE) {
			w->in_sequence = true;
			utf8 = (struct utf8){0};
		} else if (!w->in_sequence && utf8_decode(&utf8, byte, points) == 1 &&
			   points[0] != UTF8_REPLACEMENT) {
			*out = (struct psf_pair){.point = points[0], .glyph = w->glyph};
			return true;
		}
	}
	return false;
}

static bool next_pair(const struct psf_font *f, struct walk *w, struct psf_pair *out)
{
	return f->version == 1 ? next1(w, f->count, out) : next2(w, f->count, out);
}

static struct walk table_start(const struct psf_font *f)
{
	return (struct walk){.p = f->table, .end = f->table + f->table_bytes};
}

size_t psf_pairs(const struct psf_font *font)
{
	struct psf_pair pair;
	struct walk w;
	size_t n = 0;

	if (!font->table)
		return 0;
	w = table_start(font);
	while (next_pair(font, &w, &pair))
		n++;
	return n;
}

static void sift_down(struct psf_pair *pairs, size_t root, size_t count)
{
	for (;;) {
		size_t child = root * 2 + 1;
		struct psf_pair swap = pairs[root];

		if (child >= count)
			return;
		if (child + 1 < count && pairs[child + 1].point > pairs[child].point)
			child++;
		if (swap.point >= pairs[child].point)
			return;
		pairs[root] = pairs[child];
		pairs[child] = swap;
		root = child;
	}
}

/* Heap sort: no recursion, no memory, and no bad case for a hostile font to find. */
static void sort_pairs(struct psf_pair *pairs, size_t count)
{
	for (size_t root = count / 2; root-- > 0;)
		sift_down(pairs, root, count);
	for (size_t last = count; last-- > 1;) {
		struct psf_pair swap = pairs[0];

		pairs[0] = pairs[last];
		pairs[last] = swap;
		sift_down(pairs, 0, last);
	}
}

void psf_map(struct psf_font *font, struct psf_pair *pairs)
{
	struct walk w;
	size_t n = 0;

	if (!font->table)
		return;
	w = table_start(font);
	while (next_pair(font, &w, &pairs[n]))
		n++;
	sort_pairs(pairs, n);
	font->map = pairs;
	font->map_count = n;
}

static bool find_glyph(const struct psf_font *font, uint32_t point, uint32_t *glyph)
{
	size_t low = 0, high = font->map_count;

	if (!font->map) {
		*glyph = point;
		return point < font->count;
	}
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (font->map[middle].point < point)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == font->map_count || font->map[low].point != point)
		return false;
	*glyph = font->map[low].glyph;
	return true;
}

uint32_t psf_glyph(const struct psf_font *font, uint32_t point)
{
	uint32_t glyph;

	if (find_glyph(font, point, &glyph) || find_glyph(font, '?', &glyph))
		return glyph;
	return 0;
}
