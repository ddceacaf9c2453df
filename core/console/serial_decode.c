/* SPDX-License-Identifier: MIT */
/*
 * Keys from a terminal's bytes: ASCII, UTF-8, and the escape sequences that
 * xterm, the Linux console, screen and the VT220 send for the keys we know
 * (ECMA-48 section 5.4, xterm "Control Sequences"):
 *
 *	ESC [ A .. D, H, F         ESC O A .. D, H, F          ESC [ n ~
 *	ESC [ 1 ; m A              (m: modifiers, ignored)
 *
 * An unknown sequence is swallowed whole, a control character inside one ends it
 * and counts, so that Ctrl-C gets through whatever was sent before it.
 */
#include "serial_decode.h"
#include <quire/compiler.h>
#include <quire/console.h>

enum state {
	PLAIN,
	ESCAPE,   /* ESC */
	SEQUENCE, /* ESC [ */
	SINGLE,   /* ESC O: one letter follows */
	DISCARD,  /* ESC [ [: the Linux console's function keys; one letter follows */
};

#define BYTE_ESCAPE 0x1b
#define BYTE_DELETE 0x7f

static uint32_t key_of_letter(uint8_t letter)
{
	switch (letter) {
	case 'A':
		return KEY_UP;
	case 'B':
		return KEY_DOWN;
	case 'C':
		return KEY_RIGHT;
	case 'D':
		return KEY_LEFT;
	case 'H':
		return KEY_HOME;
	case 'F':
		return KEY_END;
	default:
		return KEY_NONE;
	}
}

static uint32_t key_of_number(unsigned n)
{
	static const uint32_t keys[] = {
		[1] = KEY_HOME,      [3] = KEY_DELETE, [4] = KEY_END, [5] = KEY_PAGE_UP,
		[6] = KEY_PAGE_DOWN, [7] = KEY_HOME,   [8] = KEY_END,
	};

	return n < array_len(keys) ? keys[n] : KEY_NONE;
}

static unsigned put(uint32_t key, uint32_t *keys)
{
	*keys = key;
	return key != KEY_NONE;
}

static unsigned plain_byte(struct serial_decoder *d, uint8_t byte, uint32_t keys[static 2])
{
	uint32_t points[2];
	unsigned count = 0, n = utf8_decode(&d->utf8, byte, points);
	bool after_return = d->after_return;

	d->after_return = byte == '\r';
	for (unsigned i = 0; i < n; i++) {
		uint32_t c = points[i];

		if (c == BYTE_ESCAPE)
			d->state = ESCAPE;
		else if (c == '\n' && after_return)
			continue;
		else if (c == '\n')
			count += put(KEY_ENTER, keys + count);
		else if (c == BYTE_DELETE)
			count += put(KEY_BACKSPACE, keys + count);
		else if (c != UTF8_REPLACEMENT) /* line noise is no key */
			count += put(c, keys + count);
	}
	return count;
}

static unsigned sequence_byte(struct serial_decoder *d, uint8_t byte, uint32_t *keys)
{
	if (byte >= '0' && byte <= '9') {
		if (d->parameters == 0 && d->parameter < 1000)
			d->parameter = (uint16_t)(d->parameter * 10 + (byte - '0'));
		return 0;
	}
	if (byte == ';')
		d->parameters = 1;
	if (byte == '[') {
		d->state = DISCARD;
		return 0;
	}
	if (byte < '@') /* parameter and intermediate bytes we do not know */
		return 0;
	d->state = PLAIN;
	return put(byte == '~' ? key_of_number(d->parameter) : key_of_letter(byte), keys);
}

unsigned serial_decode(struct serial_decoder *d, uint8_t byte, uint32_t keys[static 2])
{
	if (d->state == PLAIN)
		return plain_byte(d, byte, keys);
	if (byte < ' ' || byte >= BYTE_DELETE) {
		d->state = PLAIN;
		return plain_byte(d, byte, keys);
	}
	switch (d->state) {
	case ESCAPE:
		d->state = byte == '[' ? SEQUENCE : byte == 'O' ? SINGLE : PLAIN;
		d->parameter = 0;
		d->parameters = 0;
		return 0;
	case SEQUENCE:
		return sequence_byte(d, byte, keys);
	case SINGLE:
		d->state = PLAIN;
		return put(key_of_letter(byte), keys);
	default:
		d->state = PLAIN;
		return 0;
	}
}
