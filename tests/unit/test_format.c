/* SPDX-License-Identifier: MIT */
/* The kernel's printf against the host's, on many random formats; and figures for people. */
#include "cm.h"
#include "host.h"
#include <limits.h>
#include <quire/errno.h>
#include <quire/format.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS 200000

/* The formats are made at run time, which is the point. */
#pragma clang diagnostic ignored "-Wformat-nonliteral"
#pragma clang diagnostic ignored "-Wformat-security"
#pragma clang diagnostic ignored "-Wformat"

static size_t kernel_format(char *b, size_t size, const char *format, ...)
{
	va_list args;
	size_t n;

	va_start(args, format);
	n = format_buffer_v(b, size, format, args);
	va_end(args);
	return n;
}

static uint64_t random_value(uint64_t *seed)
{
	static const uint64_t edges[] = {0,   1,   7,       127,       128,
					 255, 256, INT_MAX, INT64_MAX, UINT64_MAX};
	uint64_t r = host_random(seed);

	return r % 3 ? host_random(seed) >> (r >> 8) % 64 : edges[(r >> 8) % array_len(edges)];
}

static void make_format(char *f, uint64_t *seed)
{
	static const char *const lengths[] = {"", "", "h", "hh", "l", "ll", "z", "j", "t"};
	uint64_t r = host_random(seed);
	char *p = f;

	p += sprintf(p, "a%%");
	for (int i = 0; i < 5; i++)
		if (r >> i & 1)
			*p++ = "-+ #0"[i];
	if (r >> 8 & 1)
		p += sprintf(p, "%u", (unsigned)(r >> 16) % 30);
	if (r >> 9 & 1)
		p += sprintf(p, ".%u", (unsigned)(r >> 24) % 25);
	else if (r >> 10 & 1)
		*p++ = '.';
	p += sprintf(p, "%s", lengths[(r >> 40) % array_len(lengths)]);
	*p++ = "diuxXo"[(r >> 50) % 6];
	strcpy(p, "|b%%");
}

static void random_integer_formats_agree_with_the_host(void **state)
{
	uint64_t seed = host_seed("format");

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		char f[64], ours[128], theirs[128];
		uint64_t value = random_value(&seed);
		size_t size = host_random(&seed) % 60, n;
		int m;

		make_format(f, &seed);
		memset(ours, 'z', sizeof ours);
		memset(theirs, 'z', sizeof theirs);
		n = kernel_format(ours, size, f, value);
		m = snprintf(theirs, size, f, value);
		if (n != (size_t)m || memcmp(ours, theirs, sizeof ours))
			fail_msg("'%s' of %#llx: ours '%.*s', host '%.*s'", f,
				 (unsigned long long)value, (int)size, ours, (int)size, theirs);
	}
}

static void strings_characters_and_stars_agree_with_the_host(void **state)
{
	static const char *const formats[] = {"%s|",    "%-8s|", "%8s|", "%.2s|",
					      "%8.2s|", "%.0s|", "%5.s|"};
	static const char unterminated[2] = {'o', 'k'};
	char ours[64], theirs[64];

	(void)state;
	for (size_t i = 0; i < array_len(formats); i++) {
		kernel_format(ours, sizeof ours, formats[i], "quire");
		snprintf(theirs, sizeof theirs, formats[i], "quire");
		assert_string_equal(ours, theirs);
	}
	kernel_format(ours, sizeof ours, "%*d|%-*d|%.*d|%*c|%%", 6, 42, -5, 7, -1, 9, -3, 'x');
	snprintf(theirs, sizeof theirs, "%*d|%-*d|%.*d|%*c|%%", 6, 42, -5, 7, -1, 9, -3, 'x');
	assert_string_equal(ours, theirs);
	kernel_format(ours, sizeof ours, "%.2s %s", unterminated, (char *)NULL);
	assert_string_equal(ours, "ok (null)");
	kernel_format(ours, sizeof ours, "%p %p", (void *)0x1f, NULL);
	assert_string_equal(ours, "0x1f 0x0");
}

static void odd_formats_are_shown_and_do_no_harm(void **state)
{
	char b[64];

	(void)state;
	assert_int_equal(kernel_format(b, sizeof b, "100%"), 4);
	assert_string_equal(b, "100%");
	kernel_format(b, sizeof b, "%y %d", 5);
	assert_string_equal(b, "%y 5");
	assert_int_equal(kernel_format(b, sizeof b, "%99999999999d", 1), 4096);
	assert_int_equal(strlen(b), sizeof b - 1);
}

static void bytes_are_readable(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0 B"},
		{1023, "1023 B"},
		{1024, "1 KiB"},
		{1536, "1.5 KiB"},
		{1025, "1.0 KiB"},
		{64ull << 20, "64 MiB"},
		{998ull * 1024 + 1000, "999.0 KiB"},
		{1023ull * 1024, "1023 KiB"},
		{1024ull * 1024 - 1, "1.0 MiB"},
		{12884901888ull, "12 GiB"},
		{3ull << 40 | 1ull << 39, "3.5 TiB"},
		{UINT64_MAX, "16.0 EiB"},
	};
	char b[12];

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		assert_string_equal(format_bytes(b, cases[i].bytes), cases[i].text);
		assert_true(strlen(b) < 10);
	}
}

static void times_are_readable(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
		{0, "0 ns"},
		{999, "999 ns"},
		{1000, "1 us"},
		{1234567, "1.235 ms"},
		{999999999, "1.000 s"},
		{12000000000, "12 s"},
		{3661500000000, "3662 s"},
		{UINT64_MAX, "213503.982 d"},
	};
	char b[16];

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++)
		assert_string_equal(format_ns(b, cases[i].ns), cases[i].text);
}

static void counts_have_separators(void **state)
{
	char b[28];

	(void)state;
	assert_string_equal(format_count(b, 0), "0");
	assert_string_equal(format_count(b, 999), "999");
	assert_string_equal(format_count(b, 131072), "131,072");
	assert_string_equal(format_count(b, UINT64_MAX), "18,446,744,073,709,551,615");
}

static void every_error_has_words(void **state)
{
	static const int errors[] = {ENOENT, ESRCH,  EINTR,   EIO,       E2BIG,      EAGAIN,
				     ENOMEM, EFAULT, EBUSY,   EEXIST,    ENODEV,     EINVAL,
				     ENOSPC, ERANGE, EDEADLK, EOVERFLOW, EOPNOTSUPP, ETIMEDOUT};

	(void)state;
	for (size_t i = 0; i < array_len(errors); i++) {
		assert_string_not_equal(errno_text(errors[i]), "unknown error");
		assert_ptr_equal(errno_text(errors[i]), errno_text(-errors[i]));
	}
	assert_string_equal(errno_text(0), "success");
	assert_string_equal(errno_text(9999), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_integer_formats_agree_with_the_host),
		cmocka_unit_test(strings_characters_and_stars_agree_with_the_host),
		cmocka_unit_test(odd_formats_are_shown_and_do_no_harm),
		cmocka_unit_test(bytes_are_readable),
		cmocka_unit_test(times_are_readable),
		cmocka_unit_test(counts_have_separators),
		cmocka_unit_test(every_error_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
