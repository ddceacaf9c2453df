/* SPDX-License-Identifier: MIT */
/*
 * Device registers and framebuffers, mapped for good at rising addresses:
 *
 *   DEVICE_WINDOW_BASE <= every mapping < next, with an unmapped page between two
 *
 * A mapping keeps the physical address's place within 2 MiB, so that a large
 * framebuffer takes large pages. Boot and threads; LOCK_RANK_STACKS.
 */
#include "paging.h"
#include <quire/spinlock.h>

#define DEVICE_WINDOW_END (DEVICE_WINDOW_BASE + level_bytes(3))

static struct spinlock lock = SPINLOCK_INIT(LOCK_RANK_STACKS);
static uint64_t next;

void device_window_init(uint64_t *root)
{
	next = DEVICE_WINDOW_BASE;
	root[level_index(DEVICE_WINDOW_BASE, LEVEL_ROOT)] = table_entry(reserve_table());
}

static uint64_t leaf_flags(unsigned flags)
{
	uint64_t bits = PTE_GLOBAL;

	if (flags & ARCH_MAP_WRITE)
		bits |= PTE_WRITE;
	if (!(flags & ARCH_MAP_EXECUTE))
		bits |= pte_nx();
	if (flags & ARCH_MAP_UNCACHED)
		bits |= PTE_CACHE_DISABLE | PTE_WRITE_THROUGH; /* PAT entry 3 */
	else if (flags & ARCH_MAP_WRITE_COMBINING)
		bits |= cpu_features.pat ? PTE_WRITE_THROUGH
					 : PTE_CACHE_DISABLE | PTE_WRITE_THROUGH;
	return bits;
}

/* The next free address with `phys`'s offset in a large page when the range has room for one. */
static uint64_t place(uint64_t phys, uint64_t bytes)
{
	uint64_t large = level_bytes(1), virt;

	if (bytes < large)
		return next;
	virt = align_down(next, large) + (phys & (large - 1));
	return virt < next ? virt + large : virt;
}

void *arch_map_physical(paddr_t base, uint64_t bytes, unsigned flags)
{
	uint64_t start = align_down(base.a, PAGE_BYTES);
	uint64_t length;
	struct span s;
	port_irq_t irq;
	bool mapped = false;

	if (!bytes || base.a + bytes < base.a ||
	    base.a + bytes > (uint64_t)1 << cpu_features.physical_bits)
		return NULL;
	length = align_up(base.a + bytes, PAGE_BYTES) - start;
	irq = spin_lock(&lock);
	s = (struct span){.virt = place(start, length), .phys = start, .bytes = length};
	if (length < DEVICE_WINDOW_END - s.virt) {
		mapped = map_span(port_phys_to_virt(kernel_root), s, 1, leaf_flags(flags),
				  reserve_table);
		next = s.virt + length + PAGE_BYTES; /* a failed piece is not used again */
	}
	spin_unlock(&lock, irq);
	return mapped ? (void *)(uintptr_t)(s.virt + (base.a - start)) : NULL;
}
