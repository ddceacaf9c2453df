/* SPDX-License-Identifier: MIT */
/*
 * Scan code set 1, as the 8042 translates it, to keys: US layout. Pure; the host tests run it.
 */
#ifndef QUIRE_X86_SCANCODE_H
#define QUIRE_X86_SCANCODE_H

#include <stdbool.h>
#include <stdint.h>

struct scancode_state {
	bool shift_left, shift_right, control_left, control_right, caps_lock, num_lock;
	bool extended; /* the last byte was 0xe0 */
	uint8_t skip;  /* bytes still to swallow of the Pause key's 0xe1 sequence */
};

/* Feed one byte; returns a key (enum key or a code point), KEY_NONE for none. */
uint32_t scancode_decode(struct scancode_state *s, uint8_t byte);

#endif
