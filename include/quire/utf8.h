/* SPDX-License-Identifier: MIT */
/* UTF-8, a byte at a time (RFC 3629: no overlong forms, no surrogates). Pure; any context. */
#ifndef QUIRE_UTF8_H
#define QUIRE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_REPLACEMENT 0xfffdu

/* A decoder between two bytes. All zero at the start. */
struct utf8 {
	uint32_t value;  /* bits so far */
	uint8_t missing; /* continuation bytes still to come */
	uint8_t low;     /* the next byte must be in low..high */
	uint8_t high;
};

/*
 * Feed one byte. Writes 0, 1 or 2 code points to `out` and returns how many: two
 * when the byte shows that the sequence before it was broken (U+FFFD) and
 * stands for itself. Never writes anything that is not a valid code point.
 */
unsigned utf8_decode(struct utf8 *u, uint8_t byte, uint32_t out[static 2]);

/* Is a sequence begun and not ended? */
static inline bool utf8_unfinished(const struct utf8 *u)
{
	return u->missing > 0;
}

/* The 1 to 4 bytes of a code point; returns how many. Not terminated. */
size_t utf8_encode(uint32_t c, char out[static 4]);

#endif
