/* SPDX-License-Identifier: MIT */
/*
 * UTF-8. The first byte decides the length and, for four of them, narrows the
 * range of the second (Unicode 15 table 3-7); that alone rules out overlong
 * forms, surrogates and values past U+10FFFF.
 */
#include <quire/utf8.h>

static void start(struct utf8 *u, uint32_t bits, uint8_t missing, uint8_t low, uint8_t high)
{
	*u = (struct utf8){.value = bits, .missing = missing, .low = low, .high = high};
}

/* A byte where a sequence may begin. Returns how many code points went to *out: 0 or 1. */
static unsigned first_byte(struct utf8 *u, uint8_t b, uint32_t *out)
{
	u->missing = 0;
	if (b < 0x80) {
		*out = b;
		return 1;
	}
	if (b >= 0xc2 && b <= 0xdf)
		start(u, b & 0x1f, 1, 0x80, 0xbf);
	else if ((b & 0xf0) == 0xe0)
		start(u, b & 0x0f, 2, b == 0xe0 ? 0xa0 : 0x80, b == 0xed ? 0x9f : 0xbf);
	else if (b >= 0xf0 && b <= 0xf4)
		start(u, b & 0x07, 3, b == 0xf0 ? 0x90 : 0x80, b == 0xf4 ? 0x8f : 0xbf);
	else {
		*out = UTF8_REPLACEMENT;
		return 1;
	}
	return 0;
}

unsigned utf8_decode(struct utf8 *u, uint8_t byte, uint32_t out[static 2])
{
	if (!u->missing)
		return first_byte(u, byte, out);
	if (byte < u->low || byte > u->high) {
		out[0] = UTF8_REPLACEMENT;
		return 1 + first_byte(u, byte, out + 1);
	}
	u->value = u->value << 6 | (byte & 0x3f);
	u->low = 0x80;
	u->high = 0xbf;
	if (--u->missing)
		return 0;
	out[0] = u->value;
	return 1;
}

size_t utf8_encode(uint32_t c, char out[static 4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}
