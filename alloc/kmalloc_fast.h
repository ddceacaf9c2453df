/* SPDX-License-Identifier: MIT */
/*
 * The fast paths: an object from this CPU's magazine, an object into it. No
 * lock, no atomic operation, nothing called: with interrupts off nobody else
 * comes near the magazine, and the state byte of an object belongs to whoever
 * has the object. What does not fit goes on in kmalloc.c.
 *
 * A free is checked in full before anything changes:
 *
 *   page descriptor  = SLAB                    the address lies in a slab
 *   inverse * offset < inverse  (mod 2^64)     object_bytes divides its offset: a slot starts there
 *   state of the slot = LIVE                   and it is a caller's
 *
 * (inverse = ceil(2^64 / object_bytes), so inverse * offset = quotient * 2^64 + about
 * remainder * inverse: the high half is the slot, and the low half is below `inverse` for no
 * remainder only. An `inverse` of 0 passes nothing: tracked and internal slabs.)
 *
 * Included where an entry begins, so that the compiler knows the flags and the heap.
 */
#ifndef QUIRE_KMALLOC_FAST_H
#define QUIRE_KMALLOC_FAST_H

#include "kmalloc_internal.h"

#define MAGAZINE_OPERATION 0x10000u

/* One operation more, and `top` changed. Others only read: no read-modify-write to be atomic. */
static inline void magazine_count(struct magazine *m, uint64_t change)
{
	__atomic_store_n(&m->word, __atomic_load_n(&m->word, __ATOMIC_RELAXED) + change,
			 __ATOMIC_RELAXED);
}

static inline void *cache_alloc_fast(struct kheap *heap, struct kmem_cache *cache,
				     uint32_t magazine, uintptr_t caller)
{
	port_irq_t irq = port_irq_save();
	struct magazine *m = heap->cpu[port_cpu()]->magazines[magazine];
	uint64_t top = m->top;
	void *object;

	if (unlikely(!top)) {
		port_irq_restore(irq);
		return cache_alloc_slow(cache, caller);
	}
	object = (void *)m->slots[top - 2];
	slot_set((uint8_t *)m->slots[top - 1], SLOT_LIVE);
	magazine_count(m, MAGAZINE_OPERATION - 2);
	port_irq_restore(irq);
	return object;
}

static inline void *kheap_alloc_fast(struct kheap *heap, size_t bytes, uintptr_t caller)
{
	uint32_t class;

	if (unlikely(bytes > KMALLOC_SMALL_MAX))
		return large_alloc(heap, bytes, 0, caller);
	class = heap->class_of[(bytes + 7) / 8];
	return cache_alloc_fast(heap, &heap->classes[class], class, caller);
}

static inline void *kheap_alloc_zeroed_fast(struct kheap *heap, size_t bytes, uintptr_t caller)
{
	uint32_t class;
	void *object;

	if (unlikely(bytes > KMALLOC_SMALL_MAX))
		return large_alloc(heap, bytes, KMALLOC_ZERO, caller);
	class = heap->class_of[(bytes + 7) / 8];
	object = cache_alloc_fast(heap, &heap->classes[class], class, caller);
	if (likely(object))
		__builtin_memset(object, 0, heap->classes[class].object_bytes);
	return object;
}

/* NULL when a quick look does not find the slab of `object`. */
static inline struct slab *slab_of_fast(const struct kheap *heap, const void *object)
{
	uint64_t frame = port_virt_to_phys(object).a >> PAGE_SHIFT;
	uint64_t word;

	if (unlikely(frame >= heap->pages->pfn_limit)) /* NULL too */
		return NULL;
	word = heap->pages->descs[frame].word - PAGE_SLAB;
	if (unlikely(word & 7))
		return NULL;
	return (struct slab *)(uintptr_t)word;
}

/* The object goes into this CPU's magazine. False, and nothing has changed, when it is not that
 * easy. */
static inline bool slab_free_fast(struct kheap *heap, struct slab *s, void *object)
{
	unsigned __int128 product = (unsigned __int128)((uintptr_t)object - s->base) * s->inverse;
	struct magazine *m;
	uint8_t *state;
	port_irq_t irq;
	uint64_t top;

	if (unlikely((uint64_t)product >= s->inverse))
		return false;
	state = (uint8_t *)s->states + (uint64_t)(product >> 64);
	irq = port_irq_save();
	m = heap->cpu[port_cpu()]->magazines[s->magazine];
	top = m->top;
	if (unlikely(top >= m->room || slot_state(state) != SLOT_LIVE)) {
		port_irq_restore(irq);
		return false;
	}
	slot_set(state, SLOT_CACHED);
	m->slots[top] = (uintptr_t)object;
	m->slots[top + 1] = (uintptr_t)state;
	magazine_count(m, MAGAZINE_OPERATION + 2);
	port_irq_restore(irq);
	return true;
}

static inline void kheap_free_fast(struct kheap *heap, void *object, uintptr_t caller)
{
	struct slab *s = slab_of_fast(heap, object);

	if (unlikely(!s || !slab_free_fast(heap, s, object)))
		kheap_free_slow(heap, object, caller);
}

#endif
