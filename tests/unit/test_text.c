/* SPDX-License-Identifier: MIT */
/* UCS-2 to UTF-8, load options, and the loader's little printf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../efi/text.h"
#include <string.h>

static char out[64];

static size_t convert(const uint16_t *in, size_t units, size_t size)
{
	memset(out, '?', sizeof out);
	return text_from_ucs2(out, size, in, units);
}

static void converts_each_length(void **state)
{
	/* U+0041, U+00FC, U+20AC, U+1F4A9 */
	static const uint16_t in[] = {0x41, 0xfc, 0x20ac, 0xd83d, 0xdca9, 0, 'x'};

	(void)state;
	assert_int_equal(convert(in, 7, sizeof out), 10);
	assert_string_equal(out, "A\xc3\xbc\xe2\x82\xac\xf0\x9f\x92\xa9");
}

static void stops_at_units_without_nul(void **state)
{
	static const uint16_t in[] = {'a', 'b', 'c'};

	(void)state;
	assert_int_equal(convert(in, 2, sizeof out), 2);
	assert_string_equal(out, "ab");
	assert_int_equal(convert(in, 0, sizeof out), 0);
	assert_string_equal(out, "");
}

static void replaces_half_pairs(void **state)
{
	static const uint16_t high_at_end[] = {'a', 0xd83d};
	static const uint16_t high_alone[] = {0xd83d, 'a'};
	static const uint16_t low_alone[] = {0xdca9, 'a'};

	(void)state;
	convert(high_at_end, 2, sizeof out);
	assert_string_equal(out, "a\xef\xbf\xbd");
	convert(high_alone, 2, sizeof out);
	assert_string_equal(out, "\xef\xbf\xbd"
				 "a");
	convert(low_alone, 2, sizeof out);
	assert_string_equal(out, "\xef\xbf\xbd"
				 "a");
}

/* Never half a character, always a NUL, nothing behind it. */
static void cuts_between_characters(void **state)
{
	static const uint16_t in[] = {'a', 0x20ac, 'b'};

	(void)state;
	for (size_t size = 1; size < 8; size++) {
		size_t used = convert(in, 3, size);

		assert_int_equal(used, size < 2 ? 0 : size < 5 ? 1 : size < 6 ? 4 : 5);
		assert_int_equal(out[used], 0);
		assert_int_equal(out[size], '?');
	}
	out[0] = '?';
	assert_int_equal(text_from_ucs2(out, 0, in, 3), 0);
	assert_int_equal(out[0], '?');
}

static bool options(const void *in, size_t bytes)
{
	memset(out, '?', sizeof out);
	return text_from_load_options(out, sizeof out, in, bytes);
}

static void takes_ucs2_options(void **state)
{
	(void)state;
	assert_true(options(u"log=debug", sizeof u"log=debug"));
	assert_string_equal(out, "log=debug");
	/* efibootmgr --unicode leaves the NUL out */
	assert_true(options(u"log=debug", sizeof u"log=debug" - 2));
	assert_string_equal(out, "log=debug");
	assert_true(options(u"a", 2));
	assert_string_equal(out, "a");
}

static void takes_ascii_options(void **state)
{
	(void)state;
	assert_true(options("log=debug", sizeof "log=debug"));
	assert_string_equal(out, "log=debug");
	assert_true(options("log=debug", sizeof "log=debug" - 1));
	assert_string_equal(out, "log=debug");
}

static void drops_the_program_name(void **state)
{
	static const uint16_t shell[] = u"FS0:\\EFI\\BOOT\\BOOTX64.EFI  log=debug x";
	static const uint16_t twice[] = u" quire.efi a.efi", alone[] = u"quire.efi",
			      bare[] = u".efi";

	(void)state;
	assert_true(options(shell, sizeof shell));
	assert_string_equal(out, "log=debug x");
	assert_true(options(twice, sizeof twice));
	assert_string_equal(out, "a.efi");
	assert_false(options(alone, sizeof alone));
	assert_string_equal(out, "");
	assert_true(options(bare, sizeof bare));
	assert_string_equal(out, ".efi");
}

static void refuses_binary_options(void **state)
{
	/* What OVMF's boot manager passes to entries it made itself. */
	static const uint8_t ovmf_guid[16] = {0x4e, 0xac, 0x08, 0x81, 0x11, 0x9f, 0x59, 0x4d,
					      0x85, 0x0e, 0xe2, 0x1a, 0x52, 0x2c, 0x59, 0xb2};
	static const uint8_t control[] = {'a', 0, 7, 0};
	static const uint8_t half_pair[] = {'a', 0, 0x3d, 0xd8};
	static const uint8_t not_ascii[] = {'a', 0x80, 'c'};
	static const uint8_t zeroes[8] = {0};

	(void)state;
	assert_false(options(ovmf_guid, sizeof ovmf_guid));
	assert_string_equal(out, "");
	assert_false(options(control, sizeof control));
	assert_false(options(half_pair, sizeof half_pair));
	assert_false(options(not_ascii, sizeof not_ascii));
	assert_false(options(zeroes, sizeof zeroes));
	assert_false(options("", 0));
}

/* In a boot entry the options lie at any address. */
static void takes_unaligned_options(void **state)
{
	char packed[32];

	(void)state;
	memcpy(packed + 1, u"quiet", sizeof u"quiet");
	assert_true(options(packed + 1, sizeof u"quiet"));
	assert_string_equal(out, "quiet");
}

static void format(const char *expected, size_t size, const char *fmt, ...)
{
	va_list args;

	memset(out, '?', sizeof out);
	va_start(args, fmt);
	text_format(out, size, fmt, args);
	va_end(args);
	assert_string_equal(out, expected);
}

static void formats(void **state)
{
	(void)state;
	format("plain", 64, "plain");
	format("a=7 b=ff %", 64, "a=%u b=%x %%", 7u, 255u);
	format("0x0 18446744073709551615", 64, "0x%llx %llu", 0ull, ~0ull);
	format("<text:c>", 64, "<%s:%c>", "text", 'c');
	format("1234", 5, "%u", 1234u);
	format("", 4, "%u", 1234u); /* a number is never cut */
	format("abc", 4, "%s", "abcdef");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(converts_each_length),
		cmocka_unit_test(stops_at_units_without_nul),
		cmocka_unit_test(replaces_half_pairs),
		cmocka_unit_test(cuts_between_characters),
		cmocka_unit_test(takes_ucs2_options),
		cmocka_unit_test(takes_ascii_options),
		cmocka_unit_test(drops_the_program_name),
		cmocka_unit_test(refuses_binary_options),
		cmocka_unit_test(takes_unaligned_options),
		cmocka_unit_test(formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
