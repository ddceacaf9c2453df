/* SPDX-License-Identifier: MIT */
/*
 * The fast paths: an object from this CPU's magazine, an object into it. No
 * lock, no atomic operation, nothing called: pop and push happen between two
 * interrupts, so nobody else comes near the magazine, and the state byte of an
 * object belongs to whoever has the object. What does not fit goes on in kmalloc.c.
 *
 * A free is checked in full before anything changes:
 *
 *   page descriptor  = SLAB                    the address lies in a slab
 *   inverse * offset < inverse  (mod 2^64)     object_bytes divides its offset: a slot starts there
 *   state of the slot = LIVE                   and it is a caller's
 *
 * (inverse = ceil(2^64 / object_bytes), so inverse * offset = quotient * 2^64 + about
 * remainder * inverse: the high half is the slot, and the low half is below `inverse` for no
 * remainder only. The magazine of slabs that are not to be served has no room, ever.)
 *
 * Expanded in each entry, so that the compiler knows the heap, and nobody looks up the
 * entry's own caller but who has to name it.
 */
#ifndef QUIRE_KMALLOC_FAST_H
#define QUIRE_KMALLOC_FAST_H

#include "kmalloc_internal.h"

#define fast_fn static inline __attribute__((always_inline))

/* descriptor_word(), magazine_pop(), magazine_push(): found like quire_port.h; what they do stands in
 * C in tests/host. */
#include <quire_fast.h>

/* For at most KMALLOC_SMALL_MAX bytes. */
fast_fn uint32_t kheap_class(const struct kheap *heap, size_t bytes)
{
	return heap->class_of[bytes];
}

/* NULL when a quick look does not find a slab there: then kheap_free_slow() looks closer. */
fast_fn struct slab *slab_of_fast(const struct kheap *heap, const void *object)
{
	uint64_t word = descriptor_word(heap, object);

	if (unlikely(!(word & PAGE_SLAB))) /* its bit is no other state's */
		return NULL;
	if (word == PAGE_SLAB)
		__builtin_unreachable(); /* spares the caller a test */
	return (struct slab *)(uintptr_t)(word - PAGE_SLAB);
}

fast_fn bool kheap_free_fast(struct kheap *heap, void *object)
{
	struct slab *s = slab_of_fast(heap, object);

	return s && magazine_push(heap, s, object);
}

#endif
