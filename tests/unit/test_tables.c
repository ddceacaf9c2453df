/* SPDX-License-Identifier: MIT */
/* Filling page tables: spans, device mappings, and running out of tables. */
#include "paging_fixture.h"

#define K4   ((uint64_t)1 << 12)
#define M2   ((uint64_t)1 << 21)
#define G1   ((uint64_t)1 << 30)
#define VIRT 0xffff800000000000ull

static unsigned tables_left;

static uint64_t *limited(void)
{
	if (!tables_left)
		return NULL;
	tables_left--;
	return boot_alloc(PAGE_BYTES);
}

static void spans_are_mapped_page_by_page(void **state)
{
	unsigned level;

	(void)state;
	paging_setup(2 << 20);
	tables_left = 100;
	assert_true(map_span(root, (struct span){VIRT + M2 - K4, M2 - K4, K4 + G1 + K4}, 2,
			     PTE_WRITE | PTE_NX, limited));
	/* PDPT, two PDs, PTs at both ends */
	assert_int_equal(tables_left, 100 - 5);
	assert_int_equal(leaf_of(VIRT + M2 - K4, &level),
			 (M2 - K4) | PTE_PRESENT | PTE_WRITE | PTE_NX);
	assert_int_equal(level, 0);
	assert_int_equal(leaf_of(VIRT + M2, &level),
			 M2 | PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_LARGE);
	assert_int_equal(level, 1);
	leaf_of(VIRT + G1, &level);
	assert_int_equal(level, 1);
	assert_int_equal(leaf(VIRT + G1 + M2) & PTE_ADDRESS, G1 + M2);
	assert_int_equal(leaf(VIRT + M2 - 2 * K4), 0);
	assert_int_equal(leaf(VIRT + M2 + G1 + K4), 0);
}

static void gigabyte_pages_where_allowed(void **state)
{
	unsigned level;

	(void)state;
	paging_setup(2 << 20);
	tables_left = 1;
	assert_true(map_span(root, (struct span){VIRT, 0, 8 * G1}, 2, PTE_WRITE, limited));
	assert_int_equal(leaf_of(VIRT + 5 * G1, &level) & PTE_ADDRESS, 5 * G1);
	assert_int_equal(level, 2);
}

static void running_out_of_tables_is_told_at_every_step(void **state)
{
	(void)state;
	for (unsigned allowed = 0; allowed < 5; allowed++) {
		paging_setup(2 << 20);
		tables_left = allowed;
		assert_false(map_span(root, (struct span){VIRT + M2 - K4, M2 - K4, K4 + G1 + K4}, 2,
				      PTE_WRITE, limited));
		tables_left = allowed < 3 ? allowed : 2;
		paging_setup(2 << 20);
		assert_null(table_walk(root, VIRT, 0, limited));
	}
}

static void mapping_twice_is_a_bug(void **state)
{
	(void)state;
	paging_setup(2 << 20);
	tables_left = 100;
	assert_true(map_span(root, (struct span){VIRT, 0, M2}, 2, 0, limited));
	if (host_expect_panic()) {
		(void)map_span(root, (struct span){VIRT, 0, M2}, 2, 0, limited);
		fail();
	}
	if (host_expect_panic()) {
		(void)table_walk(root, VIRT, 0, limited); /* through a 2 MiB page */
		fail();
	}
}

static void setup_devices(uint64_t tables)
{
	paging_setup(2 << 20);
	reserve_init(memset(boot_alloc(tables * PAGE_BYTES), 0xff, tables * PAGE_BYTES), tables);
	device_window_init(root);
}

static uint64_t map(uint64_t base, uint64_t bytes, unsigned flags)
{
	return (uintptr_t)arch_map_physical(paddr(base), bytes, flags);
}

static void devices_are_mapped_as_asked(void **state)
{
	uint64_t apic, framebuffer, table, e;
	unsigned level;

	(void)state;
	setup_devices(12);
	apic = map(0xfee00020, 4, ARCH_MAP_WRITE | ARCH_MAP_UNCACHED);
	assert_int_equal(apic & PAGE_MASK, 0x20);
	e = leaf(apic);
	assert_int_equal(e & PTE_ADDRESS, 0xfee00000);
	assert_int_equal(e & ~PTE_ADDRESS, PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_GLOBAL |
						   PTE_CACHE_DISABLE | PTE_WRITE_THROUGH);
	table = map(0xe0000 + 4000, 200, 0); /* straddles a page */
	assert_int_equal(leaf(table) & PTE_ADDRESS, 0xe0000);
	assert_int_equal(leaf(table + 200) & PTE_ADDRESS, 0xe1000);
	assert_false(leaf(table) & PTE_WRITE);
	assert_true(table > apic + PAGE_BYTES);
	assert_int_equal(leaf(table + PAGE_BYTES * 2), 0);

	framebuffer = map(0x80300000, 8 * M2, ARCH_MAP_WRITE | ARCH_MAP_WRITE_COMBINING);
	e = leaf_of(framebuffer + M2, &level);
	assert_int_equal(level, 1);
	assert_int_equal(e & PTE_WRITE_THROUGH, PTE_WRITE_THROUGH);
	assert_false(e & PTE_CACHE_DISABLE);
	for (uint64_t at = 0; at < 8 * M2; at += K4) {
		e = leaf_of(framebuffer + at, &level);
		assert_int_equal((e & PTE_ADDRESS) +
					 ((framebuffer + at) & (level_bytes(level) - 1)),
				 0x80300000 + at);
	}
}

static void without_pat_write_combining_is_uncached(void **state)
{
	(void)state;
	setup_devices(12);
	cpu_features.pat = false;
	assert_true(leaf(map(0x80000000, K4, ARCH_MAP_WRITE_COMBINING)) & PTE_CACHE_DISABLE);
	cpu_features.nx = false;
	assert_false(leaf(map(0x80000000, K4, 0)) & PTE_NX);
}

static void impossible_devices_are_refused(void **state)
{
	(void)state;
	setup_devices(12);
	assert_int_equal(map(0x1000, 0, 0), 0);
	assert_int_equal(map(~(uint64_t)0 - 10, 20, 0), 0);
	assert_int_equal(map((uint64_t)1 << 40, K4, 0), 0); /* past 40 bits of address */
	assert_int_equal(map(((uint64_t)1 << 40) - K4, 2 * K4, 0), 0);
	assert_int_equal(map(0, (uint64_t)1 << 39, 0), 0); /* larger than the window */
	setup_devices(1);                                  /* only the PDPT */
	assert_int_equal(map(0xfee00000, K4, 0), 0);
	setup_devices(3);
	assert_int_not_equal(map(0xfee00000, K4, 0), 0);
	assert_int_equal(map(0x80000000 + K4, 2 * M2, 0), 0); /* wants one more table */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_are_mapped_page_by_page),
		cmocka_unit_test(gigabyte_pages_where_allowed),
		cmocka_unit_test(running_out_of_tables_is_told_at_every_step),
		cmocka_unit_test(mapping_twice_is_a_bug),
		cmocka_unit_test(devices_are_mapped_as_asked),
		cmocka_unit_test(without_pat_write_combining_is_uncached),
		cmocka_unit_test(impossible_devices_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
