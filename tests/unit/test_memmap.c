/* SPDX-License-Identifier: MIT */
/* The table of firmware memory types, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <quire/memmap.h>

/* UEFI 2.10 section 7.2.1: the numbers, the names people use for them, and what they must become. */
static const struct {
	uint32_t number;
	const char *name;
	enum region_kind kind;
	bool ram, ram_if_cacheable;
} types[] = {
	{0, "Reserved", REGION_RESERVED, false, true},
	{1, "LoaderCode", REGION_RECLAIMABLE, true, true},
	{2, "LoaderData", REGION_RECLAIMABLE, true, true},
	{3, "BootServicesCode", REGION_RECLAIMABLE, true, true},
	{4, "BootServicesData", REGION_RECLAIMABLE, true, true},
	{5, "RuntimeServicesCode", REGION_RUNTIME, true, true},
	{6, "RuntimeServicesData", REGION_RUNTIME, true, true},
	{7, "Conventional", REGION_USABLE, true, true},
	{8, "Unusable", REGION_BAD, true, true},
	{9, "ACPIReclaim", REGION_ACPI, true, true},
	{10, "ACPINVS", REGION_NVS, true, true},
	{11, "MMIO", REGION_MMIO, false, false},
	{12, "MMIOPortSpace", REGION_MMIO, false, false},
	{13, "PalCode", REGION_RESERVED, false, true},
	{14, "Persistent", REGION_PERSISTENT, false, false},
	{15, "Unaccepted", REGION_UNACCEPTED, true, true},
};

static void test_every_type(void **state)
{
	(void)state;
	assert_int_equal(array_len(types), MEMMAP_TYPES);
	for (size_t i = 0; i < array_len(types); i++) {
		uint32_t n = types[i].number;

		assert_string_equal(memmap_type_name(n), types[i].name);
		assert_int_equal(memmap_type_from_name(types[i].name, strlen(types[i].name)), n);
		assert_int_equal(memmap_kind(n), types[i].kind);
		assert_int_equal(memmap_is_ram(n, 0), types[i].ram);
		assert_int_equal(memmap_is_ram(n, ~MEMMAP_ATTR_WB), types[i].ram);
		assert_int_equal(memmap_is_ram(n, MEMMAP_ATTR_WB), types[i].ram_if_cacheable);
		assert_true(strlen(memmap_reason(n)) > 0);
	}
}

/* OEM and OS types (0x70000000 and up), and whatever comes after 15. */
static void test_unknown_types(void **state)
{
	static const uint32_t unknown[] = {16, 17, 0x70000000, 0x80000001, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < array_len(unknown); i++) {
		assert_string_equal(memmap_type_name(unknown[i]), "unknown");
		assert_int_equal(memmap_kind(unknown[i]), REGION_RESERVED);
		assert_false(memmap_is_ram(unknown[i], 0));
		assert_true(strlen(memmap_reason(unknown[i])) > 0);
	}
}

static void test_names_match_whole(void **state)
{
	(void)state;
	assert_int_equal(memmap_type_from_name("MMIOPortSpace", 4), MEMMAP_MMIO);
	assert_int_equal(memmap_type_from_name("MMIOPortSpace", 8), -1);
	assert_int_equal(memmap_type_from_name("mmio", 4), -1);
	assert_int_equal(memmap_type_from_name("XMIO", 4), -1);
	assert_int_equal(memmap_type_from_name("unknown", 7), -1);
	assert_int_equal(memmap_type_from_name("", 0), -1);
	assert_int_equal(memmap_type_from_name("MMIO\0", 5), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type),
		cmocka_unit_test(test_unknown_types),
		cmocka_unit_test(test_names_match_whole),
	};

	return cmocka_run_group_tests_name("memmap", tests, NULL, NULL);
}
