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
cold_fn static pfn_t cleared(pfn_t frame, unsigned order)
{
	page_clear(frame, (uint64_t)1 << order);
	return frame;
}

/* Inline so that the order and the flags, mostly constants, cost nothing. */
static inline pfn_t alloc_inline(struct page_allocator *pa, unsigned order, unsigned flags,
				 uintptr_t caller)
{
	if (likely(page_is_cached(order, flags))) {
		port_irq_t irq = port_irq_save();
		struct page_cpu *pc = pa->cpu[port_cpu()];
		struct page_stack *s = &pc->stack[order];
		uint64_t count;

		if (likely(!__builtin_sub_overflow(s->count, 1, &count))) {
			pfn_t frame = pc->frames[page_cache_first(order) + count];
			uint64_t *word = &pa->descs[frame.n].word;

			if (likely((uint32_t)*word == PAGE_NONE)) {
				*word = DESC_HEAD_1(order) | DESC_CALLER(caller);
				s->count = count;
				s->allocs++;
				port_irq_restore(irq);
				return flags & PAGE_ZEROED ? cleared(frame, order) : frame;
			}
		}
		port_irq_restore(irq);
	}
	return page_alloc_slow(pa, order, flags, caller);
}

static inline void free_inline(struct page_allocator *pa, pfn_t head, unsigned order,
			       uintptr_t caller)
{
	if (likely(order < PAGE_CACHE_ORDERS)) {
		port_irq_t irq = port_irq_save();
		struct page_cpu *pc = pa->cpu[port_cpu()];
		struct page_stack *s = &pc->stack[order];
		uint64_t count = s->count;

		if (likely(head.n - pc->from < pc->span)) {
			uint64_t *word = &pa->descs[head.n].word;

			if (likely((uint32_t)*word == DESC_HEAD_1(order) &&
				   count < pa->cache_limit[order])) {
				*word = PAGE_NONE | DESC_CALLER(caller);
				pc->frames[page_cache_first(order) + count] = head;
				s->count = count + 1;
				port_irq_restore(irq);
				return;
			}
		}
		port_irq_restore(irq);
	}
	page_free_slow(pa, head, order, caller);
}

pfn_t page_alloc_one(struct page_allocator *pa)
{
	return alloc_inline(pa, 0, PAGE_ANY, caller_address());
}

void page_free_one(struct page_allocator *pa, pfn_t frame)
{
	free_inline(pa, frame, 0, caller_address());
}

pfn_t page_alloc_for(struct page_allocator *pa, unsigned order, unsigned flags, uintptr_t caller)
{
	return alloc_inline(pa, order, flags, caller);
}

pfn_t page_alloc_block(struct page_allocator *pa, unsigned order, unsigned flags)
{
	return alloc_inline(pa, order, flags, caller_address());
}

void page_free_for(struct page_allocator *pa, pfn_t head, unsigned order, uintptr_t caller)
{
	free_inline(pa, head, order, caller);
}

void page_free_block(struct page_allocator *pa, pfn_t head, unsigned order)
{
	free_inline(pa, head, order, caller_address());
}
