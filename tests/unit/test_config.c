/* SPDX-License-Identifier: MIT */
/* quire.cfg: what is taken, what is ignored, and that each ignored line is told once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../efi/config.h"
#include <stdio.h>
#include <string.h>

static struct config config;
static unsigned warnings, warned_line;
static char warned[64];

static void on_warning(void *context, unsigned line, const char *what)
{
	assert_ptr_equal(context, &config);
	warnings++;
	warned_line = line;
	snprintf(warned, sizeof warned, "%s", what);
}

static void parse_bytes(const char *text, size_t bytes)
{
	memset(&config, 0, sizeof config);
	warnings = warned_line = 0;
	warned[0] = '\0';
	config_parse(&config, text, bytes, on_warning, &config);
}

static void parse(const char *text)
{
	parse_bytes(text, strlen(text));
}

static void takes_every_key(void **state)
{
	(void)state;
	parse("# all of them\n"
	      "cmdline=reclaim=off log=debug\n"
	      "autorun=mem; pages --json; poweroff\n"
	      "\n"
	      "refuse=2\nstale=13\nfail=pool\nmap=wide\n");
	assert_int_equal(warnings, 0);
	assert_true(config.has_cmdline);
	assert_string_equal(config.cmdline, "reclaim=off log=debug");
	assert_string_equal(config.autorun, "mem; pages --json; poweroff");
	assert_int_equal(config.refuse, 2);
	assert_int_equal(config.stale, 13);
	assert_string_equal(config.fail, "pool");
	assert_string_equal(config.map, "wide");
}

static void empty_file_sets_nothing(void **state)
{
	(void)state;
	parse("");
	assert_int_equal(warnings, 0);
	assert_false(config.has_cmdline);
	assert_string_equal(config.cmdline, "");
}

/* An empty cmdline is a cmdline: it keeps the load options out. */
static void empty_value_counts(void **state)
{
	(void)state;
	parse("cmdline=");
	assert_true(config.has_cmdline);
	assert_string_equal(config.cmdline, "");
	assert_int_equal(warnings, 0);
}

static void last_of_equal_keys_counts(void **state)
{
	(void)state;
	parse("cmdline=first and longer\ncmdline=second\n");
	assert_string_equal(config.cmdline, "second");
}

static void tolerates_windows_and_blanks(void **state)
{
	(void)state;
	parse("\xef\xbb\xbf"
	      "cmdline = a b \r\n\r\n  # comment\r\n\tautorun\t=\tmem\t\r\nrefuse=1\r");
	assert_int_equal(warnings, 0);
	assert_string_equal(config.cmdline, "a b");
	assert_string_equal(config.autorun, "mem");
	assert_int_equal(config.refuse, 1);
}

static void keeps_utf8(void **state)
{
	(void)state;
	parse("cmdline=name=\xc3\xbc\n");
	assert_int_equal(warnings, 0);
	assert_string_equal(config.cmdline, "name=\xc3\xbc");
}

/* Each bad line: one warning with its number, and the good lines around it are taken. */
static void ignores_bad_lines(void **state)
{
	static const struct {
		const char *line, *what;
	} cases[] = {
		{"nonsense", "no '='"},
		{"=value", "unknown key"},
		{"cmdlin=x", "unknown key"},
		{"cmdlines=x", "unknown key"},
		{"Cmdline=x", "unknown key"},
		{"refuse=", "not a number"},
		{"refuse=two", "not a number"},
		{"refuse=-1", "not a number"},
		{"stale=123456789", "not a number"},
		{"fail=0123456789abcdef", "value too long"},
		{"autorun=a\x1b[2J", "control characters"},
		{"autorun=a\x7f", "control characters"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[128];

		snprintf(text, sizeof text, "refuse=7\n%s\nautorun=ps\n", cases[i].line);
		parse(text);
		assert_int_equal(warnings, 1);
		assert_int_equal(warned_line, 2);
		assert_string_equal(warned, cases[i].what);
		assert_int_equal(config.refuse, 7);
		assert_string_equal(config.autorun, "ps");
	}
}

static void refuses_a_nul(void **state)
{
	static const char text[] = "autorun=a\0b\nrefuse=1";

	(void)state;
	parse_bytes(text, sizeof text - 1);
	assert_int_equal(warnings, 1);
	assert_string_equal(config.autorun, "");
	assert_int_equal(config.refuse, 1);
}

static void values_stop_at_their_limit(void **state)
{
	static char text[CONFIG_TEXT_MAX + 32];

	(void)state;
	memcpy(text, "cmdline=", 8);
	memset(text + 8, 'x', CONFIG_TEXT_MAX - 1);
	parse(text);
	assert_int_equal(warnings, 0);
	assert_int_equal(strlen(config.cmdline), CONFIG_TEXT_MAX - 1);

	text[8 + CONFIG_TEXT_MAX - 1] = 'x';
	parse(text);
	assert_int_equal(warnings, 1);
	assert_string_equal(warned, "value too long");
	assert_false(config.has_cmdline);
	assert_string_equal(config.cmdline, "");
}

static void explains_utf16(void **state)
{
	(void)state;
	parse_bytes("\xff\xfe"
		    "c\0m\0d\0",
		    8);
	assert_int_equal(warnings, 1);
	assert_string_equal(warned, "the file is UTF-16; save it as UTF-8");
	parse_bytes("\xfe\xff\0c", 4);
	assert_int_equal(warnings, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_every_key),
		cmocka_unit_test(empty_file_sets_nothing),
		cmocka_unit_test(empty_value_counts),
		cmocka_unit_test(last_of_equal_keys_counts),
		cmocka_unit_test(tolerates_windows_and_blanks),
		cmocka_unit_test(keeps_utf8),
		cmocka_unit_test(ignores_bad_lines),
		cmocka_unit_test(refuses_a_nul),
		cmocka_unit_test(values_stop_at_their_limit),
		cmocka_unit_test(explains_utf16),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
