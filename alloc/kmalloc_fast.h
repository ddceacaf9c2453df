/* SPDX-License-Identifier: MIT */
/*
 * The fast paths: allocations and frees that change one bit and two counts, no
 * list and no slab. Nothing is called between lock and unlock, so they need no
 * saved registers; what does not fit goes on, lock held, in kmalloc.c, which
 * does the same work through slab_take_locked() and slab_put_locked().
 *
 * Included where an entry begins, so that the compiler knows the flags and the heap.
 * Per-CPU lists of free objects will stand here, before the lock.
 */
#ifndef QUIRE_KMALLOC_FAST_H
#define QUIRE_KMALLOC_FAST_H

#include "kmalloc_internal.h"

/* A free object in the word looked at first, and another one anywhere: the slab stays current. */
static inline void *cache_alloc_fast(struct kheap *heap, struct kmem_cache *cache, uintptr_t caller)
{
	port_irq_t irq = spin_lock(&heap->lock);
	struct slab *s = cache->current;

	if (likely(s && s->quick)) {
		unsigned word = s->word;
		uint64_t bits = s->bitmap[word];

		if (likely(bits && s->free > 1)) {
			unsigned slot = word * 64 + (unsigned)__builtin_ctzll(bits);
			uint64_t offset = (uint64_t)slot * cache->object_bytes;

			s->bitmap[word] = bits & (bits - 1);
			s->free--;
			cache->allocs++;
			spin_unlock(&heap->lock, irq);
			return (void *)(uintptr_t)(s->base + offset);
		}
	}
	return cache_alloc_slow(cache, caller, irq);
}

static inline struct kmem_cache *kheap_class(struct kheap *heap, size_t bytes)
{
	return &heap->classes[heap->class_of[(bytes + 7) / 8]];
}

static inline void *kheap_alloc_fast(struct kheap *heap, size_t bytes, uintptr_t caller)
{
	if (unlikely(bytes > KMALLOC_SMALL_MAX))
		return large_alloc(heap, bytes, 0, caller);
	return cache_alloc_fast(heap, kheap_class(heap, bytes), caller);
}

static inline void *kheap_alloc_zeroed_fast(struct kheap *heap, size_t bytes, uintptr_t caller)
{
	struct kmem_cache *cache;
	void *object;

	if (unlikely(bytes > KMALLOC_SMALL_MAX))
		return large_alloc(heap, bytes, KMALLOC_ZERO, caller);
	cache = kheap_class(heap, bytes);
	object = cache_alloc_fast(heap, cache, caller);
	if (likely(object))
		__builtin_memset(object, 0, cache->object_bytes);
	return object;
}

/* A live object of a slab that is current, or that will have been and stay partial. */
static inline void kheap_free_fast_locked(struct kheap *heap, struct slab *s, void *object,
					  uintptr_t caller, port_irq_t irq)
{
	unsigned slot = slab_live_slot(s, (uintptr_t)object);
	struct kmem_cache *cache = s->cache;

	if (unlikely(slot == SLAB_NO_SLOT)) {
		kheap_free_slow(heap, object, caller, irq);
		return;
	}
	if (unlikely(s != cache->current && (s->free == 0 || s->free + 1 == cache->objects))) {
		slab_put_slow(s, slot, caller, irq);
		return;
	}
	s->bitmap[slot / 64] |= (uint64_t)1 << (slot % 64);
	s->word = slot / 64;
	s->free++;
	cache->frees++;
	spin_unlock(&heap->lock, irq);
}

static inline void kheap_free_fast(struct kheap *heap, void *object, uintptr_t caller)
{
	port_irq_t irq;
	struct slab *s;

	if (unlikely(!object))
		return;
	irq = spin_lock(&heap->lock);
	s = slab_of(heap, object);
	if (likely(s && s->quick == heap))
		kheap_free_fast_locked(heap, s, object, caller, irq);
	else
		kheap_free_slow(heap, object, caller, irq);
}

#endif
