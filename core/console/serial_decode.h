/* SPDX-License-Identifier: MIT */
/* What a terminal sends, as keys. Pure: bytes in, keys out. */
#ifndef QUIRE_SERIAL_DECODE_H
#define QUIRE_SERIAL_DECODE_H

#include <quire/utf8.h>
#include <stdbool.h>

/* All zero at the start. */
struct serial_decoder {
	uint8_t state;     /* private to serial_decode.c */
	bool after_return; /* a \n that follows \r is the same Enter */
	uint16_t parameter;
	uint8_t parameters;
	struct utf8 utf8;
};

/* Feed one byte; writes up to 2 keys (quire/console.h) to `keys` and returns how many. */
unsigned serial_decode(struct serial_decoder *d, uint8_t byte, uint32_t keys[static 2]);

#endif
