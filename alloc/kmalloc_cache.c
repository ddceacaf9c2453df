/* SPDX-License-Identifier: MIT */
/*
 * Typed caches: made and unmade. Their slabs are like any others.
 *
 * Invariant: caches in heap->caches of kind KMEM_TYPED = live objects of heap->cache_cache.
 * Lock: heap->lock.
 */
#include "kmalloc_internal.h"

#include <quire/errno.h>

/* Object size for a request, 0 when it is absurd. */
static uint32_t typed_bytes(size_t bytes, size_t align)
{
	if (align == 0)
		align = KMALLOC_MIN_ALIGN;
	if ((align & (align - 1)) || align > PAGE_BYTES)
		return 0;
	if (align < KMALLOC_MIN_ALIGN)
		align = KMALLOC_MIN_ALIGN;
	if (bytes == 0 || bytes > KMALLOC_SMALL_MAX)
		return 0;
	return (uint32_t)align_up(bytes, align);
}

struct kmem_cache *kmem_cache_create(struct kheap *heap, const char *name, size_t bytes,
				     size_t align)
{
	uint32_t object_bytes = typed_bytes(bytes, align);
	struct kmem_cache *cache;
	port_irq_t irq;

	if (!object_bytes)
		return NULL;
	irq = spin_lock(&heap->lock);
	cache = cache_take_locked(&heap->cache_cache, caller_address());
	if (cache) {
		cache_init(cache, heap, name, object_bytes, KMEM_TYPED);
		cache->wanted_bytes = (uint32_t)bytes;
	}
	spin_unlock(&heap->lock, irq);
	return cache;
}

int kmem_cache_destroy(struct kmem_cache *cache)
{
	struct kheap *heap = cache->heap;
	uintptr_t caller = caller_address();
	struct slab *home;
	port_irq_t irq;
	unsigned slot;

	irq = spin_lock(&heap->lock);
	home = slab_of(heap, cache);
	if (!home || home->cache != &heap->cache_cache ||
	    (slot = slab_live_slot(home, (uintptr_t)cache)) == SLAB_NO_SLOT) {
		kheap_refuse(heap, cache, NULL, caller, irq);
		return -EINVAL;
	}
	if (cache->allocs != cache->frees) {
		spin_unlock(&heap->lock, irq);
		return -EBUSY;
	}
	cache_trim_locked(cache, caller); /* without live objects, `current` is all it can have */
	list_remove(&cache->link);
	slab_put_locked(home, slot, caller);
	spin_unlock(&heap->lock, irq);
	return 0;
}
