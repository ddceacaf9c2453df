/* SPDX-License-Identifier: MIT */
/*
 * The window of page descriptors: 8 TiB that always read, backed only where there is RAM.
 *
 * At first four shared pages stand for all of it:
 *
 *   PML4[448..463] ──► zero PDPT ──► zero PD ──► zero PT ──► zero page (read-only)
 *                      all 512 entries alike, at every level
 *
 * so looking up any frame number gives an unused descriptor instead of a fault.
 * Backing one page of descriptors gives the path to it private copies of those
 * tables, from the reserve. With G = GiB of RAM that hold described frames:
 *
 *   private PTs <= G,   private PDs <= G touching distinct 512 GiB,   PDPTs likewise 256 TiB
 *
 * Another CPU may remember the zero page: it would take an allocated page for an unused one, or
 * fault on a write. A CPU remembers a translation only if it has set the accessed bit in every entry
 * on the way (Intel SDM 3A section 4.10.2.3), so where that is clear nobody need be told, and that is
 * nearly always: descriptors not in use are looked at only for bad pointers.
 *
 * Lock: the page allocator's is held around port_back_descriptors().
 */
#include "paging.h"
#include <quire/assert.h>
#include <quire/memory.h>
#include <quire/string.h>

#define DESC_BYTES       8u
#define DESC_WINDOW_ROOT 448u /* PML4 index of DESC_WINDOW_BASE */
#define DESC_WINDOW_SIZE (PFN_LIMIT * DESC_BYTES)

_Static_assert(DESC_WINDOW_SIZE == 16 * ((uint64_t)1 << 39), "16 PML4 entries");
_Static_assert((DESC_WINDOW_BASE >> 39 & 511) == DESC_WINDOW_ROOT, "where the window lies");

/* The shared table below an entry of level 1, 2, 3, as a physical address with its bits. */
static uint64_t shared_entry[LEVEL_ROOT + 1];

static uint64_t *shared_page(uint64_t entry_value)
{
	uint64_t *page = boot_alloc(PAGE_BYTES);

	if (!page)
		port_panic("boot pool exhausted: descriptor window");
	for (unsigned i = 0; i < TABLE_ENTRIES; i++)
		page[i] = entry_value;
	return page;
}

void desc_window_init(uint64_t *root)
{
	uint64_t zero = port_virt_to_phys(shared_page(0)).a | PTE_PRESENT | pte_nx();

	shared_entry[0] = zero;
	for (unsigned level = 1; level <= LEVEL_ROOT; level++)
		shared_entry[level] = table_entry(shared_page(shared_entry[level - 1]));
	for (unsigned i = 0; i < DESC_WINDOW_SIZE / level_bytes(LEVEL_ROOT); i++)
		root[DESC_WINDOW_ROOT + i] = shared_entry[LEVEL_ROOT];
}

/* One descriptor page describes 2 MiB, so a table of each level covers 512 times that, and so on.
 */
uint64_t desc_window_tables(const struct region *regions, size_t count)
{
	uint64_t next[3] = {0}, tables = 0;

	for (size_t i = 0; i < count; i++) {
		if (!region_is_managed(&regions[i]))
			continue;
		for (unsigned level = 0; level < 3; level++) {
			uint64_t frames = SUPERBLOCK_PAGES << (9 * level);

			tables += span_units(regions[i].start.n, regions[i].pages, frames,
					     &next[level]);
		}
	}
	return tables;
}

/* Replace an entry; true when a CPU may remember what it was. */
static bool replace(uint64_t *entry, uint64_t value)
{
	/* In one step: another CPU may look there, and so set the bit, till now. */
	return (__atomic_exchange_n(entry, value, __ATOMIC_SEQ_CST) & PTE_ACCESSED) != 0;
}

/* The table below `entry`, private to this path. *remembered: CPUs may go on using the shared one. */
static uint64_t *private_table(uint64_t *entry, unsigned level, bool *remembered)
{
	uint64_t *copy, *shared;

	if ((*entry & ~PTE_ACCESSED) != shared_entry[level])
		return table_of(*entry);
	copy = reserve_table();
	if (!copy)
		port_panic("no page table left for the descriptor window");
	shared = table_of(*entry);
	/* With the accessed bits: what was reached through the shared table may be remembered. */
	for (unsigned i = 0; i < TABLE_ENTRIES; i++)
		copy[i] = __atomic_load_n(&shared[i], __ATOMIC_RELAXED);
	*remembered |= replace(entry, table_entry(copy));
	return copy;
}

void port_back_descriptors(struct page *descs_of_block, pfn_t frame)
{
	uint64_t virt = (uintptr_t)descs_of_block;
	uint64_t *table = port_phys_to_virt(kernel_root), *entry, *page;
	bool remembered = false;

	assert((virt & PAGE_MASK) == 0);
	assert(virt >= DESC_WINDOW_BASE && virt - DESC_WINDOW_BASE < DESC_WINDOW_SIZE);
	for (unsigned level = LEVEL_ROOT; level > 0; level--)
		table = private_table(&table[level_index(virt, level)], level, &remembered);
	entry = &table[level_index(virt, 0)];
	assert((*entry & ~PTE_ACCESSED) == shared_entry[0]);

	page = port_phys_to_virt(pfn_to_paddr(frame));
	memset(page, 0, PAGE_BYTES);
	remembered |= replace(entry, pfn_to_paddr(frame).a | PTE_PRESENT | PTE_WRITE | PTE_GLOBAL |
					     pte_nx());
	tlb_flush_page((vaddr_t){virt});
	if (remembered)
		tlb_shootdown();
}
