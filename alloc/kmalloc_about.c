/* SPDX-License-Identifier: MIT */
/*
 * What an address is: for `peek`, and to say what is wrong with a free. Reads
 * the same books as kfree() and changes nothing.
 *
 * Lock: heap->lock; inside it the arena's, or page_about() takes the page allocator's.
 */
#include "kmalloc_debug.h"
#include "kmalloc_guard.h"

static void locate_in_slab(const struct kheap *heap, const struct slab *s, uint64_t address,
			   struct kheap_about *out)
{
	const struct kmem_cache *cache = s->cache;
	unsigned slot = slab_slot_around(s, address);

	out->cache = cache->name;
	out->internal = cache->kind == KMEM_INTERNAL;
	out->object_bytes = cache->object_bytes;
	out->slab = s->base;
	out->slab_pages = (uint64_t)1 << cache->order;
	out->slot = slot;
	out->slots = cache->slots;
	for (unsigned i = 0; i < cache->slots; i++)
		out->slab_live +=
			slab_slot_state(s, i) == SLOT_LIVE && !slab_slot_is_held(heap, s, i);
	if (slot >= out->slots || slab_slot_state(s, slot) == SLOT_NONE) {
		out->where = KHEAP_SLACK;
		return;
	}
	out->where = KHEAP_FREE_OBJECT;
	if (slab_slot_state(s, slot) == SLOT_LIVE && !slab_slot_is_held(heap, s, slot))
		out->where = KHEAP_OBJECT;
	out->object_bytes = debug_asked(s, slot);
	out->object = (uintptr_t)slab_object(s, slot);
	if (s->track) {
		out->allocated_by = track_address(s->track->allocated_by[slot]);
		out->freed_by = track_address(s->track->freed_by[slot]);
	}
}

static void locate_large(const struct page_about *page, struct kheap_about *out)
{
	out->where = KHEAP_LARGE;
	out->object = (uintptr_t)port_phys_to_virt(pfn_to_paddr(page->head));
	out->object_bytes = page->pages << PAGE_SHIFT;
	out->slab = out->object;
	out->slab_pages = page->pages;
	out->slots = 1;
	out->slab_live = 1;
	out->allocated_by = page->allocated_by;
}

/* A slab of this heap, if it is still there once its arena is locked. */
static void locate_in_slab_of(struct kheap *heap, const struct slab *s, const void *address,
			      struct kheap_about *out)
{
	struct arena *a;

	if (s->cache->heap != heap)
		return;
	a = slab_lock(s);
	if (slab_of(heap, address) == s)
		locate_in_slab(heap, s, (uintptr_t)address, out);
	arena_unlock(a);
}

void kheap_locate_locked(struct kheap *heap, const void *address, struct kheap_about *out)
{
	pfn_t frame = paddr_to_pfn(port_virt_to_phys(address));
	const struct slab *s = slab_of(heap, address);
	struct page_about page;

	*out = (struct kheap_about){.where = KHEAP_NOWHERE};
	if (guard_owns(heap, address)) {
		guard_locate_locked(heap, address, out);
		return;
	}
	if (frame.n >= heap->pages->pfn_limit)
		return;
	if (s) {
		locate_in_slab_of(heap, s, address, out);
		return;
	}
	page_about(heap->pages, frame, &page);
	if (page.described && !page.free && page.state == PAGE_RUN &&
	    page_is_object(page_desc(heap->pages, page.head)))
		locate_large(&page, out);
}

void kheap_about(struct kheap *heap, const void *address, struct kheap_about *out)
{
	port_irq_t irq = spin_lock(&heap->lock);

	kheap_locate_locked(heap, address, out);
	spin_unlock(&heap->lock, irq);
}
