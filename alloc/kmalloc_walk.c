/* SPDX-License-Identifier: MIT */
/*
 * Every slab and every live object, found from the page descriptors: whatever list a slab may be
 * in, each of its pages names its header.
 *
 * Lock: heap->lock, with the heap closed, so that no slab comes or goes meanwhile.
 */
#include "kmalloc_walk.h"

#include "kmalloc_debug.h"
#include "kmalloc_guard.h"

struct slab_walk {
	const struct kheap *heap;
	void (*visit)(void *context, struct slab *s);
	void *context;
};

static void visit_page(void *context, const struct page_owned *page)
{
	const struct slab_walk *walk = context;
	uintptr_t address = (uintptr_t)port_phys_to_virt(pfn_to_paddr(page->frame));
	struct slab *s;

	if (page->state != PAGE_SLAB)
		return;
	s = slab_of(walk->heap, (void *)address);
	if (s && s->base == address && s->cache->heap == walk->heap) /* its first page */
		walk->visit(walk->context, s);
}

void kheap_walk_slabs(struct kheap *heap, void (*visit)(void *context, struct slab *s),
		      void *context)
{
	struct slab_walk walk = {heap, visit, context};
	port_irq_t irq = kheap_close(heap);

	page_walk(heap->pages, visit_page, &walk);
	kheap_open_locked(heap);
	spin_unlock(&heap->lock, irq);
}

/* ---- objects ---- */

struct object_walk {
	struct kheap *heap;
	const struct kmem_cache *cache; /* only this one's; NULL: all callers' */
	kheap_visitor visit;
	void *context;
};

static void visit_slab(void *context, struct slab *s)
{
	const struct object_walk *walk = context;

	if (walk->cache ? s->cache != walk->cache : s->cache->kind == KMEM_INTERNAL)
		return;
	for (unsigned slot = 0; slot < s->cache->slots; slot++) {
		struct kheap_live live = {
			.object = (uintptr_t)slab_object(s, slot),
			.bytes = s->cache->object_bytes,
			.cache = s->cache->name,
		};

		if (slab_slot_state(s, slot) != SLOT_LIVE || slab_slot_is_held(walk->heap, s, slot))
			continue;
		if (s->track)
			live.allocated_by = track_address(s->track->allocated_by[slot]);
		walk->visit(walk->context, &live);
	}
}

static void visit_guarded(const struct object_walk *walk)
{
	const struct guard *g = walk->heap->guard;

	for (uint32_t i = 0; g && i < g->slots; i++) {
		const struct guard_slot *s = &g->slot[i];
		struct kheap_live live = {s->object, s->bytes, s->name, s->allocated_by};

		if (s->state == GUARD_LIVE && (!walk->cache || s->cache == walk->cache))
			walk->visit(walk->context, &live);
	}
}

void kheap_walk(struct kheap *heap, const struct kmem_cache *cache, kheap_visitor visit,
		void *context)
{
	struct object_walk walk = {heap, cache, visit, context};
	port_irq_t irq;

	kheap_walk_slabs(heap, visit_slab, &walk);
	irq = spin_lock(&heap->lock);
	visit_guarded(&walk);
	spin_unlock(&heap->lock, irq);
}
