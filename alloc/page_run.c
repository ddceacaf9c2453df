/* SPDX-License-Identifier: MIT */
/*
 * Runs: any number of contiguous pages, in one piece.
 *
 * A run is found like the block of the next power of two, but only its pages
 * are taken; the rest of the place stays free:
 *
 *   1,300 pages   |  pageblock  |  pageblock  |  pageblock  |  pageblock  |   order 11
 *                 |####taken####|####taken####|####276 :  free in its bits|   spare
 *
 *   descriptor of its first frame = RUN with the length; of the others, NONE
 *
 * Lock: pa->lock. Clearing pages and reporting misuse happen after it is dropped.
 */
#include "page_internal.h"

static unsigned order_for(uint64_t pages)
{
	return pages <= 1 ? 0 : 64u - (unsigned)__builtin_clzll(pages - 1);
}

pfn_t page_alloc_run_for(struct page_allocator *pa, uint64_t pages, unsigned flags,
			 uintptr_t caller)
{
	uint64_t frame = PFN_NONE.n;
	port_irq_t irq = spin_lock(&pa->lock);
	bool injected = page_must_fail(pa, caller);

	if (pages >= 1 && pages <= SUPERBLOCK_PAGES && !injected) {
		frame = page_take(pa, order_for(pages), pages, flags);
		if (unlikely(frame == PFN_NONE.n) && page_cpu_drain_own(pa))
			frame = page_take(pa, order_for(pages), pages, flags);
	}
	if (frame != PFN_NONE.n) {
		pattern_take(pa, frame, pages);
		pa->descs[frame].word =
			DESC_RUN(pages) | (flags & PAGE_OBJECT) | DESC_CALLER(caller);
		pa->counters.run_allocs++;
	} else {
		pa->counters.failures += !injected;
	}
	page_record(pa, TRACE_RUN_ALLOC, frame, pages, caller, injected);
	page_unlock_and_report(pa, irq, caller);

	if (frame != PFN_NONE.n)
		page_unpoison(pfn(frame), pages);
	if (flags & PAGE_ZEROED && frame != PFN_NONE.n)
		page_clear(pfn(frame), pages);
	return pfn(frame);
}

pfn_t page_alloc_run(struct page_allocator *pa, uint64_t pages, unsigned flags)
{
	return page_alloc_run_for(pa, pages, flags, caller_address());
}

/* `kind`: PAGE_RUN, with PAGE_OBJECT for kmalloc's; neither frees the other's. */
static void free_run(struct page_allocator *pa, pfn_t head, uint64_t kind, uintptr_t caller)
{
	struct misuse misuse;
	port_irq_t irq = spin_lock(&pa->lock);

	if (likely(head.n < pa->pfn_limit)) {
		uint64_t *word = &pa->descs[head.n].word;

		if (likely((*word & 15) == kind)) {
			uint64_t pages = desc_run_pages(*word);

			*word = PAGE_NONE | DESC_CALLER(caller);
			pa->counters.run_frees++;
			pattern_give(pa, head.n, pages, caller);
			page_poison(head, pages);
			page_give(pa, head.n, pages);
			page_record(pa, TRACE_RUN_FREE, head.n, pages, caller, false);
			spin_unlock(&pa->lock, irq);
			return;
		}
	}
	page_diagnose(pa, head.n, kind, caller, &misuse);
	spin_unlock(&pa->lock, irq);
	port_misuse(&misuse);
}

void page_free_run_for(struct page_allocator *pa, pfn_t head, uintptr_t caller)
{
	free_run(pa, head, PAGE_RUN, caller);
}

void page_free_object_run(struct page_allocator *pa, pfn_t head, uintptr_t caller)
{
	free_run(pa, head, PAGE_RUN | PAGE_OBJECT, caller);
}

void page_free_run(struct page_allocator *pa, pfn_t head)
{
	page_free_run_for(pa, head, caller_address());
}

uint64_t page_run_pages(const struct page_allocator *pa, pfn_t head)
{
	uint64_t word;

	if (head.n >= pa->pfn_limit)
		return 0;
	word = __atomic_load_n(&pa->descs[head.n].word, __ATOMIC_RELAXED);
	return (word & 7) == PAGE_RUN ? desc_run_pages(word) : 0;
}
