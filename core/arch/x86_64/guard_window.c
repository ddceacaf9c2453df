/* SPDX-License-Identifier: MIT */
/*
 * Addresses for guarded objects (quire/kheap_guard.h): a stretch of page tables, made once, in
 * which kmalloc lets single pages come and go.
 *
 *   PML4[482] ──► PDPT ──► PD ──► PT PT … PT      one run of pages: the entry of page n is entries[n]
 *
 * An entry changes in one store, and only between nothing and the page's own frame (or, for a guard
 * page, one frame that stands for all of them). A CPU does not remember that something is not
 * mapped (Intel SDM 3A section 4.10.2.3), so mapping needs no flush. Unmapping flushes this CPU alone:
 * another one may go on seeing the same frame for a while, which is nobody else's, and miss a wrong
 * use. An interrupt to every CPU at each free would cost more than that is worth.
 *
 * No lock: see above. The tables are never freed.
 */
#include "paging.h"
#include <quire/memory.h>

#define PAGES_MAX (level_bytes(2) / PAGE_BYTES) /* what one page directory covers */

static uint64_t *entries;

uint64_t port_guard_range(uint64_t pages)
{
	uint64_t tables = (pages + TABLE_ENTRIES - 1) / TABLE_ENTRIES;
	uint64_t *root = port_phys_to_virt(kernel_root), *directories;
	pfn_t first;

	if (!pages || pages > PAGES_MAX || entries)
		return 0;
	first = page_alloc_run(&kernel_pages, 2 + tables, PAGE_ZEROED);
	if (pfn_is_none(first))
		return 0;
	directories = port_phys_to_virt(pfn_to_paddr(first));
	entries = directories + 2 * TABLE_ENTRIES;
	directories[0] = table_entry(directories + TABLE_ENTRIES);
	for (uint64_t i = 0; i < tables; i++)
		directories[TABLE_ENTRIES + i] = table_entry(entries + i * TABLE_ENTRIES);
	root[level_index(GUARD_WINDOW_BASE, LEVEL_ROOT)] = table_entry(directories);
	return GUARD_WINDOW_BASE;
}

static uint64_t *entry_of(uint64_t address)
{
	return &entries[(address - GUARD_WINDOW_BASE) >> PAGE_SHIFT];
}

void port_guard_map(uint64_t address, pfn_t frame)
{
	__atomic_store_n(entry_of(address),
			 pfn_to_paddr(frame).a | PTE_PRESENT | PTE_WRITE | pte_nx(),
			 __ATOMIC_RELEASE);
}

void port_guard_unmap(uint64_t address)
{
	__atomic_store_n(entry_of(address), 0, __ATOMIC_RELEASE);
	tlb_flush_page((vaddr_t){address});
}

bool port_guard_mapped(uint64_t address)
{
	return __atomic_load_n(entry_of(address), __ATOMIC_ACQUIRE) & PTE_PRESENT;
}
