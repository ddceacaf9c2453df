/* SPDX-License-Identifier: MIT */
/*
 * Set 1: one byte a key, bit 7 set when it is let go; 0xe0 before the keys the
 * AT keyboard added, 0xe1 before Pause. One state, one reader; no lock.
 */
#include "scancode.h"
#include <quire/console.h>

#define RELEASE 0x80

enum code {
	CODE_CONTROL = 0x1d,
	CODE_SHIFT_LEFT = 0x2a,
	CODE_SHIFT_RIGHT = 0x36,
	CODE_CAPS_LOCK = 0x3a,
	CODE_NUM_LOCK = 0x45,
	CODE_KEYPAD_FIRST = 0x47,
	CODE_KEYPAD_LAST = 0x53,
	CODE_KEYPAD_SLASH = 0x35,
	CODE_ENTER = 0x1c,
};

/* Codes 0x00 to 0x39; 0 where there is no character. */
static const char plain[] =
	"\0\0331234567890-=\b\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
static const char shifted[] =
	"\0\033!@#$%^&*()_+\b\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";

/* Codes 0x47 to 0x53: what the keypad is with Num Lock, and what it and the grey keys are without. */
static const char keypad_digits[] = "789-456+1230.";
static const uint32_t keypad_moves[] = {
	KEY_HOME, KEY_UP,  KEY_PAGE_UP, '-',           KEY_LEFT, KEY_NONE,   KEY_RIGHT,
	'+',      KEY_END, KEY_DOWN,    KEY_PAGE_DOWN, KEY_NONE, KEY_DELETE,
};

static bool is_letter(char c)
{
	return c >= 'a' && c <= 'z';
}

static uint32_t character(const struct scancode_state *s, uint8_t code)
{
	bool shift = s->shift_left || s->shift_right;
	char c;

	if (code >= sizeof plain - 1)
		return KEY_NONE;
	c = plain[code];
	if (is_letter(c)) {
		if (s->control_left || s->control_right)
			return (uint32_t)(c - 'a' + 1);
		return (uint8_t)(shift != s->caps_lock ? shifted[code] : c);
	}
	return (uint8_t)(shift ? shifted[code] : c);
}

static uint32_t extended_key(uint8_t code)
{
	if (code == CODE_ENTER)
		return KEY_ENTER;
	if (code == CODE_KEYPAD_SLASH)
		return '/';
	/* The grey keys send the keypad's codes; there '-' and '+' do not exist. */
	if (code >= CODE_KEYPAD_FIRST && code <= CODE_KEYPAD_LAST) {
		uint32_t key = keypad_moves[code - CODE_KEYPAD_FIRST];

		return key >= KEY_UP ? key : KEY_NONE;
	}
	return KEY_NONE;
}

/* Shift and the like; true when `code` was one. */
static bool modifier(struct scancode_state *s, uint8_t code, bool extended, bool pressed)
{
	switch (code) {
	case CODE_CONTROL:
		*(extended ? &s->control_right : &s->control_left) = pressed;
		return true;
	case CODE_SHIFT_LEFT:
		/* 0xe0 0x2a is no shift: keyboards send it around grey keys. */
		if (!extended)
			s->shift_left = pressed;
		return true;
	case CODE_SHIFT_RIGHT:
		if (!extended)
			s->shift_right = pressed;
		return true;
	case CODE_CAPS_LOCK:
		s->caps_lock ^= pressed;
		return true;
	case CODE_NUM_LOCK:
		s->num_lock ^= pressed && !extended;
		return true;
	default:
		return false;
	}
}

uint32_t scancode_decode(struct scancode_state *s, uint8_t byte)
{
	uint8_t code = byte & (uint8_t)~RELEASE;
	bool extended = s->extended, pressed = !(byte & RELEASE);

	if (s->skip) {
		s->skip--;
		return KEY_NONE;
	}
	if (byte == 0xe0) {
		s->extended = true;
		return KEY_NONE;
	}
	s->extended = false;
	if (byte == 0xe1) {
		s->skip = 2;
		return KEY_NONE;
	}
	if (modifier(s, code, extended, pressed) || !pressed)
		return KEY_NONE;
	if (extended)
		return extended_key(code);
	if (code >= CODE_KEYPAD_FIRST && code <= CODE_KEYPAD_LAST)
		return s->num_lock ? (uint8_t)keypad_digits[code - CODE_KEYPAD_FIRST]
				   : keypad_moves[code - CODE_KEYPAD_FIRST];
	return character(s, code);
}
