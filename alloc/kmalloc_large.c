/* SPDX-License-Identifier: MIT */
/*
 * Large objects: runs of pages, to the page. Their only record is the first
 * page's descriptor, which carries the length and says that kmalloc made it.
 *
 * Invariant: large_live = large_allocs - large_frees;
 *            large_pages = sum of the lengths of the live ones.
 * Lock: heap->lock for the counters and for freeing, so that of two frees of
 * one object the second always finds it gone.
 */
#include "kmalloc_internal.h"

#include <quire/assert.h>

#define LARGE_PAGES_MAX ((uint64_t)1 << PAGE_ORDER_MAX)

static pfn_t large_run(struct kheap *heap, uint64_t pages, uintptr_t caller)
{
	pfn_t head;

	if (pages > LARGE_PAGES_MAX)
		return PFN_NONE;
	head = page_alloc_run_for(heap->pages, pages, PAGE_OBJECT, caller);
	if (pfn_is_none(head) && kheap_trim(heap))
		head = page_alloc_run_for(heap->pages, pages, PAGE_OBJECT, caller);
	return head;
}

void *large_alloc(struct kheap *heap, size_t bytes, unsigned flags, uintptr_t caller)
{
	uint64_t pages = bytes_to_pages(bytes);
	pfn_t head = large_run(heap, pages, caller);
	bool got = !pfn_is_none(head);
	port_irq_t irq = spin_lock(&heap->lock);
	void *object;

	if (got) {
		heap->large_allocs++;
		heap->large_live++;
		heap->large_pages += pages;
	} else {
		heap->large_failures++;
	}
	spin_unlock(&heap->lock, irq);
	if (!got)
		return NULL;
	object = port_phys_to_virt(pfn_to_paddr(head));
	if (flags & KMALLOC_ZERO)
		__builtin_memset(object, 0, pages << PAGE_SHIFT);
	return object;
}

uint64_t large_pages_locked(const struct kheap *heap, const void *object)
{
	paddr_t address = port_virt_to_phys(object);
	pfn_t frame = paddr_to_pfn(address);

	if ((address.a & PAGE_MASK) || frame.n >= heap->pages->pfn_limit)
		return 0;
	if (!page_is_object(page_desc(heap->pages, frame)))
		return 0;
	return page_run_pages(heap->pages, frame);
}

void large_free_locked(struct kheap *heap, void *object, uintptr_t caller)
{
	uint64_t pages = large_pages_locked(heap, object);

	assert(pages && heap->large_live);
	page_free_run_for(heap->pages, paddr_to_pfn(port_virt_to_phys(object)), caller);
	heap->large_frees++;
	heap->large_live--;
	heap->large_pages -= pages;
}
