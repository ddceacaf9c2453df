/* SPDX-License-Identifier: MIT */
/*
 * A free that cannot be: find out what the caller did wrong, and say so with
 * everything known. Cold; the books are only read, but for the count of misuses.
 *
 * Not detectable, here or anywhere: a second free after the same address was handed out
 * anew. It frees the new owner's object, whose own free is then reported.
 *
 * Lock: heap->lock is held on entry and dropped before the report.
 */
#include "kmalloc_guard.h"

/* The address lies in a slab of this heap. */
static const char *wrong_in_slab(const struct kheap_about *about, uint64_t address)
{
	if (about->where == KHEAP_SLACK)
		return about->slot ? "free of a pointer behind the last object of a slab"
				   : "free of a pointer before the first object of a slab";
	if (address != about->object)
		return "free of an interior pointer";
	if (about->where == KHEAP_FREE_OBJECT)
		return "double free";
	if (about->internal)
		return "free of the allocator's own data";
	return "free to the wrong cache";
}

/* The address lies in no slab and no large object of this heap. */
static const char *wrong_elsewhere(struct kheap *heap, uint64_t address, struct misuse *m)
{
	pfn_t frame = paddr_to_pfn(port_virt_to_phys((const void *)(uintptr_t)address));
	struct page_about page;

	if (frame.n >= heap->pages->pfn_limit)
		return "free of a foreign pointer";
	page_about(heap->pages, frame, &page);
	m->allocated_by = page.allocated_by;
	m->freed_by = page.freed_by;
	if (page.free)
		return "double free, or free of free memory";
	if (page.state == PAGE_HEAD || page.state == PAGE_RUN) {
		m->object = (uintptr_t)port_phys_to_virt(pfn_to_paddr(page.head));
		m->bytes = page.pages << PAGE_SHIFT;
		return "free of pages that are not kmalloc's";
	}
	return "free of a foreign pointer";
}

static const char *diagnose_locked(struct kheap *heap, const void *object, struct misuse *m)
{
	struct kheap_about about;

	kheap_locate_locked(heap, object, &about);
	if (about.guarded)
		return guard_diagnose(&about, m);
	if (about.where == KHEAP_NOWHERE)
		return wrong_elsewhere(heap, (uintptr_t)object, m);
	m->object = about.object;
	m->bytes = about.object_bytes;
	m->cache = about.cache;
	m->allocated_by = about.allocated_by;
	m->freed_by = about.freed_by;
	if (about.where != KHEAP_LARGE)
		return wrong_in_slab(&about, (uintptr_t)object);
	if (about.object != (uintptr_t)object)
		return "free of an interior pointer";
	return "free to the wrong cache"; /* a large object is in none */
}

void kheap_refuse(struct kheap *heap, const void *object, const struct kmem_cache *freed_to,
		  uintptr_t caller, port_irq_t irq)
{
	struct misuse m = {
		.allocator = "kmalloc",
		.address = (uintptr_t)object,
		.caller = caller,
	};

	m.what = diagnose_locked(heap, object, &m);
	if (freed_to && freed_to->name != m.cache)
		m.freed_to = freed_to->name;
	heap->misuses++;
	if (guard_owns(heap, object))
		guard_remember(heap->guard, &m);
	spin_unlock(&heap->lock, irq);
	port_misuse(&m);
}
