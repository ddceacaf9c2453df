/* SPDX-License-Identifier: MIT */
/* The loader's page tables, read back as a CPU reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../efi/x86_64/paging.h"
#include <stdlib.h>
#include <string.h>

#define PRESENT    1ull
#define WRITABLE   2ull
#define NO_EXECUTE (1ull << 63)
#define ADDRESS    0x000ffffffffff000ull
#define BASE       0xffffffff80000000ull

static uint64_t firmware_root[512];
static void *memory;
static uint64_t memory_pages;
static const uint64_t *root;

static void build(const struct boot_segment *segments, uint32_t count, uint64_t image_pages,
		  bool nx)
{
	for (unsigned i = 0; i < 512; i++)
		firmware_root[i] = 0x1000ull * (i + 1) | PRESENT;
	memory_pages = paging_pages(image_pages);
	free(memory);
	memory = aligned_alloc(PAGE_BYTES, memory_pages * PAGE_BYTES);
	assert_non_null(memory);
	memset(memory, 0xa5, memory_pages * PAGE_BYTES); /* as the firmware hands it out */
	root = (const uint64_t *)paging_build(memory, firmware_root, segments, count, nx);
	assert_ptr_equal(root, memory);
}

/* The lowest entry for an address, 0 when it is not mapped; checks that tables lie in `memory`. */
static uint64_t entry_for(uint64_t virt)
{
	const uint64_t *table = root;

	for (unsigned level = 3;; level--) {
		uint64_t entry = table[virt >> (12 + 9 * level) & 511];

		if (level == 0 || !(entry & PRESENT))
			return entry;
		assert_true(entry & WRITABLE);
		table = (const uint64_t *)(entry & ADDRESS);
		assert_true((uint64_t)table >= (uint64_t)memory);
		assert_true((uint64_t)table < (uint64_t)memory + memory_pages * PAGE_BYTES);
	}
}

static const struct boot_segment three[] = {
	{.virt = BASE, .phys = 0x1400000, .pages = 3, .flags = BOOT_SEGMENT_EXECUTE},
	{.virt = BASE + 0x3000, .phys = 0x1403000, .pages = 1},
	{.virt = BASE + 0x4000, .phys = 0x1404000, .pages = 2, .flags = BOOT_SEGMENT_WRITE},
};

static void keeps_the_firmware_map_twice(void **state)
{
	(void)state;
	build(three, 3, 6, true);
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(root[i], firmware_root[i]);
	for (unsigned i = 256; i < 448; i++)
		assert_int_equal(root[i], firmware_root[i - 256]);
	for (unsigned i = 448; i < 511; i++)
		assert_int_equal(root[i], firmware_root[i]);
	assert_int_not_equal(root[511], firmware_root[511]);
}

static void maps_each_segment_as_it_should(void **state)
{
	(void)state;
	build(three, 3, 6, true);
	assert_int_equal(entry_for(BASE), 0x1400000 | PRESENT);
	assert_int_equal(entry_for(BASE + 0x2000), 0x1402000 | PRESENT);
	assert_int_equal(entry_for(BASE + 0x3000), 0x1403000 | PRESENT | NO_EXECUTE);
	assert_int_equal(entry_for(BASE + 0x4000), 0x1404000 | PRESENT | WRITABLE | NO_EXECUTE);
	assert_int_equal(entry_for(BASE + 0x5000), 0x1405000 | PRESENT | WRITABLE | NO_EXECUTE);
}

static void maps_nothing_else(void **state)
{
	(void)state;
	build(three, 3, 6, true);
	assert_int_equal(entry_for(BASE + 0x6000), 0);
	assert_int_equal(entry_for(BASE + 0x200000), 0);
	assert_int_equal(entry_for(BASE - 0x1000), 0);
	assert_int_equal(entry_for(0xfffffffffffff000), 0);
}

/* A CPU without NX faults on the bit. */
static void leaves_nx_out(void **state)
{
	(void)state;
	build(three, 3, 6, false);
	assert_int_equal(entry_for(BASE + 0x4000), 0x1404000 | PRESENT | WRITABLE);
}

/* The worst cases for the number of tables: in the middle of one, across 2 MiB and 1 GiB. */
static void tables_suffice(void **state)
{
	static const struct boot_segment wide[] = {
		{.virt = BASE + 0x3ffff000, .phys = 0x100000000, .pages = 2},
		{.virt = BASE + 0x40001000, .phys = 0x100002000, .pages = 1023},
	};

	(void)state;
	build(wide, 2, 1025, true);
	assert_int_equal(entry_for(BASE + 0x3ffff000), 0x100000000 | PRESENT | NO_EXECUTE);
	assert_int_equal(entry_for(BASE + 0x40000000), 0x100001000 | PRESENT | NO_EXECUTE);
	assert_int_equal(entry_for(BASE + 0x403ff000), 0x100400000 | PRESENT | NO_EXECUTE);
	assert_int_equal(entry_for(BASE + 0x40400000), 0);
	free(memory);
	memory = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_firmware_map_twice),
		cmocka_unit_test(maps_each_segment_as_it_should),
		cmocka_unit_test(maps_nothing_else),
		cmocka_unit_test(leaves_nx_out),
		cmocka_unit_test(tables_suffice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
