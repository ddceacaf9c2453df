/* SPDX-License-Identifier: MIT */
/* Terminal bytes to keys. */
#include "cm.h"
#include "console/serial_decode.h"
#include "host.h"
#include <quire/console.h>
#include <string.h>

static uint32_t keys[64];
static size_t count;

static void feed(const char *bytes, size_t length)
{
	struct serial_decoder d = {0};

	count = 0;
	for (size_t i = 0; i < length; i++)
		count += serial_decode(&d, (uint8_t)bytes[i], keys + count);
}

static void expect(const char *bytes, size_t n, const uint32_t *wanted)
{
	feed(bytes, strlen(bytes));
	assert_int_equal(count, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(keys[i], wanted[i]);
}

#define EXPECT(bytes, ...)                                                                         \
	expect(bytes, sizeof((uint32_t[]){__VA_ARGS__}) / 4, (uint32_t[]){__VA_ARGS__})

static void sequences_of_common_terminals(void **state)
{
	(void)state;
	EXPECT("\033[A\033[B\033[C\033[D", KEY_UP, KEY_DOWN, KEY_RIGHT, KEY_LEFT);
	EXPECT("\033OA\033OH\033OF", KEY_UP, KEY_HOME, KEY_END);
	EXPECT("\033[1~\033[7~\033[4~\033[8~", KEY_HOME, KEY_HOME, KEY_END, KEY_END);
	EXPECT("\033[3~\033[5~\033[6~", KEY_DELETE, KEY_PAGE_UP, KEY_PAGE_DOWN);
	EXPECT("\033[1;5C", KEY_RIGHT);
	EXPECT("\033[3;2~x", KEY_DELETE, 'x');
}

static void unknown_sequences_are_swallowed_whole(void **state)
{
	(void)state;
	EXPECT("\033[15~a", 'a');
	EXPECT("\033[99999999~a", 'a');
	EXPECT("\033[[Ab", 'b');
	EXPECT("\033[?25ha", 'a');
	EXPECT("\033xa", 'a');
	EXPECT("\033[2~a", 'a');
}

static void control_characters_always_get_through(void **state)
{
	(void)state;
	EXPECT("\033[\003a", KEY_INTERRUPT, 'a');
	EXPECT("\033\003", KEY_INTERRUPT);
	EXPECT("\033\033[A", KEY_UP);
	EXPECT("a\177b\010", 'a', KEY_BACKSPACE, 'b', KEY_BACKSPACE);
}

static void line_ends_of_every_kind_are_one_enter(void **state)
{
	(void)state;
	EXPECT("a\rb\nc\r\nd\r\r", 'a', KEY_ENTER, 'b', KEY_ENTER, 'c', KEY_ENTER, 'd', KEY_ENTER,
	       KEY_ENTER);
}

static void utf8_is_decoded_and_noise_dropped(void **state)
{
	(void)state;
	EXPECT("\xc3\xa9\xe2\x82\xac", 0xe9, 0x20ac);
	EXPECT("\xff\xc3z", 'z');
	feed("\0a", 2);
	assert_int_equal(count, 1);
}

static void random_bytes_only_make_keys(void **state)
{
	uint64_t seed = host_seed("serial_decode");
	struct serial_decoder d = {0};

	(void)state;
	for (int i = 0; i < 500000; i++) {
		uint32_t out[2];
		unsigned n = serial_decode(&d, (uint8_t)host_random(&seed), out);

		assert_true(n <= 2);
		for (unsigned k = 0; k < n; k++)
			assert_true(out[k] != KEY_NONE && out[k] <= KEY_PAGE_DOWN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sequences_of_common_terminals),
		cmocka_unit_test(unknown_sequences_are_swallowed_whole),
		cmocka_unit_test(control_characters_always_get_through),
		cmocka_unit_test(line_ends_of_every_kind_are_one_enter),
		cmocka_unit_test(utf8_is_decoded_and_noise_dropped),
		cmocka_unit_test(random_bytes_only_make_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
