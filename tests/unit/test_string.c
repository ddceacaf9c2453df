/* SPDX-License-Identifier: MIT */
/*
 * The kernel's string and memory functions against the host's, the kernel's under
 * other names. Memory functions: every small size, offset and overlap.
 */
#include "cm.h"
#include <quire/compiler.h>
#include <stdio.h>
#include <string.h>

#define memcpy  kernel_memcpy
#define memmove kernel_memmove
#define memset  kernel_memset
#define memcmp  kernel_memcmp
#define memchr  kernel_memchr
#define strlen  kernel_strlen
#define strnlen kernel_strnlen
#define strcmp  kernel_strcmp
#define strncmp kernel_strncmp
#define strchr  kernel_strchr
#define strrchr kernel_strrchr
#define strstr  kernel_strstr
#define strlcpy kernel_strlcpy
#define strlcat kernel_strlcat
#undef QUIRE_HOSTED /* as the kernel sees the header: it declares all of them */
#include <quire/string.h>
#define QUIRE_HOSTED

#include "arch/x86_64/memory_ops.c"
#include "lib/string.c"
#include "lib/strlcpy.c"

#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr
#undef strrchr
#undef strstr

#define BYTES 400

static unsigned char expected[BYTES], actual[BYTES];

static void fill(void)
{
	for (size_t i = 0; i < BYTES; i++)
		expected[i] = actual[i] = (unsigned char)(i * 7 + 1);
}

static void copies_match_at_every_offset_and_overlap(void **state)
{
	(void)state;
	for (size_t n = 0; n < 150; n++) {
		for (size_t to = 0; to < 180; to += n < 20 ? 1 : 7) {
			fill();
			memmove(expected + to, expected + 90, n);
			assert_ptr_equal(kernel_memmove(actual + to, actual + 90, n), actual + to);
			assert_memory_equal(expected, actual, BYTES);
		}
	}
	for (size_t n = 0; n < 180; n++) {
		fill();
		memcpy(expected + 200 + n % 9, expected + n % 5, n);
		assert_ptr_equal(kernel_memcpy(actual + 200 + n % 9, actual + n % 5, n),
				 actual + 200 + n % 9);
		assert_memory_equal(expected, actual, BYTES);
	}
}

static void fills_match_at_every_size(void **state)
{
	(void)state;
	for (size_t n = 0; n < 300; n++) {
		fill();
		memset(expected + n % 11, (int)(n + 0x180), n);
		assert_ptr_equal(kernel_memset(actual + n % 11, (int)(n + 0x180), n),
				 actual + n % 11);
		assert_memory_equal(expected, actual, BYTES);
	}
}

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static void comparing_and_searching_matches(void **state)
{
	static const char *const words[] = {"",  "a",    "ab",  "abc",    "abd",
					    "b", "\xff", "aab", "x abc y"};

	(void)state;
	for (size_t i = 0; i < array_len(words); i++) {
		const char *a = words[i];

		assert_int_equal(kernel_strlen(a), strlen(a));
		assert_int_equal(kernel_strnlen(a, 2), strnlen(a, 2));
		for (int c = 'a'; c < 'd'; c++) {
			assert_ptr_equal(kernel_strchr(a, c), strchr(a, c));
			assert_ptr_equal(kernel_strrchr(a, c), strrchr(a, c));
			assert_ptr_equal(kernel_memchr(a, c, strlen(a)), memchr(a, c, strlen(a)));
		}
		assert_ptr_equal(kernel_strchr(a, 0), a + strlen(a));
		for (size_t j = 0; j < array_len(words); j++) {
			const char *b = words[j];
			size_t n = strlen(a) < strlen(b) ? strlen(a) : strlen(b);

			assert_int_equal(sign(kernel_strcmp(a, b)), sign(strcmp(a, b)));
			assert_int_equal(sign(kernel_strncmp(a, b, 2)), sign(strncmp(a, b, 2)));
			assert_int_equal(sign(kernel_memcmp(a, b, n)), sign(memcmp(a, b, n)));
			assert_ptr_equal(kernel_strstr(a, b), strstr(a, b));
		}
	}
}

static void bounded_copies_cut_and_terminate(void **state)
{
	char b[8] = "xxxxxxx";

	(void)state;
	assert_int_equal(kernel_strlcpy(b, "abc", 0), 3);
	assert_string_equal(b, "xxxxxxx");
	assert_int_equal(kernel_strlcpy(b, "abcdefghij", sizeof b), 10);
	assert_string_equal(b, "abcdefg");
	assert_int_equal(kernel_strlcpy(b, "ab", sizeof b), 2);
	assert_int_equal(kernel_strlcat(b, "cdefghi", sizeof b), 9);
	assert_string_equal(b, "abcdefg");
	assert_int_equal(kernel_strlcat(b, "z", 4), 5); /* not even terminated within 4 */
	assert_string_equal(b, "abcdefg");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_match_at_every_offset_and_overlap),
		cmocka_unit_test(fills_match_at_every_size),
		cmocka_unit_test(comparing_and_searching_matches),
		cmocka_unit_test(bounded_copies_cut_and_terminate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
