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
 * Expanded in each entry, so that the compiler knows the heap, and nobody looks up the
 * entry's own caller but who has to name it.
 */
#ifndef QUIRE_KMALLOC_FAST_H
#define QUIRE_KMALLOC_FAST_H

#include "kmalloc_internal.h"

#define fast_fn static inline __attribute__((always_inline))

#define MAGAZINE_OPERATION 0x10000u

/* One operation more, and `top` changed. Others only read: no read-modify-write to be atomic. */
static inline void magazine_count(struct magazine *m, uint64_t change)
{
	__atomic_store_n(&m->word, __atomic_load_n(&m->word, __ATOMIC_RELAXED) + change,
			 __ATOMIC_RELAXED);
}

/* A free object; NULL when the magazine has none. */
fast_fn void *magazine_pop(struct kheap *heap, uint32_t magazine)
{
	port_irq_t irq = port_irq_save();
	struct magazine *m = heap->cpu[port_cpu()]->magazines[magazine];
	uint64_t top = m->top;
	void *object;

	if (unlikely(!top)) {
		port_irq_restore(irq);
		return NULL;
	}
	object = (void *)m->slots[top - 2];
	slot_set((uint8_t *)m->slots[top - 1], SLOT_LIVE);
	magazine_count(m, MAGAZINE_OPERATION - 2);
	port_irq_restore(irq);
	if (!object)
		__builtin_unreachable(); /* spares the caller a test */
	return object;
}

/* For at most KMALLOC_SMALL_MAX bytes. */
fast_fn uint32_t kheap_class(const struct kheap *heap, size_t bytes)
{
	return heap->class_of[(bytes + 7) / 8];
}

/* NULL when a quick look does not find a slab there: then kheap_free_slow() looks closer. */
fast_fn struct slab *slab_of_fast(const struct kheap *heap, const void *object)
{
	uint64_t frame = port_virt_to_phys(object).a >> PAGE_SHIFT;
	uint64_t word;

	if (unlikely(frame >= heap->pages->pfn_limit)) /* NULL is beyond it */
		return NULL;
	word = heap->pages->descs[frame].word;
	if (unlikely((word & 7) != PAGE_SLAB))
		return NULL;
	if (word == PAGE_SLAB)
		__builtin_unreachable(); /* spares the caller a test */
	return (struct slab *)(uintptr_t)(word - PAGE_SLAB);
}

/* The object goes into this CPU's magazine. False, and nothing has changed, when that is not so
 * easy. */
fast_fn bool slab_free_fast(struct kheap *heap, struct slab *s, void *object)
{
	uint64_t inverse = __atomic_load_n(&s->inverse, __ATOMIC_RELAXED);
	unsigned __int128 product = (unsigned __int128)((uintptr_t)object - s->base) * inverse;
	uint8_t *state = (uint8_t *)s->states + (uint64_t)(product >> 64);
	struct magazine *m;
	port_irq_t irq;
	uint64_t top;

	if (unlikely((uint64_t)product >= inverse))
		return false;
	irq = port_irq_save();
	m = heap->cpu[port_cpu()]->magazines[s->magazine];
	top = m->top;
	if (unlikely(top >= m->room || *state != SLOT_LIVE)) {
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

fast_fn bool kheap_free_fast(struct kheap *heap, void *object)
{
	struct slab *s = slab_of_fast(heap, object);

	return s && slab_free_fast(heap, s, object);
}

#endif
