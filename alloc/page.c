// SPDX-License-Identifier: MIT
/*
 * The page allocator's front door: blocks of 2^order pages.
 *
 * A descriptor says who a frame belongs to, the bitmaps say what is free; this
 * file keeps the two in step:
 *   HEAD of order k at f  <=>  the 2^k frames from f on are one allocation
 *   frame free             =>  its descriptor is NONE
 * A free is believed only when the descriptor's state, order and reference
 * count are exactly right, which is one comparison of 32 bits.
 *
 * Lock: pa->lock. Clearing pages and reporting misuse happen after it is dropped.
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

pfn_t page_alloc_for(struct page_allocator *pa, unsigned order, unsigned flags, uintptr_t caller)
{
	uint64_t frame = PFN_NONE.n;
	port_irq_t irq = spin_lock(&pa->lock);

	if (likely(order <= PAGE_ORDER_MAX))
		frame = page_take(pa, order, (uint64_t)1 << order, flags);
	if (likely(frame != PFN_NONE.n)) {
		pa->descs[frame].word = DESC_HEAD_1(order) | DESC_CALLER(caller);
		pa->counters.allocs[order]++;
	} else {
		pa->counters.failures++;
	}
	spin_unlock(&pa->lock, irq);

	if (flags & PAGE_ZEROED && frame != PFN_NONE.n)
		page_clear(pfn(frame), (uint64_t)1 << order);
	return pfn(frame);
}

pfn_t page_alloc(struct page_allocator *pa, unsigned order, unsigned flags)
{
	return page_alloc_for(pa, order, flags, caller_address());
}

void page_free_for(struct page_allocator *pa, pfn_t head, unsigned order, uintptr_t caller)
{
	struct misuse misuse;
	port_irq_t irq = spin_lock(&pa->lock);

	if (likely(head.n < pa->pfn_limit && order <= PAGE_ORDER_MAX)) {
		uint64_t *word = &pa->descs[head.n].word;

		if (likely((uint32_t)*word == DESC_HEAD_1(order))) {
			*word = PAGE_NONE | DESC_CALLER(caller);
			pa->counters.frees[order]++;
			page_give(pa, head.n, (uint64_t)1 << order);
			spin_unlock(&pa->lock, irq);
			return;
		}
	}
	/* An order that does not exist must not be taken for the one its low bits spell. */
	page_diagnose(pa, head.n, order <= PAGE_ORDER_MAX ? DESC_HEAD_1(order) : PAGE_NONE, caller,
		      &misuse);
	spin_unlock(&pa->lock, irq);
	port_misuse(&misuse);
}

void page_free(struct page_allocator *pa, pfn_t head, unsigned order)
{
	page_free_for(pa, head, order, caller_address());
}

uint64_t page_free_pages(const struct page_allocator *pa)
{
	uint64_t pages = 0;

	for (unsigned z = 0; z < PAGE_ZONES; z++)
		pages += __atomic_load_n(&pa->zones[z].free, __ATOMIC_RELAXED);
	return pages;
}
