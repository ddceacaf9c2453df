/* SPDX-License-Identifier: MIT */
/* The descriptor window: everything reads as zero, backed pages are private. */
#include "paging_fixture.h"
#include <quire/page.h>

#define GIB ((uint64_t)1 << 18) /* pages */

static uint64_t zero_leaf;

static void setup(const struct region *ram, size_t count)
{
	uint64_t tables = desc_window_tables(ram, count);

	paging_setup(64 << 20);
	desc_window_init(root);
	zero_leaf = leaf(DESC_WINDOW_BASE);
	if (tables)
		reserve_init(boot_alloc(tables * PAGE_BYTES), tables);
}

static struct page *descs_of(uint64_t frame)
{
	return (struct page *)(uintptr_t)(DESC_WINDOW_BASE + align_down(frame, 512) * 8);
}

static void every_frame_number_reads_as_unused(void **state)
{
	uint64_t seed = host_seed("desc_window");
	const uint64_t *zeros;

	(void)state;
	setup(NULL, 0);
	assert_int_equal(boot_next, 6 * PAGE_BYTES); /* page 0, root, three tables, the zero page */
	assert_int_equal(zero_leaf & ~PTE_ADDRESS, PTE_PRESENT | PTE_NX);
	zeros = table_of(zero_leaf);
	for (unsigned i = 0; i < TABLE_ENTRIES; i++)
		assert_int_equal(zeros[i], 0);
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(leaf(DESC_WINDOW_BASE + host_random(&seed) % (PFN_LIMIT * 8)),
				 zero_leaf);
	assert_int_equal(leaf(DESC_WINDOW_BASE + PFN_LIMIT * 8 - 1), zero_leaf);
	assert_int_equal(leaf(DESC_WINDOW_BASE + PFN_LIMIT * 8), 0);
	assert_int_equal(leaf(DESC_WINDOW_BASE - 1), 0);
}

static void backing_one_page_changes_that_page_only(void **state)
{
	const struct region ram[] = {{pfn(GIB), GIB, REGION_USABLE}};
	uint64_t frame = GIB + 512 * 7, *backing;

	(void)state;
	setup(ram, 1);
	backing = port_phys_to_virt(paddr(32 << 20));
	memset(backing, 0xff, PAGE_BYTES);
	flushes = 0;
	port_back_descriptors(descs_of(frame), pfn((32 << 20) / PAGE_BYTES));
	assert_true(flushes > 0);
	assert_int_equal(leaf((uintptr_t)descs_of(frame)),
			 (32 << 20) | PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_GLOBAL);
	for (unsigned i = 0; i < TABLE_ENTRIES; i++)
		assert_int_equal(backing[i], 0);
	assert_int_equal(leaf((uintptr_t)descs_of(frame - 512)), zero_leaf);
	assert_int_equal(leaf((uintptr_t)descs_of(frame + 512)), zero_leaf);
	assert_int_equal(leaf((uintptr_t)descs_of(0)), zero_leaf);
	assert_int_equal(leaf((uintptr_t)descs_of(PFN_LIMIT - 1)), zero_leaf);
	if (host_expect_panic()) {
		port_back_descriptors(descs_of(frame), pfn(5)); /* a second time */
		fail();
	}
	if (host_expect_panic()) {
		port_back_descriptors((struct page *)(uintptr_t)(DESC_WINDOW_BASE - PAGE_BYTES),
				      pfn(5));
		fail();
	}
}

/* 1 TiB of hole between the pieces: what desc_window_tables() counts is exactly what it takes. */
/* The CPU does that when it uses an entry. */
static void mark_accessed(uint64_t virt)
{
	uint64_t *table = root;

	for (unsigned level = LEVEL_ROOT;; level--) {
		uint64_t *entry = &table[level_index(virt, level)];

		*entry |= PTE_ACCESSED;
		if (!level)
			return;
		table = table_of(*entry);
	}
}

/* Other CPUs are told when one may remember the zero page there, or the tables on the way. */
static void others_are_told_only_when_somebody_looked(void **state)
{
	const struct region ram[] = {{pfn(GIB), 2 * GIB, REGION_USABLE}};
	uint64_t first = GIB, second = GIB + 512, third = GIB + 1024, far = 2 * GIB + 512 * 9;

	(void)state;
	setup(ram, 1);
	shootdowns = 0;
	port_back_descriptors(descs_of(first), pfn(0x2000));
	port_back_descriptors(descs_of(second), pfn(0x2001));
	assert_int_equal(shootdowns, 0);
	mark_accessed((uintptr_t)descs_of(third));
	port_back_descriptors(descs_of(third), pfn(0x2002));
	assert_int_equal(shootdowns, 1);
	/* Here a shared table is on the way; reached, it must still be taken for a shared one. */
	mark_accessed((uintptr_t)descs_of(far));
	port_back_descriptors(descs_of(far), pfn(0x2003));
	assert_int_equal(shootdowns, 2);
	assert_int_equal(leaf((uintptr_t)descs_of(far + GIB)) & ~PTE_ACCESSED, zero_leaf);
	assert_int_equal(leaf((uintptr_t)descs_of(0)) & ~PTE_ACCESSED, zero_leaf);
}

static void the_reserve_is_exactly_enough(void **state)
{
	const struct region ram[] = {
		{pfn(1), 159, REGION_USABLE},
		{pfn(256), 2 * GIB, REGION_RECLAIMABLE},
		{pfn(3 * GIB), 100, REGION_RESERVED},
		{pfn(1024 * GIB - 512), 1024, REGION_USABLE},
		{pfn(70000 * GIB), GIB, REGION_USABLE},
	};
	uint64_t backing = 16 << 20;

	(void)state;
	setup(ram, 5);
	/* PTs: GiB 0 1 2, 1023 1024, 70000; PDs: 512 GiB units 0 1 2 136; one PDPT */
	assert_int_equal(desc_window_tables(ram, 5), 6 + 4 + 1);
	for (size_t i = 0; i < 5; i++)
		for (uint64_t f = align_down(ram[i].start.n, 512);
		     ram[i].kind != REGION_RESERVED && f < region_end(&ram[i]); f += 512) {
			if (leaf((uintptr_t)descs_of(f)) != zero_leaf)
				continue;
			port_back_descriptors(descs_of(f), pfn(backing / PAGE_BYTES));
			backing += PAGE_BYTES;
		}
	assert_null(reserve_table());
	if (host_expect_panic()) {
		port_back_descriptors(descs_of(5 * GIB), pfn(backing / PAGE_BYTES));
		fail();
	}
}

static void a_dry_boot_pool_ends_the_boot(void **state)
{
	(void)state;
	paging_setup(2 << 20);
	boot_dry = true;
	if (host_expect_panic()) {
		desc_window_init(root);
		fail();
	}
	assert_non_null(strstr(host_panic_text, "boot pool"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_frame_number_reads_as_unused),
		cmocka_unit_test(backing_one_page_changes_that_page_only),
		cmocka_unit_test(others_are_told_only_when_somebody_looked),
		cmocka_unit_test(the_reserve_is_exactly_enough),
		cmocka_unit_test(a_dry_boot_pool_ends_the_boot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
