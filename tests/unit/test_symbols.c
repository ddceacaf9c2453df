/* SPDX-License-Identifier: MIT */
/* Symbol lookup in a made-up table, a malformed one included. */
#include "cm.h"
#include <quire/symbols.h>
#include <string.h>

struct sym {
	uint32_t name;
	uint8_t info, other;
	uint16_t section;
	uint64_t value, size;
};

static const char strings[] =
	"\0alpha\0beta\0label\0file.c\0a_name_that_is_really_much_longer_than_"
	"any_buffer_has_room_for";

static const struct sym table[] = {
	{0},
	{1, 0x12, 0, 1, 0x1000, 0x100},   /* alpha, function */
	{7, 0x11, 0, 2, 0x2000, 0x10},    /* beta, object */
	{12, 0x10, 0, 1, 0x1100, 0},      /* label in assembly */
	{12, 0x10, 0, 1, 0x1080, 0},      /* label inside alpha: alpha wins */
	{18, 0x14, 0, 0xfff1, 0x1100, 0}, /* a file name is no place */
	{9999, 0x12, 0, 1, 0x3000, 0x10}, /* name out of bounds */
	{25, 0x12, 0, 1, 0x4000, 0x10},
};

static void the_innermost_sized_symbol_wins(void **state)
{
	size_t offset;
	char b[64];

	(void)state;
	symbols_init(table, sizeof table, strings, sizeof strings);
	assert_string_equal(symbol_find(0x1000, &offset), "alpha");
	assert_int_equal(offset, 0);
	assert_string_equal(symbol_find(0x10ff, &offset), "alpha");
	assert_int_equal(offset, 0xff);
	assert_string_equal(symbol_find(0x1101, &offset), "label");
	assert_string_equal(symbol_find(0x2008, NULL), "beta");
	assert_string_equal(symbol_find(0x1fff, NULL), "label");
	assert_string_equal(symbol_find(0x200f, NULL), "beta");
	assert_null(symbol_find(0x2010, &offset)); /* behind beta, which ends the label too */
	assert_null(symbol_find(0xfff, &offset));
	assert_null(symbol_find(0x3004, &offset));
	assert_string_equal(symbol_format(b, 0x1042), "alpha+0x42");
	assert_string_equal(symbol_format(b, 0x99999), "0x99999");
	assert_string_equal(symbol_format_return(b, 0x1100), "alpha+0x100"); /* not label+0x0 */
	assert_string_equal(symbol_format_return(b, 0x99999), "0x99999");
	symbol_format(b, 0x4004);
	assert_string_equal(b + strlen(b) - 4, "+0x4");
}

static void names_have_ranges(void **state)
{
	uintptr_t start = 1, end = 1;

	(void)state;
	symbols_init(table, sizeof table, strings, sizeof strings);
	assert_true(symbol_range("beta", &start, &end));
	assert_int_equal(start, 0x2000);
	assert_int_equal(end, 0x2010);
	assert_false(symbol_range("label", &start, &end)); /* nobody knows where it ends */
	assert_false(symbol_range("bet", &start, &end));
	assert_false(symbol_range("", &start, &end));
	symbols_init(NULL, 0, NULL, 0);
	assert_false(symbol_range("beta", &start, &end));
	assert_int_equal(start, 0x2000);
}

static void absent_and_malformed_tables_find_nothing(void **state)
{
	char unterminated[4] = {'a', 'b', 'c', 'd'};

	(void)state;
	symbols_init(NULL, 0, NULL, 0);
	assert_null(symbol_find(0x1000, NULL));
	symbols_init(table, sizeof table - 1, strings, sizeof strings);
	assert_string_equal(symbol_find(0x2000, NULL), "beta");
	assert_null(symbol_find(0x4000, NULL)); /* the cut entry is gone */
	symbols_init(table, sizeof table, unterminated, sizeof unterminated);
	assert_null(symbol_find(0x1000, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_innermost_sized_symbol_wins),
		cmocka_unit_test(names_have_ranges),
		cmocka_unit_test(absent_and_malformed_tables_find_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
