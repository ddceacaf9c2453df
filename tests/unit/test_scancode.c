/* SPDX-License-Identifier: MIT */
/* Keyboards, byte by byte. */
#include "arch/x86_64/scancode.h"
#include "cm.h"
#include <quire/console.h>
#include <string.h>

/* What a sequence of bytes types; keys that are not characters show as <up> and the like. */
static const char *typed(struct scancode_state *s, const uint8_t *bytes, size_t count)
{
	static const char *const names[] = {"<up>",  "<down>", "<left>", "<right>", "<home>",
					    "<end>", "<del>",  "<pgup>", "<pgdn>"};
	static char out[256];
	size_t length = 0;

	out[0] = 0;
	for (size_t i = 0; i < count; i++) {
		uint32_t key = scancode_decode(s, bytes[i]);

		if (key >= KEY_UP) {
			assert_true(key <= KEY_PAGE_DOWN);
			strcpy(out + length, names[key - KEY_UP]);
			length = strlen(out);
		} else if (key != KEY_NONE) {
			assert_true(key < 0x80);
			out[length++] = (char)key;
			out[length] = 0;
		}
	}
	return out;
}

#define TYPE(...) typed(&s, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void letters_digits_and_signs(void **state)
{
	struct scancode_state s = {0};

	(void)state;
	assert_string_equal(TYPE(0x32, 0xb2, 0x12, 0x92, 0x32, 0xb2, 0x39, 0xb9), "mem ");
	assert_string_equal(
		TYPE(0x02, 0x0b, 0x0c, 0x0d, 0x1a, 0x1b, 0x27, 0x28, 0x29, 0x2b, 0x33, 0x34, 0x35),
		"10-=[];'`\\,./");
	assert_string_equal(TYPE(0x10, 0x19, 0x1e, 0x26, 0x2c), "qpalz");
	assert_string_equal(TYPE(0x1c, 0x0e, 0x0f, 0x01), "\r\b\t\033");
}

static void shift_holds_until_let_go_on_either_side(void **state)
{
	struct scancode_state s = {0};

	(void)state;
	assert_string_equal(TYPE(0x2a, 0x1e, 0x9e, 0x02, 0xaa, 0x1e), "A!a");
	assert_string_equal(TYPE(0x36, 0x27, 0x2a, 0xb6, 0x27, 0xaa, 0x27), "::;");
	assert_string_equal(TYPE(0x2a, 0x2b, 0x35, 0x0c, 0xaa), "|?_");
}

static void caps_lock_turns_letters_only_and_shift_turns_them_back(void **state)
{
	struct scancode_state s = {0};

	(void)state;
	assert_string_equal(TYPE(0x3a, 0xba, 0x1e, 0x02, 0x2a, 0x1e, 0xaa), "A1a");
	assert_string_equal(TYPE(0x3a, 0xba, 0x1e), "a");
}

static void control_makes_control_characters(void **state)
{
	struct scancode_state s = {0};

	(void)state;
	assert_string_equal(TYPE(0x1d, 0x2e, 0x9d, 0x2e), "\003c");
	assert_string_equal(TYPE(0xe0, 0x1d, 0x26, 0xe0, 0x9d, 0x26), "\014l");
}

static void grey_keys_are_told_from_the_keypad(void **state)
{
	struct scancode_state s = {0};

	(void)state;
	assert_string_equal(TYPE(0xe0, 0x48, 0xe0, 0xc8, 0xe0, 0x50, 0xe0, 0x4b, 0xe0, 0x4d),
			    "<up><down><left><right>");
	assert_string_equal(TYPE(0xe0, 0x47, 0xe0, 0x4f, 0xe0, 0x53, 0xe0, 0x49, 0xe0, 0x51),
			    "<home><end><del><pgup><pgdn>");
	assert_string_equal(TYPE(0x48, 0x4c, 0x4a, 0x4e, 0x37),
			    "<up>-+*"); /* keypad, no Num Lock */
	assert_string_equal(TYPE(0x45, 0xc5, 0x48, 0x4c, 0x53), "85.");
	assert_string_equal(TYPE(0xe0, 0x48), "<up>"); /* Num Lock is not theirs */
	assert_string_equal(TYPE(0xe0, 0x1c, 0xe0, 0x35), "\r/");
	assert_string_equal(TYPE(0xe0, 0x52, 0xe0, 0x5b, 0xe0, 0x4a), ""); /* insert, logo, none */
}

static void the_shifts_keyboards_send_around_grey_keys_are_no_shifts(void **state)
{
	struct scancode_state s = {0};

	(void)state;
	assert_string_equal(TYPE(0xe0, 0x2a, 0xe0, 0x48, 0x1e), "<up>a");
	assert_string_equal(TYPE(0x2a, 0xe0, 0xaa, 0xe0, 0x4b, 0xe0, 0x2a, 0x1e, 0xaa), "<left>A");
}

static void pause_is_swallowed_whole(void **state)
{
	struct scancode_state s = {0};

	(void)state;
	assert_string_equal(TYPE(0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5, 0x2e), "c");
	assert_false(s.control_left || s.num_lock);
}

static void every_byte_in_every_state_is_harmless(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 256; bits++)
		for (unsigned byte = 0; byte < 256; byte++) {
			struct scancode_state s = {
				.shift_left = bits & 1,
				.control_left = bits & 2,
				.caps_lock = bits & 4,
				.num_lock = bits & 8,
				.extended = bits & 16,
				.skip = (uint8_t)(bits >> 6),
			};
			uint32_t key = scancode_decode(&s, (uint8_t)byte);

			assert_true(key < 0x80 || (key >= KEY_UP && key <= KEY_PAGE_DOWN));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters_digits_and_signs),
		cmocka_unit_test(shift_holds_until_let_go_on_either_side),
		cmocka_unit_test(caps_lock_turns_letters_only_and_shift_turns_them_back),
		cmocka_unit_test(control_makes_control_characters),
		cmocka_unit_test(grey_keys_are_told_from_the_keypad),
		cmocka_unit_test(the_shifts_keyboards_send_around_grey_keys_are_no_shifts),
		cmocka_unit_test(pause_is_swallowed_whole),
		cmocka_unit_test(every_byte_in_every_state_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
