/* SPDX-License-Identifier: MIT */
/*
 * Guarded objects: now and then kmalloc gives an object a page of its own, between two pages that
 * nobody can touch. A step over its edge, or a use after its free, then faults at once, with the
 * culprit's own address; kmalloc reports it, lets it through and goes on.
 *
 * A sample costs the fast paths nothing: the timer tick closes its own CPU's magazines
 * (quire/alloc_watch.h), so that the next allocation comes to the slow path, is given a guarded
 * object and opens them again. docs/adr/0008-guarded-allocations.md says why.
 */
#ifndef QUIRE_KHEAP_GUARD_H
#define QUIRE_KHEAP_GUARD_H

#include <quire/kmalloc.h>

#define KHEAP_GUARD_SLOTS 255            /* usual number of pages for guarded objects */
#define KHEAP_GUARD_EVERY (~(uint32_t)0) /* rate: each allocation, while slots are free */

/*
 * Make the pool: addresses, pages and books for `slots` objects, kept for good; at most 1/256 of
 * memory, so perhaps fewer. Nothing is sampled before kheap_guard_rate(). Once, at boot. -ENOMEM.
 */
must_check int kheap_guard_init(struct kheap *heap, unsigned slots);

/*
 * One sample on each CPU every so many ticks; 0: none from now on. What is guarded stays so.
 * Without a pool nothing happens. Context as for kheap_watch().
 */
void kheap_guard_rate(struct kheap *heap, uint32_t ticks);

/* From the timer tick of every CPU: interrupts off. */
void kheap_guard_tick(struct kheap *heap);

/*
 * A page fault at `address`, by the instruction at `caller`: nothing was mapped there. False: it
 * is none of this heap's guarded pages, or one that never held an object. True: go on; it was
 * reported and the page is accessible now, until the object is freed or its slot used again.
 * Any context, also under heap->lock: takes no lock.
 */
must_check bool kheap_guard_fault(struct kheap *heap, uint64_t address, bool write,
				  uintptr_t caller);

struct kheap_guard_stats {
	bool present;               /* there is a pool */
	uint32_t rate;              /* ticks, 0, or KHEAP_GUARD_EVERY */
	uint32_t slots, live, used; /* used: have held an object */
	uint64_t pages;             /* held for the pool and its books */
	uint64_t sampled;           /* objects guarded so far */
	uint64_t missed;            /* samples without a free slot */
	uint64_t hits;              /* wrong uses found */
};
void kheap_guard_stats(struct kheap *heap, struct kheap_guard_stats *out);

/* The i-th of the last wrong uses, newest first; false past the last one kept. */
#define KHEAP_GUARD_HITS 16
bool kheap_guard_hit(struct kheap *heap, unsigned i, struct misuse *out);

#endif
