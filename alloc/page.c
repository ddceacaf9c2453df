/* SPDX-License-Identifier: MIT */
/*
 * The page allocator's front door: blocks of 2^order pages.
 *
 * A descriptor says who a frame belongs to, bitmaps and caches say what is free;
 * this file keeps them in step:
 *   HEAD of order k at f  <=>  the 2^k frames from f on are one allocation
 *   frame free or cached   =>  its descriptor is NONE
 * A free is believed only when the descriptor's state, order and reference
 * count are exactly right, which is one comparison of 32 bits; a block leaves
 * a cache only when its descriptor is NONE.
 *
 * Lock: none. Interrupts are off while this CPU's cache is in use; whatever is
 * not plain is left to alloc/page_cpu.c, which starts over with pa->lock.
 */
#include "page_internal.h"

uint64_t desc_pages(uint64_t word)
{
	switch (word & 7) {
	case PAGE_HEAD:
		return (uint64_t)1 << desc_order(word);
	case PAGE_RUN:
		return desc_run_pages(word);
	case PAGE_SLAB:
		return 1;
	default:
		return 0;
	}
}

void page_clear(pfn_t frame, uint64_t pages)
{
	__builtin_memset(port_phys_to_virt(pfn_to_paddr(frame)), 0, pages * PAGE_BYTES);
}

/* Out of line, so that its callers call nothing and need no frame. */
pfn_t page_cleared(pfn_t frame, unsigned order)
{
	page_clear(frame, (uint64_t)1 << order);
	return frame;
}

pfn_t page_alloc_for(struct page_allocator *pa, unsigned order, unsigned flags, uintptr_t caller)
{
	return page_alloc_inline(pa, order, flags, caller);
}

pfn_t page_alloc_block(struct page_allocator *pa, unsigned order, unsigned flags)
{
	return page_alloc_inline(pa, order, flags, caller_address());
}

void page_free_for(struct page_allocator *pa, pfn_t head, unsigned order, uintptr_t caller)
{
	page_free_inline(pa, head, order, caller);
}

void page_free_block(struct page_allocator *pa, pfn_t head, unsigned order)
{
	page_free_inline(pa, head, order, caller_address());
}
